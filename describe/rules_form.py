"""Rules on form: is this one clean English sentence of the right length?

Each returns what it saw, in a few words, or None. None of them looks at what the sentence means.
"""

import re
import unicodedata

from describe.rules_sentence import Reading, RuleConfig, words
from describe.tokens import num_clip_tokens

_MOJIBAKE = re.compile(
    "\ufffd"  # what a decoder leaves where it lost a character
    "|[ÃÂ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"  # UTF-8 of a Latin letter, read as cp1252
    "|â(?:€|\u0080|[\u0080-\u00bf]{2})|ï»¿|ðŸ"  # ... of a quote or dash, a BOM, an emoji
)
_MARKUP = re.compile(
    r"```|`[^`]+`|https?://|www\.|</?[a-z][a-z0-9]*(?:\s[^>]*)?/?>|&[a-z]+;|&#\d+;"
    r"|\*\*|^#{1,6}\s|\\[nt\"]|\\u[0-9a-f]{4}|[\"']\s*:\s*[\"\[{]|;\s*$|=>|->"
    r"|\b[a-z]+_[a-z_]+\b|\bdef \w+\(|\bprint\(|\breturn\b.*;",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(
    r"\{\{|\}\}|\{%|%\}|\{[^{}]{0,40}\}|\$\{|%s\b|<(?:[a-z]+[ _-])*(?:action|class|cls|name|object"
    r"|step|sentence|description|verb|noun|person|place|insert)(?:[ _-]?[a-z0-9]+)*>"
    r"|\[(?:the |your |insert |an? )?(?:action|class|cls|name|object|step|sentence|description|verb"
    r"|noun|something|blank)(?:[ _-]?(?:name|here|text|\d+|[a-z]))?\]"
    r"|_{3,}|^[\W_]+$",
    re.IGNORECASE,
)
_PLACEHOLDERS = frozenset({"cls", "classname", "class_name", "xxx", "xxxx", "lorem", "foo", "todo"})
_NUMBERING = re.compile(
    r"^\W*(?:\d{1,2}\s?[.):]\s|[-*•‣▪]\s|\(\d{1,2}\)|[a-h]\)\s|[ivx]{1,4}\)\s"
    r"|(?:step|sentence|description)\s*#?\s*(?:\d{1,2}|one|two|three|four)\b\s*(?:[.:)–-]|\W*$))",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(
    r"(?<![ .][a-z])(?<!e\.g)(?<!i\.e)(?<!etc)[.!?][\"'”’)]?\s+(?=[\"'“(]?\w)"
)
_DANGLING = re.compile(
    r"(?:[,;:(–—-]|\b(?:the|an|and|or|but|because|while|whose|its|their|my|your|our|every"
    r"|(?:of|is|are|was|were)(?![.!?]))\b)[ .]*$|(?:\.\.\.|…)$",
    re.IGNORECASE,
)
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"))
_LATIN_BY_NATURE = frozenset("ªº")
_PICTURE_CATEGORIES = frozenset({"So", "Sk", "Co", "Cn"})
_MEASURES = frozenset("°©®™`^¨´¸")


def control_characters(reading: Reading, config: RuleConfig) -> str | None:
    """A control character, or one without width."""
    if reading.is_plain:
        return None
    for char in reading.text:
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            return f"U+{ord(char):04X}"
    return None


def mojibake(reading: Reading, config: RuleConfig) -> str | None:
    """Text that was decoded wrongly somewhere on its way."""
    if reading.is_plain:
        return None
    match = _MOJIBAKE.search(reading.text)
    return repr(match[0]) if match else None


def wrong_script(reading: Reading, config: RuleConfig) -> str | None:
    """A letter that is not Latin, or a pictograph."""
    if reading.is_plain:
        return None
    for char in reading.text:
        if char.isascii() or char in _LATIN_BY_NATURE or char in _MEASURES:
            continue
        name = unicodedata.name(char, "UNNAMED")
        if char.isalpha() and not name.startswith(("LATIN", "MICRO SIGN", "MODIFIER LETTER")):
            return name.lower()
        if unicodedata.category(char) in _PICTURE_CATEGORIES:
            return name.lower()
    return None


def markup(reading: Reading, config: RuleConfig) -> str | None:
    """Code, JSON, HTML, Markdown or an address: the rest of a form, not a sentence."""
    match = None if reading.is_plain else _MARKUP.search(reading.text)
    return match[0].strip() if match else None


def template_debris(reading: Reading, config: RuleConfig) -> str | None:
    """A placeholder that nobody filled in."""
    if placeholders := _PLACEHOLDERS.intersection(reading.words):
        return min(placeholders)
    match = None if reading.is_plain else _TEMPLATE.search(_without_name(reading))
    return match[0].strip() if match else None


def numbering(reading: Reading, config: RuleConfig) -> str | None:
    """A number or "Step 1:" that stands before the sentence."""
    match = _NUMBERING.match(reading.core)
    return match[0].strip() if match else None


def brackets(reading: Reading, config: RuleConfig) -> str | None:
    """A description that starts with a bracket, or brackets that do not match."""
    if reading.is_plain:
        return None
    core, text = reading.core, _without_name(reading)
    if core.startswith(("(", "[", "{")):
        return f"{core[0]}..."
    if "[" in text or "]" in text:
        return "[...]"
    unmatched = [pair for pair in _PAIRS if text.count(pair[0]) != text.count(pair[1])]
    return f"unmatched {unmatched[0][0]} or {unmatched[0][1]}" if unmatched else None


def several_sentences(reading: Reading, config: RuleConfig) -> str | None:
    """A whole answer in one string."""
    text = reading.text.strip()
    found = len(_SENTENCE_END.findall(text)) + 1
    frames = text.lower().count("a video about ") + text.lower().count(", which is a sub-step")
    if found > config.max_sentences or frames > 1:
        return f"{max(found, frames)} sentences"
    return None


def too_short(reading: Reading, config: RuleConfig) -> str | None:
    """Too few words, counted with the frame if there is one."""
    found = reading.num_words
    return f"{found} words, at least {config.min_words}" if found < config.min_words else None


def too_long(reading: Reading, config: RuleConfig) -> str | None:
    """Too many words."""
    found = reading.num_words
    return f"{found} words, at most {config.max_words}" if found > config.max_words else None


def too_many_tokens(reading: Reading, config: RuleConfig) -> str | None:
    """More CLIP tokens than the text encoder can read: its end would be cut in silence."""
    if len(reading.text.encode()) + 2 <= config.token_budget:  # a token is one byte at least
        return None
    found = num_clip_tokens(reading.text)
    return f"{found} tokens, at most {config.token_budget}" if found > config.token_budget else None


def cut_off(reading: Reading, config: RuleConfig) -> str | None:
    """The sentence stops before its end."""
    match = _DANGLING.search(reading.core.rstrip(" \"'"))
    return f"ends in {match[0].strip()!r}" if match else None


def bare_class_name(reading: Reading, config: RuleConfig) -> str | None:
    """Nothing but the name of the class: the model already has that."""
    return reading.name if reading.words == words(reading.name) else None


def _without_name(reading: Reading) -> str:
    """The text without the class's own name, which may hold brackets, quotes and digits."""
    name = reading.name
    if name.isalpha() or name not in (lowered := reading.text.lower()):
        return reading.text
    if len(lowered) != len(reading.text):
        return lowered.replace(name, " ")
    return re.sub(re.escape(name), " ", reading.text, flags=re.IGNORECASE)
