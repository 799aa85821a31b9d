"""Which descriptions are used, and what becomes of those a filter thinks poor."""

from dataclasses import dataclass
from typing import Literal

from describe.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """How descriptions are chosen before they are averaged."""

    filter: Literal["none", "rules", "text"] = "none"
    """none: all are used. rules: not those that a rule had a doubt about. text: not those that the
    backbone's own text tower finds nearer to another class, or nearly the same as one before."""

    filter_mode: Literal["drop", "weight"] = "drop"
    """What becomes of poor ones: dropped, or (text alone) given less weight in the mean."""

    min_margin: float = -0.3
    """text: how much nearer to its own class than to the next a description must be, in centred
    cosine. Below 0 it may be somewhat nearer to another: actions have much in common."""

    max_similarity: float = 0.98
    """text: centred cosine above which a description repeats another of its class and kind."""

    num_descriptions: int | None = None
    """Descriptions of each kind a class gets: the first of those kept. All, where not given."""

    description_kinds: Literal["both", "spatial", "temporal"] = "both"
    """What is described: what an action looks like, how it unfolds, or both."""

    def __post_init__(self) -> None:
        """Refuse what filters nothing, or everything."""
        if self.filter_mode == "weight" and self.filter != "text":
            raise UserError(
                f"--filter-mode weight needs the scores of --filter text, not of {self.filter!r}"
            )
        if not -2 <= self.min_margin <= 2:
            raise UserError(
                f"--min-margin is {self.min_margin}; a difference of cosines is in -2 to 2"
            )
        if not 0 < self.max_similarity <= 1:
            raise UserError(f"--max-similarity is {self.max_similarity}; it must be in (0, 1]")
        if self.num_descriptions is not None and self.num_descriptions < 1:
            raise UserError(f"--num-descriptions is {self.num_descriptions}; it must be at least 1")
