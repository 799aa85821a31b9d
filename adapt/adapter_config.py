"""What is added to a frozen backbone, and where: one configuration for every method compared."""

import math
from dataclasses import Field, dataclass, fields
from typing import Literal, get_args, get_origin, get_type_hints

from adapt.backbone import ViCLIPConfig
from adapt.temporal_conv import TemporalKernel
from describe.errors import UserError

Method = Literal["msta", "adaptformer", "lora", "st_adapter", "full", "frozen"]
Branch = Literal["text", "video"]
SharedGradients = Literal["published", "balanced", "projected", "detach_text", "detach_video"]
LoRATarget = Literal["q", "k", "v", "out", "fc", "proj"]

LORA_TARGETS: tuple[LoRATarget, ...] = ("q", "k", "v", "out", "fc", "proj")


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """One adapter. The defaults are MSTA as in the paper's few-shot recipe."""

    method: Method = "msta"
    """full trains the backbone itself; frozen trains nothing."""

    start_block: int = 8
    """First adapted block, counted from 1."""

    end_block: int = 12
    """Last adapted block. Towers of different depth are paired from their last blocks down."""

    branches: Literal["both", "text", "video"] = "both"
    """Towers that are adapted. ST-Adapter is for video alone."""

    dim: int = 128
    """Hidden width of msta, adaptformer and st_adapter."""

    scale: float = 0.005
    """What the output of msta and adaptformer is multiplied by."""

    dropout: float = 0.1
    """Dropped share of hidden activations (lora: of its input) in training, in [0, 1)."""

    shared: Literal["shared", "separate", "none"] = "shared"
    """msta: one hidden layer for both branches, one for each, or none."""

    temporal: bool = True
    """msta: whether video adapters have the convolution over time."""

    class_token: Literal["spatial", "temporal", "none"] = "spatial"
    """msta: the video class token gets the linear part, also the convolution as a clip of one
    frame, or nothing."""

    input_norm: bool = True
    """msta: read the block's input after the block's frozen ln_1 (else before)."""

    gradient_scaling: bool = True
    """msta: keep the scale out of the gradient that reaches the adapter's own parameters."""

    shared_gradients: SharedGradients = "published"
    """msta: how the two branches' gradients meet at the shared layer (adapt.gradients)."""

    temporal_kernel: TemporalKernel = "auto"
    """msta, st_adapter: how the convolution is computed; the numbers are the same."""

    rank: int = 16
    """lora: rank of each update."""

    lora_alpha: float = 16.0
    """lora: an update is multiplied by lora_alpha / rank."""

    lora_targets: tuple[LoRATarget, ...] = ("q", "v")
    """lora: the layers of a block that get an update."""

    def __post_init__(self) -> None:
        """Refuse what no backbone could use."""
        for each in fields(self):
            _check_choice(each, getattr(self, each.name))
        if not 1 <= self.start_block <= self.end_block:
            raise UserError(
                f"blocks {self.start_block}-{self.end_block}; blocks count from 1, first to last"
            )
        for name in ("dim", "rank"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("scale", "lora_alpha"):
            if not math.isfinite(getattr(self, name)):
                raise UserError(f"{name} is {getattr(self, name)}; it must be a finite number")
        if not self.lora_targets:
            raise UserError(f"lora_targets is empty; choose among {', '.join(LORA_TARGETS)}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is {self.dropout}; it must be in [0, 1)")
        if self.method == "st_adapter" and self.branches == "text":
            raise UserError("st_adapter has no text branch; set branches to both or video")
        if not self.temporal and self.class_token == "temporal":
            raise UserError("class_token 'temporal' needs the temporal convolution")
        if self.shared_gradients != "published" and not self.has_shared_layer:
            raise UserError(
                f"shared_gradients is {self.shared_gradients!r}, and this adapter has no layer "
                "that both branches share"
            )

    @property
    def has_shared_layer(self) -> bool:
        """Whether text and video meet in a layer."""
        return self.method == "msta" and self.branches == "both" and self.shared == "shared"

    @property
    def adapts(self) -> tuple[Branch, ...]:
        """The towers that get parameters of their own."""
        if self.method in ("full", "frozen"):
            return ()
        if self.branches == "video" or self.method == "st_adapter":
            return ("video",)
        return ("text",) if self.branches == "text" else ("text", "video")


def _check_choice(each: Field[object], value: object) -> None:
    """Refuse a word that is no choice of its field: configurations also come from files."""
    kind = get_type_hints(AdapterConfig)[each.name]
    many = get_origin(kind) is tuple
    choices = get_args(get_args(kind)[0] if many else kind)
    for word in value if many and isinstance(value, tuple) else (value,):
        if get_origin(get_args(kind)[0] if many else kind) is Literal and word not in choices:
            raise UserError(f"{each.name} is {word!r}; choose among {', '.join(choices)}")


BASE_TO_NOVEL = AdapterConfig(start_block=1, dim=256)
FEW_SHOT = AdapterConfig()
ZERO_SHOT = AdapterConfig(start_block=1, scale=0.001)
SUPERVISED = AdapterConfig(start_block=1, dim=256, scale=0.001)

RECIPES = {
    "few-shot": FEW_SHOT,
    "base-to-novel": BASE_TO_NOVEL,
    "zero-shot": ZERO_SHOT,
    "supervised": SUPERVISED,
}


def num_pairs(backbone: ViCLIPConfig) -> int:
    """Count the blocks that both towers have."""
    return min(backbone.text_layers, backbone.vision_layers)


def tower_block(backbone: ViCLIPConfig, branch: Branch, pair: int) -> int:
    """Return the index from 0, in its tower, of block `pair`, counted from 1."""
    layers = backbone.text_layers if branch == "text" else backbone.vision_layers
    return layers - num_pairs(backbone) + pair - 1


def check_adapter(config: AdapterConfig, backbone: ViCLIPConfig) -> None:
    """Refuse an adapter that does not fit this backbone.

    Raises:
        UserError: Blocks that are not there, or a `dim` the method cannot have.
    """
    if config.method in ("full", "frozen"):
        return
    if config.end_block > num_pairs(backbone):
        raise UserError(
            f"blocks {config.start_block}-{config.end_block}; "
            f"this backbone has blocks 1-{num_pairs(backbone)}"
        )
    convolves = config.method == "msta" and config.temporal and "video" in config.adapts
    if convolves and backbone.vision_width % config.dim:
        raise UserError(
            f"dim is {config.dim}; the temporal convolution has dim groups, so dim must divide "
            f"the video width {backbone.vision_width}{_also_text_width(config, backbone)}"
        )
    if config.method == "msta" and config.dim in (backbone.text_width, backbone.vision_width):
        raise UserError(
            f"dim is {config.dim}, the width of a tower; published adapters of that width have "
            "no layer up; take a smaller one"
        )


def _also_text_width(config: AdapterConfig, backbone: ViCLIPConfig) -> str:
    if config.dim != backbone.text_width:
        return ""
    return f" (and at the text width {config.dim} published adapters have no layer up)"
