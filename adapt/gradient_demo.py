"""The command: `python -m adapt.gradient_demo`. Two gradients at a shared layer, made visible.

A small random backbone, classes that differ in how a patch brightens over time, and a few steps of
training with each way of bringing the two branches' gradients together. It shows what each way does
to the gradients. It does not show which one adapts a real model better.
"""

import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import get_args

from describe.errors import UserError
from describe.terminal import run_command, show


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """What is run."""

    steps: int = 20
    """Steps of training with each way."""

    seed: int = 0
    """Of weights and clips, the same for each way."""

    def __post_init__(self) -> None:
        """Refuse what cannot be averaged."""
        if self.steps < 1:
            raise UserError(f"--steps is {self.steps}; it must be at least 1")


def run(config: DemoConfig) -> int:
    """Train with each way and print one line for it; return the exit status."""
    from adapt.adapter_config import SharedGradients
    from adapt.gradient_arms import train  # loads torch

    show("means over steps and blocks; g is a branch's gradient, a what is applied")
    names = ("|g text|", "|g video|", "cosine", "against", "|a|", "a, text", "a, video", "loss")
    show(f"{'':<14}" + "".join(f"{name:>10}" for name in names))
    for mode in get_args(SharedGradients):
        values = astuple(train(mode, steps=config.steps, seed=config.seed))[1:]
        show(f"{mode:<14}" + "".join(f"{value:>10.3f}" for value in values), flush=True)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 interrupted."""
    import tyro

    return run_command(
        "adapt.gradient_demo",
        lambda: tyro.cli(
            DemoConfig, args=argv, prog="python -m adapt.gradient_demo", description=__doc__
        ),
        run,
    )


if __name__ == "__main__":
    sys.exit(main())
