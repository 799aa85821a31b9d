"""The flags of `python -m adapt.miniature`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from describe.errors import UserError


@dataclass(frozen=True, kw_only=True)
class MiniatureConfig:
    """What is drawn. The same flags draw the same pixels."""

    out: Annotated[Path, tyro.conf.Positional]
    """Folder of the videos and lists; made when missing, and it must hold no videos yet."""

    train_per_class: int = 32
    """Training videos of each of the 24 classes."""

    test_per_class: int = 100
    """Test videos of each class."""

    num_frames: int = 16
    """Frames of a video."""

    frames_per_second: int = 8
    """How fast they are shown."""

    seed: int = 0
    """Of everything drawn."""

    def __post_init__(self) -> None:
        """Refuse what no video has."""
        for name in ("train_per_class", "test_per_class", "frames_per_second"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag} is {getattr(self, name)}; it must be at least 1")
        if self.seed < 0:
            raise UserError(f"--seed is {self.seed}; it must be at least 0")
        if self.num_frames < 8:
            raise UserError(
                f"--num-frames is {self.num_frames}; it must be at least 8, the frames of a clip"
            )
