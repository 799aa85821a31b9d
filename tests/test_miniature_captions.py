"""Captions say what is true, and never name a class of the tasks."""

import re
from collections import Counter

import numpy as np
import pytest

from adapt.miniature_captions import (
    SHAPE_WORDS,
    Caption,
    is_true,
    task_pairs,
    visible_pairs,
    write_caption,
)
from adapt.miniature_classes import MOTIONS, load_actions


def captions(shape, motion, count=300, vague_share=0.15):
    rng = np.random.default_rng(3)
    return [write_caption(shape, motion, vague_share, rng) for _ in range(count)]


@pytest.mark.parametrize("each", load_actions(), ids=lambda each: each.action.name)
def test_no_caption_names_both_parts_of_a_class(each):
    for caption in captions(each.shape, each.motion):
        names_shape = caption.shape is not None
        assert names_shape == any(
            re.search(rf"\b{word}\b", caption.text) for word in SHAPE_WORDS[each.shape]
        )
        assert not (names_shape and caption.motions != MOTIONS)


def test_a_caption_is_true_of_its_own_video():
    for shape, motion in visible_pairs():
        assert all(is_true(caption, shape, motion) for caption in captions(shape, motion, 20))


def test_a_caption_is_true_of_what_it_does_not_rule_out():
    caption = Caption(
        text="a star changing its size", shape="star", motions=("growing", "shrinking")
    )
    assert is_true(caption, "star", "growing")
    assert is_true(caption, "star", "shrinking")
    assert not is_true(caption, "moon", "growing")
    assert not is_true(caption, "star", "rising")
    assert is_true(
        Caption(text="something rising", shape=None, motions=("rising",)), "moon", "rising"
    )


def test_the_share_of_vague_captions_is_what_was_asked_for():
    pair = next(p for p in visible_pairs() if p not in task_pairs() and p[1] == "rising")
    for share in (0.0, 0.5, 1.0):
        counts = Counter(len(c.motions) for c in captions(*pair, 1000, share))
        assert counts[2] / (counts[1] + counts[2]) == pytest.approx(share, abs=0.06)


def test_a_circle_that_spins_is_not_filmed():
    assert len(visible_pairs()) == 71
    assert ("circle", "spinning") not in visible_pairs()
