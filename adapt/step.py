"""One optimisation step: text once, videos in as many parts as memory asks for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from adapt.adapted import AdaptedModel, ClassPrompts, Prefix
from adapt.adapter_config import SharedGradients
from adapt.gradients import SharedGradientReport
from adapt.losses import TEMPERATURE, Consistency, classification_loss, consistency_loss
from describe.errors import UserError

Precision = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """How one step is computed."""

    alpha: float = 1.0
    """Weight of the consistency loss; 0 leaves it out."""

    consistency: Consistency = "cosine"
    """Form of the consistency loss."""

    temperature: float | None = TEMPERATURE
    """What cosines are divided by; None takes the checkpoint's own `temp`."""

    accumulate: int = 1
    """Parts a batch is split into. The gradient is that of the whole batch, but for dropout, which
    each part draws anew."""

    precision: Precision = "fp32"
    """fp32, or bf16 or fp16 autocast. Parameters stay in float32."""

    def __post_init__(self) -> None:
        """Refuse values no step could use."""
        if not 0 <= self.alpha < float("inf"):
            raise UserError(f"alpha is {self.alpha}; it must be a number of at least 0")
        if self.accumulate < 1:
            raise UserError(f"accumulate is {self.accumulate}; it must be at least 1")
        if self.temperature is not None and self.temperature <= 0:
            raise UserError(f"temperature is {self.temperature}; it must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """The losses of a step, detached, before the optimizer moved anything."""

    classification: Tensor
    consistency: Tensor
    shared_gradients: dict[int, SharedGradientReport]

    video_embeddings: Tensor
    """(B, D), detached."""


def accumulate_gradients(
    model: AdaptedModel,
    prompts: ClassPrompts,
    descriptions: Sequence[Tensor],
    videos: Tensor | Prefix,
    labels: Tensor,
    config: StepConfig,
    *,
    scaler: torch.amp.GradScaler | None = None,
    reduce: Callable[[Sequence[Tensor]], None] | None = None,
    merge: SharedGradients | None = None,
) -> StepResult:
    """Add the gradients of one batch to the trainable parameters.

    A batch may be empty (all its videos were unreadable): then only the consistency loss counts.

    The class prompts are encoded once, however many parts the batch has: their gradient is
    gathered at the class embeddings and sent through the text tower at the end.

    Args:
        model: In training mode.
        prompts: From `model.prepare_prompts`.
        descriptions: One (K, D) for each kind, from `adapt.text.embed_descriptions`; none: no
            consistency loss.
        videos: (B, T, 3, H, W), or their prefixes.
        labels: (B,) class indices.
        config: Losses, precision and parts.
        scaler: Multiplies the losses, for fp16.
        reduce: Averages gradients over processes in place, before shared gradients are merged. It
            gets the same list of tensors in every process, whatever its batch was.
        merge: How separated shared gradients are merged, where not as the adapter is configured.
    """
    with _precision(labels.device.type, config):
        classes = model.encode_prompts(prompts)  # (K, D)
    gathered = classes.detach().float().requires_grad_()
    send = partial(_backward, scaler)
    cross_entropy = torch.zeros((), device=labels.device)
    embeddings = [classes.detach()[:0]]  # also of a batch without videos
    for part, part_labels in _parts(videos, labels, config.accumulate):
        with _precision(labels.device.type, config):
            embedding = _encode(model, part)
        temperature = _temperature(model, config)
        loss = classification_loss(embedding, gathered, part_labels, temperature)
        loss = loss * (len(part_labels) / len(labels))
        send(loss)
        cross_entropy += loss.detach()
        embeddings.append(embedding.detach())
    consistency = torch.zeros((), device=labels.device)
    if descriptions and config.alpha:
        consistency = _consistency(model, gathered, descriptions, config)
        send(config.alpha * consistency)
    if classes.requires_grad and gathered.grad is not None:
        classes.backward(gathered.grad.to(classes.dtype))  # type: ignore[no-untyped-call]
    if reduce is not None:
        _reduce(model, reduce)
    return StepResult(
        classification=cross_entropy,
        consistency=consistency.detach(),
        shared_gradients=_merge(model, merge, scaler),
        video_embeddings=torch.cat(embeddings),
    )


def _merge(
    model: AdaptedModel, mode: SharedGradients | None, scaler: torch.amp.GradScaler | None
) -> dict[int, SharedGradientReport]:
    scale = 1.0 if scaler is None else scaler.get_scale()
    reports = model.merge_shared_gradients(mode)
    return {block: report.unscaled(scale) for block, report in reports.items()}


def _backward(scaler: torch.amp.GradScaler | None, loss: Tensor) -> None:
    scaled = loss if scaler is None else scaler.scale(loss)
    if scaled.requires_grad:
        scaled.backward()  # type: ignore[no-untyped-call]


def _consistency(
    model: AdaptedModel, classes: Tensor, descriptions: Sequence[Tensor], config: StepConfig
) -> Tensor:
    return consistency_loss(
        classes,
        *descriptions,
        kind=config.consistency,
        temperature=_temperature(model, config),
    )


def _temperature(model: AdaptedModel, config: StepConfig) -> float | Tensor:
    """Return the temperature, with a graph of its own for each backward pass."""
    return config.temperature or model.backbone.temperature


def _precision(device_type: str, config: StepConfig) -> AbstractContextManager[object]:
    if config.precision == "fp32":
        return nullcontext()
    return torch.autocast(device_type, dtype=_DTYPES[config.precision])


def _encode(model: AdaptedModel, videos: Tensor | Prefix) -> Tensor:
    if isinstance(videos, Prefix):
        return model.encode_video_prefix(videos)
    return model.encode_video(videos)


def _reduce(model: AdaptedModel, reduce: Callable[[Sequence[Tensor]], None]) -> None:
    """Average over processes; a tensor that has no gradient in any of them keeps none."""
    tensors = [*model.trainable_parameters(), *model.shared_leaves()]
    has_gradient = torch.tensor([float(tensor.grad is not None) for tensor in tensors])
    has_gradient = has_gradient.to(tensors[0]) if tensors else has_gradient
    for tensor in tensors:
        if tensor.grad is None:
            tensor.grad = torch.zeros_like(tensor)
    reduce([*(tensor.grad for tensor in tensors if tensor.grad is not None), has_gradient])
    for tensor, found in zip(tensors, has_gradient.tolist(), strict=True):
        if not found:
            tensor.grad = None


def _parts(
    videos: Tensor | Prefix, labels: Tensor, count: int
) -> list[tuple[Tensor | Prefix, Tensor]]:
    if not len(labels):
        return []
    label_parts = labels.chunk(count)
    sizes = [len(part) for part in label_parts]
    if isinstance(videos, Tensor):
        return list(zip(torch.split(videos, sizes), label_parts, strict=True))
    rows = len(videos.hidden) // len(labels)  # T with per-frame attention, else 1
    sizes = [rows * size for size in sizes]
    hidden = torch.split(videos.hidden, sizes)
    outputs: Sequence[Tensor | None] = [None] * len(sizes)
    if videos.block_output is not None:
        outputs = torch.split(videos.block_output, sizes)
    prefixes = [
        Prefix(hidden=h, block_output=output) for h, output in zip(hidden, outputs, strict=True)
    ]
    return list(zip(prefixes, label_parts, strict=True))
