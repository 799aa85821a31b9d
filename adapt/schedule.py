"""The learning rate of each step."""

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Linear warm-up, then a cosine that began with the warm-up and not after it.

    The rule of the published recipes (timm's CosineLRScheduler as ViFi-CLIP sets it up): during the
    warm-up the rate is a line from 0; after it, it is what a cosine over *all* steps has come down
    to by then, so that the rate falls a little at the seam. There, step `t` of 0, 1, 2, ... has the
    rate of `t - 1`, and the first two steps do nothing; here it has that of `t + 1`, which reaches
    the end of the cosine with the last step.
    """

    peak: float
    """Highest rate."""

    num_steps: int
    """Steps of the whole run."""

    warmup_steps: int
    """Steps of the warm-up."""

    final: float = 0.01
    """Where the cosine ends, as a share of `peak`."""

    def rate(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        done = step + 1
        if done < self.warmup_steps:
            return self.peak * done / self.warmup_steps
        end = self.peak * self.final
        done = min(done, self.num_steps)
        return end + (self.peak - end) * (1 + cos(pi * done / self.num_steps)) / 2
