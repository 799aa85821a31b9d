"""Two versions of a set, sentence by sentence: what is the same, changed, new and gone.

Sentences are paired within their class and kind: those that are equal first, then those of one
request, then whichever are most alike.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from describe.request import KINDS
from describe.rows import Description, Rejected
from describe.rules_sentence import unframed

State = Literal["same", "changed", "added", "removed"]
# Below this share of common words, two sentences are two sentences and not one that was changed.
ALIKE = 0.5

_WORD = re.compile(r"\s+|[^\W_]+(?:['’-][^\W_]+)*|.", re.DOTALL)

Slot = tuple[str, str]  # class name and kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A sentence in two versions, or in one of them."""

    kind: str
    state: State
    old: str | None
    new: str | None
    old_rule: str = ""
    """For a new or changed sentence: the rule that rejected the new text in the old version."""

    new_rule: str = ""
    """For a removed or changed one: the rule that rejects the old text in the new version."""

    detail: str = ""
    """What that rule saw."""

    @property
    def distance(self) -> float:
        """How different, in [0, 1]: 1 for a sentence that is only in one version."""
        if self.state == "same":
            return 0.0
        return 1.0 if self.old is None or self.new is None else 1 - likeness(self.old, self.new)


@dataclass(frozen=True, kw_only=True)
class ClassDiff:
    """One class in two versions."""

    class_id: int
    name: str
    readable: str
    entries: tuple[Entry, ...]
    only: Literal["", "old", "new"] = ""
    """The version that alone describes it."""

    @property
    def score(self) -> float:
        """How much of it is different: the sum over its sentences."""
        return sum(entry.distance for entry in self.entries)


@dataclass(kw_only=True)
class RuleDiff:
    """Which way sentences went by one rule."""

    old: int = 0
    """Sentences that it rejected in the old version."""

    new: int = 0
    """And in the new one."""

    newly_rejected: int = 0
    """Kept in the old version, rejected by it in the new one."""

    newly_kept: int = 0
    """Rejected by it in the old version, kept in the new one."""

    old_flagged: int = 0
    """Sentences that the old version keeps with this rule among their flags."""

    new_flagged: int = 0
    """And the new one."""


@dataclass(frozen=True, kw_only=True)
class Diff:
    """Two versions compared."""

    classes: tuple[ClassDiff, ...]
    """All, those that changed most first."""

    rules: Mapping[str, RuleDiff] = field(default_factory=dict)

    @property
    def changed(self) -> tuple[ClassDiff, ...]:
        """The classes in which any sentence differs."""
        return tuple(each for each in self.classes if each.score or each.only)

    def count(self, state: State, kind: str) -> int:
        """Count sentences."""
        return sum(
            entry.state == state and entry.kind == kind
            for each in self.classes
            for entry in each.entries
        )

    @property
    def is_same(self) -> bool:
        """Whether nothing differs, what was rejected and flagged included."""
        rules = self.rules.values()
        return not self.changed and all(
            (rule.old, rule.old_flagged) == (rule.new, rule.new_flagged)
            and not rule.newly_rejected
            and not rule.newly_kept
            for rule in rules
        )


def compare(
    old: Sequence[Description],
    new: Sequence[Description],
    old_rejected: Sequence[Rejected] = (),
    new_rejected: Sequence[Rejected] = (),
) -> Diff:
    """Compare what two versions keep, and what their rules did. Classes are joined by name."""
    refused = _by_text(old_rejected), _by_text(new_rejected)
    sides = _by_slot(old), _by_slot(new)
    described = [{name for name, _ in side} for side in sides]
    ids = {row.class_name: row for row in (*old_rejected, *new_rejected, *old, *new)}
    classes = []
    for name, row in ids.items():
        entries = [entry for kind in KINDS for entry in _entries((name, kind), sides, refused)]
        classes.append(
            ClassDiff(
                class_id=row.class_id,
                name=name,
                readable=row.readable_name,
                entries=tuple(entries),
                only=_only(name, described),
            )
        )
    classes.sort(key=lambda each: (-round(each.score, 6), each.class_id, each.name))
    rules = _rules(old, new, *refused)
    said = {
        "old": Counter(each.rule for each in old_rejected),
        "new": Counter(each.rule for each in new_rejected),
        "old_flagged": Counter(flag for each in old for flag in each.flags),
        "new_flagged": Counter(flag for each in new for flag in each.flags),
    }
    for field_name, counts in said.items():
        for name, number in counts.items():
            setattr(rules[name], field_name, number)
    return Diff(
        classes=tuple(classes),
        rules=dict(sorted(rules.items(), key=lambda each: _size(*each))),
    )


def _size(name: str, rule: RuleDiff) -> tuple[int, int, str]:
    flagged = max(rule.old_flagged, rule.new_flagged)
    return -max(rule.old, rule.new), -flagged, name


def words(text: str) -> list[str]:
    """Return a text in words, spaces and signs; joined, they are the text."""
    return _WORD.findall(text)


def word_changes(old: str, new: str) -> list[tuple[str, str]]:
    """Return what leads from `old` to `new`: ("=", text), ("-", text) and ("+", text) in order.

    Between changes that stand side by side, a mere space counts as changed, too: two words
    replaced read better as one change.
    """
    before, after = words(old), words(new)
    found: list[tuple[str, str]] = []
    for _, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = "".join(before[i:j]), "".join(after[k:m])
        found += [("=", gone)] if gone == come else [("-", gone), ("+", come)]
    return _joined([each for each in found if each[1]])


def likeness(old: str, new: str) -> float:
    """Return the share of common words, in [0, 1], whatever their order.

    What published sets put around every sentence ("A video of ... which is a sub-step") is left
    out: it would make all of them alike.
    """
    before, after = _bag(old), _bag(new)
    total = before.total() + after.total()
    return 2 * (before & after).total() / total if total else 1.0


def _joined(found: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    result: list[tuple[str, str]] = []
    gone = come = ""
    for number, (sign, text) in enumerate(found):
        between = 0 < number < len(found) - 1 and text.isspace()
        if sign == "=" and not (between and (gone or come)):
            result += [each for each in (("-", gone), ("+", come)) if each[1]] + [(sign, text)]
            gone = come = ""
        else:
            gone += text if sign in "=-" else ""
            come += text if sign in "=+" else ""
    return result + [each for each in (("-", gone), ("+", come)) if each[1]]


def _entries(
    slot: Slot,
    sides: tuple[Mapping[Slot, list[Description]], Mapping[Slot, list[Description]]],
    refused: tuple[Mapping[tuple[Slot, str], Rejected], Mapping[tuple[Slot, str], Rejected]],
) -> list[Entry]:
    """Return the sentences of a class and kind in the order of the new version, then what went."""
    old, new = (list(side.get(slot, ())) for side in sides)
    partner: dict[int, Description] = {}  # id of a new row -> the old one
    for row in new:
        twin = next((each for each in old if each.text == row.text), None)
        if twin is not None:
            partner[id(row)] = twin
            old.remove(twin)
    for is_near in (_same_request, _alike):
        _pair([row for row in new if id(row) not in partner], old, is_near, partner)
    kind = slot[1]
    entries = []
    for row in new:
        before = partner.get(id(row))
        if before is not None and before.text == row.text:
            entries.append(Entry(kind=kind, state="same", old=row.text, new=row.text))
        else:
            entries.append(_entry(slot, before, row, refused))
    return entries + [_entry(slot, row, None, refused) for row in old]


def _entry(
    slot: Slot,
    before: Description | None,
    after: Description | None,
    refused: tuple[Mapping[tuple[Slot, str], Rejected], Mapping[tuple[Slot, str], Rejected]],
) -> Entry:
    """Return how a sentence differs, with the rules that rejected its two texts."""
    was = refused[0].get((slot, after.text)) if after else None
    now = refused[1].get((slot, before.text)) if before else None
    return Entry(
        kind=slot[1],
        state="changed" if before and after else "removed" if before else "added",
        old=before.text if before else None,
        new=after.text if after else None,
        old_rule=_rule(was),
        new_rule=_rule(now),
        detail=now.detail if now else "",
    )


def _pair(
    new: Sequence[Description],
    old: list[Description],
    is_near: Callable[[Description, Description], bool],
    partner: dict[int, Description],
) -> None:
    """Pair the most alike first, among those that `is_near` allows; `old` loses what is paired."""
    close = [
        (likeness(before.text, row.text), -i, -k, row, before)
        for i, row in enumerate(new)
        for k, before in enumerate(old)
        if is_near(before, row)
    ]
    for _, _, _, row, before in sorted(close, key=lambda each: each[:3], reverse=True):
        if id(row) not in partner and any(each is before for each in old):
            partner[id(row)] = before
            old[:] = [each for each in old if each is not before]


def _same_request(before: Description, row: Description) -> bool:
    same = (before.request_key, before.sample) == (row.request_key, row.sample)
    return same and row.request_key != "" and likeness(before.text, row.text) > 0


def _alike(before: Description, row: Description) -> bool:
    return likeness(before.text, row.text) >= ALIKE


def _rules(
    old: Iterable[Description],
    new: Iterable[Description],
    old_refused: Mapping[tuple[Slot, str], Rejected],
    new_refused: Mapping[tuple[Slot, str], Rejected],
) -> dict[str, RuleDiff]:
    """Return which way sentences went, rule by rule."""
    found: dict[str, RuleDiff] = defaultdict(RuleDiff)
    kept = [{(_slot(row), row.text) for row in rows} for rows in (old, new)]
    for key in kept[0] & new_refused.keys() - kept[1]:
        found[new_refused[key].rule].newly_rejected += 1
    for key in kept[1] & old_refused.keys() - kept[0]:
        found[old_refused[key].rule].newly_kept += 1
    return found


def _only(name: str, described: Sequence[set[str]]) -> Literal["", "old", "new"]:
    if (name in described[0]) == (name in described[1]):
        return ""
    return "old" if name in described[0] else "new"


def _rule(row: Rejected | None) -> str:
    return "" if row is None else row.rule


def _slot(row: Description) -> Slot:
    return row.class_name, row.kind


def _by_slot(rows: Iterable[Description]) -> dict[Slot, list[Description]]:
    found: dict[Slot, list[Description]] = defaultdict(list)
    for row in rows:
        found[_slot(row)].append(row)
    return found


def _by_text(rows: Iterable[Rejected]) -> dict[tuple[Slot, str], Rejected]:
    return {(_slot(row), row.text): row for row in rows}


@lru_cache(1 << 14)
def _bag(text: str) -> Counter[str]:
    return Counter(word for word in words(unframed(text).casefold()) if word[0].isalnum())
