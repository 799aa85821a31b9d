"""What the flags and the task's recipe come to, for one backbone and one training list."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from adapt.adapter_config import RECIPES, AdapterConfig, Method, num_pairs
from adapt.backbone import VICLIP_B16, ViCLIPConfig
from adapt.losses import Consistency
from adapt.schedule import Schedule
from adapt.step import Precision
from adapt.train_config import TASK_RECIPES, Select, TrainConfig
from describe.errors import UserError

WARMUP_EPOCHS = 5.0  # the paper's

# Where the backbone itself trains, the rate of ViFi-CLIP's full fine-tuning: the adapters' would
# undo in a few steps what it has learnt.
FULL_LR = 8e-6


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a run is optimised: every value, resolved."""

    epochs: int
    batch_size: int
    """Videos of a step, over all processes."""

    steps_per_epoch: int
    lr: float
    warmup_epochs: float
    final_lr: float
    weight_decay: float
    betas: tuple[float, float]
    alpha: float
    consistency: Consistency
    temperature: float | None
    seed: int
    select: Select
    precision: Precision

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    @property
    def schedule(self) -> Schedule:
        """The learning rate of each step."""
        return Schedule(
            peak=self.lr,
            num_steps=self.num_steps,
            warmup_steps=int(self.warmup_epochs * self.steps_per_epoch),
            final=self.final_lr,
        )


def resolve_recipe(config: TrainConfig, num_videos: int, world_size: int) -> Recipe:
    """Fill in what the flags leave to the task.

    Raises:
        UserError: The batch cannot be divided among the processes.
    """
    paper, given = TASK_RECIPES[config.data.task], config.recipe
    epochs = given.epochs or paper.epochs
    batch_size = given.batch_size or paper.batch_size
    if batch_size % world_size:
        raise UserError(
            f"--batch-size is {batch_size}, over {world_size} processes; "
            "it must be a multiple of their number"
        )
    warmup = given.warmup_epochs
    return Recipe(
        epochs=0 if config.model.adapter == "frozen" else epochs,
        batch_size=batch_size,
        steps_per_epoch=ceil(num_videos / batch_size),
        lr=given.lr or (FULL_LR if config.model.adapter == "full" else paper.lr),
        warmup_epochs=min(WARMUP_EPOCHS, epochs / 2) if warmup is None else warmup,
        final_lr=given.final_lr,
        weight_decay=given.weight_decay,
        betas=given.betas,
        alpha=given.alpha,
        consistency=given.consistency,
        temperature=given.temperature,
        seed=given.seed,
        select=given.select,
        precision=config.machine.precision,
    )


def resolve_adapter(config: TrainConfig, backbone: ViCLIPConfig) -> AdapterConfig:
    """Return the adapter of the task's recipe, changed by flags, fitted to the backbone.

    The recipes are written for ViCLIP-B/16. On another backbone, what the user left open keeps its
    proportion: as many blocks counted from the last, and a width that the backbone can have.

    Raises:
        UserError: A flag asks for what this adapter or backbone cannot have.
    """
    model = config.model
    adapter = _fit(RECIPES[config.data.task], backbone)
    given = {
        name: value
        for name in ("dim", "start_block", "end_block", "scale")
        if (value := getattr(model, name)) is not None
    }
    return replace(
        adapter,
        **given,
        method=_method(model.adapter),
        branches={"msta-text": "text", "msta-video": "video"}.get(model.adapter, "both"),  # type: ignore[arg-type]
        shared=_SHARED.get(model.adapter, "shared"),
        temporal=model.temporal,
        class_token=model.class_token,
        input_norm=model.input_norm,
        gradient_scaling=model.gradient_scaling,
        dropout=model.dropout,
        rank=model.rank,
        lora_alpha=float(model.rank),
        shared_gradients=model.shared_gradients,
    )


_SHARED: dict[str, Literal["separate", "none"]] = {
    "msta-no-shared": "none",
    "msta-separate": "separate",
}


def _method(name: str) -> Method:
    method: Method = "msta" if name.startswith("msta") else name  # type: ignore[assignment]
    return method


def _fit(adapter: AdapterConfig, backbone: ViCLIPConfig) -> AdapterConfig:
    """Bring a recipe for 12 blocks of width 768 to a backbone of other sizes."""
    pairs = num_pairs(backbone)
    above_first = adapter.end_block - adapter.start_block
    first = 1 if adapter.start_block == 1 else max(1, pairs - above_first)
    dim = _fitting_dim(adapter.dim, backbone)
    return replace(adapter, start_block=first, end_block=pairs, dim=dim)


def _fitting_dim(dim: int, backbone: ViCLIPConfig) -> int:
    """Return `dim`, or where the backbone cannot have it, the same share of its width."""
    width = backbone.vision_width
    taken = {width, backbone.text_width}
    if dim < width and width % dim == 0 and dim not in taken:
        return dim
    share = max(1, width * dim // VICLIP_B16.vision_width)
    return max(each for each in range(1, share + 1) if width % each == 0 and each not in taken)
