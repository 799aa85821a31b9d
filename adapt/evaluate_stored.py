"""Results that are there already: whether one is of this evaluation, and its scores."""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adapt.evaluate_list import Scores
from adapt.evaluate_result import Evaluated, scores_of, video_keys
from adapt.results import Result, read_result

GONE = os.strerror(errno.ENOENT)  # the reason of a video that was not there

if TYPE_CHECKING:
    from adapt.splits import VideoList
    from adapt.video_config import ViewConfig


def stored_scores(
    path: Path,
    videos: "VideoList",
    views: "ViewConfig",
    model: Evaluated,
    say: Callable[[str], None],
    again: str = "",
) -> Scores | None:
    """Return the scores of a stored result, if it is of the same evaluation.

    Args:
        path: The result's JSON file, which need not be there.
        videos: What is evaluated.
        views: Clips and crops.
        model: By what.
        say: Told what was taken, or why not.
        again: How to have it evaluated again, to be said with what was taken.

    Raises:
        UserError: The file is damaged.
    """
    if not path.is_file():
        return None
    stored = read_result(path)
    if why := _difference(stored, videos, views, model):
        say(f"{videos.name}: evaluated again: {why}")
        return None
    lost = f"; {stored.n_failed} could not be read then" if stored.n_failed else ""
    say(f"{videos.name}: taken from {path}{lost} (not evaluated again{again})")
    return scores_of(stored, videos)


def _difference(stored: Result, videos: "VideoList", views: "ViewConfig", model: Evaluated) -> str:
    """Return why a stored result is not of this evaluation; empty if it is."""
    if stored.list_hash != videos.hash:
        return "the list is another"
    if (stored.num_clips, stored.num_crops) != (views.num_clips, views.num_crops):
        return f"it had {stored.num_clips}x{stored.num_crops} views"
    if stored.adapter_hash != model.adapter_hash:
        return "the adapter is another"
    if stored.backbone_hash != model.backbone_hash:
        return "the backbone is another"
    if stored.precision != model.precision:
        return f"it was in {stored.precision}"
    keys = video_keys(videos)
    if {*stored.names, *(name for name, _ in stored.failed)} != set(keys):
        return "its videos go by other names"
    return _mended(stored, videos, keys)


def _mended(stored: Result, videos: "VideoList", keys: Sequence[str]) -> str:
    """Return the first video that could not be read and has changed since, in words."""
    assert stored.path is not None
    written = stored.path.stat().st_mtime_ns
    failed = dict(stored.failed)
    for key, video in zip(keys, videos.videos, strict=True):
        if key not in failed or not video.path.exists():
            continue
        if GONE in failed[key]:
            return f"{key} was not there then, and is"
        if video.path.stat().st_mtime_ns > written:
            return f"{key} could not be read then, and has changed"
    return ""
