"""Which descriptions are used, with what weight, and why. Decisions only: nothing is computed.

A filter that looks at more than text (at videos, say) is one more function like `_doubts_of_text`:
it names a doubt, or none, for each description; dropping, weighing and never leaving a class
without any are the same for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import TYPE_CHECKING, Literal

from adapt.quality_config import FilterConfig

if TYPE_CHECKING:
    from adapt.quality_scores import TextScores
    from describe.dataset import Description

Reason = Literal["", "flagged", "other class", "repeats", "surplus"]

# Width in cosine over which a weight falls from 0.73 to 0.27.
SOFTNESS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One description and what becomes of it."""

    row: "Description"
    weight: float = 1.0
    """Share it has in its class's mean, against 1 for a good one; 0: dropped."""

    reason: Reason = ""
    """What is wrong with it, in a word; empty where nothing is."""

    why: str = ""
    """The same for a reader."""

    own: float | None = None
    """text: cosine with its own class."""

    next: float | None = None
    """text: cosine with the nearest other class."""

    next_class: str | None = None
    """text: official name of that class."""

    @property
    def kept(self) -> bool:
        """Whether it takes part in the mean."""
        return self.weight > 0

    @property
    def margin(self) -> float | None:
        """How much nearer it is to its own class than to the next."""
        return None if self.own is None or self.next is None else self.own - self.next


@dataclass(frozen=True, slots=True)
class _Doubt:
    reason: Reason
    why: str
    weight: float
    """What it is worth where doubts weigh; it is dropped where they do not."""


def choose(
    rows: "Sequence[Description]",
    config: FilterConfig,
    scores: "TextScores | None" = None,
    class_names: Sequence[str] = (),
) -> list[Judged]:
    """Judge each description of a set; no class and kind is left without any.

    Args:
        rows: By class, kind and step.
        config: The filter.
        scores: For the filter `text`, in the order of `rows`.
        class_names: The classes that `scores.next_class` counts, for the filter `text`.
    """
    if config.filter == "text":
        assert scores is not None
        judged = _scored(rows, scores, class_names)
        doubts = _doubts_of_text(judged, scores, config)
    else:
        judged = [Judged(row=row) for row in rows]
        doubts = _doubts_of_rules(rows) if config.filter == "rules" else {}
    for index, doubt in doubts.items():
        weight = doubt.weight if config.filter_mode == "weight" else 0.0
        judged[index] = replace(judged[index], weight=weight, reason=doubt.reason, why=doubt.why)
    for members in _groups(rows).values():
        _rescue(judged, members)
        _first_only(judged, members, config.num_descriptions)
    return judged


def _scored(
    rows: "Sequence[Description]", scores: "TextScores", class_names: Sequence[str]
) -> list[Judged]:
    each = zip(
        rows, scores.own.tolist(), scores.next.tolist(), scores.next_class.tolist(), strict=True
    )
    return [
        Judged(row=row, own=own, next=other, next_class=class_names[label])
        for row, own, other, label in each
    ]


def _doubts_of_rules(rows: "Sequence[Description]") -> dict[int, _Doubt]:
    return {
        index: _Doubt("flagged", f"flagged: {', '.join(row.flags)}", 0.0)
        for index, row in enumerate(rows)
        if row.flags
    }


def _doubts_of_text(
    judged: Sequence[Judged], scores: "TextScores", config: FilterConfig
) -> dict[int, _Doubt]:
    doubts: dict[int, _Doubt] = {}
    for index, each in enumerate(judged):
        margin = each.margin
        assert margin is not None
        if margin < config.min_margin:
            why = f"nearer to {each.next_class!r} than to its own class, by {-margin:.2f}"
            if margin >= 0:
                why = f"only {margin:.2f} nearer to its own class than to {each.next_class!r}"
            weight = 1 / (1 + exp((config.min_margin - margin) / SOFTNESS))
            doubts[index] = _Doubt("other class", why, weight)
            continue
        # What was dropped repeats nobody: only those that stay count.
        before = [pair for pair in scores.repeats.get(index, []) if pair[0] not in doubts]
        if before:
            earlier, cosine = max(before, key=lambda pair: pair[1])
            why = f"repeats step {judged[earlier].row.step} (cosine {cosine:.3f})"
            weight = max(0.0, 1 - cosine) / (1 - config.max_similarity)
            doubts[index] = _Doubt("repeats", why, weight)
    return doubts


def _groups(rows: "Sequence[Description]") -> Mapping[tuple[str, str], list[int]]:
    groups: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault((row.class_name, row.kind), []).append(index)
    return groups


def _rescue(judged: list[Judged], members: Sequence[int]) -> None:
    """Keep the best of a class that would have none: the largest margin, else the fewest flags."""
    if any(judged[index].kept for index in members):
        return

    def goodness(index: int) -> tuple[float, int, int]:
        each = judged[index]
        margin = each.margin
        return (0.0 if margin is None else margin, -len(each.row.flags), -each.row.step)

    best = max(members, key=goodness)
    why = f"{judged[best].why}; kept all the same, or its class would have none"
    judged[best] = replace(judged[best], weight=1.0, why=why)


def _first_only(judged: list[Judged], members: Sequence[int], count: int | None) -> None:
    kept = [index for index in members if judged[index].kept]
    for index in kept[count:] if count is not None else ():
        why = f"not among the first {count} kept"
        judged[index] = replace(judged[index], weight=0.0, reason="surplus", why=why)
