"""Which frames are taken, and which part of each: against plain loops and values by hand."""

import numpy as np
import pytest

from adapt.augment import generator
from adapt.frames import (
    Box,
    center_box,
    clip_frames,
    random_frames,
    scaled_size,
    train_short_side,
    view_boxes,
    view_short_side,
)


def test_a_clip_has_the_middle_frame_of_each_interval():
    # 16 frames in 4 intervals of 4: 0-3, 4-7, ...; the middle of [0, 4) is 2.
    assert clip_frames(16, 4).tolist() == [[2, 6, 10, 14]]
    # Intervals of 2.5 frames: middles at 1.25, 3.75, 6.25, 8.75.
    assert clip_frames(10, 4).tolist() == [[1, 3, 6, 8]]


def test_a_video_shorter_than_a_clip_repeats_frames():
    assert clip_frames(1, 4).tolist() == [[0, 0, 0, 0]]
    assert clip_frames(3, 8).tolist() == [[0, 0, 0, 1, 1, 2, 2, 2]]
    assert random_frames(1, 4, generator(0, 0, "a")).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("num_available", [1, 7, 80, 301])
@pytest.mark.parametrize("num_clips", [1, 2, 10])
def test_clips_are_spread_evenly_over_each_interval(num_available, num_clips):
    plain = [
        [int((t + (c + 0.5) / num_clips) * num_available / 8 + 1e-9) for t in range(8)]
        for c in range(num_clips)
    ]
    assert clip_frames(num_available, 8, num_clips).tolist() == plain


def test_a_training_clip_has_any_frame_of_each_interval_and_none_of_another():
    # 10 frames in 4 intervals: [0, 2), [2, 5), [5, 7), [7, 10): also the last frames are seen.
    seen = [set() for _ in range(4)]
    for epoch in range(200):
        for place, frame in zip(seen, random_frames(10, 4, generator(0, epoch, "a")), strict=True):
            place.add(int(frame))
    assert seen == [{0, 1}, {2, 3, 4}, {5, 6}, {7, 8, 9}]


def test_sizes_keep_the_aspect_and_round_to_the_nearest_pixel():
    assert scaled_size(240, 320, 256) == (256, 341)  # 341.33
    assert scaled_size(320, 240, 256) == (341, 256)
    assert scaled_size(47, 63, 94) == (94, 126)
    assert scaled_size(100, 100, 32) == (32, 32)


def test_frames_are_scaled_as_published():
    assert (train_short_side(224), view_short_side(224, 1), view_short_side(224, 3)) == (
        256,
        256,
        224,
    )
    assert train_short_side(2) == 2


def test_three_crops_lie_along_the_longer_side():
    left, middle, right = view_boxes(224, 300, 224, 3)
    assert (left, middle, right) == (
        Box(0, 0, 224, 224),
        Box(38, 0, 224, 224),
        Box(76, 0, 224, 224),
    )
    top, _, bottom = view_boxes(300, 224, 224, 3)
    assert (top, bottom) == (Box(0, 0, 224, 224), Box(0, 76, 224, 224))
    assert view_boxes(256, 341, 224, 1) == (center_box(256, 341, 224),) == (Box(58, 16, 224, 224),)


def test_no_frame_can_be_chosen_of_none():
    with pytest.raises(ValueError, match="cannot choose 8 frames of 0"):
        clip_frames(0, 8)
    with pytest.raises(ValueError, match="cannot choose 8 frames of 0"):
        random_frames(0, 8, np.random.default_rng(0))
