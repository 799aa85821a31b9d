"""A comparison in the terminal: summary, rules, and the changed classes word by word.

Without colour, [-what went-] and {+what came+} say it; with colour, they say it still.
"""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence

from describe.diff_pairs import ClassDiff, Diff, Entry, State, word_changes
from describe.escape import printable
from describe.request import KINDS
from describe.terminal import show

_STATES: tuple[State, ...] = ("same", "changed", "added", "removed")
_SIGNS = {"same": " ", "changed": "~", "added": "+", "removed": "-"}
_COLOURS = {"-": "31", "+": "32"}
_MARKS = {"-": ("[-", "-]"), "+": ("{+", "+}"), "=": ("", "")}
_WIDEST = 100

Piece = tuple[str, str]  # a word with its marks, and its sign: "=", "-" or "+"


def print_diff(names: tuple[str, str], diff: Diff, most: int) -> None:
    """Print a comparison.

    Args:
        names: The two sides.
        diff: What is different.
        most: Changed classes to print at most.
    """
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    is_coloured = _takes_colour()
    for line in (*_summary(names, diff), *_rule_table(diff)):
        show(line)
    changed = diff.changed
    if not changed:
        return
    order = ", those most changed first:" if most else ""
    show(f"\n{len(changed)} of {len(diff.classes)} classes differ{order}")
    for each in changed[:most]:
        for line in _class_lines(each, width, is_coloured=is_coloured):
            show(line)
    if 0 < most < len(changed):
        show(f"\n... and {len(changed) - most} more: --show {len(changed)}, or --html FILE")


def _takes_colour() -> bool:
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def _summary(names: tuple[str, str], diff: Diff) -> Iterator[str]:
    yield f"{names[0]} -> {names[1]}" + (": the two are equal" if diff.is_same else "")
    only = [sum(each.only == side for each in diff.classes) for side in ("old", "new")]
    both = len(diff.classes) - sum(only)
    yield f"  {both} classes in both, {only[0]} only in the old, {only[1]} only in the new"
    yield f"  {'sentences':<10} {'spatial':>8} {'temporal':>8}"
    for state in _STATES:
        counts = " ".join(f"{diff.count(state, kind):>8}" for kind in KINDS)
        yield f"  {state:<10} {counts}"


def _rule_table(diff: Diff) -> Iterator[str]:
    width = max([11, *(len(printable(name)) for name in diff.rules)])
    rejected = {name: rule for name, rule in diff.rules.items() if rule.old or rule.new}
    flagged = {
        name: rule for name, rule in diff.rules.items() if rule.old_flagged or rule.new_flagged
    }
    if rejected:
        yield f"\n  {'rejected by':<{width}} {'old':>6} {'new':>6}   newly rejected   newly kept"
    for name, rule in rejected.items():
        yield (
            f"  {printable(name):<{width}} {rule.old:>6} {rule.new:>6}   "
            f"{rule.newly_rejected or '-':>14}   {rule.newly_kept or '-':>10}"
        )
    if flagged:
        yield f"\n  {'flagged by':<{width}} {'old':>6} {'new':>6}"
    for name, rule in flagged.items():
        yield f"  {printable(name):<{width}} {rule.old_flagged:>6} {rule.new_flagged:>6}"


def _class_lines(each: ClassDiff, width: int, *, is_coloured: bool) -> Iterator[str]:
    only = f", only in the {each.only}" if each.only else ""
    yield f"\n{printable(each.readable)} (label {each.class_id}{only})"
    for kind in KINDS:
        entries = [e for e in each.entries if e.kind == kind and e.state != "same"]
        if entries:
            yield f"  {kind}"
        for entry in entries:
            yield from _wrapped(_SIGNS[entry.state], _pieces(entry), width, is_coloured)


def _pieces(entry: Entry) -> Iterator[Piece]:
    if entry.state == "changed":
        changes = word_changes(printable(entry.old or ""), printable(entry.new or ""))
    else:
        changes = [("=", printable(entry.old or entry.new or ""))]
    for sign, text in changes:
        before, after = _MARKS[sign]
        yield from ((piece, sign) for piece in _split(f"{before}{text}{after}"))
    new, old = ("new text ", "old text ") if entry.state == "changed" else ("", "")
    if entry.old_rule:
        yield from ((piece, "=") for piece in _split(f" ({new}was rejected: {entry.old_rule})"))
    if entry.new_rule:
        why = f": {printable(entry.detail)}" if entry.detail else ""
        yield from ((piece, "=") for piece in _split(f" ({old}rejected: {entry.new_rule}{why})"))


def _split(text: str) -> Iterator[str]:
    """Yield words, each with the spaces before it: where a line may be broken."""
    start = 0
    for number, character in enumerate(text):
        if character == " " and number and text[number - 1] != " ":
            yield text[start:number]
            start = number
    yield text[start:]


def _wrapped(sign: str, pieces: Iterable[Piece], width: int, is_coloured: bool) -> Iterator[str]:
    """Yield lines of at most `width` columns, unless a single word is longer."""
    line: list[Piece] = []
    used = 6
    lead = f"    {sign} "
    for text, kind in pieces:
        if used + len(text) > width and line and text.startswith(" "):
            yield lead + _painted(line, is_coloured)
            lead, line, used = "      ", [], 6
            text = text.lstrip(" ")
        line.append((text, kind))
        used += len(text)
    yield lead + _painted(line, is_coloured)


def _painted(line: Sequence[Piece], is_coloured: bool) -> str:
    if not is_coloured:
        return "".join(text for text, _ in line)
    return "".join(
        f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if kind in _COLOURS else text for text, kind in line
    )
