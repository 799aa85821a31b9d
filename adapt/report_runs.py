"""Reading runs for a report: what each was, and what its evaluations found."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from adapt.data_config import DataConfig
from adapt.quality_config import FilterConfig
from adapt.results import Result, read_result
from adapt.run_folder import (
    CONFIG,
    MANIFEST,
    RESULTS,
    Run,
    find_runs,
    named_run,
    open_run,
    read_json,
)
from adapt.train_config import MachineOptions, ModelOptions, RecipeOptions, flag_of
from adapt.video_config import ClipConfig
from describe.errors import UserError


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run and its results."""

    run: Run

    given: Mapping[str, Any] = field(repr=False)
    """The flags, from config.json; empty where it cannot be read."""

    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.run.name

    @property
    def manifest(self) -> Mapping[str, Any]:
        """run.json."""
        return self.run.manifest

    @property
    def seed(self) -> int:
        """Of the training."""
        return int(self.manifest["seed"])

    @property
    def train_hash(self) -> str:
        """Of the training list."""
        return str(self.manifest["lists"].get("train", {}).get("hash", ""))

    @property
    def leaks(self) -> tuple[str, ...]:
        """What --allow-leakage let through, such as test videos that were trained on."""
        return tuple(map(str, self.manifest.get("leaks", [])))

    def missing(self, name: str) -> int:
        """Count the videos of a list that were not there, and that --allow-missing left out."""
        by_class: Mapping[str, int] = self.manifest.get("missing", {}).get(name, {})
        return sum(by_class.values())

    @property
    def is_finished(self) -> bool:
        """Whether it was trained to its last epoch."""
        return self.run.status == "finished"

    @property
    def adapter(self) -> str:
        """What was trained, in a word or two."""
        adapter = self.manifest["adapter"]
        name = str(adapter.get("name") or adapter["config"]["method"])
        is_plain = adapter["config"].get("temporal", True) or not name.startswith("msta")
        return name if is_plain else f"{name}, no time"

    @property
    def descriptions(self) -> Mapping[str, Any] | None:
        """The descriptions that took part in the loss; None where none did."""
        found: Mapping[str, Any] | None = self.manifest.get("descriptions")
        return found if self.manifest.get("recipe", {}).get("alpha", 1.0) else None

    @property
    def described(self) -> str:
        """Which descriptions took part, such as `v2, spatial`; `none` without."""
        described = self.descriptions
        if described is None:
            return "none"
        chosen = self.options("filter")
        parts = [str(described["version"])]
        if chosen.get("description_kinds", "both") != "both":
            parts.append(str(chosen["description_kinds"]))
        if chosen.get("num_descriptions"):
            parts.append(f"N={chosen['num_descriptions']}")
        return ", ".join(parts)

    @property
    def filtered(self) -> str:
        """The filter of the descriptions; empty without descriptions."""
        described = self.descriptions
        if described is None:
            return ""
        mode = self.options("filter").get("filter_mode", "drop")
        name = str(described.get("filter", "none"))
        return name if mode == "drop" else f"{name}, {mode}"

    @cached_property
    def setting(self) -> str:
        """The dataset and task, such as `hmdb51, few-shot, 16 shots`."""
        if self.is_untrained and self.task == "zero-shot":
            return "zero-shot, nothing trained"
        data = self.options("data")
        parts = [str(self.manifest["dataset"]), self.task]
        if self.is_untrained:
            parts.append("nothing trained")
        elif self.shots:
            parts.append(f"{self.shots} shots")
        if data.get("split", 1) != 1:
            parts.append(f"split {data['split']}")
        return ", ".join(parts)

    @property
    def task(self) -> str:
        """few-shot, base-to-novel, ..."""
        return str(self.options("data").get("task") or self.manifest["task"])

    @property
    def shots(self) -> int | None:
        """Training videos of a class, where the task has such a number."""
        shots = self.options("data").get("shots")
        return int(shots) if shots and self.task in ("few-shot", "base-to-novel") else None

    @property
    def is_untrained(self) -> bool:
        """Whether it is a frozen backbone: then no training list, shots or dataset has a say."""
        return self.adapter == "frozen"

    def options(self, part: str) -> Mapping[str, Any]:
        """Return one part of the flags."""
        found = self.given.get(part)
        return found if isinstance(found, dict) else {}

    def settings(self) -> dict[str, str]:
        """Return all that decides its numbers but seed and training list, by a short name."""
        recipe = {k: v for k, v in self.manifest.get("recipe", {}).items() if k not in _NOT_RECIPE}
        if self.options("recipe").get("warmup_epochs") is None:
            recipe.pop("warmup_epochs", None)  # it follows from the epochs
        adapter = {k: v for k, v in self.manifest["adapter"]["config"].items() if k != "method"}
        parts = {**recipe, **adapter}
        parts |= {f"filter {k}": v for k, v in self.options("filter").items() if k != "filter"}
        parts |= {f"clip {k}": v for k, v in self.options("clip").items()}
        parts |= {f"data {k}": v for k, v in self.options("data").items() if k in _DATA}
        described = self.descriptions
        parts["own training list"] = self.options("data").get("train_list") is not None
        parts["description set"] = described["fingerprint"] if described else None
        parts["backbone"] = self.manifest["backbone"]["hash"]
        return {name: _short(value) for name, value in parts.items()}


# A list of fewer videos has fewer steps; the seed is what a group is averaged over.
_NOT_RECIPE = {"seed", "steps_per_epoch", "select"}

# How a training list is made, but the seed that draws it.
_DATA = {"held_out", "nested", "shot_list", "uncut"}


_FLAGS = frozenset(
    each.name
    for options in (
        ModelOptions,
        RecipeOptions,
        FilterConfig,
        ClipConfig,
        DataConfig,
        MachineOptions,
    )  # fmt: skip
    for each in fields(options)
) - {"backbone"}  # of which a hash is kept, and no flag takes one


def as_flag(name: str, value: str) -> str:
    """Return a setting as the flag that makes it, such as `--lr 0.01`; others as they are.

    Args:
        name: From `RunRecord.settings`.
        value: JSON, or a string.
    """
    field_name = name.split(" ", 1)[1] if name.split(" ")[0] in ("clip", "data", "filter") else name
    if field_name not in _FLAGS:
        return f"{name} {value}"
    flag = flag_of(field_name)
    if value in ("true", "false"):
        return flag if value == "true" else f"--no-{flag[2:]}"
    return f"{flag} {value.strip('[]').replace(',', '').replace('null', 'None')}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:14] if ":" in text[:8] else text  # the beginning of a hash


def read_runs(paths: Sequence[Path]) -> list[RunRecord]:
    """Read runs, and the runs in folders of runs, each once and in order.

    Raises:
        UserError: A path is neither, or a file is damaged.
    """
    found: dict[Path, RunRecord] = {}
    for path in paths:
        for folder in _run_folders(path):
            found.setdefault(folder.resolve(), _read(open_run(folder)))
    return list(found.values())


def _run_folders(path: Path) -> list[Path]:
    path = named_run(path)
    if not path.is_dir():
        raise UserError(f"no folder {path}; give runs, or a folder of runs")
    runs = [] if (path / MANIFEST).exists() else find_runs(path)
    return runs or [path]


# What every run.json has; adapt.train writes it.
_NEEDED = ("dataset", "task", "seed", "status", "backbone", "adapter", "lists")


def _read(run: Run) -> RunRecord:
    missing = [name for name in _NEEDED if name not in run.manifest]
    if missing:
        raise UserError(f"{run.path / MANIFEST} has no {missing[0]!r}; it was not written by train")
    results = [read_result(path) for path in sorted((run.path / RESULTS).glob("*.json"))]
    given = read_json(run.path / CONFIG).get("given")
    return RunRecord(
        run=run, given=given if isinstance(given, dict) else {}, results=tuple(results)
    )
