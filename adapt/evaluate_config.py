"""What `python -m adapt.evaluate` is asked to do."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from adapt.video_config import LoadConfig
from describe.errors import UserError


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Which run to evaluate, on which videos, and how the numbers are made."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""

    split: str = "all"
    """One of the run's lists, such as test, base or novel; all: every one but those of training."""

    list: Path | None = None
    """A list of your own instead: `path label` lines, or CSV with a header."""

    videos: Path | None = None
    """Where the videos are, if not where they were: those of --list (needed there) or --split, else
    of each list of the dataset that was trained on."""

    test_videos: tuple[Path, ...] = ()
    """The same for the datasets of a zero-shot run, one folder for each of its --test-datasets, in
    that order."""

    classes: Path | None = None
    """The class list of --list, where its classes are not the run's."""

    allow_leakage: bool = False
    """Go on though videos of --list were trained on. The result says so."""

    views: str | None = None
    """Clips x crops of each video, such as 4x3; by default as the run says. Other views are kept
    beside the run's own results, as results/<list>.4x3.json."""

    which: Literal["last", "best"] | None = None
    """The adapter of the last epoch or of the chosen one; by default as the run was told."""

    protocol: Literal["every-video", "paper"] = "every-video"
    """paper: drop the videos that the published evaluations dropped. The result says so, and is
    never mixed with others."""

    average: Literal["probability", "cosine"] = "probability"
    """What is averaged over views: softmax probabilities, as in the published code, or cosines."""

    device: str = "auto"
    """A torch device; auto: cuda where there is one."""

    precision: Literal["fp32", "bf16", "fp16"] | None = None
    """Of the forward passes; by default the run's."""

    clips_per_pass: int = 16
    """Views that go through the video tower at once; fewer need less memory."""

    force: bool = False
    """Evaluate again what was evaluated already."""

    load: LoadConfig = field(default_factory=LoadConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot go together, before anything is read."""
        if self.clips_per_pass < 1:
            raise UserError(f"--clips-per-pass is {self.clips_per_pass}; it must be at least 1")
        if self.list is not None and self.videos is None:
            raise UserError("--list needs --videos, the folder that its videos are in")
        if self.classes is not None and self.list is None:
            raise UserError("--classes belongs to --list; the run's own lists have their classes")
        if self.allow_leakage and self.list is None:
            raise UserError("--allow-leakage belongs to --list; a run's own lists were checked")
        if self.test_videos and (self.list is not None or self.split != "all"):
            raise UserError("--test-videos belongs to --split all; else give --videos alone")
        if self.list is not None and self.split != "all":
            raise UserError(f"give --list or --split {self.split}, not both")
