"""The state of training on disk: what a resumed run needs to go on as if nothing had happened.

There is no state of a random generator in it. The order of videos and their augmentation follow
from (seed, epoch, video), and dropout from (seed, step, process): `seed_step`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adapt.adapted import AdaptedModel
from adapt.weight_files import read_weights, write_safetensors
from describe.errors import UserError

FORMAT = "adapt-checkpoint-2"


@dataclass(kw_only=True)
class Progress:
    """How far training has come."""

    steps: int = 0
    """Steps done, over all epochs; skipped ones count."""

    epochs_ended: int = 0
    """Epochs whose means are logged and whose adapter was looked at, where one is selected. The
    last step of an epoch may be done and this not yet counted."""

    skipped: int = 0
    """Steps that moved nothing because a number was not finite."""

    bad_in_row: int = 0
    """Of these, those since the last good one."""

    log_bytes: int = 0
    """Size of metrics.jsonl."""

    best_epoch: int | None = None
    """Epoch that was best so far, from 1, where one is selected."""

    best_top1: float = -1.0
    """Its accuracy on what the selection looks at, in percent."""

    epoch_steps: int = 0
    """Steps of this epoch that moved the weights, and the sums of their losses."""

    epoch_classification: float = 0.0
    epoch_consistency: float = 0.0

    scaler: dict[str, Any] = field(default_factory=dict)
    """State of the fp16 loss scaler."""


def save_checkpoint(
    path: Path, model: AdaptedModel, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write the state of training; a reader, or a killed writer, leaves the old one or the new.

    Raises:
        UserError: The disk is full, or the like; the old checkpoint is intact.
    """
    tensors = {f"model.{name}": tensor for name, tensor in _trained(model).items()}
    for index, parameter in enumerate(model.trainable_parameters()):
        for name, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{index}.{name}"] = value
    metadata = {"format": FORMAT, "progress": json.dumps(asdict(progress))}
    write_safetensors(path, tensors, metadata)


def load_checkpoint(path: Path, model: AdaptedModel, optimizer: torch.optim.Optimizer) -> Progress:
    """Put the state of training back.

    Raises:
        UserError: The file is damaged, or of another adapter.
    """
    file = read_weights(path)
    if file.metadata.get("format") != FORMAT:
        raise UserError(f"{path} is no checkpoint of format {FORMAT}")
    _load_parameters(path, model, file.state)
    _load_optimizer(model, optimizer, file.state)
    try:
        return Progress(**json.loads(file.metadata["progress"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} has unreadable counters: {error}") from error


def _trained(model: AdaptedModel) -> dict[str, Tensor]:
    named = model.named_parameters()
    return {name: parameter.detach() for name, parameter in named if parameter.requires_grad}


def _load_parameters(path: Path, model: AdaptedModel, state: Mapping[str, Tensor]) -> None:
    for name, parameter in _trained(model).items():
        stored = state.get(f"model.{name}")
        if stored is None or stored.shape != parameter.shape:
            found = "missing" if stored is None else str(list(stored.shape))
            raise UserError(f"{path}: {name} is {found}, expected {list(parameter.shape)}")
        parameter.copy_(stored)


def _load_optimizer(
    model: AdaptedModel, optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]
) -> None:
    parameters = model.trainable_parameters()
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part == "optimizer":
            index, _, name = rest.partition(".")
            parameter = parameters[int(index)]
            # AdamW keeps its count of steps on the CPU.
            kept = value if value.ndim == 0 else value.to(parameter.device)
            optimizer.state[parameter][name] = kept


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed what is random in a step: dropout. Processes draw masks of their own."""
    digest = hashlib.sha256(f"step {seed} {step} {rank}".encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "little", signed=True))
