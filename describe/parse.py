"""A reply becomes sentences: whatever form the model chose, and with every repair recorded.

The form that the prompts ask for is `{"sentences": ["...", "..."]}`; it is read without a repair.
A sentence is never reworded here. What is wrong with its words is for `describe.rules` to say.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from describe.lenient_json import Pairs, Value, find_values

ANSWER_KEY = "sentences"

_TEXT_KEYS = ("text", "sentence", "description", "content", "value", "step", "action")
_IGNORED_KEYS = frozenset({"error", "reasoning", "thought", "thoughts", "notes", "note"})
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00ad"

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```[ \t]*[\w+-]*[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL)
_BULLET = re.compile(r"^\s*(?:[-*•‣▪–]|\(?\d{1,2}[.):]|#{1,6})\s+")
_NUMBERING = re.compile(
    r"^(?:\d{1,2}[.):]\s+|(?:[ivx]{1,4}|[a-h])\)\s+|\(\d{1,2}\)\s*"
    r"|(?:step|sentence|description)\s*#?\d{1,2}\s*[.):–-]\s*|[-*•‣▪–]\s+)",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"^(?:sure|certainly|of course|absolutely)[,!.][^\"\[{]{0,80}[.!]?\s*$|:\s*$", re.IGNORECASE
)
_LEAD_IN_START = re.compile(
    r"^(?:sure|certainly|of course|absolutely)?[,!.]?\s*"
    r"here(?:'s| is| are)\b[^:\"\[{.]{0,100}:\s+(?=\S)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’]?\s+(?=[\"'“‘]?[A-Z])")
_INLINE_NUMBER = re.compile(r"(?:^|(?<=[.!?;,:])\s+)\(?(\d{1,2})[.)]\s+(?=\S)")
_WRAPPERS = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`", "(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """The sentences of one reply, in the reply's order."""

    sentences: tuple[str, ...]
    """All that were found, which may be fewer or more than were asked for."""

    repairs: tuple[str, ...]
    """What had to be put right, each name once, in the order of its first use."""


def parse_reply(text: str, *, expected: int) -> ParsedReply:
    """Read the sentences of a reply. Never raises.

    Args:
        text: The reply, in any form: JSON good or bad, a list, prose.
        expected: How many were asked for. Only when there are fewer, a string that holds several
            sentences is split.

    Returns:
        No sentences and the single repair `unreadable`, if there is nothing to read.
    """
    repairs: list[str] = []
    body = _without_wrapping(text, repairs)
    items = _from_json(body, repairs)
    if items is None:
        items = _from_lines(body, repairs)
    sentences = list(_clean(items, repairs))
    if len(sentences) < expected:
        sentences = list(_clean(_split(sentences, expected, repairs), repairs))
    if not sentences:
        return ParsedReply((), ("unreadable",))
    return ParsedReply(tuple(sentences), tuple(dict.fromkeys(repairs)))


def repair_sentence(text: str) -> tuple[str, tuple[str, ...]]:
    """Take numbering, wrapping quotes and brackets, Markdown and stray white space off a sentence.

    Returns:
        The sentence, empty if nothing remains, and the names of the repairs.
    """
    repairs: list[str] = []
    text = _visible_edges(text, repairs)
    before = ""
    while text != before:  # '1. "(a sentence)"' needs several rounds
        before = text
        for name, repair in _SENTENCE_REPAIRS:
            repaired = repair(text)
            repairs.extend([name] if repaired != text else [])
            text = repaired
    return text, tuple(dict.fromkeys(repairs))


def split_sentences(text: str) -> list[str]:
    """Split at inline numbers ("1. ... 2. ..."), else where a sentence ends and another begins."""
    first, *rest = _INLINE_NUMBER.split(text)  # text, number, text, number, text, ...
    numbers = [int(number) for number in rest[::2]]
    if numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return [part for part in (first, *rest[1::2]) if part.strip()]
    return _SENTENCE_END.split(text)


def _without_wrapping(text: str, repairs: list[str]) -> str:
    """Take the model's thinking and code fences off the whole reply."""
    answer = _THINKING.sub("", text).rpartition("</think>")[2]
    repairs.extend(["thinking"] if answer != text else [])
    blocks = _FENCE.findall(answer)
    if any(block.strip() for block in blocks):
        repairs.append("code_fence")
        answer = "\n".join(blocks)
    return answer.strip().strip(_INVISIBLE)


def _from_json(text: str, repairs: list[str]) -> list[str] | None:
    """Return the sentences of all JSON in `text`; None if there is no JSON to speak of."""
    found: list[str] = []
    values, around = find_values(text, found.append)
    found.extend("bare_list" for value in values if not isinstance(value, Pairs))
    items = [item for value in values for item in _texts(value, found)]
    prose = around.strip(" \n\t,;.")
    if not values or (prose and not items):
        return None
    repairs.extend([*found, "prose_around"] if prose else found)
    return items


def _texts(value: Value, repairs: list[str]) -> Iterator[str]:
    """Yield the sentences in a JSON value, whatever its shape."""
    if isinstance(value, str):
        inner = _json_in(value)
        repairs.extend(["nested_json"] if inner else [])
        yield from inner or [value]
    elif isinstance(value, Pairs):
        yield from _object_texts(value, repairs)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, repairs)
    elif value is not None:
        repairs.append("not_text")


def _json_in(text: str) -> list[str] | None:
    """Return the sentences of a string that is a list in JSON once more."""
    return _from_json(text, []) if text.lstrip()[:2] in {'["', "['", '{"', "{'"} else None


def _object_texts(pairs: Pairs, repairs: list[str]) -> Iterator[str]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys) and any(keys):
        repairs.append("duplicate_keys")
    chosen = _chosen_keys(pairs)
    if chosen != {ANSWER_KEY}:
        repairs.append("other_key")
    elif not isinstance(dict(pairs)[ANSWER_KEY], list):
        repairs.append("not_a_list")
    for key, value in pairs:
        if key in chosen:
            yield from _texts(value, repairs)


def _chosen_keys(pairs: Pairs) -> set[str]:
    """Return the keys whose values are sentences: the agreed one, lists, text fields, then all."""
    keys = [key for key, _ in pairs if key.lower() not in _IGNORED_KEYS]
    if ANSWER_KEY in keys:
        return {ANSWER_KEY}
    lists = {key for key, value in pairs if isinstance(value, list) and key in keys}
    if lists:
        return lists
    texts = {key for key, value in pairs if isinstance(value, str) and key in keys}
    return next(({key} for name in _TEXT_KEYS for key in texts if key.lower() == name), texts)


def _from_lines(text: str, repairs: list[str]) -> list[str]:
    """Read plain text: the lines of a numbered or bulleted list, else all lines."""
    if not text or re.fullmatch(r"[\s\[\]{}\",:.\d-]*|null|None", text):
        return []
    repairs.append("plain_text")
    lines = [line for line in text.splitlines() if line.strip()]
    bulleted = [line for line in lines if _BULLET.match(line)]
    if len(bulleted) > 1 and len(bulleted) < len(lines):
        repairs.append("prose_around")
    return bulleted if len(bulleted) > 1 else lines


def _clean(items: Iterable[str], repairs: list[str]) -> Iterator[str]:
    """Repair each sentence; drop what is empty or only announces the sentences."""
    for item in items:
        text, done = repair_sentence(item)
        repairs.extend(done)
        if not text:
            repairs.append("empty")
        elif _LEAD_IN.search(text):
            repairs.append("lead_in")
        else:
            yield text


def _split(sentences: list[str], expected: int, repairs: list[str]) -> Iterator[str]:
    """Split strings that hold several sentences, for as long as too few were found."""
    missing = expected - len(sentences)
    for sentence in sentences:
        parts = split_sentences(sentence) if missing > 0 else [sentence]
        if len(parts) > 1:
            repairs.append("split")
            missing -= len(parts) - 1
        yield from parts


def _visible_edges(text: str, repairs: list[str]) -> str:
    """Collapse white space, and strip characters without width from the two ends."""
    # A lone surrogate (an escape that stands for half a character) can be written to no file.
    sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    collapsed = " ".join(sound.split())
    visible = collapsed.strip(_INVISIBLE + " ")
    repairs.extend(["surrogate"] if sound != text else [])
    repairs.extend(["whitespace"] if collapsed != sound.strip() else [])
    repairs.extend(["invisible"] if visible != collapsed else [])
    return visible


def _without_numbering(text: str) -> str:
    return _NUMBERING.sub("", text, count=1)


def _unwrapped(text: str) -> str:
    """Take off quotes or brackets around the whole sentence, not around parts of it."""
    closing = _WRAPPERS.get(text[:1])
    stem = text.rstrip(".,;") if closing and not text.endswith(closing) else text
    inner = stem[1:-1]
    if closing is None or len(stem) < 3 or not stem.endswith(closing):
        return text
    if text[0] in inner or closing in inner.replace("’s", "").replace("'s", ""):
        return text
    return inner.strip()


def _without_markdown(text: str) -> str:
    return re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"\2", text)


def _without_lead_in(text: str) -> str:
    return _LEAD_IN_START.sub("", text, count=1)


def _without_tail(text: str) -> str:
    """Drop a comma or a semicolon that belonged to a list, not to the sentence."""
    return text.rstrip(" ,;")


_SENTENCE_REPAIRS = (
    ("markdown", _without_markdown),
    ("numbering", _without_numbering),
    ("quotes_or_brackets", _unwrapped),
    ("lead_in", _without_lead_in),
    ("list_comma", _without_tail),
    ("html_entities", html.unescape),
)
