"""Films to pixels."""

import numpy as np
from numpy.typing import NDArray

from adapt.miniature_draw import Array, coverage, pixel_grid
from adapt.miniature_world import Film, World

# What a figure is painted in, give or take JITTER.
COLOURS = {
    "circle": (0.95, 0.25, 0.2),
    "square": (0.2, 0.85, 0.3),
    "triangle": (0.25, 0.45, 1.0),
    "cross": (0.75, 0.3, 0.9),
    "star": (0.95, 0.85, 0.2),
    "moon": (0.92, 0.92, 0.92),
}
JITTER = 0.1

DARKENED = 0.45  # what colours are multiplied by on light ground
SPECK_RADIUS = 0.09
NUM_WAVES = 4  # that the uneven ground is made of


def render(world: World, film: Film, size: int, rng: np.random.Generator) -> Array:
    """Draw the films.

    Args:
        world: Whose grounds and grain.
        film: B films of T frames.
        size: Height and width, in pixels.
        rng: All chance comes from it.

    Returns:
        (B, T, size, size, 3) float32 in [0, 1].
    """
    lots = rng.uniform(size=(len(film.shapes), 32)).astype(np.float32)
    palette = np.array([COLOURS[shape] for shape in film.shapes], np.float32)  # (B, 3)
    palette = palette + 2 * JITTER * (lots[:, 24:27] - 0.5)
    palette = palette * np.where(film.is_light, DARKENED, 1)[:, None]
    ground = np.where(film.is_light, 0.72 + 0.2 * lots[:, 0], 0.05 + 0.2 * lots[:, 0])
    tint = 0.12 * (lots[:, 1:4] - 0.5)
    wall = _ground(world, film, size, lots) + ground[:, None, None, None]  # (B, T, H, W)
    speck_shade = np.where(film.is_light, 0.2 + 0.3 * lots[:, 4], 0.5 + 0.4 * lots[:, 4])
    wall += _speck(film, size) * (speck_shade[:, None, None, None] - wall)
    pixels = wall[..., None] + tint[:, None, None, None]
    pixels = _over(pixels, _figures(film, size), palette)
    grain = world.grain * lots[:, 5]
    noise = rng.standard_normal((*wall.shape, 1), np.float32)  # grey: files keep it
    pixels = pixels + noise * grain[:, None, None, None, None]
    return np.asarray(np.clip(pixels, 0, 1), np.float32)


def _over(pixels: Array, mask: Array, colour: Array) -> Array:
    share = mask[..., None]
    blended: Array = pixels + share * (colour[:, None, None, None] - pixels)
    return blended


def _figures(film: Film, size: int) -> Array:
    """Return how much of each pixel is figure, (B, T, H, W)."""
    drawn = np.empty((*film.x.shape, size, size), np.float32)
    shapes = np.array(film.shapes)
    is_pair = film.gap.any(axis=1)
    for shape in sorted(set(film.shapes)):
        for paired in (False, True):
            rows = np.flatnonzero((shapes == shape) & (is_pair == paired))
            if len(rows):
                sides = (1, -1) if paired else (0,)
                parts = [_figure(film, shape, rows, side, size) for side in sides]
                drawn[rows] = np.maximum.reduce(parts)
    return np.asarray(drawn * film.opacity[..., None, None], np.float32)


def _figure(film: Film, shape: str, rows: NDArray[np.int64], side: int, size: int) -> Array:
    gap, turn = side * film.gap[rows], film.gap_angle[rows]
    return coverage(
        shape,
        size,
        x=film.x[rows] + gap * np.cos(turn),
        y=film.y[rows] + gap * np.sin(turn),
        radius=film.radius[rows],
        angle=film.angle[rows],
        hole=film.hole[rows],
    )


def _speck(film: Film, size: int) -> Array:
    x, y = pixel_grid(size)
    at = film.speck[..., None, None]  # (B, T, 2, 1, 1)
    distance = np.hypot(x - at[:, :, 0], y - at[:, :, 1]) - SPECK_RADIUS
    return np.asarray(np.clip(0.5 - distance * (size / 2), 0, 1), np.float32)


def _ground(world: World, film: Film, size: int, lots: Array) -> Array:
    """Return the unevenness: a few waves, fixed to what the camera looks at."""
    x, y = pixel_grid(size)
    total = np.zeros((*film.x.shape, size, size), np.float32)
    for wave in range(NUM_WAVES):
        turn, length, phase, height = lots[:, 8 + 4 * wave : 12 + 4 * wave].T[..., None, None]
        steps = 2 * np.pi * (0.5 + 2.5 * length)
        along, up = steps * np.cos(np.pi * turn), steps * np.sin(np.pi * turn)  # (B, 1, 1)
        place = (along * x + up * y + 2 * np.pi * phase)[:, None]  # (B, 1, H, W)
        moved = along * film.camera[..., :1] + up * film.camera[..., 1:]  # (B, T, 1)
        # sin(place - moved), with one sine a pixel and not one a pixel and frame
        waves = np.sin(place) * np.cos(moved)[..., None] - np.cos(place) * np.sin(moved)[..., None]
        total += height[..., None] * waves
    contrast = world.texture * lots[:, 6, None, None, None]
    return np.asarray(total * contrast / np.sqrt(NUM_WAVES), np.float32)
