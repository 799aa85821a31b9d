"""Two results on the same videos, joined by name: whether they are alike, and how they differ."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapt.metrics import mcnemar, paired_bootstrap, predictions, ranks
from adapt.results import Result
from describe.errors import UserError
from describe.escape import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """A video that one of the two had right, and the other not."""

    video: str
    class_name: str
    taken_for: str
    """By the one that was wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassPair:
    """One class: how many of its videos each had right."""

    class_name: str
    videos: int
    first_right: int
    second_right: int

    @property
    def change(self) -> int:
        """Videos gained; lost, if negative."""
        return self.second_right - self.first_right


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the second result differs from the first, on the videos that both have."""

    videos: int
    first_top1: float
    second_top1: float
    """Percent."""

    interval: tuple[float, float]
    """95% of the difference, in percentage points: paired bootstrap over videos."""

    p: float
    """McNemar's exact test."""

    lost: tuple[Flip, ...]
    """Videos that only the first had right."""

    gained: tuple[Flip, ...]
    """Videos that only the second had right."""

    classes: tuple[ClassPair, ...]
    """From the greatest gain to the greatest loss."""

    left_out: tuple[str, ...]
    """Videos that only one of the two could read."""

    @property
    def difference(self) -> float:
        """Second less first, in percentage points."""
        return self.second_top1 - self.first_top1


def compare_results(first: Result, second: Result) -> Comparison:
    """Compare two results video by video.

    Raises:
        UserError: They are not of the same videos, classes and protocol; what differs is named.
    """
    check_alike(first, second)
    places = {name: index for index, name in enumerate(second.names)}
    ours = [index for index, name in enumerate(first.names) if name in places]
    theirs = [places[first.names[index]] for index in ours]
    if not ours:
        raise UserError(f"{first.run} and {second.run} have no evaluated video in common")
    labels = first.labels[ours]
    left, right = _right(first)[ours], _right(second)[theirs]
    both = {first.names[index] for index in ours}
    _, _, p = mcnemar(left, right)
    return Comparison(
        videos=len(ours),
        first_top1=100 * float(left.mean()),
        second_top1=100 * float(right.mean()),
        interval=paired_bootstrap(left, right),
        p=p,
        lost=_flips(first, second, ours, theirs, left & ~right, wrong=second),
        gained=_flips(first, second, ours, theirs, right & ~left, wrong=first),
        classes=_classes(first.class_names, labels, left, right),
        left_out=tuple(sorted((set(first.names) | set(second.names)) - both)),
    )


def manner_of(result: Result) -> tuple[str, str, str, str, str]:
    """Return how a result was made: protocol, choice of the epoch, views, mean, precision."""
    return (
        result.protocol, result.selection, _views(result), result.average, result.precision
    )  # fmt: skip


def check_alike(first: Result, second: Result) -> None:
    """Refuse two results whose difference would mean something else than the two models.

    Raises:
        UserError: The first thing that differs, with both values and what to do.
    """
    for (name, remedy), ours, theirs in zip(
        (
            ("protocol", "evaluate both by one protocol"),
            ("choice of the epoch", "evaluate one again with --which last, and compare those"),
            ("views", "evaluate one again with the other's --views"),
            ("mean over views", "evaluate with the same --average"),
            ("precision", "evaluate one again with the other's --precision"),
        ),
        manner_of(first), manner_of(second), strict=True,
    ):  # fmt: skip
        if ours != theirs:
            where = f"{ours} in {_name(first)}, {theirs} in {_name(second)}"
            raise UserError(f"unlike {name}: {where}; {remedy}")
    _check_same_names("classes", first, second, first.class_names, second.class_names)
    for result in (first, second):
        _check_told_apart(result)
    _check_same_names("videos", first, second, _listed(first), _listed(second))
    _check_labels(first, second)


def _views(result: Result) -> str:
    return f"{result.num_clips}x{result.num_crops}"


def _name(result: Result) -> str:
    return printable(f"{result.run}/{result.name}")


def _listed(result: Result) -> list[str]:
    """Return all videos of the list that are known by name: the evaluated and the failed."""
    return [*result.names, *(name for name, _ in result.failed)]


def _check_told_apart(result: Result) -> None:
    count = Counter(_listed(result))
    repeated = sorted(name for name, times in count.items() if times > 1)
    if repeated:
        raise UserError(
            f"{_name(result)} has {count.total()} videos under {len(count)} names, first "
            f"{printable(repeated[0])}; evaluate again with --force, which tells them apart"
        )


def _check_same_names(
    what: str, first: Result, second: Result, ours: Sequence[str], theirs: Sequence[str]
) -> None:
    for here, there, one, other in ((ours, theirs, first, second), (theirs, ours, second, first)):
        missing = sorted(set(here) - set(there))
        if missing:
            raise UserError(
                f"unlike {what}: {len(missing)} of {_name(one)} are not in {_name(other)}, first "
                f"{printable(missing[0])}; compare results of one list"
            )


def _check_labels(first: Result, second: Result) -> None:
    shown = {n: first.class_names[k] for n, k in zip(first.names, first.labels, strict=True)}
    for name, label in zip(second.names, second.labels, strict=True):
        here, there = shown.get(name), second.class_names[label]
        if here is not None and here != there:
            raise UserError(
                f"unlike labels: {printable(name)} is {printable(here)} in {_name(first)} and "
                f"{printable(there)} in {_name(second)}; compare results of one list"
            )


def _right(result: Result) -> "NDArray[np.bool_]":
    right: NDArray[np.bool_] = ranks(result.scores, result.labels) == 0
    return right


def _flips(
    first: Result,
    second: Result,
    ours: Sequence[int],
    theirs: Sequence[int],
    chosen: "NDArray[np.bool_]",
    *,
    wrong: Result,
) -> tuple[Flip, ...]:
    """Return the chosen videos, and what the one that was wrong took them for."""
    rows = ours if wrong is first else theirs
    shown = predictions(wrong.scores)
    return tuple(
        Flip(
            video=first.names[ours[index]],
            class_name=first.class_names[first.labels[ours[index]]],
            taken_for=wrong.class_names[shown[rows[index]]],
        )
        for index in chosen.nonzero()[0].tolist()
    )


def _classes(
    names: Sequence[str],
    labels: "NDArray[np.int64]",
    left: "NDArray[np.bool_]",
    right: "NDArray[np.bool_]",
) -> tuple[ClassPair, ...]:
    pairs = [
        ClassPair(
            class_name=name,
            videos=int((labels == label).sum()),
            first_right=int(left[labels == label].sum()),
            second_right=int(right[labels == label].sum()),
        )
        for label, name in enumerate(names)
    ]
    known = [pair for pair in pairs if pair.videos]
    return tuple(sorted(known, key=lambda pair: (-pair.change / pair.videos, pair.class_name)))
