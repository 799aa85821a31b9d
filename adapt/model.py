"""The command: `python -m adapt.model`. What a configuration of the model costs.

Parameters by part, FLOPs of a video and of a training step, and an estimate of memory. Nothing is
loaded and nothing is computed: no weights are needed.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from describe.errors import UserError
from describe.terminal import run_command


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The configuration that is looked at."""

    backbone: Literal["b16", "l14"] = "b16"
    """ViCLIP-B/16 or ViCLIP-L/14."""

    recipe: Literal["few-shot", "base-to-novel", "zero-shot", "supervised"] = "few-shot"
    """The paper's recipe, which sets dim, blocks and scale."""

    method: Literal["msta", "adaptformer", "lora", "st_adapter", "full", "frozen"] = "msta"
    """What is trained."""

    branches: Literal["both", "text", "video"] = "both"
    """Towers that are adapted."""

    dim: int | None = None
    """Hidden width of the adapter, where not the recipe's."""

    start_block: int | None = None
    """First adapted block, where not the recipe's."""

    end_block: int | None = None
    """Last adapted block, where not the recipe's."""

    rank: int = 16
    """Rank of a LoRA update."""

    num_frames: int = 8
    """Frames of a clip."""

    image_size: int = 224
    """Pixels of a frame's side."""

    dataset: str = "hmdb51"
    """The classes whose prompts are encoded in a step."""

    num_descriptions: int = 2
    """Descriptions of each kind for each class."""

    batch: int = 32
    """Videos of a step."""

    def __post_init__(self) -> None:
        """Refuse what no model has."""
        for name in ("num_frames", "image_size", "num_descriptions", "batch"):
            if getattr(self, name) < 1:
                flag = name.replace("_", "-")
                raise UserError(f"--{flag} is {getattr(self, name)}; it must be at least 1")


def run(config: ModelConfig) -> int:
    """Print the table; return the exit status."""
    import torch

    from adapt.adapted import AdaptedModel
    from adapt.adapter_config import RECIPES
    from adapt.backbone import VICLIP_B16, VICLIP_L14, ViCLIP
    from adapt.cost_table import print_table

    given = {"method": config.method, "branches": config.branches, "rank": config.rank}
    for name in ("dim", "start_block", "end_block"):
        if getattr(config, name) is not None:
            given[name] = getattr(config, name)
    adapter = replace(RECIPES[config.recipe], **given)  # type: ignore[arg-type]
    sizes = replace(
        VICLIP_B16 if config.backbone == "b16" else VICLIP_L14,
        num_frames=config.num_frames,
        image_size=config.image_size,
    )
    with torch.device("meta"):
        model = AdaptedModel(ViCLIP(sizes), adapter)
    title = f"ViCLIP-{config.backbone[0].upper()}/{config.backbone[1:]}"
    print_table(
        model, title, config.dataset, batch=config.batch, num_descriptions=config.num_descriptions
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 interrupted."""
    import tyro

    return run_command(
        "adapt.model",
        lambda: tyro.cli(ModelConfig, args=argv, prog="python -m adapt.model", description=__doc__),
        run,
    )


if __name__ == "__main__":
    sys.exit(main())
