"""How videos become tensors: the flags of training clips, test views and loading."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from describe.errors import UserError

Crop = Literal["multi_scale", "random_resized", "center"]
DecoderChoice = Literal["auto", "decord", "pyav"]
Colour = tuple[float, float, float]

IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)

_LONGEST_TIMEOUT_S = 86_400.0

# Words that a mirror turns around; `bright`, `upright` and `copyright` are none of them.
_SIDE = re.compile(
    r"(?<![a-z])(swipe|turn|move|look|point|slide|lean|roll|tilt)?(left|right)(wards?)?(?![a-z])"
    r"|(?<![a-z])((anti|counter)[- ]?)?clockwise(?![a-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """What a video becomes in training: one clip, drawn anew in every epoch."""

    num_frames: int | None = None
    """Frames of a clip (default: the backbone's own number)."""

    image_size: int | None = None
    """Height and width of a frame, in pixels (default: the backbone's own)."""

    augment: bool = True
    """Draw frames, crop, flip and colours at random; otherwise the middle frame of each segment,
    cropped at the centre."""

    crop: Crop = "multi_scale"
    """Crop of a clip: one of five places at one of four scales, a random area of 8 to 100%, or the
    centre."""

    flip: float | None = None
    """Probability of a horizontal flip (default: 0.5, and 0 where a class name says left or
    right)."""

    jitter: float = 0.8
    """Probability that brightness, contrast, saturation and hue are changed."""

    grey: float = 0.2
    """Probability that the colours are taken away."""

    mean: Colour = IMAGENET_MEAN
    """Mean of red, green and blue, in [0, 1], as the backbone was trained with."""

    std: Colour = IMAGENET_STD
    """Standard deviation of red, green and blue."""

    def __post_init__(self) -> None:
        """Refuse values no clip could have."""
        _check_sizes(num_frames=self.num_frames, image_size=self.image_size)
        for name in ("flip", "jitter", "grey"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UserError(f"--{name} is {value}; it must be in [0, 1]")
        _check_std(self.std)

    def flip_probability(self, class_names: Sequence[str]) -> float:
        """Return how often clips are flipped: a flip turns `from left to right` around."""
        if self.flip is not None:
            return self.flip
        return 0.0 if any(_SIDE.search(name) for name in class_names) else 0.5


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """What a video becomes in evaluation: several clips, each cropped in one or three places."""

    num_clips: int = 4
    """Clips of a video, spread over it."""

    num_crops: int = 3
    """Crops of a clip: 1, the centre, or 3 along the longer side."""

    mean: Colour = IMAGENET_MEAN
    """Mean of red, green and blue, in [0, 1]."""

    std: Colour = IMAGENET_STD
    """Standard deviation of red, green and blue."""

    def __post_init__(self) -> None:
        """Refuse views that are not there."""
        if self.num_clips < 1:
            raise UserError(f"--num-clips is {self.num_clips}; it must be at least 1")
        if self.num_crops not in (1, 3):
            raise UserError(f"--num-crops is {self.num_crops}; it must be 1 or 3")
        _check_std(self.std)

    @property
    def num_views(self) -> int:
        """Clips times crops."""
        return self.num_clips * self.num_crops


@dataclass(frozen=True, kw_only=True)
class LoadConfig:
    """How videos are read, and what is done about those that cannot be."""

    workers: int | None = None
    """Processes that decode (default: half the processors of this process, at most 8). 0: this
    process decodes, and a decoder that hangs or crashes takes the run with it."""

    video_timeout: float = 60.0
    """Seconds that one video may take before its worker is replaced and the video left out."""

    frame_cache: float = 0.0
    """GiB of memory for decoded frames, kept from one epoch to the next."""

    max_bad_videos: float = 0.1
    """Videos that may be unreadable before the run stops: below 1 a share of the list, rounded
    up; otherwise a number."""

    decoder: DecoderChoice = "auto"
    """decord, PyAV, or decord with PyAV wherever decord fails."""

    def __post_init__(self) -> None:
        """Refuse values nothing could be loaded with."""
        if self.workers is not None and self.workers < 0:
            raise UserError(f"--workers is {self.workers}; it must be at least 0")
        if not 0 < self.video_timeout <= _LONGEST_TIMEOUT_S:
            raise UserError(
                f"--video-timeout is {self.video_timeout}; it must be above 0 and at most "
                f"{_LONGEST_TIMEOUT_S:g}, a day"
            )
        for name in ("frame_cache", "max_bad_videos"):
            if getattr(self, name) < 0:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag} is {getattr(self, name)}; it must be at least 0")

    @property
    def num_workers(self) -> int:
        """The number of processes that decode."""
        if self.workers is not None:
            return self.workers
        siblings = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun
        return max(1, min(8, _usable_cpus() // siblings // 2))

    def allowed_bad_videos(self, num_videos: int) -> int:
        """Return how many of `num_videos` may be unreadable."""
        if self.max_bad_videos >= 1:
            return int(self.max_bad_videos)
        return -int(-self.max_bad_videos * num_videos // 1)


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_sizes(**sizes: int | None) -> None:
    for name, value in sizes.items():
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} is {value}; it must be at least 1")


def _check_std(std: Colour) -> None:
    if min(std) <= 0:
        raise UserError(f"--std is {' '.join(map(str, std))}; each must be above 0")
