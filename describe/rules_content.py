"""Rules on content: does the sentence say something about the action that a camera could see?

Every rule here would rather keep a poor sentence than lose a good one: what is only suspected
becomes a flag (`describe.rules.FLAGS`), never a rejection.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from describe.rules_sentence import Reading, RuleConfig, normal_form, stem, words
from describe.rules_words import (
    ENCYCLOPEDIC,
    EXPERIENCED,
    FILLER,
    GENERIC,
    MIND_VERBS,
    SEEN_VERBS,
    UNSEEN,
    UNSEEN_AS_HEAD,
    UNSEEN_RESULT,
    VISIBLE_BODY,
)

_REFUSAL_START = re.compile(
    r"(?:i'?m|i am) (?:very |so |really )?(?:sorry|unable|afraid|not able|just an? )"
    r"|(?:sorry|apologies|unfortunately|my apologies)\b"
    r"|i (?:cannot|can't|can not|won't|will not|don't|do not|am not able|could not|couldn't)\b"
    r"|(?:cannot|can't|unable to) (?:help|assist|provide|describe|generate|comply)",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model|text-based|assistant)\b"
    r"|\bi (?:cannot|can't|am unable to) (?:help|assist|provide|describe|generate|fulfil|comply)",
    re.IGNORECASE,
)
_REFUSAL_WORDS = frozenset({"i", "ai", "artificial", "model", "text-based", "assistant"})
_NO_ANSWER = re.compile(
    r"^\W*(?:n/?a|none|null|nil|unknown|undefined|not (?:applicable|available|specified)"
    r"|no (?:description|answer|data|information|sentence|content)s?(?: \w+)?|error|empty"
    r"|blank)\W*$"
    r"|^(?:sure|certainly|of course|absolutely|okay|great|i hope [^.]+|hope this helps)[,!.:]"
    r"|^here(?:'s| is| are) (?:the|some|a|an|two|three|four|five|six|seven|eight|your|\d+) "
    r"(?:\w+ ){0,4}(?:sentences?|descriptions?|steps|list|answers?|examples?)\b"
    r"|^(?:let me|feel free|please) (?:know|to|let|provide|note)\b"
    r"|^i(?:'m|'ll|'d|'ve)?\s+\w+|^(?:what|how|why|who|where|when|which|can|could|do|does|is|are)"
    r"\b[^.]*\?$",
    re.IGNORECASE,
)
_INSTRUCTION_START = re.compile(
    r"\W*(?:describe (?:\w+ ){0,4}(?:action|camera|appearance|video|clip|step)s?\b"
    r"|(?:do not|don't|never|avoid|please) (?:mention|includ|repeat|describ|number|output|explain)"
    r"(?:e|ing)?\b|(?:for )?example(?: \d+)?\s*:|(?:the )?(?:action|class|task|input|output"
    r"|question|answer|note|instructions?|user|assistant|system)(?: is)?\s*:)",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(
    r"\b(?:the|your) (?:output|answer|response|reply) (?:should|must|needs? to|has to)\b"
    r"|\bin the following format\b|\bas follows\W*$"
    r"|\b(?:valid |as |in |a )json\b|\bjson (?:array|object|list|format|schema)\b"
    r"|\b(?:each|every|the|all|these|your) sentences? (?:should|must|ha(?:s|ve) to|needs? to)\b"
    r"|\b(?:write|generate|give me|produce|provide|create) (?:\w+ ){0,2}(?:\d+|one|two|three|four"
    r"|five|six|seven|eight) (?:\w+ ){0,2}(?:sentence|description|caption)s?\b"
    r"|\b(?:sentence|description|caption)s? (?:that |which )?describ(?:e|es|ing)\b"
    r"|\b\d+ words\b|\b(?:visual appearance|temporally decoupled steps) of the action\b"
    r"|\bsentence [1-9]\b",
    re.IGNORECASE,
)
_INSTRUCTION_WORDS = frozenset(
    """
    output answer response reply format follows json
    sentence sentences description descriptions caption captions words appearance decoupled
    """.split()
)
_QUOTED = re.compile(r"(?<![\w.!?])[\"“](?=\S)([^\"“”\n]{8,})[\"”]")
_LINE_END = re.compile(r"[.!?:;]\s+|\n+|[\[\]{}]")
_MIN_ECHO_WORDS = 4
_NEAR_COPY = 0.8  # share of words in common at which a sentence counts as a copy
_FILLER_STEMS = frozenset(map(stem, FILLER))

_ENOUGH_SEEN = 3  # words of content beside the unseen at which a sentence may stay

_HEAD_END = re.compile(
    r",? (?:of|in|on|at|from|with|as|that|which|during|while|when|after|before|for|to|by|between"
    r"|through|behind|over|into|among|around|across|throughout|within|without|is|are|was|were|fills?"
    r"|echo(?:es|ing)?|accompan(?:y|ies|ying)|rings?|can|comes?|coming|becomes?|remains?|adds?"
    r"|creates?|makes?|has|have|builds?|grows?|rising|emanating|produced|made|filling|resonating"
    r"|being|heard|surrounding|ringing|setting)\b",
)
_UNSEEN_CLAUSE = re.compile(
    r"(?:the |an? |its |his |her |their )?(?:[\w'-]+ ){0,2}?(?P<head>[\w'-]+) (?:is|are|was|were)\b"
)
_TEMPORAL_WORDS = re.compile(
    r"^(?:first|firstly|second|secondly|then|next|finally|lastly|afterwards?|subsequently)\s*,"
    r"|^(?:the )?(?:first|second|third|next|last|final) (?:sub-?)?step(?: is| involves| shows|,|:)"
    r"|\bwhich is (?:a|another) sub-?step\b|\bgenerally involves? the following steps?\b",
    re.IGNORECASE,
)
_STATIC_STEP = re.compile(
    r"^(?:the|a|an|his|her|their|its)\s+(?:[\w'-]+\s+){0,3}(?:is|are) (?:wearing|dressed in|located"
    r"|made of|visible|surrounded by|shaped like)\b"
    r"|^(?:the|a|an) (?:background|setting|lighting|scenery|sky)s? "
    r"(?:is|are|has|have|shows|consists|looks|appears)\b"
    r"|^there (?:is|are) (?:a|an|some|several|many|no|two|three) [\w' -]+\.?$"
    r"|^a video about\b",
    re.IGNORECASE,
)


def refusal(reading: Reading, config: RuleConfig) -> str | None:
    """The model declines to describe, or apologises."""
    if match := _REFUSAL_START.match(reading.text):
        return match[0]
    return _found(_REFUSAL, reading.text) if _mentions(reading, _REFUSAL_WORDS) else None


def no_answer(reading: Reading, config: RuleConfig) -> str | None:
    """The model talks about itself, its answer or nothing, or asks back."""
    return _found(_NO_ANSWER, reading.text.strip(" \"'"))


def leaked_instruction(reading: Reading, config: RuleConfig) -> str | None:
    """A piece of an instruction to the model."""
    if match := _INSTRUCTION_START.match(reading.text):
        return match[0]
    return _found(_INSTRUCTION, reading.text) if _mentions(reading, _INSTRUCTION_WORDS) else None


def prompt_echo(reading: Reading, config: RuleConfig) -> str | None:
    """A copy, or nearly one, of a line of the prompt; or a sentence about an example's action.

    The class's own name is left out of the comparison: it stands in the prompt, and may be said.
    """
    if not reading.sentence.prompt:
        return None
    said = frozenset(_stems_without(reading.core, reading.name))
    telling = said - _FILLER_STEMS
    is_on_topic = not telling.isdisjoint(stem(word) for word in words(reading.name))
    for line in _prompt_lines(reading.sentence.prompt, reading.name):
        common = len(said & line.stems)
        is_copy = len(said) >= _MIN_ECHO_WORDS and common >= _NEAR_COPY * len(said | line.stems)
        if is_copy or (not is_on_topic and line.gives(telling)):
            return f"the prompt says {line.text!r}"
    return None


def not_visual(reading: Reading, config: RuleConfig) -> str | None:
    """What no camera sees: sounds, smells, tastes, feelings, benefits, history, definitions."""
    core = " ".join(reading.words)
    match = EXPERIENCED.search(core) or ENCYCLOPEDIC.search(core)
    if match and _num_telling(core[: match.start()]) < _ENOUGH_SEEN:
        return match[0].strip()
    if VISIBLE_BODY.search(core):
        return None
    if reading.sentence.kind == "temporal":
        return _unseen_step(core)
    return _unseen_subject(core)


def generic(reading: Reading, config: RuleConfig) -> str | None:
    """Words that would fit any action, and no other."""
    telling = [word for word in reading.words if word not in FILLER]
    name = {stem(word) for word in words(reading.name)}
    if not telling or any(word not in GENERIC and stem(word) not in name for word in telling):
        return None
    if any(word not in GENERIC for word in telling) and not _says_only_doing(reading.words):
        return None
    return "nothing but " + ", ".join(dict.fromkeys(telling))


def kind_confusion(reading: Reading, config: RuleConfig) -> str | None:
    """A step among the appearances, or an appearance among the steps."""
    if reading.sentence.kind == "spatial":
        return _found(_TEMPORAL_WORDS, reading.text)
    return _found(_STATIC_STEP, reading.core)


def holds_class_name(reading: Reading) -> bool:
    """Whether the text says the class's readable name, in any of its common inflections."""
    name = tuple(stem(word) for word in words(reading.name))
    text = tuple(stem(word) for word in words(reading.text))
    starts = range(len(text) - len(name) + 1) if name else ()
    return any(text[start : start + len(name)] == name for start in starts)


def class_name(reading: Reading, config: RuleConfig) -> str | None:
    """The class's own name, where the policy is to reject it."""
    if config.class_name == "reject" and holds_class_name(reading):
        return reading.name
    return None


def mentions_unseen(reading: Reading) -> bool:
    """Whether a word for something that no camera sees stands anywhere in the sentence."""
    return not UNSEEN.isdisjoint(reading.words)


def _mentions(reading: Reading, vocabulary: frozenset[str]) -> bool:
    """Whether one of these words is said: a cheap test before a slow pattern."""
    return not vocabulary.isdisjoint(reading.all_words)


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[0].strip() if match else None


def _num_telling(phrase: str) -> int:
    return sum(word not in FILLER for word in phrase.split())


def _unseen_step(core: str) -> str | None:
    """Return what makes a step one of the mind alone, or one that makes only a sound."""
    if match := MIND_VERBS.match(core):
        object_ = core[match.end() :]
        shows_something = _num_telling(object_) >= _ENOUGH_SEEN or "ing" in object_
        return None if shows_something else match[0].strip()
    match = UNSEEN_RESULT.match(core)
    return match["head"] if match and match["head"] in UNSEEN_AS_HEAD else None


def _unseen_subject(core: str) -> str | None:
    """Return the head of a phrase whose every part names something unseen.

    Of "the sound of rain" the head is `sound`; "hands clapping with a loud sound" has the head
    `clapping`, and may stay. After the head two more words of content are let pass: "the thrill
    of a rider racing downhill" does show something.
    """
    if SEEN_VERBS.search(core) or "sheet music" in core or "focus on" in core:
        return None
    if (match := _UNSEEN_CLAUSE.match(core)) and match["head"] in UNSEEN_AS_HEAD:
        return match["head"] if _num_telling(core[match.end() :]) < _ENOUGH_SEEN else None
    for part in re.split(r",? and (?:the )?|, ", core):
        match = _HEAD_END.search(part)
        phrase, rest = (part[: match.start()], part[match.end() :]) if match else (part, "")
        said = phrase.split()
        head = said[-1] if said else ""
        if _num_telling(rest) >= _ENOUGH_SEEN:
            return None
        if len(said) > 1 and head not in UNSEEN_AS_HEAD:  # a single word is an adjective
            return None
    return head if head in UNSEEN_AS_HEAD else None


def _says_only_doing(said: tuple[str, ...]) -> bool:
    """Whether a form of "perform the action of ..." stands before the class's name."""
    return bool(
        re.search(
            r"\b(?:perform|execut|do|carry|complet|demonstrat|engag|display|show)\w*"
            r"(?: out| in)? (?:the|an?|this|that|his|her|their) (?:\w+ )?(?:action|activity|act"
            r"|movement|motion|exercise)\b",
            " ".join(said),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _PromptLine:
    """A line or a sentence of a prompt, one of its quoted examples, or a list of these."""

    stems: frozenset[str]
    text: str
    num_examples: int = 0

    def gives(self, telling: frozenset[str]) -> bool:
        """Whether most of what a sentence tells is told by an example of another action.

        A small model asked for "catch" goes on about the log and the axe of the example before it.
        A whole list has many words, and must account for more.
        """
        common = len(telling & self.stems)
        if self.num_examples > 1:
            return common >= 4 and common >= 0.8 * len(telling)
        is_short = common >= 2 and common >= 0.75 * len(telling)
        return self.num_examples == 1 and (
            is_short or (common >= 3 and common >= 0.6 * len(telling))
        )


@lru_cache(maxsize=4_000)
def _prompt_lines(prompt: str, name: str) -> tuple[_PromptLine, ...]:
    pieces = [(line, 0) for line in _LINE_END.split(prompt)]
    for line in prompt.splitlines():
        examples = _QUOTED.findall(line)
        pieces += [(example, 1) for example in examples]
        pieces += [(" ".join(examples), len(examples))] if len(examples) > 1 else []
    found = []
    for piece, num_examples in pieces:
        stems = frozenset(_stems_without(piece, name))
        if len(stems) >= _MIN_ECHO_WORDS:
            text = " ".join(piece.split())[:60]
            found.append(_PromptLine(stems=stems, text=text, num_examples=num_examples))
    return tuple(found)


def _stems_without(text: str, name: str) -> tuple[str, ...]:
    plain = f" {normal_form(text)} ".replace(f" {normal_form(name)} ", " ")
    return tuple(stem(word) for word in plain.split())
