"""Lists of small videos, each of one level of grey that says which it is."""

import errno
import os
from pathlib import Path

import numpy as np
from video_files import solid, write_video

from adapt.splits import Video, VideoList
from describe.classes import ActionClass

LEVEL_STEP = 12
FRAMES = 12


def write_list(folder: Path, count: int, names: tuple[str, ...] = ("wave", "run", "jump")):
    """`count` videos in turn of each class; video i has the level 12 (i + 1)."""
    classes = tuple(ActionClass(class_id=i, name=n, readable=n) for i, n in enumerate(names))
    videos = []
    for i in range(count):
        path = folder / f"{i:02}.avi"
        write_video(path, [solid(LEVEL_STEP * (i + 1))] * FRAMES)
        videos.append(Video(name=path.name, path=path, class_name=names[i % len(names)]))
    return VideoList(name="train", dataset="toy", classes=classes, videos=tuple(videos))


def numbered_list(folder: Path, count: int) -> VideoList:
    """Videos whose frames differ, so that it shows which were taken and what was done to them."""
    rng = np.random.default_rng(0)
    made = write_list(folder, count)
    for video in made.videos:
        noise = rng.integers(0, 256, (FRAMES, 6, 8, 3), np.uint8)
        write_video(video.path, [np.kron(frame, np.ones((8, 8, 1), np.uint8)) for frame in noise])
    return made


def hang(video: Video) -> None:
    """Put a pipe that nobody writes to in the place of a video: whoever opens it waits forever."""
    video.path.unlink()
    os.mkfifo(video.path)


def wait_until_opened(video: Video) -> int:
    """Wait until a decoder has opened what hangs; it goes on hanging. Returns what to close."""
    while True:
        try:
            return os.open(video.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads from it yet
                raise


def level_of(clip: np.ndarray) -> int:
    """Which video a clip of normalised pixels, (T, 3, H, W), is of."""
    mean = np.array([0.485, 0.456, 0.406])[:, None, None]
    std = np.array([0.229, 0.224, 0.225])[:, None, None]
    return round(float((clip * std + mean).mean() * 255) / LEVEL_STEP) - 1
