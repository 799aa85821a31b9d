"""From what a list says of a class to the official class: by name, and with every doubt settled.

Public lists give numbers, and a number means nothing without the list it counts in: label 0 of the
base classes of Kinetics-400 is `getting a tattoo`. Where file names or class folders say what a
video shows, the numbers are held against them: the public HMDB-51 lists, for one, count
`kick` and `kick ball` the other way round than the public class names do.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from adapt.split_rows import Row
from adapt.splits import hmdb_source, loose, stem
from describe.classes import ClassList
from describe.errors import UserError

FULL = "all"
_UCF = re.compile(r"v_(.+)_g\d+_c\d+", re.IGNORECASE)
_LONGEST_CLASS = 3  # words of an HMDB-51 class name


class ClassNames:
    """The classes of one list, by any spelling."""

    def __init__(self, classes: ClassList) -> None:
        """Index the names."""
        self.classes = classes
        self._loose: dict[str, list[str]] = {}
        for name in classes.names:
            self._loose.setdefault(loose(name), []).append(name)
        self._known: dict[str, str | None] = {name: name for name in classes.names}

    def known(self, spelling: str) -> str | None:
        """Return the official name for a spelling; None where it is no class, or may be two.

        As `ClassList.find`, but it looks for no near names, which takes a millisecond each.
        """
        if spelling not in self._known:
            found = self._loose.get(loose(spelling), [])
            self._known[spelling] = found[0] if len(found) == 1 else None
        return self._known[spelling]

    def official(self, spelling: str, place: str) -> str:
        """Return the official name for a spelling.

        Raises:
            UserError: It is no class of the list; the nearest are named.
        """
        try:
            return self.known(spelling) or self.classes.find(spelling).name
        except UserError as error:
            raise UserError(f"{place}: {error}") from None

    def in_folders(self, name: str) -> str | None:
        """Return the class that a folder in a path names, the nearest first."""
        folders = name.split("/")[:-1]
        return next((found for part in reversed(folders) if (found := self.known(part))), None)

    def in_name(self, name: str) -> str | None:
        """Return the class that a path names: by a folder, or as UCF-101 and HMDB-51 do."""
        bare = stem(name)
        if found := _UCF.fullmatch(bare):
            return self.known(found[1]) or self.in_folders(name)
        if source := hmdb_source(bare):
            words = source.split("_")
            for count in range(_LONGEST_CLASS, 0, -1):
                if named := self.known(" ".join(words[-count:])):
                    return named
        return self.in_folders(name)


def with_classes(
    rows: Sequence[Row],
    names: ClassNames,
    *,
    file: Path,
    prefer: str = FULL,
    shown: Callable[[Row], str | None] = lambda _: None,
) -> tuple[list[Row], list[str]]:
    """Give each row its official class.

    Args:
        rows: The rows of one list.
        names: The classes.
        file: The list; its name may say which classes its numbers count.
        prefer: The subset whose label order is expected: `all`, `base`, `novel`, ...
        shown: What else may say the class of a row, such as the folder its file is in.

    Returns:
        The rows, each with the official name; and what a person should know.

    Raises:
        UserError: A class is unknown, or numbers and names cannot be brought together.
    """
    unnamed = [row for row in rows if row.class_name is None]
    evidence = {id(row): names.in_name(row.name) or shown(row) for row in unnamed}
    said = [(row, evidence[id(row)]) for row in unnamed if row.label is not None]
    mapping, notes = _label_mapping(said, names.classes, file, prefer) if said else ({}, [])
    done = []
    for row in rows:
        if row.class_name is not None:
            found: str | None = names.official(row.class_name, row.place)
        elif row.label is not None:
            found = mapping[row.label]
        else:
            found = evidence[id(row)]
        if found is None:
            raise UserError(
                f"{row.place}: {row.name!r} has no label, and no folder names its class"
            )
        done.append(replace(row, class_name=found, label=None))
    return done, notes


def _label_mapping(
    said: Sequence[tuple[Row, str | None]], classes: ClassList, file: Path, prefer: str
) -> tuple[dict[int, str], list[str]]:
    """Find out what each number stands for."""
    first = _first_rows(said)
    shown = {label: name for label, (_, name) in first.items() if name is not None}
    orders = {FULL: classes.names, **classes.subsets}
    fitting = {name: order for name, order in orders.items() if _in_range(first, len(order))}
    if not fitting:
        if len(shown) < len(first):
            _refuse_range(first, orders, classes.dataset)
        _refuse_twins(first, shown)
        return shown, [f"{file.name}: labels are none of the known orders; classes are by name"]
    chosen = _choose(fitting, shown, set(first), _named_order(file, orders) or prefer, file)
    mapping = {label: shown.get(label, fitting[chosen][label]) for label in first}
    _refuse_twins(first, mapping)
    notes = [] if chosen == FULL else [f"{file.name}: labels are places among the {chosen} classes"]
    moved = [label for label in mapping if mapping[label] != fitting[chosen][label]]
    if moved:
        number = sum(row.label in set(moved) for row, _ in said)
        shifts = ", ".join(f"{label} is {mapping[label]!r}" for label in sorted(moved)[:4])
        notes.append(
            f"{file.name}: {len(moved)} labels ({number} videos) name another class than the class "
            f"list; the videos' own names are followed: {shifts}"
        )
    return mapping, notes


def _first_rows(said: Sequence[tuple[Row, str | None]]) -> dict[int, tuple[Row, str | None]]:
    """Return for each number a row, and the class that names show; they must agree."""
    first: dict[int, tuple[Row, str | None]] = {}
    for row, name in said:
        assert row.label is not None
        other, before = first.setdefault(row.label, (row, name))
        if before is None:
            first[row.label] = (row, name)
        elif name is not None and name != before:
            raise UserError(
                f"{row.place}: label {row.label} is {name!r} by the video's name, but {before!r} "
                f"at {other.place}; correct one of them"
            )
    return first


def _in_range(labels: Mapping[int, object], count: int) -> bool:
    return min(labels) >= 0 and max(labels) < count


def _refuse_range(
    first: Mapping[int, tuple[Row, object]], orders: Mapping[str, Sequence[str]], dataset: str
) -> None:
    sizes = ", ".join(f"{len(order)} {name}" for name, order in orders.items())
    wrong = min(first) if min(first) < 0 else max(first)
    raise UserError(
        f"{first[wrong][0].place}: label {wrong}, but the classes of {dataset} are: {sizes}; "
        "labels are 0 to K-1; or give your own class list with --classes"
    )


def _refuse_twins(first: Mapping[int, tuple[Row, object]], mapping: Mapping[int, str]) -> None:
    labels: dict[str, int] = {}
    for label, name in mapping.items():
        if labels.setdefault(name, label) != label:
            raise UserError(
                f"{first[label][0].place}: labels {labels[name]} and {label} are both {name!r}; "
                "give the class list that the labels count in with --classes"
            )


def _named_order(file: Path, orders: Mapping[str, object]) -> str | None:
    """Return the subset that a public list's file name speaks of, such as `base_val.txt`."""
    text = file.name.casefold()
    if found := re.match(r"zs_split(\d)", text):
        text = f"zero_shot_{found[1]}"
    return next((name for name in orders if re.search(rf"(^|[_-]){name}([_.-]|$)", text)), None)


def _choose(
    fitting: Mapping[str, Sequence[str]],
    shown: Mapping[int, str],
    labels: set[int],
    prefer: str,
    file: Path,
) -> str:
    """Choose the order that fits best: first by what names show, then by what is expected."""

    def contradictions(name: str) -> int:
        return sum(fitting[name][label] != found for label, found in shown.items())

    fewest = min(contradictions(name) for name in fitting)
    best = [name for name in fitting if contradictions(name) == fewest]
    exact = [name for name in best if labels == set(range(len(fitting[name])))]
    if prefer in best and (prefer in exact or not exact or prefer != FULL):
        return prefer
    left = exact or best
    if len(left) > 1:
        raise UserError(
            f"{file}: its labels may count the {' or the '.join(left)} classes, and no name tells; "
            "say so in its file name, such as base_val.txt or novel_val.txt"
        )
    return left[0]
