"""Decoded frames kept in memory, so that a video is decoded once and not once an epoch."""

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


class FrameCache:
    """Frames by what they are frames of, up to a number of bytes.

    What came first stays: every epoch asks for every video once, and a cache that throws out what
    it has not seen for longest would have thrown out each one just before it is asked for again.

    Args:
        max_bytes: Memory for frames; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._free = max_bytes
        self._kept: dict[Hashable, Frames] = {}

    def get(self, key: Hashable) -> Frames | None:
        """Return what was kept under `key`."""
        return self._kept.get(key)

    def has_room(self, num_bytes: int) -> bool:
        """Whether so much can still be kept."""
        return num_bytes <= self._free

    def put(self, key: Hashable, frames: Frames) -> None:
        """Keep `frames` where there is room; they must not be written to afterwards."""
        if key not in self._kept and self.has_room(frames.nbytes):
            frames.flags.writeable = False
            self._kept[key] = frames
            self._free -= frames.nbytes
