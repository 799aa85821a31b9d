"""Read JSON as language models write it, and say what was wrong with it."""

import json
import re
from collections.abc import Callable

Value = object  # str, None for whatever is no text, list[Value] or Pairs

_DECODER = json.JSONDecoder
_LITERAL = re.compile(r"[\w.+-]+")
_LITERALS = frozenset({"true", "false", "null", "none", "nan", "infinity", "-infinity"})
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
_MAX_DEPTH = 20
_MAX_STARTS = 50  # a reply of nothing but brackets is given up on, not searched for minutes


class Pairs(list[tuple[str, Value]]):
    """An object as its pairs, so that a key written twice loses nothing."""


def find_values(text: str, note: Callable[[str], None]) -> tuple[list[Value], str]:
    """Return every JSON value in `text`, in order, and what stands around them.

    Args:
        text: A whole reply; prose around the values is stepped over.
        note: Called with the name of each repair.
    """
    values: list[Value] = []
    around: list[str] = []
    position = 0
    for _ in range(_MAX_STARTS):
        start = _next_start(text, position)
        if start is None:
            break
        try:
            value, end = _read_at(text, start, note)
        except (ValueError, RecursionError):
            around.append(text[position : start + 1])
            position = start + 1
            continue
        values.append(value)
        around.append(text[position:start])
        position = end
    return values, "".join([*around, text[position:]])


def _next_start(text: str, position: int) -> int | None:
    starts = [found for opener in "{[" if (found := text.find(opener, position)) >= 0]
    return min(starts, default=None)


def _read_at(text: str, start: int, note: Callable[[str], None]) -> tuple[Value, int]:
    """Read one value strictly, else leniently. Only a successful reading notes its repairs."""
    repairs: list[str] = []
    decoder = _DECODER(
        object_pairs_hook=Pairs, parse_constant=lambda _: repairs.append("nan"), strict=True
    )
    try:
        value, end = decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        reader = _Reader(text, start)
        value, end, repairs = reader.value(0), reader.position, reader.repairs
    for repair in repairs:
        note(repair)
    return value, end


class _Reader:
    """A recursive reader that forgives what a model gets wrong, and notes it."""

    def __init__(self, text: str, position: int) -> None:
        self.text = text
        self.position = position
        self.repairs: list[str] = []

    def value(self, depth: int) -> Value:
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested deeper than {_MAX_DEPTH}")
        char = self._peek()
        if char == "{":
            return self._object(depth)
        if char == "[":
            return self._array(depth)
        if char in _QUOTES:
            return self._string()
        self._skip_literal()
        return None

    def _peek(self) -> str:
        """Skip white space, then return the next character, or "" at the end."""
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1
        return self.text[self.position : self.position + 1]

    def _array(self, depth: int) -> list[Value]:
        self.position += 1
        items: list[Value] = []
        while not self._closed("]"):
            items.append(self.value(depth + 1))
        return items

    def _object(self, depth: int) -> Pairs:
        self.position += 1
        pairs = Pairs()
        while not self._closed("}"):
            key = self._key()
            if self._peek() == ":":
                self.position += 1
                pairs.append((key or "", self.value(depth + 1)))
            elif self._peek():  # a set: {"a sentence", "another"}
                self.repairs.append("missing_key")
                pairs.append(("", key))
        return pairs

    def _key(self) -> str | None:
        if self._peek() in _QUOTES and self._peek():
            return self._string()
        match = _LITERAL.match(self.text, self.position)
        if match is None:
            raise ValueError(f"no key at {self.position}")
        self.repairs.append("bare_key")
        self.position = match.end()
        return match[0]

    def _closed(self, closer: str) -> bool:
        """Step over commas and a closing bracket; true if that, or the end, was met."""
        commas = 0
        while (char := self._peek()) == ",":
            self.position += 1
            commas += 1
        if char == "":
            self.repairs.append("truncated")
        elif char in "]}":
            if char == closer:
                self.position += 1
            else:  # leave it to the value around this one
                self.repairs.append("bracket_mismatch")
            if commas:
                self.repairs.append("trailing_comma")
        return char == "" or char in "]}"

    def _skip_literal(self) -> None:
        match = _LITERAL.match(self.text, self.position)
        word = match[0].lower() if match else ""
        if word not in _LITERALS and not re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", word):
            raise ValueError(f"no value at {self.position}")
        self.repairs.append("nan" if "n" in word and word not in {"null", "none"} else "literal")
        self.position += len(word)

    def _string(self) -> str | None:
        """Read a string up to a quote that a comma, a colon or a bracket follows.

        Quotes inside it (`"a "v" sign"`, `'a player's hand'`) are therefore kept as text.
        """
        opening = self.text[self.position]
        closing = _QUOTES[opening]
        if opening != '"':
            self.repairs.append("single_quotes" if opening == "'" else "odd_quotes")
        self.position += 1
        chars: list[str] = []
        while self.position < len(self.text):
            char = self.text[self.position]
            self.position += 1
            if char == "\\":
                chars.append(self._escape())
            elif char == closing and self._ends_string():
                return "".join(chars)
            else:
                self.repairs.extend(["inner_quotes"] if char == closing == '"' else [])
                self.repairs.extend(["raw_newline"] if char == "\n" else [])
                chars.append(char)
        self.repairs.append("truncated")
        text = "".join(chars).rstrip()
        return text if text.endswith((".", "!", "?")) else None

    def _ends_string(self) -> bool:
        following = self.text[self.position : self.position + 80]
        if re.match(r"[ \t]*\n\s*[\"'“‘]", following):  # the next string, on a line of its own
            self.repairs.append("missing_comma")
            return True
        return following.lstrip()[:1] in {"", ",", ":", "]", "}"}

    def _escape(self) -> str:
        char = self.text[self.position : self.position + 1]
        self.position += 1
        if char == "u":
            digits = re.match(r"[0-9a-fA-F]{4}", self.text[self.position : self.position + 4])
            if digits:
                self.position += 4
                return chr(int(digits[0], 16))
        return _ESCAPES.get(char, char)
