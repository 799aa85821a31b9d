"""Batches for training and views for evaluation: in an order that nothing but the seed decides.

Shapes: B videos, V views of a video, T frames, S pixels on a side. Frames travel as bytes, a
quarter of what pixels are, and become pixels on the device that the model is on.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from adapt.augment import Augmentation
from adapt.loader_job import ClipJob, Job, Source, ViewJob
from adapt.loader_pool import Pool
from adapt.loader_process import Bad, Frames
from adapt.loader_quarantine import Quarantine
from adapt.splits import Video, VideoList
from adapt.video import check_decoder
from adapt.video_config import ClipConfig, Colour, LoadConfig, ViewConfig


class Normalise:
    """Frames in 0..255 become pixels, `(frame / 255 - mean) / std`.

    Args:
        mean: Of red, green and blue, in [0, 1].
        std: The same.
    """

    def __init__(self, mean: Colour, std: Colour) -> None:
        self._scale = (1 / (255 * torch.tensor(std))).view(3, 1, 1)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).view(3, 1, 1)

    def __call__(self, frames: Tensor, device: torch.device | str = "cpu") -> Tensor:
        """Bring (..., S, S, 3) uint8 to a device, as (..., 3, S, S) float32."""
        there = frames.to(device, non_blocking=True).movedim(-1, -3)
        pixels = there.to(torch.float32, memory_format=torch.contiguous_format)
        return pixels.mul_(self._scale.to(device)).add_(self._shift.to(device))


@dataclass(frozen=True, kw_only=True, slots=True)
class BadVideo:
    """A video that could not be read."""

    index: int
    """Its place in the list."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The part of one step's videos that this process has."""

    frames: Tensor
    """(B, T, S, S, 3), uint8. B is less than the batch size where videos could not be read, and
    at the end of an epoch; it may be 0. Of videos that were not to be decoded there is no row."""

    normalise: Normalise

    labels: Tensor
    """(B,), int64."""

    indices: Tensor
    """(B,), int64: places in the list."""

    decoded: tuple[int, ...]
    """Which of the B have a row in `frames`, ascending; all, unless some were not to be decoded."""

    waited_seconds: float
    """How long the caller waited for this batch."""

    failed: tuple[BadVideo, ...]
    """Videos found to be unreadable since the last batch."""

    def pixels(self, device: torch.device | str = "cpu") -> Tensor:
        """Return (B, T, 3, S, S), float32."""
        return self.normalise(self.frames, device)


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoViews:
    """All views of one video."""

    index: int
    """Its place in the list."""

    frames: Tensor
    """(V, T, S, S, 3), uint8: the crops of the first clip, then those of the second, ..."""

    normalise: Normalise

    def pixels(self, device: torch.device | str = "cpu") -> Tensor:
        """Return (V, T, 3, S, S), float32."""
        return self.normalise(self.frames, device)


class _Loader:
    """Workers that end with the loader."""

    def __init__(self, load: LoadConfig) -> None:
        check_decoder(load.decoder)
        self._pool = Pool(load)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        self._pool.close()


class TrainLoader(_Loader):
    """Training clips, batch by batch.

    Order and augmentation are a function of the seed, the epoch and the video's name. Step s has
    the s-th `batch_size * world_size` videos of the epoch's order, of which process r takes each
    `world_size`-th from the r-th on: which videos a step has does not depend on how many processes
    share it. A video that cannot be read leaves its batch smaller; none takes its place.

    Args:
        videos: What is trained on.
        clip: What is drawn of each video.
        load: Workers and limits.
        num_frames: T.
        image_size: S.
        batch_size: Videos of a step in this process.
        seed: Of order and augmentation.
        rank: This process.
        world_size: How many processes there are.
        quarantine: File of bad videos, read now and added to; those in it are not tried again.
        is_kept: Whether a video need not be decoded, asked of each as an epoch begins.

    Raises:
        UserError: More videos than allowed are bad, or the decoder is not installed.
    """

    def __init__(
        self,
        videos: VideoList,
        clip: ClipConfig,
        load: LoadConfig,
        *,
        num_frames: int,
        image_size: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        quarantine: Path | None = None,
        is_kept: Callable[[Video], bool] | None = None,
    ) -> None:
        self._list, self._load, self._seed = videos, load, seed
        self._is_kept = is_kept
        self._num_frames, self._image_size = num_frames, image_size
        self._batch_size, self._rank, self._world_size = batch_size, rank, world_size
        self._keys = [video_key(video) for video in videos.videos]
        self._labels = videos.labels
        self._normalise = Normalise(clip.mean, clip.std)
        allowed = load.allowed_bad_videos(len(self._keys))
        self._bad = Quarantine(quarantine, allowed, frozenset(self._keys))
        self.flip = clip.flip_probability(videos.readable_names) if clip.augment else 0.0
        """How often clips are flipped."""

        self._augmentation = (
            Augmentation(crop=clip.crop, flip=self.flip, jitter=clip.jitter, grey=clip.grey)
            if clip.augment
            else None
        )
        super().__init__(load)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, the last and smaller one included."""
        return math.ceil(len(self._keys) / (self._batch_size * self._world_size))

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Yield this process's part of each step of an epoch, from `start_step` on.

        Raises:
            UserError: More videos than allowed cannot be read; the message lists them.
        """
        steps = self._plan(epoch)[start_step:]
        kept = {index for step in steps for index in step if self._need_not_decode(index)}
        jobs = (self._job(index, epoch) for step in steps for index in step if index not in kept)
        ahead = self._batch_size + 2 * self._load.num_workers
        outcomes = self._pool.run(jobs, ahead)
        try:
            for step in steps:
                yield self._batch(step, kept, outcomes)
        finally:
            outcomes.close()

    def check_bad_videos(self) -> None:
        """Count the bad videos of all processes, which share the quarantine's file.

        Raises:
            UserError: There are more than allowed; the message lists them.
        """
        self._bad.check_all()

    def _need_not_decode(self, index: int) -> bool:
        return self._is_kept is not None and self._is_kept(self._list.videos[index])

    def _plan(self, epoch: int) -> list[list[int]]:
        """Return the places in the list of each step, for this process, known bad ones left out."""
        order = epoch_order(self._keys, self._seed, epoch)
        span = self._batch_size * self._world_size
        steps = [
            order[start : start + span][self._rank :: self._world_size]
            for start in range(0, len(order), span)
        ]
        return [[i for i in step if self._keys[i] not in self._bad] for step in steps]

    def _batch(self, step: list[int], kept: set[int], outcomes: Iterator[Frames | Bad]) -> Batch:
        began = time.perf_counter()
        good: list[tuple[int, Frames | None]] = []
        failed = []
        for index in step:
            if index in kept:
                good.append((index, None))
                continue
            outcome = next(outcomes)
            if isinstance(outcome, Bad):
                name, path = self._list.videos[index].name, self._list.videos[index].path
                self._bad.add(self._keys[index], outcome, lasts=path.exists())
                failed.append(BadVideo(index=index, name=name, reason=str(outcome)))
            else:
                good.append((index, outcome))
        clips = {place: frames for place, (_, frames) in enumerate(good) if frames is not None}
        size = self._image_size
        stacked = np.empty((len(clips), self._num_frames, size, size, 3), np.uint8)
        for row, frames in zip(stacked, clips.values(), strict=True):
            row[...] = frames
        return Batch(
            frames=torch.from_numpy(stacked),
            normalise=self._normalise,
            labels=torch.tensor([self._labels[i] for i, _ in good], dtype=torch.int64),
            indices=torch.tensor([i for i, _ in good], dtype=torch.int64),
            decoded=tuple(clips),
            waited_seconds=time.perf_counter() - began,
            failed=tuple(failed),
        )

    def _job(self, index: int, epoch: int) -> Job:
        return ClipJob(
            source=_source(self._list.videos[index], self._load),
            num_frames=self._num_frames,
            image_size=self._image_size,
            augmentation=self._augmentation,
            seed=self._seed,
            epoch=epoch,
        )


class ViewLoader(_Loader):
    """All views of every video of this process's share, each video decoded once.

    Iterating yields every video of the share exactly once, in the order of the list: its views, or
    why it has none. The share of process r is each `world_size`-th video from the r-th on.

    Args:
        videos: What is evaluated.
        views: Clips and crops.
        load: Workers and limits.
        num_frames: T.
        image_size: S.
        rank: This process.
        world_size: How many processes there are.

    Raises:
        UserError: The decoder is not installed.
    """

    def __init__(
        self,
        videos: VideoList,
        views: ViewConfig,
        load: LoadConfig,
        *,
        num_frames: int,
        image_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._videos, self._views, self._load = videos.videos, views, load
        self._num_frames, self._image_size = num_frames, image_size
        self._share = range(rank, len(self._videos), world_size)
        self._normalise = Normalise(views.mean, views.std)
        super().__init__(load)

    def __len__(self) -> int:
        """Return the number of videos of this process's share."""
        return len(self._share)

    def __iter__(self) -> Iterator[VideoViews | BadVideo]:
        """Decode the share.

        Raises:
            UserError: More videos than allowed cannot be read; the message lists them.
        """
        allowed = self._load.allowed_bad_videos(len(self._videos))
        keys = frozenset(video_key(video) for video in self._videos)
        bad = Quarantine(None, allowed, keys)
        jobs = (self._job(self._videos[index]) for index in self._share)
        outcomes = self._pool.run(jobs, ahead=self._load.num_workers + 2)
        try:
            for index, outcome in zip(self._share, outcomes, strict=True):
                video = self._videos[index]
                if isinstance(outcome, Bad):
                    bad.add(video_key(video), outcome)
                    yield BadVideo(index=index, name=video.name, reason=str(outcome))
                else:
                    frames = torch.from_numpy(outcome)
                    yield VideoViews(index=index, frames=frames, normalise=self._normalise)
        finally:
            outcomes.close()

    def _job(self, video: Video) -> Job:
        return ViewJob(
            source=_source(video, self._load),
            num_frames=self._num_frames,
            image_size=self._image_size,
            num_clips=self._views.num_clips,
            num_crops=self._views.num_crops,
        )


def video_key(video: Video) -> str:
    """Return what tells a video from every other of a list: its name, and what part of it."""
    if video.start_seconds is None and video.end_seconds is None:
        return video.name
    return f"{video.name}@{video.start_seconds}-{video.end_seconds}"


def epoch_order(keys: Sequence[str], seed: int, epoch: int) -> list[int]:
    """Return the places of `keys` in an epoch's order: sorted by a hash of seed, epoch and key."""

    def rank(index: int) -> tuple[bytes, int]:
        text = f"{seed}\0{epoch}\0{keys[index]}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest(), index

    return sorted(range(len(keys)), key=rank)


def _source(video: Video, load: LoadConfig) -> Source:
    return Source(
        key=video_key(video),
        path=video.path,
        start_seconds=video.start_seconds,
        end_seconds=video.end_seconds,
        decoder=load.decoder,
    )
