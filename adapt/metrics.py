"""Numbers from scores. Accuracies are percentages in [0, 100].

Shapes: n videos, K classes. A class's place among the K is its label.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Integers = NDArray[np.int64]
    Booleans = NDArray[np.bool_]

# Resamples whose means are held at once: bounds memory at 20,000 videos to 20 MB.
_CHUNK = 64


def ranks(scores: "Floats", labels: "Integers") -> "Integers":
    """Return the place of each video's own class among its scores, from 0.

    Of classes with equal scores the lowest label comes first, so that a model which tells nothing
    apart is right on class 0 alone. A score that is not a number is below all others.

    Args:
        scores: (n, K).
        labels: (n,) in [0, K).

    Returns:
        (n,): 0 where the class came first; beyond all places where its score is not a number.
    """
    import numpy as np

    finite = np.where(np.isnan(scores), -np.inf, scores)
    own = np.take_along_axis(finite, labels[:, None], axis=1)
    earlier = np.arange(scores.shape[1])[None] < labels[:, None]
    ahead = (finite > own) | ((finite == own) & earlier)
    places: Integers = ahead.sum(axis=1, dtype=np.int64)
    is_nan = np.isnan(np.take_along_axis(scores, labels[:, None], axis=1))[:, 0]
    return np.where(is_nan, np.iinfo(np.int64).max, places)


def top_k(scores: "Floats", labels: "Integers", k: int = 1) -> float:
    """Return the share of videos whose class is among the `k` highest scores; 0 without videos.

    Where there are fewer than `k` classes, all of them count.
    """
    return percent(ranks(scores, labels) < k)


def percent(correct: "Booleans") -> float:
    """Return the share of True, in percent; 0 of nothing."""
    return 100 * float(correct.mean()) if len(correct) else 0.0


def predictions(scores: "Floats") -> "Integers":
    """Return the (n,) labels with the highest score, the lowest of equals."""
    import numpy as np

    best: Integers = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)
    return best


def confusion(scores: "Floats", labels: "Integers") -> "Integers":
    """Return (K, K) counts: row, the class a video is of; column, the class it was taken for."""
    import numpy as np

    num_classes = scores.shape[1]
    pairs = labels * num_classes + predictions(scores)
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def per_class(scores: "Floats", labels: "Integers") -> list[tuple[int, float | None]]:
    """Return, by label, how many videos a class has and its top-1; None where it has no video."""
    import numpy as np

    num_classes = scores.shape[1]
    totals = np.bincount(labels, minlength=num_classes)
    right = np.bincount(labels[ranks(scores, labels) == 0], minlength=num_classes)
    return [
        (int(total), 100 * int(good) / int(total) if total else None)
        for total, good in zip(totals, right, strict=True)
    ]


def mean_per_class(scores: "Floats", labels: "Integers") -> float:
    """Return the mean of the classes' own top-1, over classes that have videos."""
    each = [top1 for _, top1 in per_class(scores, labels) if top1 is not None]
    return sum(each) / len(each) if each else 0.0


def harmonic_mean(base: float, novel: float) -> float:
    """Combine base-class and novel-class accuracy; 0 when either is 0.

    Over several seeds, average first: the published numbers are the harmonic mean of the means.
    """
    return 0.0 if base + novel == 0 else 2 * base * novel / (base + novel)


def mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the sample standard deviation, which is None of fewer than two."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5


def bootstrap_interval(
    correct: "Booleans", *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of an accuracy, over videos drawn anew.

    It says how far the number depends on which videos were tested; it knows nothing of other seeds
    of the training.

    Args:
        correct: (n,) True where a video was right.
        level: Share of the resampled accuracies that lie inside.
        resamples: Draws of n videos with replacement.
        seed: The same draws for the same seed and n.

    Returns:
        Percent, low and high; (0, 100) without videos: nothing is known. Where all are right, or
        none, drawing anew shows nothing; then it is the exact interval (Clopper and Pearson 1934).
    """
    if not len(correct):
        return 0.0, 100.0
    return _interval(correct.astype(float) * 100, level, resamples, seed, least=0)


def paired_bootstrap(
    first: "Booleans",
    second: "Booleans",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the interval of (second - first) in percentage points, over the same videos.

    Where no video differs, how many of as many others might is as `bootstrap_interval` has it.

    Args:
        first: (n,) True where the first model was right.
        second: (n,) the same videos, in the same order.
        level: As `bootstrap_interval`.
        resamples: As `bootstrap_interval`.
        seed: As `bootstrap_interval`.

    Raises:
        ValueError: The two are not of one length.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} videos against {len(second)}")
    if not len(first):
        return -100.0, 100.0
    return _interval((second.astype(float) - first) * 100, level, resamples, seed, least=-100)


def _interval(
    values: "Floats", level: float, resamples: int, seed: int, *, least: float
) -> tuple[float, float]:
    import numpy as np

    tail = (1 - level) / 2
    if (values == values[0]).all():
        spread = 100 * (1 - tail ** (1 / len(values)))
        return max(least, float(values[0]) - spread), min(100.0, float(values[0]) + spread)
    generator = np.random.default_rng(seed)
    means = []
    for start in range(0, resamples, _CHUNK):
        size = (min(_CHUNK, resamples - start), len(values))
        means.append(values[generator.integers(len(values), size=size)].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def mcnemar(first: "Booleans", second: "Booleans") -> tuple[int, int, float]:
    """Test whether two models differ on the same videos: McNemar, exact, two-sided.

    Only videos on which they differ tell anything; were the models alike, each such video would
    fall to either with equal chance (McNemar 1947; the exact form is a binomial test).

    Returns:
        Videos that only the first had right, those that only the second had right, and p in [0, 1].

    Raises:
        ValueError: The two are not of one length.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} videos against {len(second)}")
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    return only_first, only_second, binomial_p(only_first, only_second)


def binomial_p(one: int, other: int) -> float:
    """Return the two-sided chance of a division at least so uneven, were each side as likely."""
    total, fewer = one + other, min(one, other)
    if one == other:
        return 1.0
    tail, ways = 0, 1  # ways to have `count` of `total`, each from the one before
    for count in range(fewer + 1):
        tail += ways
        ways = ways * (total - count) // (count + 1)
    # Whole numbers, divided exactly however large they are.
    p: float = 2 * tail / 2**total
    return min(1.0, p)
