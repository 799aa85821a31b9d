"""What edits do to the rows of a version. Nothing here reads or writes a file.

The last edit of a sentence holds. A rewritten sentence may be edited on under its new text: the
edits of the old text and of the new one make a chain, and a later edit of the old text ends it. An
undo takes all edits of its sentence back, and the chain of rewrites that led to it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from describe.edits import Edit, Key
from describe.rows import Description, Rejected
from describe.rules import RuleConfig, Sentence, judge
from describe.selection import SURPLUS
from describe.tokens import num_clip_tokens

# A rejected row's rule, a kept row's flag, and a rewritten row's repair.
EDITED = "edited"
MEANING = "(no rule) a person rejected it"

_COLUMNS = [each.name for each in fields(Description)]
_LAST = 1_000_000  # a step after all others

Slot = tuple[str, str]  # class name and kind


@dataclass(kw_only=True)
class Applied:
    """Rows after the edits, and what became of each edit."""

    kept: list[Description]
    rejected: list[Rejected]
    in_force: list[Edit]
    """The edits that decided about a sentence of the version, or brought one, in order."""

    idle: list[tuple[Edit, str]]
    """The others that were not overruled by a later one, with the reason."""

    done: Counter[str] = field(default_factory=Counter)
    """Rows: rejected, kept (against a rule), rewritten, added, promoted (from the surplus)."""

    repeats: list[Rejected] = field(default_factory=list)
    """Those of `rejected` that an edit made repeats of a sentence by hand."""


def apply_edits(
    kept: Sequence[Description],
    rejected: Sequence[Rejected],
    edits: Sequence[Edit],
    *,
    rules: RuleConfig | None = None,
    wanted: int = 0,
) -> Applied:
    """Return the rows of a version as the edits want them.

    An edit holds for a sentence with the same class, kind and text. What a person rejected gets
    the rule `edited`, with the reason as its detail; what a person kept or wrote gets the flag
    `edited`, beside the name of the rule that would reject it. A sentence that a person wrote is
    never dropped: where the version lacks the sentence that it replaced, it is added at the end.

    Args:
        kept: The descriptions of a version that no edit has touched.
        rejected: What its rules turned down.
        edits: Oldest first.
        rules: The limits that a new sentence is read by.
        wanted: Sentences of each class and kind; where a rejection or a repeat leaves fewer, good
            ones from the surplus follow. 0: none do.
    """
    work = _Work(edits, rules or RuleConfig())
    for row in kept:
        work.take_kept(row)
    for rejected_row in rejected:
        work.take_rejected(rejected_row)
    work.add_written(_one_a_class([*kept, *rejected]))
    work.reject_repeats()
    work.promote(wanted)
    return Applied(
        kept=work.in_order(),
        rejected=work.rejected,
        in_force=[edit for edit in edits if id(edit) in work.used],
        idle=work.idle(edits, {row.class_name for row in (*kept, *rejected)}),
        done=+work.done,
        repeats=work.repeats,
    )


def overruled(edits: Sequence[Edit]) -> set[int]:
    """Return the indexes of the edits that a later one overrules or undoes, and of each undo."""
    return set(range(len(edits))) - {index for index, _ in _last_edits(edits).values()}


def _last_edits(edits: Sequence[Edit]) -> dict[Key, tuple[int, Edit]]:
    """Return the edit of each sentence that holds, with its index; none where it was undone."""
    last: dict[Key, tuple[int, Edit]] = {}
    for index, edit in enumerate(edits):
        if edit.action == "undo":
            _take_back(last, edit.key, index)
        else:
            last[edit.key] = index, edit
    return last


def _take_back(last: dict[Key, tuple[int, Edit]], key: Key, before: int) -> None:
    """Remove the edit of a sentence, and the rewrites before it of which that sentence came."""
    last.pop(key, None)
    sources = {
        source: index
        for source, (index, edit) in last.items()
        if edit.action == "rewrite" and edit.becomes == key and index < before
    }
    for source, index in sources.items():
        _take_back(last, source, index)


class _Work:
    """The rows on their way."""

    def __init__(self, edits: Sequence[Edit], rules: RuleConfig) -> None:
        self._last: Mapping[Key, tuple[int, Edit]] = _last_edits(edits)
        self._derived = {edit.becomes for edit in edits if edit.action == "rewrite"}
        self._seen: set[Key] = set()  # sentences that edits were looked up for
        self._cut: set[Key] = set()
        self._rules = rules
        self._slots: dict[Slot, list[tuple[int, int, Description]]] = defaultdict(list)
        self.rejected: list[Rejected] = []
        self.repeats: list[Rejected] = []
        self.used: set[int] = set()  # ids of edits
        self.done: Counter[str] = Counter()

    def take_kept(self, row: Description) -> None:
        """Place a row that the version keeps."""
        chain = self._chain(_key(row))
        if chain and chain[-1].action == "reject":
            self._reject(row, chain)
        else:
            self._place(self._as_wanted(row, chain), row.step, 0)

    def take_rejected(self, row: Rejected) -> None:
        """Place a row that the version rejects. All kept ones have their place by now."""
        chain = self._chain(_key(row))
        if not chain:
            self.rejected.append(row)
        elif chain[-1].action == "reject":
            if row.rule == SURPLUS:
                self._reject(row, chain)
            else:
                self.rejected.append(row)
        elif chain[-1].becomes == _key(row) and "text_cut" in row.flags:
            self._cut.add(_key(row))
            self.used.difference_update(map(id, chain))
            self.rejected.append(row)
        elif self._has(chain[-1].becomes):
            self.rejected.append(row)
        else:
            plain = _description(row, flags=(*row.flags, row.rule, EDITED))
            wanted = self._as_wanted(plain, chain)
            self.done["kept"] += wanted is plain
            self._place(wanted, row.step, 1)

    def add_written(self, classes: Mapping[str, Description]) -> None:
        """Add what people wrote in place of sentences that this version does not have."""
        for key, (_, edit) in sorted(self._last.items(), key=lambda item: item[1][0]):
            is_root = key not in self._seen and key not in self._derived
            if not is_root or edit.action != "rewrite" or edit.class_name not in classes:
                continue
            chain = self._chain(key)
            if chain[-1].action == "reject":
                self.used.difference_update(map(id, chain))
            elif not self._has(chain[-1].becomes):
                self.done["added"] += 1
                self._place(self._written(classes[edit.class_name], chain[-1]), _LAST, 2)

    def reject_repeats(self) -> None:
        """Where an edit made two sentences of a class the same, leave the one by hand."""
        for slot, entries in self._slots.items():
            by_text: dict[str, list[tuple[int, int, Description]]] = defaultdict(list)
            for entry in entries:
                by_text[entry[2].text.casefold()].append(entry)
            for same in by_text.values():
                same.sort(key=lambda entry: EDITED not in entry[2].flags)
                if EDITED not in same[0][2].flags:
                    continue  # no edit's doing
                for entry in same[1:]:
                    self._slots[slot] = [each for each in self._slots[slot] if each is not entry]
                    self.repeats.append(_rejection(entry[2], "repeat", same[0][2].text))
        self.rejected += self.repeats

    def promote(self, wanted: int) -> None:
        """Fill what an edit left short with sentences that were only surplus."""
        gone = [*self.repeats, *(row for row in self.rejected if row.rule == EDITED)]
        short = {(row.class_name, row.kind) for row in gone}
        for row in [row for row in self.rejected if row.rule == SURPLUS]:
            slot = row.class_name, row.kind
            there = {entry[2].text.casefold() for entry in self._slots[slot]}
            if slot in short and len(there) < wanted and row.text.casefold() not in there:
                self.rejected = [each for each in self.rejected if each is not row]
                self._place(_description(row), row.step, 1)
                self.done["promoted"] += 1

    def in_order(self) -> list[Description]:
        """Return what is kept, with steps from 0."""
        return [
            replace(entry[2], step=step)
            for entries in self._slots.values()
            for step, entry in enumerate(sorted(entries, key=lambda entry: entry[:2]))
        ]

    def idle(self, edits: Sequence[Edit], classes: set[str]) -> list[tuple[Edit, str]]:
        """Return the edits that did nothing, though none overruled them, with the reason."""
        gone = overruled(edits)
        found = []
        for index, edit in enumerate(edits):
            if index in gone or id(edit) in self.used:
                continue
            if edit.class_name not in classes:
                found.append((edit, "no such class"))
            elif edit.key in self._cut:
                found.append((edit, "too long to be kept as it is; rewrite it"))
            elif edit.key not in self._derived:
                found.append((edit, "no such sentence"))
        return found

    def _chain(self, key: Key) -> list[Edit]:
        """Return the edits that lead from a sentence to what is to become of it."""
        chain: list[Edit] = []
        index = -1
        while key in self._last and self._last[key][0] > index:
            index, edit = self._last[key]
            chain.append(edit)
            self._seen.add(key)
            if edit.action != "rewrite":
                break
            key = edit.becomes
        self._seen.add(key)
        self.used.update(map(id, chain))
        return chain

    def _as_wanted(self, row: Description, chain: Sequence[Edit]) -> Description:
        if not chain or chain[-1].becomes[2] == row.text:
            return row
        self.done["rewritten"] += chain[-1].action != "reject"
        return self._written(row, chain[-1], repairs=(*row.repairs, EDITED))

    def _written(
        self, row: Description, edit: Edit, repairs: tuple[str, ...] | None = None
    ) -> Description:
        """Return `row` with the text of an edit; without `repairs`, as one that no model wrote."""
        text = edit.becomes[2]
        verdict = judge([_sentence(row, edit.kind, text)], self._rules)[0]
        rule = () if verdict.rule is None else (verdict.rule,)
        row = replace(
            row, text=text, num_tokens=num_clip_tokens(text), flags=(*rule, *verdict.flags, EDITED)
        )
        if repairs is not None:
            return replace(row, repairs=repairs)
        return replace(
            row,
            kind=edit.kind,
            repairs=(EDITED,),
            model="",
            prompt_version="",
            request_key="",
            sample=0,
        )

    def _reject(self, row: Description, chain: Sequence[Edit]) -> None:
        row = self._as_wanted(_description(row), chain)
        self.done["rejected"] += 1
        flags = tuple(flag for flag in row.flags if flag != EDITED)
        self.rejected.append(_rejection(replace(row, flags=flags), EDITED, chain[-1].reason))

    def _place(self, row: Description, step: int, rank: int) -> None:
        self._slots[row.class_name, row.kind].append((step, rank, row))

    def _has(self, key: Key) -> bool:
        return any(row.text == key[2] for _, _, row in self._slots[key[:2]])


def _key(row: Description) -> Key:
    return row.class_name, row.kind, row.text


def _one_a_class(rows: Iterable[Description]) -> dict[str, Description]:
    return {row.class_name: _description(row) for row in rows}


def _description(row: Description, flags: tuple[str, ...] | None = None) -> Description:
    values = {name: getattr(row, name) for name in _COLUMNS}
    return Description(**values | ({} if flags is None else {"flags": flags}))


def _rejection(row: Description, rule: str, detail: str) -> Rejected:
    return Rejected(**{name: getattr(row, name) for name in _COLUMNS}, rule=rule, detail=detail)


def _sentence(row: Description, kind: str, text: str) -> Sentence:
    return Sentence(
        class_id=row.class_id,
        class_name=row.class_name,
        readable=row.readable_name,
        kind="spatial" if kind == "spatial" else "temporal",
        text=text,
    )
