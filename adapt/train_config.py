"""What one `python -m adapt.train` run is asked to do, and the paper's recipe for each task."""

import re
from dataclasses import dataclass, field, fields, is_dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal

from adapt.data_config import DataConfig
from adapt.quality_config import FilterConfig
from adapt.video_config import ClipConfig, LoadConfig
from describe.errors import UserError

AdapterName = Literal[
    "msta", "msta-text", "msta-video", "msta-no-shared", "msta-separate", "adaptformer", "lora",
    "st_adapter", "full", "frozen",
]  # fmt: skip
Select = Literal["last", "held-out", "best-on-test"]

# What may be another when a run goes on: nothing that its weights depend on, save rounding.
MACHINE_FIELDS = frozenset(
    ("resume", "dry_run", "videos", "test_videos", "workers", "video_timeout", "frame_cache",
     "max_bad_videos", "device", "accumulate", "recompute", "checkpoint_minutes", "max_bad_steps",
     "tensorboard")
)  # fmt: skip

NO_DESCRIPTIONS = "none"

# Clips and crops of the paper's evaluations; 4x3 elsewhere.
PAPER_VIEWS = {"hmdb51": "10x3", "ucf101": "5x3", "k400": "4x3", "ssv2": "2x3"}


@dataclass(frozen=True, kw_only=True)
class TaskRecipe:
    """What the paper does for a task."""

    epochs: int
    batch_size: int
    lr: float


TASK_RECIPES = {
    "few-shot": TaskRecipe(epochs=50, batch_size=32, lr=1e-3),
    "base-to-novel": TaskRecipe(epochs=11, batch_size=32, lr=1e-3),
    "zero-shot": TaskRecipe(epochs=100, batch_size=256, lr=8e-3),
    "supervised": TaskRecipe(epochs=100, batch_size=256, lr=8e-3),
}


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What is trained."""

    backbone: str = "OpenGVLab/ViCLIP-B-16-hf"
    """A file, a folder, a hub name, or `miniature`."""

    adapter: AdapterName = "msta"
    """The adapter. `full` trains the backbone itself; `frozen` trains nothing: zero-shot."""

    temporal: bool = True
    """msta: whether video adapters have the convolution over time."""

    dim: int | None = None
    """Hidden width of the adapter; by default the task's."""

    start_block: int | None = None
    """First adapted block, counted from 1; by default the task's."""

    end_block: int | None = None
    """Last adapted block; by default the task's."""

    scale: float | None = None
    """What the adapter's output is multiplied by; by default the task's."""

    dropout: float = 0.1
    """Dropped share of hidden activations."""

    rank: int = 16
    """lora: rank of each update."""

    class_token: Literal["spatial", "temporal", "none"] = "spatial"
    """msta, which the paper leaves open: whether the video's class token gets the linear part of
    the adapter alone, the convolution too (as a clip of one frame), or nothing."""

    input_norm: bool = True
    """msta, which the paper leaves open: read a block's input after the block's own ln_1."""

    gradient_scaling: bool = True
    """msta, which the paper leaves open: keep `scale` out of the adapter's own gradients."""

    shared_gradients: Literal[
        "published", "balanced", "projected", "detach_text", "detach_video"
    ] = "published"
    """msta: how the two branches' gradients meet at the shared layer."""

    def __post_init__(self) -> None:
        """Refuse what no adapter has."""
        if self.adapter.startswith("msta"):
            return
        for flag, is_usual in (
            ("--no-temporal", self.temporal),
            ("--class-token", self.class_token == "spatial"),
            ("--no-input-norm", self.input_norm),
            ("--no-gradient-scaling", self.gradient_scaling),
        ):
            if not is_usual:
                raise UserError(f"{flag} is for msta, and --adapter is {self.adapter}")


@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """How it is trained."""

    epochs: int | None = None
    """By default the task's: few-shot 50, base-to-novel 11, others 100."""

    batch_size: int | None = None
    """Videos of a step, over all processes; by default the task's: 32, or 256."""

    lr: float | None = None
    """Highest learning rate; by default the task's: 0.001, or 0.008; for --adapter full 8e-6."""

    warmup_epochs: float | None = None
    """Epochs of linear warm-up; by default 5, and at most half of all."""

    final_lr: float = 0.01
    """Where the cosine ends, as a share of `lr`."""

    weight_decay: float = 1e-3
    """AdamW's."""

    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's."""

    alpha: float = 1.0
    """Weight of the consistency loss."""

    consistency: Literal["cosine", "l2", "kl"] = "cosine"
    """Form of the consistency loss."""

    temperature: float | None = 0.01
    """What cosines are divided by; None: the backbone's own."""

    seed: int = 0
    """Of the adapter's first values, the order of videos, their augmentation and dropout."""

    select: Select = "last"
    """Epoch that is evaluated. `held-out` picks it on a part of the training videos (give
    --held-out), `best-on-test` on the test videos, which flatters; the results say so."""

    def __post_init__(self) -> None:
        """Refuse values that no run could use."""
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag} is {value}; it must be at least 1")
        for name in ("lr", "temperature"):
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise UserError(f"--{name} is {value}; it must be a number above 0")
        for name in ("warmup_epochs", "weight_decay", "alpha"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < inf:
                raise UserError(f"{flag_of(name)} is {value}; it must be a number of at least 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"--betas are {self.betas[0]} and {self.betas[1]}; each is in [0, 1)")
        if not 0 <= self.final_lr <= 1:
            raise UserError(f"--final-lr is {self.final_lr}; it is a share of lr, in [0, 1]")
        if self.seed < 0:
            raise UserError(f"--seed is {self.seed}; it must be at least 0")


@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """Where it runs. Rounding depends on it, and with `accumulate` what dropout leaves out."""

    device: str = "auto"
    """A torch device; auto: cuda where there is one."""

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """fp32, or autocast to bf16 or fp16. Parameters stay in float32."""

    accumulate: int = 1
    """Parts a process's share of a batch is split into, to save memory. Each draws dropout of its
    own, so that with dropout another number is as another seed of it."""

    recompute: bool = False
    """Recompute activations in the backward pass, to save memory."""

    compile: bool = False
    """Compile the blocks with torch.compile."""

    prefix_cache: Path | None = None
    """Folder where what the frozen blocks make of each video is kept (needs --no-augment). A video
    that is there is not decoded again."""

    checkpoint_minutes: float = 10.0
    """A checkpoint is written after every epoch, and this often."""

    max_bad_steps: int = 5
    """Steps in a row whose loss or gradient is not finite, after which the run stops."""

    tensorboard: bool = True
    """Also write for TensorBoard, where it is installed, into the run's folder."""

    def __post_init__(self) -> None:
        """Refuse values that no run could use."""
        for name in ("accumulate", "max_bad_steps"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag} is {getattr(self, name)}; it must be at least 1")
        if not 0 < self.checkpoint_minutes < inf:
            raise UserError(
                f"--checkpoint-minutes is {self.checkpoint_minutes}; it must be a number above 0"
            )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """All that decides a run. The run keeps it in config.json."""

    descriptions: str | None = None
    """Version of the description set, such as v2; the folder of a set or of one version; or
    `none`: no consistency loss."""

    name: str | None = None
    """Name of the run; by default made of dataset, task, shots, adapter, descriptions, filter and
    seed."""

    runs: Path = Path("runs")
    """Where runs are kept."""

    resume: Path | None = None
    """Go on with this run. Only what concerns the machine may be given besides."""

    dry_run: bool = False
    """Show what would be done, and do nothing."""

    views: str | None = None
    """Clips x crops of an evaluation, such as 4x3; by default the paper's for the dataset."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelOptions = field(default_factory=ModelOptions)
    recipe: RecipeOptions = field(default_factory=RecipeOptions)
    filter: FilterConfig = field(default_factory=FilterConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    load: LoadConfig = field(default_factory=LoadConfig)
    machine: MachineOptions = field(default_factory=MachineOptions)

    def __post_init__(self) -> None:
        """Refuse what cannot go together, before anything is read."""
        if self.views is not None:
            parse_views(self.views)
        if self.name is not None and not re.fullmatch(r"\w[\w.-]*", self.name):
            raise UserError(f"--name is {self.name!r}; use letters, digits, '_', '-' and '.'")
        if self.resume is not None:
            return
        if self.descriptions is None and self.model.adapter != "frozen":
            raise UserError(
                "no --descriptions; give a version such as v2, the folder of a set, or `none`"
            )
        if self.machine.prefix_cache is not None and self.clip.augment:
            raise UserError("--prefix-cache needs --no-augment: it keeps one clip of each video")
        if self.machine.prefix_cache is not None and self.model.adapter == "full":
            raise UserError("--prefix-cache needs frozen blocks, and --adapter full has none")

    @property
    def described(self) -> bool:
        """Whether descriptions take part in the loss."""
        return self.descriptions not in (None, NO_DESCRIPTIONS) and self.model.adapter != "frozen"


def parse_views(text: str) -> tuple[int, int]:
    """Read `4x3`: clips and crops.

    Raises:
        UserError: It is something else.
    """
    match = re.fullmatch(r"([1-9]\d*)x([13])", text)
    if match is None:
        raise UserError(f"views are {text!r}; write clips x crops, such as 4x3, with 1 crop or 3")
    return int(match[1]), int(match[2])


def default_name(config: TrainConfig, dataset: str) -> str:
    """Return what a run is called where the user gave no name."""
    data, model = config.data, config.model
    parts = [dataset, data.task]
    if data.task in ("few-shot", "base-to-novel"):
        parts.append(str(data.shots))
    if data.split != 1:
        parts.append(f"split{data.split}")
    parts.append(model.adapter if model.temporal else f"{model.adapter}-no-time")
    parts.append(Path(str(config.descriptions)).name if config.described else NO_DESCRIPTIONS)
    if config.described and config.filter.filter != "none":
        parts.append(config.filter.filter)
    return re.sub(r"[^\w.-]", "_", "-".join([*parts, f"seed{config.recipe.seed}"]))


def changes(stored: Any, given: Any) -> list[tuple[str, Any, Any]]:
    """Return the fields, at any depth, in which two configurations differ, with both values."""
    found: list[tuple[str, Any, Any]] = []
    for field_ in fields(stored):
        old, new = getattr(stored, field_.name), getattr(given, field_.name)
        if is_dataclass(new):
            found += changes(old, new)
        elif new != old:
            found.append((field_.name, old, new))
    return found


def flag_of(name: str) -> str:
    """Return the flag of a field."""
    return "--" + name.replace("_", "-")
