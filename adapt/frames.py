"""Which frames of a video are looked at, and which part of each.

A video of N frames is cut into T equal intervals, as in temporal segment networks (Wang et al.,
arXiv 1608.00859): interval t holds the frames from floor(t N / T) up to floor((t + 1) N / T). A
frame is counted as the decoder yields it, whatever its time stamp. Where N < T, frames repeat.

Shapes: C clips of a video, T frames of a clip, H and W of a frame in pixels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class Box(NamedTuple):
    """A part of a frame, in pixels, from its upper left corner."""

    left: int
    top: int
    width: int
    height: int


def clip_frames(num_available: int, num_frames: int, num_clips: int = 1) -> Indices:
    """Choose the frames of test clips: in each interval one frame a clip, evenly spread.

    Clip c of C has the frame at (c + 1/2) / C of every interval; a single clip has the middle
    frame. ViFi-CLIP draws the frames of its test clips at random in each interval; these are
    spread instead, so that a number can be had twice.

    Returns:
        (C, T), ascending along both.
    """
    _check(num_available, num_frames)
    place = 2 * np.arange(num_clips)[:, None] + 1  # (C, 1), in halves of a C-th of an interval
    steps = 2 * num_clips * np.arange(num_frames) + place  # (C, T)
    return steps * num_available // (2 * num_clips * num_frames)


def random_frames(num_available: int, num_frames: int, rng: np.random.Generator) -> Indices:
    """Choose the frames of a training clip: a random one in each interval.

    Returns:
        (T,), ascending.
    """
    _check(num_available, num_frames)
    bounds = np.arange(num_frames + 1) * num_available // num_frames
    return rng.integers(bounds[:-1], np.maximum(bounds[1:], bounds[:-1] + 1))


def scaled_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Return height and width when the shorter of them is scaled to `short_side`."""
    short = min(height, width)
    long = (2 * max(height, width) * short_side + short) // (2 * short)  # rounded half up
    return (short_side, long) if height <= width else (long, short_side)


def center_box(height: int, width: int, size: int) -> Box:
    """Return the square of `size` in the middle."""
    return Box((width - size) // 2, (height - size) // 2, size, size)


def view_boxes(height: int, width: int, size: int, num_crops: int) -> tuple[Box, ...]:
    """Return the crops of a test clip: the centre, or three along the longer side.

    Three are the two ends and the middle: left, centre, right, or top, centre, bottom.
    """
    if num_crops == 1:
        return (center_box(height, width, size),)
    if width >= height:
        top = (height - size) // 2
        return tuple(Box(x, top, size, size) for x in (0, (width - size) // 2, width - size))
    left = (width - size) // 2
    return tuple(Box(left, y, size, size) for y in (0, (height - size) // 2, height - size))


def view_short_side(image_size: int, num_crops: int) -> int:
    """Return the short side that test frames are scaled to, in pixels.

    As in ViFi-CLIP: three crops of `image_size` cover the whole short side; one crop at the centre
    is cut from frames 8/7 as large (256 for 224).
    """
    return image_size if num_crops == 3 else train_short_side(image_size)


def train_short_side(image_size: int) -> int:
    """Return the short side of frames that training crops are cut from: 256 for 224."""
    return max(image_size, image_size * 256 // 224)


def _check(num_available: int, num_frames: int) -> None:
    if num_available < 1 or num_frames < 1:
        raise ValueError(f"cannot choose {num_frames} frames of {num_available}")
