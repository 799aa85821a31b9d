"""Writing a run's folder: what it is, at the start, and how far it came."""

import fcntl
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import torch

from adapt.run_folder import CONFIG, DESCRIPTIONS, FORMAT, LISTS, MANIFEST, read_json, write_json
from adapt.tasks import write_list
from adapt.train_json import to_json
from adapt.train_setup import Plan, check_new
from describe.errors import UserError

Status = Literal["training", "finished", "stopped"]

# Whose version can change a number.
LIBRARIES = ("torch", "numpy", "av", "decord", "safetensors", "instant-clip-tokenizer")


def create_run(plan: Plan) -> None:
    """Write into a new run's folder; run.json comes last, and makes it a run.

    Raises:
        UserError: A file cannot be written.
    """
    for name, videos in plan.lists.items():
        write_list(videos, plan.folder / LISTS / f"{name}.csv")
    if plan.constraint is not None:
        write_json(plan.folder / DESCRIPTIONS, plan.constraint.report)
    resolved = {"adapter": asdict(plan.adapter), "recipe": asdict(plan.recipe)}
    write_json(plan.folder / CONFIG, {"given": to_json(plan.config), "resolved": resolved})
    write_json(plan.folder / MANIFEST, _manifest(plan))


def _manifest(plan: Plan) -> dict[str, Any]:
    train = plan.task.train
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "adapt.train", *sys.argv[1:]]),
        "task": plan.task.name,
        "dataset": train.dataset,
        "seed": plan.recipe.seed,
        "class_names": list(train.class_names),
        "readable_names": list(train.readable_names),
        "backbone": {
            "source": plan.backbone_source,
            "hash": plan.backbone_hash,
            "config": asdict(plan.backbone.config),
        },
        "adapter": {
            "name": plan.config.model.adapter,
            "config": asdict(plan.adapter),
            "trainable": plan.num_trainable,
        },
        "descriptions": _descriptions(plan),
        "lists": {
            name: {"hash": videos.hash, "count": len(videos.videos), "source": videos.source}
            for name, videos in plan.lists.items()
        },
        "views": {
            videos.name: {
                "num_clips": plan.views(videos).num_clips,
                "num_crops": plan.views(videos).num_crops,
            }
            for videos in plan.task.evaluations
        },
        "recipe": asdict(plan.recipe),
        "versions": versions(),
        "device": _device_name(plan.device),
        "status": "training",
        "epochs_done": 0,
        "notes": list(plan.task.notes),
        "leaks": list(plan.task.leaks),
        "missing": {name: dict(counts) for name, counts in plan.task.missing.items()},
    }


def _descriptions(plan: Plan) -> dict[str, Any] | None:
    if plan.descriptions is None or plan.constraint is None:
        return None
    summary = plan.constraint.report["summary"]
    return {
        "dataset": plan.descriptions.manifest["dataset"],
        "version": plan.descriptions.name,
        "fingerprint": plan.descriptions.fingerprint,
        "path": str(plan.descriptions.path.resolve()),
        "filter": plan.config.filter.filter,
        "kept": summary["kept"],
        "dropped": summary["dropped"],
    }


def versions() -> dict[str, str]:
    """Return the versions of what a number may depend on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device.type}: {torch.cuda.get_device_name(device)}"
    return f"{device.type}: {platform.machine()}, {torch.get_num_threads()} threads"


def note_status(plan: Plan, status: Status, **more: Any) -> None:
    """Write how far a run came into its run.json; the first process does it for all.

    Args:
        plan: The run.
        status: What it is doing.
        more: Other fields to change, such as epochs_done.

    Raises:
        UserError: The file cannot be written.
    """
    if plan.processes.is_main:
        path = plan.folder / MANIFEST
        write_json(path, {**read_json(path), "status": status, **more})


@contextmanager
def begun(plan: Plan) -> Iterator[None]:
    """Hold the run's folder, and write it first where the run is new.

    Raises:
        UserError: Another process trains it, or has meanwhile made a run of this name; or a file
            cannot be written.
    """
    is_new = plan.config.resume is None
    if is_new:
        try:
            plan.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write {plan.folder}: {error.strerror}") from error
    with held(plan.folder):
        if is_new:
            check_new(plan.folder, plan.config)
            create_run(plan)
        yield


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other processes from training the same run.

    Raises:
        UserError: One does.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UserError(f"another process is training {folder}; wait for it, or stop it") from error
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(handle)
