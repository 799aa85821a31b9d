"""Which videos a run trains on and is tested with: the flags that say so."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from adapt.split_files import meant_by
from describe.classes import known_datasets
from describe.errors import UserError

TaskName = Literal["zero-shot", "few-shot", "base-to-novel", "supervised"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The data of a run. Read-only: nothing below the folders named here is ever written."""

    dataset: str | None = None
    """Dataset to train on: hmdb51, k400, k600, miniature, ssv2, ucf101, or a name for your own."""

    classes: Path | None = None
    """Your own class list (text, CSV, TSV, JSON); by default the shipped one, else the names of
    the class folders."""

    videos: Path | None = None
    """Folder of the videos, in whatever folders below it; remembered once all were found."""

    annotations: Path | None = None
    """Official lists, a folder or one file; by default looked for in and beside the videos."""

    task: TaskName = "few-shot"
    """What is trained on, and what is tested."""

    split: int = 1
    """Official split of HMDB-51 and UCF-101: 1, 2 or 3."""

    shots: int = 16
    """Training videos of a class (few-shot, base-to-novel)."""

    shot_list: Literal["auto", "sampled", "public"] = "auto"
    """Draw the shots ourselves, or take the public few-shot lists; auto: public lists only where
    there is nothing to draw from."""

    nested: bool = True
    """Draw shots so that the 2-shot list is part of the 4-shot list, and so on."""

    sample_seed: int | None = None
    """Seed of the draw, where not the run's seed."""

    held_out: float = 0.0
    """Share of the training videos kept aside to choose an epoch by; whole groups at a time."""

    train_list: Path | None = None
    """Your own list of training videos: `path label` lines, or CSV with a header."""

    test_list: Path | None = None
    """Your own list of test videos, in either form."""

    test_datasets: tuple[str, ...] = ()
    """Datasets that zero-shot is tested on, such as: hmdb51 ucf101 k600."""

    test_videos: tuple[Path, ...] = ()
    """Their folders, in the same order; by default those that are remembered."""

    uncut: bool = False
    """Kinetics files that are named by their id alone are whole videos: use the annotated
    seconds of each."""

    allow_missing: bool = False
    """Go on without the videos that are not there."""

    allow_unofficial: bool = False
    """Go on where a dataset's official lists are not found: one video in five is for testing,
    drawn by a fixed seed."""

    allow_leakage: bool = False
    """Go on though test videos are among the training videos, or test classes among its text."""

    def __post_init__(self) -> None:
        """Refuse what no data could fit."""
        if self.shots < 1:
            raise UserError(f"--shots is {self.shots}; it must be at least 1")
        if self.split not in (1, 2, 3):
            raise UserError(f"--split is {self.split}; it must be 1, 2 or 3")
        for name in (self.dataset, *self.test_datasets):
            if name is not None and not re.fullmatch(r"\w[\w.-]*", name):
                raise UserError(
                    f"{name!r} cannot name a dataset; use letters, digits, '_', '-' and '.'"
                )
            if name is not None and self.classes is None:
                _refuse_mistyped(name)
        if not 0 <= self.held_out < 1:
            raise UserError(f"--held-out is {self.held_out}; it must be in [0, 1)")
        if self.test_videos and len(self.test_videos) != len(self.test_datasets):
            raise UserError(
                f"--test-videos names {len(self.test_videos)} folders for "
                f"{len(self.test_datasets)} --test-datasets; give one for each, in the same order"
            )
        if self.test_datasets and self.task != "zero-shot":
            raise UserError(f"--test-datasets belongs to --task zero-shot, not to {self.task}")
        repeated = sorted({n for n in self.test_datasets if self.test_datasets.count(n) > 1})
        if repeated:
            raise UserError(f"--test-datasets names {repeated[0]} twice; name each once")


def _refuse_mistyped(name: str) -> None:
    """Refuse what is nearly the name of a shipped dataset: it would lose its lists and guards.

    Raises:
        UserError: Naming the dataset that is meant.
    """
    known = known_datasets()
    if name in known:
        return
    plain = "".join(c for c in name.casefold() if c.isalnum())
    near = [each for each in get_close_matches(plain, known, n=1, cutoff=0.8)
            if abs(len(each) - len(plain)) <= 1]  # fmt: skip
    if near := [meant] if (meant := meant_by(name)) else near:
        raise UserError(
            f"no dataset {name!r}; did you mean {near[0]}? one of your own needs another name, or "
            "--classes"
        )
