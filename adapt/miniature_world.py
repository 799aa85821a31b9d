"""The miniature world: what a figure does over time, and how two worlds film it.

Pre-training films large bright figures on dark, plain grounds. The tasks film smaller dark ones on
light, uneven grounds, with grain, a wandering camera, a speck that moves too, and an action that
takes up a part of the film. Some of the pre-training's films have light grounds as well: how many
sets how far the frozen model is from the tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapt.miniature_classes import BACKWARDS
from adapt.miniature_draw import Array


@dataclass(frozen=True, kw_only=True)
class World:
    """The ranges that one world's films are drawn from. Half the frame's side is 1."""

    light_share: float
    """Share of films with a dark figure on light ground."""

    radius: tuple[float, float]
    """Of the figure."""

    texture: float
    """Greatest contrast of the uneven ground."""

    grain: float
    """Greatest standard deviation of the noise in each frame."""

    camera: float
    """Path of the camera over the film."""

    speck_share: float
    """Share of films with a small spot that moves straight on."""

    shortest: float
    """The action takes at least this share of the film."""


PRETRAINING = World(
    light_share=0.25, radius=(0.26, 0.46), texture=0.12, grain=0.06, camera=0.1,
    speck_share=0.25, shortest=0.8,
)  # fmt: skip
TASKS = World(
    light_share=1.0, radius=(0.2, 0.36), texture=0.2, grain=0.1, camera=0.3,
    speck_share=0.7, shortest=0.5,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Film:
    """Where everything is in B films at T times. Positions are (B, T), half the frame being 1."""

    shapes: tuple[str, ...]
    x: Array
    y: Array
    radius: Array
    angle: Array
    """In radians, anticlockwise."""
    hole: Array
    """Share of the figure that a hole of its own shape takes out."""
    gap: Array
    """Half the distance between the two halves of a pair of figures; 0: there is one."""
    gap_angle: Array
    opacity: Array
    camera: Array
    """(B, T, 2) how far the ground has moved."""
    speck: Array
    """(B, T, 2) where the speck is; far outside where there is none."""
    is_light: Array
    """(B,) 1 for a dark figure on light ground."""


def make_film(
    world: World,
    shapes: Sequence[str],
    motions: Sequence[str],
    times: Array,
    rng: np.random.Generator,
) -> Film:
    """Let each figure act.

    A motion that is another one's reverse is that one with time running backwards: with the same
    draws the two films are each other's, last frame first.

    Args:
        world: The ranges.
        shapes: B names.
        motions: B names.
        times: (B, T), in [0, 1].
        rng: All chance comes from it; each film takes the same number of draws.
    """
    count = len(shapes)
    lots = rng.uniform(size=(24, count, 1)).astype(np.float32)
    is_reversed = np.array([motion in BACKWARDS for motion in motions])[:, None]
    forward = np.array([BACKWARDS.get(motion, motion) for motion in motions])[:, None]
    t = np.where(is_reversed, 1 - times, times).astype(np.float32)  # (B, T)
    length = _between(world.shortest, 1, lots[0])
    since = np.clip(t - (1 - length) * lots[1], 0, length)  # 0 before the action, then time
    done = since / length  # 0 to 1

    def when(motion: str, value: Array) -> Array:
        return np.where(forward == motion, value, 0)

    camera = _camera(world, t, lots[20:23])
    x = _between(-0.15, 0.15, lots[2]) + camera[..., 0]
    y = _between(-0.15, 0.15, lots[3]) + camera[..., 1]
    reach, beats = _between(0.32, 0.54, lots[4]), _between(2, 3.2, lots[5])
    x = x + when("shaking", 0.2 * np.sin(2 * np.pi * (beats + 0.8) * since))
    y = y + when("rising", reach * (2 * done - 1))
    y = y + when("bouncing", reach * (2 * np.abs(np.sin(np.pi * beats * since)) - 1))
    grown = _between(0.35, 0.5, lots[6]) * (1 - done) + 1.25 * done
    turns = _between(0.5, 1, lots[7]) * np.where(lots[8] < 0.5, -1, 1)
    is_off = (since > 0) & (since < length) & (np.mod((beats + 0.6) * since, 1) > 0.5)
    return Film(
        shapes=tuple(shapes),
        x=x,
        y=y,
        radius=_between(*world.radius, lots[9]) * np.where(forward == "growing", grown, 1),
        angle=_between(-0.12, 0.12, lots[10]) + when("spinning", 2 * np.pi * turns * done),
        hole=when("opening", 0.8 * done),
        gap=when("splitting", 0.62 * done),
        gap_angle=_between(-0.8, 0.8, lots[11]) + 0 * t,
        opacity=1 - when("blinking", is_off.astype(np.float32)),
        camera=camera,
        speck=_speck(world, t, lots[12:16]),
        is_light=(lots[16, :, 0] < world.light_share).astype(np.float32),
    )


def _between(low: float, high: float, lot: Array) -> Array:
    return (low + (high - low) * lot).astype(np.float32)


def _camera(world: World, t: Array, lots: Array) -> Array:
    turn = 2 * np.pi * lots[0]
    path = (t - 0.5) * world.camera * lots[1]
    return np.stack([path * np.cos(turn), path * np.sin(turn)], -1).astype(np.float32)


def _speck(world: World, t: Array, lots: Array) -> Array:
    turn = 2 * np.pi * lots[0]
    along, aside = (t - 0.5) * (0.6 + lots[1]), 1.4 * lots[2] - 0.7
    x = along * np.cos(turn) - aside * np.sin(turn)
    y = along * np.sin(turn) + aside * np.cos(turn)
    nowhere = lots[3] >= world.speck_share
    return np.where(nowhere[..., None], 9.0, np.stack([x, y], -1)).astype(np.float32)
