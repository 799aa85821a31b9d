"""A small problem on which two gradients meet at a shared layer, trained in each way."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig, SharedGradients
from adapt.backbone import ViCLIP, ViCLIPConfig
from adapt.gradients import SharedGradientReport
from adapt.step import StepConfig, accumulate_gradients
from adapt.text import tokenize_classes

CLASS_NAMES = ("opening", "closing", "lifting", "dropping", "pushing", "pulling")
SIZES = ViCLIPConfig(
    image_size=32, vision_width=64, vision_layers=3, vision_heads=4, embed_dim=32, num_frames=4,
    text_width=32, text_layers=3, text_heads=4,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoResult:
    """Means over all steps and adapted blocks, and the last loss."""

    mode: SharedGradients
    text_norm: float
    video_norm: float
    cosine: float
    conflicting: float
    """Share of steps and blocks where the two point against each other."""

    applied_norm: float
    applied_to_text: float
    applied_to_video: float
    loss: float


def train(mode: SharedGradients, *, steps: int, seed: int) -> DemoResult:
    """Train the small problem with one way of merging the gradients."""
    torch.manual_seed(seed)
    adapter = AdapterConfig(start_block=2, end_block=3, dim=16, scale=0.1, dropout=0.0)
    model = AdaptedModel(ViCLIP(SIZES), adapter).train()
    model.separate_shared_gradients()
    prompts = model.prepare_prompts(tokenize_classes(CLASS_NAMES).ids)
    described = _descriptions(model.encode_prompts(prompts).detach())
    videos, labels = _clips()
    optimizer = torch.optim.AdamW(model.trainable_parameters(), lr=3e-3)
    reports: list[SharedGradientReport] = []
    loss = 0.0
    for _ in range(steps):
        optimizer.zero_grad()
        result = accumulate_gradients(
            model, prompts, described, videos, labels, StepConfig(temperature=0.1), merge=mode
        )
        reports.extend(result.shared_gradients.values())
        loss = float(result.classification + result.consistency)
        optimizer.step()
    return _average(mode, reports, loss)


def _clips() -> tuple[Tensor, Tensor]:
    """Return 24 clips, (24, T, 3, H, W): class k brightens its patch along its own curve."""
    labels = torch.arange(24) % len(CLASS_NAMES)
    time = torch.linspace(0, 1, SIZES.num_frames)
    slopes = torch.where(labels % 2 == 0, 1.0, -1.0)
    curves = slopes[:, None] * (time - 0.5)  # (B, T)
    videos = 0.3 * torch.randn(24, SIZES.num_frames, 3, SIZES.image_size, SIZES.image_size)
    rows = (labels // 2) * 10
    for video, curve, row in zip(videos, curves, rows.tolist(), strict=True):
        video[:, :, row : row + 10] += 4 * curve[:, None, None, None]
    return videos, labels


def _descriptions(classes: Tensor) -> list[Tensor]:
    """Stand in for two kinds of descriptions: the class embeddings, turned a little."""
    return [F.normalize(classes + 0.5 * torch.randn_like(classes), dim=-1) for _ in range(2)]


def _average(
    mode: SharedGradients, reports: Sequence[SharedGradientReport], loss: float
) -> DemoResult:
    def mean(name: str) -> float:
        return sum(float(getattr(report, name)) for report in reports) / len(reports)

    return DemoResult(
        mode=mode,
        text_norm=mean("text_norm"),
        video_norm=mean("video_norm"),
        cosine=mean("cosine"),
        conflicting=sum(report.cosine < 0 for report in reports) / len(reports),
        applied_norm=mean("applied_norm"),
        applied_to_text=mean("applied_to_text"),
        applied_to_video=mean("applied_to_video"),
        loss=loss,
    )
