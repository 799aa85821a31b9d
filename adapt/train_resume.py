"""Going on with a run: the same lists, backbone and descriptions, or an error."""

from dataclasses import replace
from pathlib import Path

import torch

from adapt.data_config import DataConfig
from adapt.distributed import Processes
from adapt.run_folder import Run, open_run
from adapt.split_locate import missing_text
from adapt.splits import common_folder, gone_from
from adapt.tasks import Task, VideoList
from adapt.train_backbone import open_backbone
from adapt.train_config import MACHINE_FIELDS, TrainConfig, changes, flag_of
from adapt.train_descriptions import find_descriptions
from adapt.train_setup import Plan, make_plan
from describe.errors import UserError


def prepare_resumed(config: TrainConfig, processes: Processes, device: torch.device) -> Plan:
    """Plan the rest of the run `config.resume`.

    Raises:
        UserError: It has finished; a flag cannot be changed; a list, its videos, the backbone or
            the descriptions are gone or have changed.
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
    """Return `given`, if it differs from a run's configuration only in what may.

    Args:
        stored: The run's.
        given: The same with the flags that stand besides --resume.

    Raises:
        UserError: A flag was given that decides what is trained.
    """
    for name, _, _ in changes(stored, given):
        if name not in MACHINE_FIELDS:
            raise UserError(
                f"{flag_of(name)} cannot change when a run goes on; leave it out, or start another "
                "run"
            )
    return given


def _stored_task(run: Run, config: TrainConfig) -> Task:
    lists = {name: _list_where_it_is(run, name, config.data) for name in run.list_names}
    for name, videos in lists.items():
        if gone := gone_from(videos):
            text = missing_text(gone, len(videos), name, common_folder(videos))
            raise UserError(f"{text}; bring the folder back, or say with --videos where it is now")
        _check_unchanged(f"the list {name}", run.manifest["lists"][name]["hash"], videos.hash)
    others = [name for name in lists if name not in ("train", "held_out")]
    return Task(
        name=str(run.manifest["task"]),
        train=lists["train"],
        held_out=lists.get("held_out"),
        evaluations=tuple(lists[name] for name in others),
        notes=tuple(run.manifest["notes"]),
        leaks=tuple(run.manifest.get("leaks", ())),
    )


def _list_where_it_is(run: Run, name: str, given: DataConfig) -> VideoList:
    """Read a list of the run. Zero-shot tests are of other datasets, each in a folder of its own.

    Raises:
        UserError: It is damaged, or was moved and a video is not in its new folder.
    """
    videos = run.read_list(name)
    folder = _folder(videos.dataset, given)
    return (
        videos
        if folder == _folder(videos.dataset, run.config.data)
        else run.read_list(name, folder)
    )


def _folder(dataset: str, data: DataConfig) -> Path | None:
    """Return the folder that was named for a dataset's videos."""
    if dataset not in data.test_datasets:
        return data.videos
    return dict(zip(data.test_datasets, data.test_videos, strict=False)).get(dataset)


def _check_unchanged(what: str, was: str, now: str) -> None:
    if was != now:
        raise UserError(
            f"{what} has changed since the run began ({was[:15]} then, {now[:15]} now); bring the "
            "old one back, or start another run"
        )
