"""What is about to run, in a few lines."""

import textwrap
from math import ceil

import torch

from adapt.adapted import AdaptedModel, ClassPrompts
from adapt.adapter_config import AdapterConfig
from adapt.backbone import ViCLIP
from adapt.quality_report import summary_line
from adapt.splits import VideoList
from adapt.text import tokenize_classes
from adapt.token_forest import plant
from adapt.train_checks import step_bytes
from adapt.train_recipe import Recipe
from adapt.train_setup import Plan
from describe.escape import printable
from describe.terminal import show

# The lines are broken here; they are read on terminals and in log files.
MAX_COLUMNS = 80


def print_plan(plan: Plan) -> None:
    """Print the plan."""
    for head, text in plan_lines(plan):
        show(textwrap.fill(
            text, initial_indent=f"{head:<13} ", subsequent_indent=" " * 14, width=MAX_COLUMNS,
            break_long_words=False, break_on_hyphens=False,
        ))  # fmt: skip


def plan_lines(plan: Plan) -> list[tuple[str, str]]:
    """Return what a run is about, as (word, what) pairs."""
    task, recipe = plan.task, plan.recipe
    lines = [
        ("run", str(plan.folder)),
        ("dataset", f"{printable(plan.dataset)}, {task.name}, {len(task.train.classes)} classes"),
    ]
    for note in map(printable, task.notes):
        name, _, what = note.partition(": ")
        lines.append((name, what) if name in plan.lists else ("note", note))
    lines += [
        ("views", ", ".join(_views(plan, videos) for videos in task.evaluations)),
        ("backbone", f"{plan.backbone_source} ({plan.backbone_hash[:15]})"),
        ("adapter", f"{adapter_line(plan.adapter)}: {plan.num_trainable:,} parameters train"),
        ("descriptions", _descriptions_line(plan)),
    ]
    if recipe.epochs:
        lines.append(("recipe", recipe_line(recipe)))
        lines.append(
            (
                "memory",
                f"about {_size(estimate_bytes(plan))} of tensors in a step, on {plan.device}",
            )
        )
    return lines


def _views(plan: Plan, videos: VideoList) -> str:
    views = plan.views(videos)
    return f"{videos.name} {views.num_clips}x{views.num_crops}"


def adapter_line(config: AdapterConfig) -> str:
    """Return what is added to the backbone."""
    if config.method in ("full", "frozen"):
        return {"full": "none, the whole backbone", "frozen": "none, zero-shot"}[config.method]
    size = f"rank {config.rank}" if config.method == "lora" else f"dim {config.dim}"
    parts = [f"{config.method}", f"blocks {config.start_block}-{config.end_block}", size]
    if config.method in ("msta", "adaptformer"):
        parts.append(f"scale {config.scale:g}")
    if config.branches != "both":
        parts.append(f"{config.branches} alone")
    if config.method == "msta" and not config.temporal:
        parts.append("no temporal convolution")
    return ", ".join(parts)


def recipe_line(recipe: Recipe) -> str:
    """Return how it is optimised."""
    return (
        f"{recipe.epochs} epochs of {recipe.steps_per_epoch} steps, batch {recipe.batch_size}, "
        f"lr {recipe.lr:g} after {recipe.warmup_epochs:g} epochs of warm-up, alpha "
        f"{recipe.alpha:g}, seed {recipe.seed}, {recipe.precision}, evaluates the "
        f"{'last' if recipe.select == 'last' else recipe.select} epoch"
    )


def _descriptions_line(plan: Plan) -> str:
    if plan.descriptions is None or plan.constraint is None:
        return "none: no consistency loss"
    dataset = printable(str(plan.descriptions.manifest["dataset"]))
    return f"{plan.descriptions.name} of {dataset}: {summary_line(plan.constraint.report)}"


def _size(num_bytes: int) -> str:
    if num_bytes < 2**30:
        return f"{num_bytes / 2**20:.0f} MiB"
    return f"{num_bytes / 2**30:.1f} GiB"


def estimate_bytes(plan: Plan) -> int:
    """Estimate the memory of a training step of one process."""
    with torch.device("meta"):
        model = AdaptedModel(ViCLIP(plan.backbone.config), plan.adapter)
    names = plan.task.train.readable_names
    tokens = tokenize_classes(names, context_length=plan.backbone.config.context_length).ids
    prompts = ClassPrompts(forest=plant(tokens), prefix=None)
    mine = plan.recipe.batch_size // plan.processes.world_size
    return sum(step_bytes(model, prompts, ceil(mine / plan.config.machine.accumulate)))
