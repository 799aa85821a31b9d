"""Text that a model wrote, made harmless in Markdown and HTML: it shows, and does nothing."""

import re
import unicodedata

_LONGEST_WORD = 40  # characters; a longer one would break every table it stands in
_LONGEST_TEXT = 300
_HARMLESS = set(" ,.'-()\"!?%+=/;{}")
_INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def escape(text: str) -> str:
    r"""Return `text` for a Markdown table cell: one line, no markup, nothing invisible, not long.

    What Markdown may read as structure becomes character references, which it never does; control,
    format and zero-width characters are spelt out as \uXXXX.
    """
    words = [_shortened(word, _LONGEST_WORD) for word in re.split(r"[ \t\r\n]+", text)]
    short = _shortened(" ".join(words), _LONGEST_TEXT)
    escaped = "".join(_escape_character(character) for character in short)
    escaped = re.sub(r"(?i)\bwww\.", "www&#46;", escaped)
    return re.sub(r"(?<=[A-Za-z0-9])&#95;(?=[A-Za-z0-9])", "_", escaped)  # no emphasis in a word


def printable(text: str) -> str:
    r"""Return `text` for a line of a terminal: nothing invisible in it, controls as \uXXXX."""
    return "".join(
        f"\\u{ord(character):04x}" if unicodedata.category(character) in _INVISIBLE else character
        for character in " ".join(text.split())
    )


def fenced(text: str, language: str = "") -> str:
    """Return `text` word for word in a code fence that it cannot close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escape_character(character: str) -> str:
    if character.isascii() and (character.isalnum() or character in _HARMLESS):
        return character
    if unicodedata.category(character) in _INVISIBLE:
        return f"&#92;u{ord(character):04x}"
    return f"&#{ord(character)};" if character.isascii() else character
