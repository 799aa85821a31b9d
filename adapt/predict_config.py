"""What `python -m adapt.predict` is asked to do."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import tyro

from adapt.video_config import LoadConfig
from describe.classes import read_classes
from describe.errors import UserError


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Name the actions in videos of your own."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""

    videos: tyro.conf.Positional[tuple[Path, ...]]
    """Videos, or folders with videos in them."""

    top: int = 5
    """Actions named for each video, the likeliest first."""

    classes: str | None = None
    """Actions to choose among: in plain English, parted by semicolons ("pour water; open a door"),
    or the file of a class list. By default those the run was trained on."""

    json: bool = False
    """Print JSON."""

    views: str | None = None
    """Clips x crops of each video, such as 1x1, which is fastest; by default as the run was
    evaluated."""

    which: Literal["last", "best"] | None = None
    """The adapter of the last epoch or of the chosen one; by default as the run was told."""

    device: str = "auto"
    """A torch device; auto: cuda where there is one."""

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the forward passes."""

    load: LoadConfig = field(default_factory=LoadConfig)

    def __post_init__(self) -> None:
        """Refuse a command that asks for nothing."""
        if not self.videos:
            raise UserError("give a video, or a folder with videos")
        if self.top < 1:
            raise UserError(f"--top is {self.top}; it must be at least 1")
        if self.classes is not None and len(self.class_names) < 2:
            named = f"only {self.class_names[0]!r}" if self.class_names else "no action"
            raise UserError(
                f'--classes names {named}; give at least two, as "pour water; open a door", or the '
                "file of a class list"
            )

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The actions of `classes`, each once, whatever its case.

        Raises:
            UserError: A class list cannot be read.
        """
        if self.classes is None:
            return ()
        if os.path.isfile(self.classes):
            return tuple(each.readable for each in read_classes(Path(self.classes)).classes)
        names = (" ".join(name.split()) for name in self.classes.split(";"))
        distinct: dict[str, str] = {}
        for name in filter(None, names):
            distinct.setdefault(name.casefold(), name)
        return tuple(distinct.values())
