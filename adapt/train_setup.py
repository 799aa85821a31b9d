"""Everything a run needs before its first step, found and checked: a plan. Nothing is written."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig, check_adapter
from adapt.backbone import ViCLIP
from adapt.checkpoint import backbone_hash
from adapt.constraint import Constraint, build_constraint
from adapt.distributed import Processes
from adapt.run_folder import MANIFEST, open_run
from adapt.splits import VideoList
from adapt.tasks import Task, make_task
from adapt.text import alike_classes, embed_texts, tokenize_classes
from adapt.train_backbone import lasting_source, open_backbone
from adapt.train_config import (
    MACHINE_FIELDS,
    PAPER_VIEWS,
    TrainConfig,
    changes,
    default_name,
    flag_of,
    parse_views,
)
from adapt.train_descriptions import find_descriptions
from adapt.train_recipe import Recipe, resolve_adapter, resolve_recipe
from adapt.video_config import ViewConfig
from describe.dataset import DescriptionSet
from describe.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run that could start now."""

    config: TrainConfig
    folder: Path
    task: Task
    backbone: ViCLIP
    backbone_source: str
    backbone_hash: str
    """Of the backbone before training."""

    adapter: AdapterConfig
    recipe: Recipe
    processes: Processes
    device: torch.device
    descriptions: DescriptionSet | None
    constraint: Constraint | None
    """What the descriptions come to; None: no consistency loss."""

    @property
    def dataset(self) -> str:
        """What is trained on."""
        return self.task.train.dataset

    @property
    def lists(self) -> dict[str, VideoList]:
        """Every list of the task: train, held_out where there is one, and the evaluations."""
        held_out = {} if self.task.held_out is None else {"held_out": self.task.held_out}
        tests = {videos.name: videos for videos in self.task.evaluations}
        return {"train": self.task.train, **held_out, **tests}

    @cached_property
    def num_trainable(self) -> int:
        """Parameters that train."""
        with torch.device("meta"):
            model = AdaptedModel(ViCLIP(self.backbone.config), self.adapter)
        return sum(parameter.numel() for parameter in model.trainable_parameters())

    def views(self, videos: VideoList) -> ViewConfig:
        """Return the clips and crops a list is evaluated with."""
        return views_of(self.config, videos.dataset)


def prepare(config: TrainConfig, processes: Processes, device: torch.device) -> Plan:
    """Plan a new run.

    Raises:
        UserError: Something is missing or does not fit; the first found is named.
    """
    config = with_dataset(config)
    folder = config.runs / str(config.name)
    check_new(folder, config)
    trains = config.model.adapter != "frozen"
    task = make_task(
        config.data, seed=config.recipe.seed, need_train=trains, remember=not config.dry_run
    )
    if trains and config.recipe.select == "held-out" and not task.held_out:
        raise UserError("--select held-out needs --held-out, such as 0.1, or data with a val part")
    if trains and config.recipe.select != "held-out" and config.data.held_out:
        unused = "held_out: not trained on, and not used; --select held-out chooses the epoch by it"
        task = replace(task, notes=(*task.notes, unused))
    described = None
    if config.described:
        described = find_descriptions(str(config.descriptions), task.train.dataset)
    source = lasting_source(config.model.backbone)
    backbone = open_backbone(
        source, num_frames=config.clip.num_frames, image_size=config.clip.image_size
    )
    return make_plan(config, processes, device, task, described, source, backbone.to(device))


def check_new(folder: Path, config: TrainConfig) -> None:
    """Refuse to begin a run in the folder of another.

    Raises:
        UserError: A run is there; in what it differs is said, and a name that would tell the two
            apart.
    """
    if not (folder / MANIFEST).exists():
        return
    run = open_run(folder)
    further = f"go on with --resume {folder}"
    if run.status == "finished":
        further = f"evaluate it with `python -m adapt.evaluate {folder}`"
    differing = [
        (flag_of(name), old, new)
        for name, old, new in changes(run.config, config)
        if name not in MACHINE_FIELDS | {"runs"}
    ]
    if not differing:
        raise UserError(
            f"{folder} exists, made with the same flags; {further}, or give another --name"
        )
    # What was given here makes a name; what was given there alone does not.
    flag, old, new = next((each for each in differing if each[2] is not None), differing[0])
    there, here = ("its default" if value is None else value for value in (old, new))
    more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
    end = "2" if new is None else f"{flag.strip('-')}-{new}"
    name = re.sub(r"[^\w.-]+", "_", f"{folder.name}-{end}")
    raise UserError(
        f"{folder} exists, made with {flag} {there} where this one has {here}{more}; give this one "
        f"a name of its own, such as --name {name}, or {further}"
    )


def make_plan(
    config: TrainConfig,
    processes: Processes,
    device: torch.device,
    task: Task,
    described: DescriptionSet | None,
    source: str,
    backbone: ViCLIP,
) -> Plan:
    """Bring together what was found.

    Raises:
        UserError: The parts do not fit each other.
    """
    adapter = resolve_adapter(config, backbone.config)
    check_adapter(adapter, backbone.config)
    task = _with_alike_classes(task, backbone)
    recipe = resolve_recipe(config, len(task.train.videos), processes.world_size)
    constraint = None
    if described is not None:
        constraint = build_constraint(backbone, described, task.train.classes, config.filter)
    return Plan(
        config=config,
        folder=config.runs / str(config.name),
        task=task,
        backbone=backbone,
        backbone_source=source,
        backbone_hash=backbone_hash(backbone),
        adapter=adapter,
        recipe=recipe,
        processes=processes,
        device=device,
        descriptions=described,
        constraint=constraint,
    )


def _with_alike_classes(task: Task, backbone: ViCLIP) -> Task:
    """Note the classes that this backbone's text tower cannot tell apart."""
    names = task.train.readable_names
    prompts = tokenize_classes(names, context_length=backbone.config.context_length).ids
    said = alike_classes(embed_texts(backbone, prompts), names)
    return replace(task, notes=(*task.notes, said)) if said and said not in task.notes else task


def with_dataset(config: TrainConfig) -> TrainConfig:
    """Fill in the dataset, where the descriptions say which, and the run's name.

    Where nothing is trained there is one epoch to evaluate, the last, whatever --select says.

    Raises:
        UserError: No dataset is named, and the descriptions do not say one.
    """
    dataset = config.data.dataset
    # Where nothing is trained, zero-shot has only what it is tested on.
    tested = config.data.test_datasets if config.model.adapter == "frozen" else ()
    if dataset is None and config.data.classes is None and not tested:
        if config.described:
            dataset = str(find_descriptions(str(config.descriptions)).manifest["dataset"])
        elif config.data.videos is None:
            raise UserError(
                "no --dataset; name one, such as --dataset hmdb51, or give a folder of your own "
                "with --videos"
            )
    folder = config.data.videos.expanduser().resolve().name if config.data.videos else "own"
    own = config.data.classes.stem if config.data.classes else "-".join(tested) or folder
    name = config.name or default_name(config, dataset or own)
    recipe = config.recipe
    if config.model.adapter == "frozen":
        recipe = replace(recipe, select="last")
    return replace(config, name=name, data=replace(config.data, dataset=dataset), recipe=recipe)


def views_of(config: TrainConfig, dataset: str) -> ViewConfig:
    """Return the clips and crops that videos of a dataset are evaluated with."""
    clips, crops = parse_views(config.views or PAPER_VIEWS.get(dataset, "4x3"))
    return ViewConfig(num_clips=clips, num_crops=crops, mean=config.clip.mean, std=config.clip.std)
