"""What a worker is asked: the clip, or the views, of one video. No torch here.

Shapes: V views, T frames, S pixels on a side; always uint8, channels last.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapt.augment import Augmentation, apply_changes, crop_and_scale, draw_changes, generator
from adapt.frames import (
    center_box,
    clip_frames,
    random_frames,
    train_short_side,
    view_boxes,
    view_short_side,
)
from adapt.loader_cache import FrameCache
from adapt.video import VideoInfo, decode
from adapt.video_config import DecoderChoice

Frames = NDArray[np.uint8]

# A clip of more frames is not kept whole: what one epoch needs of it is too small a part.
LONGEST_KEPT = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """A choice of frames: of test clips, or, with random numbers, of one training clip."""

    num_frames: int
    num_clips: int = 1
    rng: np.random.Generator | None = None

    @property
    def kept_as(self) -> tuple[int, int] | None:
        """What tells frames that every epoch asks for; None where each epoch draws its own."""
        return None if self.rng is not None else (self.num_frames, self.num_clips)

    def choose(self, num_available: int) -> NDArray[np.int64]:
        """Return (C * T,) indices, clip after clip. With random numbers, once only."""
        if self.rng is not None:
            return random_frames(num_available, self.num_frames, self.rng)
        return clip_frames(num_available, self.num_frames, self.num_clips).reshape(-1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The video, and how it is decoded."""

    key: str
    """What tells this video from every other, wherever the files lie."""

    path: Path
    start_seconds: float | None
    end_seconds: float | None
    decoder: DecoderChoice

    def frames(self, pick: Pick, short_side: int, cache: FrameCache) -> Frames:
        """Return the frames that `pick` chooses, scaled, from the cache where they are there.

        Where frames are chosen anew in each epoch and the cache has room, the whole video is kept.
        """
        key: Hashable = (self.key, short_side, pick.kept_as)
        kept = cache.get(key)
        if kept is not None:
            return kept[pick.choose(len(kept))] if pick.kept_as is None else kept
        whole: list[NDArray[np.int64]] = []

        def choose(info: VideoInfo) -> NDArray[np.int64]:
            indices = pick.choose(info.num_frames)
            height, width = info.size(short_side)
            fits = cache.has_room(info.num_frames * height * width * 3)
            if pick.kept_as is not None or info.num_frames > LONGEST_KEPT or not fits:
                return indices
            whole.append(indices)
            return np.arange(info.num_frames)

        frames = decode(
            self.path,
            choose,
            short_side=short_side,
            decoder=self.decoder,
            start_seconds=self.start_seconds,
            end_seconds=self.end_seconds,
        )
        if pick.kept_as is not None or whole:
            cache.put(key, frames)
        return frames[whole[0]] if whole else frames


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipJob:
    """One training clip."""

    source: Source
    num_frames: int
    image_size: int
    augmentation: Augmentation | None
    """None: the middle frames, cropped at the centre."""

    seed: int
    epoch: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, S, S, 3)."""
        return (self.num_frames, self.image_size, self.image_size, 3)

    def run(self, cache: FrameCache) -> Frames:
        """Decode the clip and change it as drawn."""
        size = self.image_size
        short_side = train_short_side(size)
        if self.augmentation is None:
            frames = self.source.frames(Pick(num_frames=self.num_frames), short_side, cache)
            return crop_and_scale(frames, center_box(frames.shape[1], frames.shape[2], size), size)
        rng = generator(self.seed, self.epoch, self.source.key)
        frames = self.source.frames(Pick(num_frames=self.num_frames, rng=rng), short_side, cache)
        height, width = frames.shape[1:3]
        changes = draw_changes(height, width, size, self.augmentation, rng)
        return apply_changes(frames, changes, size)


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewJob:
    """All views of one video, decoded once."""

    source: Source
    num_frames: int
    image_size: int
    num_clips: int
    num_crops: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(V, T, S, S, 3): the crops of the first clip, then those of the second, ..."""
        views = self.num_clips * self.num_crops
        return (views, self.num_frames, self.image_size, self.image_size, 3)

    def run(self, cache: FrameCache) -> Frames:
        """Decode the frames of all clips, and cut the crops out of them."""
        size = self.image_size
        pick = Pick(num_frames=self.num_frames, num_clips=self.num_clips)
        short_side = view_short_side(size, self.num_crops)
        frames = self.source.frames(pick, short_side, cache)  # (C * T, H, W, 3)
        boxes = view_boxes(frames.shape[1], frames.shape[2], size, self.num_crops)
        views = np.empty(self.shape, np.uint8)
        clips = frames.reshape(self.num_clips, self.num_frames, *frames.shape[1:])
        for view, place in enumerate(views):
            clip, crop = divmod(view, self.num_crops)
            place[...] = crop_and_scale(clips[clip], boxes[crop], size)
        return views


Job = ClipJob | ViewJob
