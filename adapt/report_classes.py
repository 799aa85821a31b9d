"""What a report says of single classes: where two groups differ, and what is taken for what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from adapt.metrics import mean_and_std
from adapt.report_groups import Group
from adapt.results import Result

# Groups of a section of which each pair is shown; of more, each against the first.
MOST_FOR_ALL_PAIRS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassChange:
    """One class's accuracy in two groups, in percent, each the mean over seeds."""

    class_name: str
    before: float
    after: float
    videos: int

    @property
    def change(self) -> float:
        """Percentage points."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupChange:
    """What changes by class from one group to another, on one list."""

    before: str
    after: str
    list_name: str
    classes: tuple[ClassChange, ...]
    """From the greatest gain to the greatest loss; classes that stay equal are left out."""

    equal: int


def group_changes(groups: Sequence[Group]) -> list[GroupChange]:
    """Compare groups of one section, class by class, on every list that two of them share.

    Of one group with two runs, the two are compared.
    """
    fair = [group for group in groups if group.is_comparable]
    sides = [(group.label, _by_list(group.results)) for group in fair]
    if len(fair) == 1 and len(fair[0].records) == 2:  # two runs that differ in their seed alone
        sides = [
            (record.name, _by_list([results]))
            for record, results in zip(fair[0].records, fair[0].results, strict=True)
        ]
    pairs = list(combinations(sides, 2))
    if len(sides) > MOST_FOR_ALL_PAIRS:
        pairs = [(sides[0], other) for other in sides[1:]]
    found = []
    for (before, ours), (after, theirs) in pairs:
        for name in sorted(set(ours) & set(theirs)):
            if ours[name][0].list_hash == theirs[name][0].list_hash:
                found.append(_change(before, after, name, ours[name], theirs[name]))
    return found


def _by_list(runs: Iterable[Sequence[Result]]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for results in runs:
        for each in results:
            found.setdefault(each.list, []).append(each)
    return found


def _change(
    before: str, after: str, name: str, ours: Sequence[Result], theirs: Sequence[Result]
) -> GroupChange:
    first, second = class_means(ours), class_means(theirs)
    videos = {str(each["class_name"]): int(each["n"]) for each in ours[0].per_class}
    changes = [
        ClassChange(
            class_name=each, before=first[each], after=second[each], videos=videos.get(each, 0)
        )
        for each in first
        if each in second
    ]
    moved = sorted((c for c in changes if abs(c.change) > 1e-9), key=lambda c: -c.change)
    return GroupChange(
        before=before,
        after=after,
        list_name=name,
        classes=tuple(moved),
        equal=len(changes) - len(moved),
    )


def class_means(results: Sequence[Result]) -> dict[str, float]:
    """Return each class's top-1, the mean over results; classes without videos are left out."""
    values: dict[str, list[float]] = {}
    for result in results:
        for each in result.per_class:
            if each["top1"] is not None:
                values.setdefault(str(each["class_name"]), []).append(float(each["top1"]))
    return {name: mean_and_std(found)[0] for name, found in values.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """Videos of one class that were taken for another."""

    actual: str
    shown: str
    count: int
    total: int
    """Videos of the class."""


def worst_mistakes(result: Result, most: int) -> list[Mistake]:
    """Return the pairs of classes that are mistaken most often, by share of the class's videos."""
    names: Mapping[int, str] = dict(enumerate(result.class_names))
    found = [
        Mistake(actual=names[row], shown=names[column], count=count, total=sum(counts))
        for row, counts in enumerate(result.confusion)
        for column, count in enumerate(counts)
        if count and row != column
    ]
    found.sort(key=lambda each: (-each.count / each.total, -each.count, each.actual, each.shown))
    return found[:most]
