"""The flags of `python -m adapt.bench`."""

from dataclasses import dataclass
from typing import Literal

from describe.errors import UserError

Part = Literal["k400", "ssv2", "full", "memory", "inference", "conv"]


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What is measured."""

    parts: tuple[Part, ...] = ("k400", "ssv2", "full", "memory", "inference", "conv")
    """k400: 200 base classes, 2 descriptions of each kind; ssv2: 174 classes, 8 of each."""

    recipe: Literal["few-shot", "base-to-novel", "zero-shot", "supervised"] = "few-shot"
    """The paper's recipe whose blocks and dim are used."""

    backbone: Literal["b16", "l14", "tiny"] = "b16"
    """Sizes of the backbone."""

    batch: int = 4
    """Videos a step."""

    rounds: int = 2
    """Times that every arm runs, in turn; the best counts."""

    device: str = "cpu"
    """A torch device, such as cpu or cuda."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        for name in ("batch", "rounds"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} is {getattr(self, name)}; it must be at least 1")
