"""Scores become a result: which videos count, and every number made from them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from adapt.evaluate_list import Scores
from adapt.metrics import (
    bootstrap_interval,
    confusion,
    mean_per_class,
    per_class,
    percent,
    ranks,
)
from adapt.results import Average, Protocol, Result, Selection, VideoScores
from describe.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from adapt.splits import VideoList
    from adapt.video_config import ViewConfig

Precision = Literal["fp32", "bf16", "fp16"]

PAPER_PROCESSES = 8
PAPER_BATCH = 2


def paper_kept(num_videos: int, seed: int = 0) -> "NDArray[np.int64]":
    """Return which videos the published evaluations counted, of `num_videos`.

    They ran on 8 processes, of which process r took the videos r, r + 8, ... in a random order, in
    batches of 2, and dropped a last batch of 1. So each process with an odd number of videos lost
    one of them: 776 of 780 are left, 748 of 750, 1524 of 1530. Which one was chance; here `seed`
    decides.

    Returns:
        Places in the list, ascending.
    """
    import numpy as np

    shares = []
    for rank in range(PAPER_PROCESSES):
        mine = np.arange(rank, num_videos, PAPER_PROCESSES, dtype=np.int64)
        shuffled = np.random.default_rng([seed, rank]).permutation(mine)
        shares.append(shuffled[: len(mine) - len(mine) % PAPER_BATCH])
    return np.sort(np.concatenate(shares))


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """Which model was evaluated, in the words of a result."""

    run: str
    """Name of the run."""

    epoch: int
    """Epochs the adapter was trained for."""

    selection: Selection = "last"
    """How that epoch was chosen."""

    backbone_hash: str
    """Of the backbone that training started from."""

    adapter_hash: str
    """From `adapt.evaluate_list.adapter_hash`."""

    descriptions_fingerprint: str | None
    """Of the set that was trained with; None without one."""

    precision: Precision = "fp32"
    """Of the forward passes."""

    leaks: tuple[str, ...] = ()
    """How videos of the list were trained on, where that was allowed."""


def summarise(
    scores: Scores,
    videos: "VideoList",
    views: "ViewConfig",
    model: Evaluated,
    *,
    protocol: Protocol = "every-video",
    average: Average = "probability",
    manner: tuple[str, ...] = (),
) -> tuple[Result, VideoScores]:
    """Return the numbers of a list, and the per-video scores that they were made from.

    Args:
        scores: Of every video of the list.
        videos: The list.
        views: What the scores are means over.
        model: Whose scores they are.
        protocol: Whether every video counts, or those of the published evaluations.
        average: What was averaged over views.
        manner: How the evaluation is unlike the run's own.

    Raises:
        UserError: No video is left to count.
    """
    counted = _counted(len(videos.videos), protocol)
    selected = _select(scores, videos, counted)
    keys = video_keys(videos)
    failed = tuple((keys[index], reason) for index, reason in scores.failed if index in counted)
    if not selected.names:
        dropped = len(videos.videos) - len(counted)
        why = f"{len(failed)} cannot be read" + (f", {dropped} are dropped" if dropped else "")
        raise UserError(
            f"none of the {len(videos.videos)} videos of the list {videos.name!r} is left to count "
            f"by the protocol {protocol!r} ({why}); there is no number to give"
        )
    result = Result(
        **asdict(model),
        **_numbers(selected, videos.class_names, average),
        list=videos.name,
        dataset=videos.dataset,
        protocol=protocol,
        average=average,
        manner=manner,
        n_total=len(videos.videos),
        n_evaluated=len(selected.names),
        n_failed=len(failed),
        n_dropped=len(videos.videos) - len(counted),
        failed=failed,
        num_clips=views.num_clips,
        num_crops=views.num_crops,
        list_hash=videos.hash,
        class_names=videos.class_names,
        readable_names=videos.readable_names,
    )
    return result, selected


def video_keys(videos: "VideoList") -> tuple[str, ...]:
    """Return what each video of a list goes by in its results: its name, and what tells it apart.

    Of a cut video those are the seconds, `name@start-end`; of files that have one bare name in
    several class folders, the class.
    """
    from adapt.loader import video_key

    keys = [video_key(video) for video in videos.videos]
    count = Counter(keys)
    return tuple(
        key if count[key] == 1 else f"{key} ({video.class_name})"
        for key, video in zip(keys, videos.videos, strict=True)
    )


def _counted(num_videos: int, protocol: Protocol) -> set[int]:
    """Return the places in a list of the videos that a protocol counts."""
    return set(paper_kept(num_videos).tolist() if protocol == "paper" else range(num_videos))


def _numbers(videos: VideoScores, class_names: Sequence[str], average: Average) -> dict[str, Any]:
    ranked, labels = videos.ranked_by(average), videos.labels
    places = ranks(ranked, labels)
    return {
        "top1": percent(places < 1),
        "top5": percent(places < 5),
        "top1_interval": bootstrap_interval(places < 1),
        "mean_per_class": mean_per_class(ranked, labels),
        "per_class": tuple(
            {"class_name": name, "n": count, "top1": top1}
            for name, (count, top1) in zip(class_names, per_class(ranked, labels), strict=True)
        ),
        "confusion": tuple(tuple(row) for row in confusion(ranked, labels).tolist()),
    }


def _select(scores: Scores, videos: "VideoList", counted: set[int]) -> VideoScores:
    import numpy as np

    rows = np.array([index in counted for index in scores.indices.tolist()], dtype=bool)
    indices = scores.indices[rows]
    keys = video_keys(videos)
    return VideoScores(
        names=tuple(keys[index] for index in indices.tolist()),
        labels=np.array(videos.labels, dtype=np.int64)[indices],
        cosines=scores.cosines[rows],
        probabilities=scores.probabilities[rows],
    )


def scores_of(result: Result, videos: "VideoList") -> Scores:
    """Return the scores that a result over every video of `videos` was made from."""
    import numpy as np

    places = {key: index for index, key in enumerate(video_keys(videos))}
    stored = result.videos
    return Scores(
        indices=np.array([places[name] for name in stored.names], dtype=np.int64),
        cosines=stored.cosines,
        probabilities=stored.probabilities,
        failed=tuple((places[name], reason) for name, reason in result.failed),
    )
