"""A run is a folder: what stands where in it, and reading it again.

config.json              what was asked for, and what it came to
run.json                 what the run is: classes, lists, backbone, adapter, descriptions
lists/<name>.csv         the videos of training and of each evaluation
descriptions.json        what the filter did with each sentence
metrics.jsonl            one JSON object a line; `event` says what it is
checkpoint.safetensors   the state of training, to resume from
adapter.safetensors      what was trained, after the last epoch
adapter_best.safetensors the same of the best epoch, where one was selected
results/<list>.json      accuracies, and beside each an .npz with all scores
bad_videos.jsonl         videos that could not be read
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adapt.files import write_atomically
from describe.errors import UserError

if TYPE_CHECKING:
    from adapt.adapted import AdaptedModel
    from adapt.splits import VideoList
    from adapt.train_config import TrainConfig

FORMAT = "adapt-run-1"

CONFIG = "config.json"
MANIFEST = "run.json"
RUNS = Path("runs")
"""Where runs are kept, from where the command is called."""
METRICS = "metrics.jsonl"
CHECKPOINT = "checkpoint.safetensors"
ADAPTER = "adapter.safetensors"
BEST_ADAPTER = "adapter_best.safetensors"
DESCRIPTIONS = "descriptions.json"
BAD_VIDEOS = "bad_videos.jsonl"
LISTS = "lists"
RESULTS = "results"

TRAINING_LISTS = ("train", "held_out")
"""Lists of a run that nothing is tested on."""

Which = Literal["last", "best"]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that is on disk, whether it has finished or not."""

    path: Path

    manifest: Mapping[str, Any] = field(repr=False)
    """run.json."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.name

    @property
    def status(self) -> str:
        """Training, finished or stopped."""
        return str(self.manifest["status"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """The official names of the classes it was trained on, in label order."""
        return tuple(self.manifest["class_names"])

    @property
    def readable_names(self) -> tuple[str, ...]:
        """The same classes in plain English."""
        return tuple(self.manifest["readable_names"])

    @property
    def list_names(self) -> tuple[str, ...]:
        """The lists it keeps: train, perhaps held_out, and one for each evaluation."""
        return tuple(self.manifest["lists"])

    @cached_property
    def config(self) -> "TrainConfig":
        """What was asked for.

        Raises:
            UserError: config.json is missing or of another version of this program.
        """
        from adapt.train_config import TrainConfig
        from adapt.train_json import from_json

        path = self.path / CONFIG
        given = read_json(path).get("given")
        try:
            return from_json(TrainConfig, given)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is not of this version of the program: {error}") from error

    def read_list(self, name: str, videos: Path | None = None) -> "VideoList":
        """Read one of the run's lists.

        Args:
            name: Of the list.
            videos: Where the videos are now, if they were moved since.

        Raises:
            UserError: The run has no such list (those it has are named), or it is damaged.
        """
        from adapt.tasks import read_list

        if name not in self.list_names:
            raise UserError(
                f"run {self.name} has no list {name!r}; it has: {', '.join(self.list_names)}"
            )
        return read_list(self.path / LISTS / f"{name}.csv", videos)

    def load_model(self, device: str = "cpu", which: Which = "last") -> "AdaptedModel":
        """Load the backbone and put the trained adapter on it, ready to evaluate.

        Args:
            device: A torch device.
            which: The adapter of the last epoch, or of the selected one.

        Raises:
            UserError: There is no such adapter yet, the backbone is gone or has changed.
        """
        from adapt.adapter_file import load_adapter
        from adapt.train_backbone import open_backbone

        path = self.adapter_path(which)
        stored = self.manifest["backbone"]
        sizes = stored["config"]
        backbone = open_backbone(
            stored["source"], num_frames=sizes["num_frames"], image_size=sizes["image_size"]
        )
        return load_adapter(backbone, path).to(device).eval()

    def adapter_path(self, which: Which = "last") -> Path:
        """Return where the adapter is.

        Raises:
            UserError: The run has not finished, or selected no best epoch.
        """
        path = self.path / (ADAPTER if which == "last" else BEST_ADAPTER)
        if path.is_file():
            return path
        if which == "best" and (self.path / ADAPTER).is_file():
            raise UserError(
                f"run {self.name} selected no best epoch; take the last, or train with --select"
            )
        raise UserError(
            f"run {self.name} has no adapter yet ({self.status}); go on with "
            f"`python -m adapt.train --resume {self.path}`"
        )

    def results(self) -> dict[str, dict[str, Any]]:
        """Return every results/<list>.json, by the name of the list."""
        paths = sorted((self.path / RESULTS).glob("*.json"))
        return {path.stem: read_json(path) for path in paths}

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl; a last one that was cut is left out."""
        return read_lines(self.path / METRICS)

    def bad_videos(self) -> list[dict[str, Any]]:
        """Return the videos that could not be read, with the reasons."""
        return read_lines(self.path / BAD_VIDEOS)

    def descriptions_report(self) -> dict[str, Any] | None:
        """Return what the filter did with the descriptions; None where there are none."""
        path = self.path / DESCRIPTIONS
        return read_json(path) if path.is_file() else None


def open_run(path: Path) -> Run:
    """Read the run in `path`, or of that name in `runs`.

    Raises:
        UserError: No run is there (the runs beside it are named), or run.json is damaged.
    """
    path = named_run(path)
    if not (path / MANIFEST).is_file():
        near = find_runs(path) or find_runs(path.parent) or find_runs(RUNS)
        names = ", ".join(str(run) for run in near[:5]) or "none"
        more = f" and {len(near) - 5} more" if len(near) > 5 else ""
        raise UserError(f"no run in {path}; runs here: {names}{more}")
    manifest = read_json(path / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise UserError(
            f"{path / MANIFEST} has format {manifest.get('format')!r}; this program reads {FORMAT}"
        )
    return Run(path=path, manifest=manifest)


def named_run(path: Path) -> Path:
    """Return the run of that name in `runs`, where `path` is a bare name and nothing else."""
    is_name = len(path.parts) == 1 and not path.exists() and (RUNS / path / MANIFEST).is_file()
    return RUNS / path if is_name else path


def find_runs(folder: Path) -> list[Path]:
    """Return the runs in `folder`, by name."""
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: The file is missing or damaged.
    """
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no JSON object")
    return data


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON object so that a reader sees the old file or the whole new one.

    Raises:
        UserError: The file cannot be written; the message names it.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line; a last line that a killed process cut short is left out.

    Raises:
        UserError: Another line is damaged; its number is given.
    """
    if not path.is_file():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error})") from error
    return found
