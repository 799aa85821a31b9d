"""Drawing shapes by their signed distance, all videos and frames of a shape at once.

Coordinates run from -1 to 1, x to the right and y up. A distance is negative inside; half a pixel
on either side of zero blends figure and ground, so edges are smooth at any size.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""float32; numpy's own types lose that in arithmetic."""

CROSS_ARM = 0.34  # half the width of the cross's bars, the figure's radius being 1
MOON_SHIFT = 0.55  # how far the disc that bites into the moon is shifted


def pixel_grid(size: int) -> tuple[Array, Array]:
    """Return x and y of the pixel centres, each (size, size)."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
    x, y = np.meshgrid(line, -line)
    return x, y


def _circle(x: Array, y: Array) -> Array:
    distance: Array = np.hypot(x, y) - 0.9
    return distance


def _box(x: Array, y: Array, half_x: float, half_y: float) -> Array:
    distance: Array = np.maximum(np.abs(x) - half_x, np.abs(y) - half_y)
    return distance


def _square(x: Array, y: Array) -> Array:
    return _box(x, y, 0.82, 0.82)


def _cross(x: Array, y: Array) -> Array:
    distance: Array = np.minimum(_box(x, y, 1.0, CROSS_ARM), _box(x, y, CROSS_ARM, 1.0))
    return distance


def _triangle(x: Array, y: Array) -> Array:
    slope = np.sqrt(3) / 2
    return np.asarray(np.maximum(-y - 0.55, slope * np.abs(x) + 0.5 * y - 0.55), np.float32)


def _star(x: Array, y: Array) -> Array:
    angle = np.arctan2(x, y)  # from straight up, where one point is
    fold = np.abs(np.mod(angle / (2 * np.pi) * 5 + 0.5, 1) - 0.5) * 2  # 0 at points, 1 between
    distance = np.hypot(x, y) - (1.15 - 0.72 * fold)
    return (0.6 * distance).astype(np.float32)  # steep radius: true distances are shorter


def _moon(x: Array, y: Array) -> Array:
    disc = np.hypot(x, y) - 1.0
    bite = np.hypot(x - MOON_SHIFT, y) - 0.8
    return np.maximum(disc, -bite)


DISTANCES: dict[str, Callable[[Array, Array], Array]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "moon": _moon,
}


def coverage(
    shape: str, size: int, *, x: Array, y: Array, radius: Array, angle: Array, hole: Array
) -> Array:
    """Return how much of each pixel one figure covers, in [0, 1].

    Args:
        shape: One of `DISTANCES`.
        size: Height and width in pixels.
        x: (B, T) centre, as y.
        y: (B, T) centre.
        radius: (B, T).
        angle: (B, T) in radians, anticlockwise.
        hole: (B, T) share of the figure that a hole of the same shape takes out, in [0, 1).

    Returns:
        (B, T, size, size).
    """
    grid_x, grid_y = pixel_grid(size)
    step = (slice(None), slice(None), None, None)
    dx, dy = grid_x - x[step], grid_y - y[step]
    cos, sin, radius = np.cos(angle)[step], np.sin(angle)[step], radius[step]
    u, v = (cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / radius
    distance = DISTANCES[shape](u, v)
    if hole.any():
        inner = np.maximum(hole[step], 1e-3)
        inside = DISTANCES[shape](u / inner, v / inner) * inner
        distance = np.where(hole[step] > 0, np.maximum(distance, -inside), distance)
    pixels = distance * radius * (size / 2)
    return np.clip(0.5 - pixels, 0, 1).astype(np.float32)
