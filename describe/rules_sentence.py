"""A sentence that awaits its verdict, the limits it is held to, and its words, read once."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from describe.errors import UserError
from describe.request import Kind
from describe.tokens import CONTEXT_LENGTH

ClassNamePolicy = Literal["allow", "flag", "reject"]

_PLAIN = re.compile(r"[A-Za-z0-9 ,.:!?'-]+")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

# What published sets, and models that know them, put around the part that describes. The frame
# is no fault of a sentence: the rules on content look at what it holds.
_FRAMES = tuple(
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"an? videos? of .+? involves? the following (?:sub-?)?steps?:? ?(?P<core>.+?),? "
        r"which is (?:a|another) sub-?step",
        r"an? videos? of .+? involves? (?P<core>.+?),? which is (?:a|another) sub-?step",
        r"the (?:next|first|second|third|last|final) step (?:involves|is) (?P<core>.+?),? "
        r"which is (?:a|another) sub-?step",
        r"(?:an?|the|this) (?:video|clip|scene|footage|camera|image) "
        r"(?:about|of|showing|depicting|featuring|shows|depicts|features|captures|shows how) "
        r"(?P<core>.+?)",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence of one class, as a model or a published file gave it."""

    class_id: int
    class_name: str
    """The official name, e.g. `ApplyEyeMakeup`."""

    readable: str
    """The same name as words, e.g. `apply eye makeup`."""

    kind: Kind
    text: str
    prompt: str = ""
    """The prompt that produced it; empty for a published set."""


@dataclass(frozen=True, kw_only=True)
class RuleConfig:
    """The limits that a sentence is held to."""

    min_words: int = 2
    """Fewer words are no description: "bow" is in a hundred kinds of video."""

    max_words: int = 40
    """More words are a paragraph."""

    token_budget: int = CONTEXT_LENGTH
    """CLIP tokens, start and end included: what ViCLIP's text encoder can read."""

    max_sentences: int = 2
    """More sentences in one string are a whole answer, not one description."""

    class_name: ClassNamePolicy = "allow"
    """What to do with a sentence that holds the class's name."""

    def __post_init__(self) -> None:
        """Refuse limits that no sentence could meet.

        Raises:
            UserError: A limit is out of range.
        """
        if not 1 <= self.min_words <= self.max_words:
            raise UserError(
                f"min_words {self.min_words} and max_words {self.max_words}: "
                "need 1 <= min_words <= max_words"
            )
        if self.token_budget < 3:
            raise UserError(
                f"token_budget {self.token_budget}: need at least 3 (start, one token, end)"
            )
        if self.max_sentences < 1:
            raise UserError(f"max_sentences {self.max_sentences}: need at least 1")
        if self.class_name not in {"allow", "flag", "reject"}:
            raise UserError(f"class_name {self.class_name!r}: one of allow, flag, reject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A sentence with the parts that several rules look at, worked out once."""

    sentence: Sentence
    text: str
    core: str
    """The text without its frame: `climbers on a cliff` of "A video about climbers on a cliff."."""

    words: tuple[str, ...]
    """Lower-case words of the core."""

    name: str
    """The readable class name in lower case."""

    all_words: tuple[str, ...]
    """Lower-case words of the whole text, frame included."""

    is_plain: bool
    """Whether the text is ASCII letters, digits and everyday punctuation: most rules on form have
    nothing to look for in such a text."""

    @property
    def is_framed(self) -> bool:
        """Whether the text is a known frame around the core."""
        return self.core is not self.text

    @property
    def num_words(self) -> int:
        """Words of the whole text."""
        return len(self.all_words)


def read(sentence: Sentence) -> Reading:
    """Work out the parts of a sentence."""
    text = sentence.text
    core = unframed(text)
    return Reading(
        sentence=sentence,
        text=text,
        core=core,
        words=words(core),
        name=sentence.readable.lower(),
        all_words=words(text),
        is_plain=_PLAIN.fullmatch(text) is not None,
    )


def unframed(text: str) -> str:
    """Return what a known frame holds; `text` itself where there is none."""
    if not text[:4].lower().startswith(("a ", "an ", "the ", "this")):
        return text
    stripped = text.rstrip(" .")
    for frame in _FRAMES:
        if match := frame.fullmatch(stripped):
            return match["core"].strip()
    return text


def words(text: str) -> tuple[str, ...]:
    """Return the words of `text`, in lower case, apostrophes straightened."""
    return tuple(_WORD.findall(text.lower().replace("’", "'")))


def normal_form(text: str) -> str:
    """Return `text` with case, punctuation, accents and spacing made equal, to compare by."""
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if not unicodedata.combining(char))
    return " ".join(words(text))


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Cut the commonest English endings: `runs`, `running` and `run` are one word here.

    Crude on purpose: it only ever decides whether two sentences say the same.
    """
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word.removesuffix("e")
