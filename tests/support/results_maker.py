"""Results without a model: a list of videos and scores that are right where they should be."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from adapt.evaluate_list import Scores
from adapt.evaluate_result import Evaluated
from adapt.splits import Video, VideoList
from describe.classes import ActionClass

MODEL = Evaluated(
    run="r1", epoch=11, backbone_hash="b1:0", adapter_hash="a1:0", descriptions_fingerprint="s1:0"
)


def video_list(num_videos: int, num_classes: int = 3, name: str = "test") -> VideoList:
    """Videos v0, v1, ... of the classes c0, c1, ... in turn."""
    classes = tuple(
        ActionClass(class_id=label, name=f"c{label}", readable=f"class {label}")
        for label in range(num_classes)
    )
    videos = tuple(
        Video(name=f"v{i}", path=Path(f"v{i}.mp4"), class_name=f"c{i % num_classes}")
        for i in range(num_videos)
    )
    return VideoList(name=name, dataset="toy", classes=classes, videos=videos)


def segment_list(num_segments: int = 3) -> VideoList:
    """Seconds 0 to 2, 2 to 4, ... of one file, each of a class of its own."""
    whole = video_list(num_segments, num_segments)
    return whole.with_videos(
        replace(
            video, name="f.mp4", path=Path("f.mp4"), start_seconds=2.0 * i, end_seconds=2.0 * i + 2
        )
        for i, video in enumerate(whole.videos)
    )


def scores_for(videos: VideoList, right: set[int], failed: dict[int, str] | None = None) -> Scores:
    """Scores in which the videos in `right` are right, and `failed` could not be read."""
    failed = failed or {}
    indices = [index for index in range(len(videos.videos)) if index not in failed]
    num_classes = len(videos.classes)
    cosines = np.zeros((len(indices), num_classes), dtype=np.float32)
    for row, index in enumerate(indices):
        label = videos.labels[index]
        cosines[row, label if index in right else (label + 1) % num_classes] = 0.5
    exponents = np.exp(cosines / 0.01 - 50)
    return Scores(
        indices=np.array(indices, dtype=np.int64),
        cosines=cosines,
        probabilities=exponents / exponents.sum(axis=1, keepdims=True),
        failed=tuple(sorted(failed.items())),
    )
