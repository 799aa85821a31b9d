"""`python -m adapt.tasks`: what a run would train on and be tested with, without training.

Counts, first videos, what is missing by class, what leaks. With --write the lists are kept.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from adapt.data_config import DataConfig
from adapt.settings import find_dataset, find_set
from adapt.split_store import read_list, write_list
from adapt.splits import Video, VideoList
from adapt.tasks_files import MissingVideosError
from adapt.tasks_make import Task, make_task, summary
from describe.errors import UserError
from describe.escape import printable
from describe.terminal import run_command, show

__all__ = [
    "Task",
    "Video",
    "VideoList",
    "find_dataset",
    "find_set",
    "make_task",
    "read_list",
    "write_list",
]


@dataclass(frozen=True, kw_only=True)
class TasksConfig:
    """What to look at."""

    data: Annotated[DataConfig, tyro.conf.OmitArgPrefixes] = field(default_factory=DataConfig)
    """The data."""

    seed: int = 0
    """Seed of the draw."""

    write: Path | None = None
    """Keep the lists as CSV files in this folder."""

    rows: int = 2
    """Videos of each list to print."""


def overview(task: Task, rows: int) -> str:
    """Return what a person looks at before training."""
    lines = [f"task {task.name}"]
    summaries = set()
    for each in (task.train, task.held_out, *task.evaluations):
        if each is None or not len(each):
            continue
        summaries.add(summary(each))
        lines += [f"\n{printable(summary(each))}", f"  {each.hash}"]
        for video, label in list(zip(each.videos, each.labels, strict=True))[:rows]:
            lines.append(f"  {printable(video.name)}  {label} {printable(video.class_name)}")
        counts = ", ".join(f"{printable(name)} {count}" for name, count in each.counts().items())
        lines.append(f"  videos of each class: {counts}")
    lines += missing_lines(task.missing)
    notes = [note for note in task.notes if note not in summaries]
    lines += ["", *(f"note: {printable(note)}" for note in notes)]
    return "\n".join(lines)


def missing_lines(missing: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return how many videos of each class of each list are not there."""
    return [
        f"\nmissing in {name}: {sum(counts.values())} videos: "
        + ", ".join(f"{printable(each)} {count}" for each, count in counts.items())
        for name, counts in missing.items()
    ]


def _lenient(config: TasksConfig) -> Task:
    """Return the task as it would be if everything were allowed: to be looked at."""
    try:
        lenient = replace(config.data, allow_missing=True, allow_leakage=True)
        return make_task(lenient, seed=config.seed)
    except UserError:
        make_task(config.data, seed=config.seed)  # what is missing is said before what that led to
        raise


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 ready, 1 the user must change something, 130 interrupted."""
    return run_command(
        "adapt.tasks",
        lambda: tyro.cli(TasksConfig, args=argv, prog="python -m adapt.tasks", description=__doc__),
        run,
    )


def run(config: TasksConfig) -> int:
    """Show the lists, and keep them where asked; return the exit status.

    Raises:
        UserError: A training would be refused.
    """
    is_shown = False
    try:
        show(overview(_lenient(config), config.rows))
        is_shown = True
        task = make_task(config.data, seed=config.seed)
    except MissingVideosError as error:
        if not is_shown:
            show("\n".join(missing_lines(error.missing)).lstrip("\n"))
        raise UserError(f"{error.text}; --allow-missing goes on without them") from error
    if config.write is not None:
        lists = [task.train, *([task.held_out] if task.held_out else []), *task.evaluations]
        for each in lists:
            write_list(each, config.write / f"{each.name}.csv")
        show(f"wrote {len(lists)} lists to {config.write}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
