"""The command: `python -m adapt.miniature_pretrain`. Train the shipped tiny ViCLIP anew.

Contrastive, on other films and captions than those of the tasks: films of another world
(`PRETRAINING`), and no caption names a shape and a motion that are together a class of the tasks.
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from describe.errors import UserError
from describe.terminal import run_command, show

if TYPE_CHECKING:
    import torch

    from adapt.backbone import ViCLIP

FIRST_TEMPERATURE, LAST_TEMPERATURE = 0.1, 0.02
LIKENESS_WEIGHT = 2.0
REPORT_STEPS, LOOK_STEPS = 50, 200


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """How the tiny backbone is made."""

    out: Path
    """The file of weights."""

    steps: int = 800
    """Batches."""

    batch: int = 64
    """Films, with a caption each, of a batch: half drawn freely, half to rival them."""

    pool: int = 6144
    """Films that are drawn; each is seen again with other captions."""

    learning_rate: float = 3e-3
    """The greatest; reached after a twentieth of the steps, zero at the end."""

    vague_share: float = 0.15
    """Share of captions of ordered motions that do not say which comes first."""

    seed: int = 1
    """Of films, captions and weights."""

    threads: int = 2
    """Of torch."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if not 2 <= self.batch <= self.pool:
            raise UserError(f"--batch is {self.batch}; it must be from 2 to --pool ({self.pool})")
        if self.steps < 1:
            raise UserError(f"--steps is {self.steps}; it must be at least 1")


def pretrain(config: PretrainConfig) -> int:
    """Train and write the weights; return the exit status."""
    import torch

    from adapt.miniature_pairs import (
        Pairs,
        contrastive_loss,
        likeness_loss,
        new_backbone,
        zero_shot,
    )
    from adapt.miniature_weights import save_miniature_backbone

    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    begun = time.monotonic()
    pairs = Pairs(config.pool, config.vague_share, config.seed)
    backbone = new_backbone(pairs.in_use)
    optimizers = _optimizers(backbone)
    show(f"{config.pool} films drawn after {time.monotonic() - begun:.0f} s", flush=True)
    for step in range(config.steps):
        done = step / config.steps
        rate = config.learning_rate * min(20 * done, 0.5 + 0.5 * math.cos(math.pi * done))
        temperature = FIRST_TEMPERATURE * (LAST_TEMPERATURE / FIRST_TEMPERATURE) ** done
        batch = pairs.batch(step, config.batch)
        videos, texts = backbone.encode_video(batch.videos), backbone.encode_text(batch.tokens)
        loss = contrastive_loss(videos, texts, batch.fits, temperature)
        loss = loss + LIKENESS_WEIGHT * likeness_loss(texts, batch.contradicts)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(backbone.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
        if (step + 1) % REPORT_STEPS == 0:
            seconds = time.monotonic() - begun
            show(f"step {step + 1} loss {loss.item():.3f} {seconds:.0f} s", flush=True)
        if (step + 1) % LOOK_STEPS == 0 or step + 1 == config.steps:
            show(f"  {zero_shot(backbone, pairs.in_use)}", flush=True)
            with torch.no_grad():
                backbone.temp.fill_(temperature)
            save_miniature_backbone(backbone, pairs.in_use, config.out)
    return 0


def _optimizers(backbone: "ViCLIP") -> "list[torch.optim.Optimizer]":
    """Return Muon for the blocks' matrices, which takes fewer steps, and AdamW for the rest."""
    import torch

    blocks: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, parameter in backbone.named_parameters():
        if name != "temp":
            (blocks if "resblocks" in name and parameter.ndim == 2 else rest).append(parameter)
    return [
        torch.optim.Muon(blocks, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0.02),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something, 130 interrupted."""
    import tyro

    return run_command(
        "adapt.miniature_pretrain",
        lambda: tyro.cli(
            PretrainConfig,
            args=argv,
            prog="python -m adapt.miniature_pretrain",
            description=__doc__,
        ),
        pretrain,
    )


if __name__ == "__main__":
    sys.exit(main())
