"""Going on with a run: the same lists, backbone and descriptions, or an error."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch

from adapt.distributed import Processes
from adapt.run_folder import Run, open_run
from adapt.tasks import Task
from adapt.train_backbone import open_backbone
from adapt.train_config import TrainConfig
from adapt.train_descriptions import find_descriptions
from adapt.train_setup import Plan, make_plan
from describe.errors import UserError

# What may be another when a run goes on: nothing that its weights depend on, save rounding.
MACHINE_FIELDS = frozenset(
    ("resume", "dry_run", "videos", "workers", "video_timeout", "frame_cache", "max_bad_videos",
     "device", "accumulate", "recompute", "checkpoint_minutes", "max_bad_steps", "tensorboard")
)  # fmt: skip


def prepare_resumed(config: TrainConfig, processes: Processes, device: torch.device) -> Plan:
    """Plan the rest of the run `config.resume`.

    Raises:
        UserError: It has finished; a flag cannot be changed; a list, the backbone or the
            descriptions are gone or have changed.
    """
    assert config.resume is not None
    run = open_run(config.resume)
    if run.status == "finished":
        raise UserError(
            f"run {run.path} has finished; evaluate it with `python -m adapt.evaluate {run.path}`"
        )
    merged = merge(run.config, config)
    task = _stored_task(run, merged)
    stored = run.manifest["backbone"]
    sizes = stored["config"]
    backbone = open_backbone(
        stored["source"], num_frames=sizes["num_frames"], image_size=sizes["image_size"]
    )
    described = None
    if run.manifest["descriptions"] is not None:
        described = find_descriptions(run.manifest["descriptions"]["path"], task.train.dataset)
        was = run.manifest["descriptions"]["fingerprint"]
        _check_unchanged("the description set", was, described.fingerprint)
    plan = make_plan(
        merged, processes, device, task, described, stored["source"], backbone.to(device)
    )
    _check_unchanged("the backbone", stored["hash"], plan.backbone_hash)
    return replace(plan, folder=run.path)


def merge(stored: TrainConfig, given: TrainConfig) -> TrainConfig:
    """Return a run's configuration with what the user gave besides --resume.

    Raises:
        UserError: A flag was given that decides what is trained.
    """
    merged: TrainConfig = _merged(stored, given, TrainConfig(resume=given.resume))
    return merged


def _merged(stored: Any, given: Any, default: Any) -> Any:
    changes: dict[str, Any] = {}
    for field in fields(stored):
        old, new, usual = (getattr(each, field.name) for each in (stored, given, default))
        if is_dataclass(new):
            changes[field.name] = _merged(old, new, usual)
        elif new != usual:
            if field.name not in MACHINE_FIELDS:
                flag = field.name.replace("_", "-")
                raise UserError(
                    f"--{flag} cannot change when a run goes on; leave it out, or start another run"
                )
            changes[field.name] = new
    return replace(stored, **changes)


def _stored_task(run: Run, config: TrainConfig) -> Task:
    moved = config.data.videos if config.data.videos != run.config.data.videos else None
    lists = {name: run.read_list(name, moved) for name in run.list_names}
    for name, videos in lists.items():
        _check_unchanged(f"the list {name}", run.manifest["lists"][name]["hash"], videos.hash)
    others = [name for name in lists if name not in ("train", "held_out")]
    return Task(
        name=str(run.manifest["task"]),
        train=lists["train"],
        held_out=lists.get("held_out"),
        evaluations=tuple(lists[name] for name in others),
        notes=tuple(run.manifest["notes"]),
    )


def _check_unchanged(what: str, was: str, now: str) -> None:
    if was != now:
        raise UserError(
            f"{what} has changed since the run began ({was[:15]} then, {now[:15]} now); bring the "
            "old one back, or start another run"
        )
