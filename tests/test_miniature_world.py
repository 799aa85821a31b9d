"""What is drawn is what the class says, by pixels alone."""

from dataclasses import replace

import numpy as np
import pytest

from adapt.miniature_classes import MOTIONS, ORDER_PAIRS, SHAPES, load_actions, order_partners
from adapt.miniature_draw import coverage
from adapt.miniature_files import draw_videos, frame_times
from adapt.miniature_render import render
from adapt.miniature_world import PRETRAINING, TASKS, make_film

SIZE, FRAMES = 48, 16
CLEAR = replace(TASKS, texture=0.0, grain=0.0, speck_share=0.0, camera=0.0, shortest=1.0)


def draw(shape, motion, count=6, world=CLEAR, seed=0):
    """Return (count, FRAMES, SIZE, SIZE, 3) in [0, 1]."""
    rng = np.random.default_rng(seed)
    times = np.tile(frame_times(FRAMES), (count, 1))
    film = make_film(world, [shape] * count, [motion] * count, times, rng)
    return render(world, film, SIZE, rng)


def figure(video):
    """Return where the figure is: what differs from the ground, a corner's colour. (T, H, W)."""
    ground = np.median(video.reshape(-1, 3), axis=0)
    return np.abs(video - ground).sum(axis=-1) > 0.15


def pieces(mask):
    """Count the connected parts of a mask."""
    left, count = {tuple(place) for place in np.argwhere(mask)}, 0
    while left:
        count, edge = count + 1, [left.pop()]
        while edge:
            y, x = edge.pop()
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & left
            left -= near
            edge += near
    return count


def test_there_are_24_actions_of_which_16_differ_in_order_alone():
    actions = load_actions()
    partners = order_partners(actions)
    assert len(actions) == 24
    assert len(partners) == 16
    assert all(partners[other] == place for place, other in partners.items())
    assert all(actions[i].action.group == actions[j].action.group for i, j in partners.items())


def test_novel_classes_are_new_pairs_of_parts_of_base_classes():
    halves = {
        group: {(each.shape, each.motion) for each in load_actions() if each.action.group == group}
        for group in ("base", "novel")
    }
    assert len(halves["base"]) == len(halves["novel"]) == 12
    assert not halves["base"] & halves["novel"]
    for half in halves.values():
        assert {shape for shape, _ in half} == set(SHAPES)
        assert {motion for _, motion in half} == set(MOTIONS)


@pytest.mark.parametrize("pair", ORDER_PAIRS)
def test_motions_of_a_pair_are_each_other_backwards(pair):
    world = replace(TASKS, grain=0.0)  # grain is drawn anew for each frame
    forward, backward = (draw("star", motion, world=world) for motion in pair)
    np.testing.assert_allclose(forward[:, ::-1], backward, atol=0.002)
    assert np.abs(forward - backward).max() > 0.2


def test_what_rises_gets_higher_and_keeps_its_size():
    for video in draw("circle", "rising"):
        rows = [np.argwhere(mask)[:, 0].mean() for mask in figure(video)]
        assert (np.diff(rows) < 0).all()


def test_what_grows_gets_bigger_in_place():
    for video in draw("square", "growing"):
        masks = figure(video)
        areas = masks.sum(axis=(1, 2))
        assert areas[-1] > 3 * areas[0]
        middles = [np.argwhere(mask).mean(axis=0) for mask in masks]
        assert np.abs(middles[0] - middles[-1]).max() < 1


def test_what_opens_loses_its_middle():
    for video in draw("circle", "opening"):
        masks = figure(video)
        y, x = np.argwhere(masks[0]).mean(axis=0).round().astype(int)
        assert masks[0][y, x]
        assert not masks[-1][y, x]


def test_what_splits_is_one_and_then_two():
    world = replace(CLEAR, radius=(0.2, 0.22))
    for video in draw("square", "splitting", world=world):
        masks = figure(video)
        assert (pieces(masks[0]), pieces(masks[-1])) == (1, 2)


def test_what_blinks_is_gone_in_some_frames():
    for video in draw("moon", "blinking"):
        seen = figure(video).any(axis=(1, 2))
        assert seen.any()
        assert not seen.all()


def test_what_bounces_and_what_shakes_turns_back():
    for motion, axis in (("bouncing", 0), ("shaking", 1)):
        for video in draw("circle", motion):
            path = [np.argwhere(mask)[:, axis].mean() for mask in figure(video)]
            turns = np.diff(np.sign(np.diff(path))) != 0
            assert turns.sum() >= 2, motion


def test_what_spins_keeps_its_place_and_changes_its_outline():
    for video in draw("triangle", "spinning"):
        masks = figure(video)
        assert (masks[0] != masks[4]).mean() > 0.01
        areas = masks.sum(axis=(1, 2))
        assert areas.max() < 1.15 * areas.min()


@pytest.mark.parametrize(("shape", "area"), [("circle", np.pi * 0.9**2), ("square", 1.64**2)])
def test_areas_are_those_of_geometry(shape, area):
    at, one = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    drawn = coverage(shape, 96, x=at, y=at, radius=0.6 * one, angle=at, hole=at)
    assert drawn.sum() == pytest.approx(area * (0.6 * 48) ** 2, rel=0.01)


def test_a_video_depends_on_its_seed_part_class_and_number_alone():
    first, second = load_actions()[:2]
    times = frame_times(2)
    two = draw_videos(first, "train", 2, 0, times=times)
    np.testing.assert_array_equal(two, draw_videos(first, "train", 3, 0, times=times)[:2])
    others = [
        draw_videos(first, "train", 1, 1, times=times),
        draw_videos(first, "test", 1, 0, times=times),
        draw_videos(second, "train", 1, 0, times=times),
        two[1:],
    ]
    assert all((other[0] != two[0]).mean() > 0.5 for other in others)


def test_the_tasks_are_filmed_otherwise_than_the_pretraining():
    tasks, pretraining = (draw("star", "rising", 20, world) for world in (TASKS, PRETRAINING))
    assert np.median(tasks) > 0.6
    assert np.median(pretraining) < 0.4
