"""What the miniature experiment trains and tests: its films, its arms, one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from adapt.adapted import AdaptedModel, Prefix
from adapt.adapter_config import AdapterConfig
from adapt.backbone import ViCLIP
from adapt.losses import Consistency
from adapt.miniature_classes import Action, load_actions, order_partners
from adapt.miniature_descriptions import Variant, describe_actions
from adapt.miniature_files import draw_videos, frame_times
from adapt.miniature_pairs import to_input
from adapt.miniature_weights import CONFIG
from adapt.schedule import Schedule
from adapt.step import StepConfig, accumulate_gradients
from adapt.text import embed_descriptions, tokenize_classes

Pixels = NDArray[np.uint8]

NUM_FRAMES = 16  # of a film; a clip has 8 of them
WARMUP_SHARE = 10  # of all steps, one in so many is warm-up
NUM_DRAWS = 4  # clips of each training film, with other frames and perhaps mirrored


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How an adapter is trained. Chosen on validation seeds, never on those that are reported."""

    dim: int = 48
    scale: float = 0.3
    learning_rate: float = 1e-2
    epochs: int = 30
    batch: int = 32
    start_block: int = 2
    alpha: float = 1.0
    weight_decay: float = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to adapt."""

    is_trained: bool = True
    """False: the frozen backbone; the adapter's output is multiplied by zero."""

    descriptions: Variant | None = None
    adapter: Mapping[str, Any] = field(default_factory=dict)
    """What is unlike the published adapter, by field of AdapterConfig."""

    consistency: Consistency = "cosine"


ARMS: Mapping[str, Arm] = {
    "frozen": Arm(is_trained=False),
    "MSTA, right descriptions": Arm(descriptions="right"),
    "MSTA, no descriptions": Arm(),
    "MSTA, swapped descriptions": Arm(descriptions="swapped"),
    "MSTA, generic descriptions": Arm(descriptions="generic"),
    "MSTA, unrelated descriptions": Arm(descriptions="unrelated"),
    "MSTA, right descriptions, no temporal convolution": Arm(
        descriptions="right", adapter={"temporal": False}
    ),
}


def _other(**adapter: Any) -> Arm:
    return Arm(descriptions="right", adapter=adapter)


# What the paper leaves open, each changed alone; and other ways to bring two gradients together.
OPEN_ARMS: Mapping[str, Arm] = {
    "class token: convolution too": _other(class_token="temporal"),
    "class token: nothing": _other(class_token="none"),
    "no input norm": _other(input_norm=False),
    "no gradient scaling": _other(gradient_scaling=False),
    "a layer for each branch": _other(shared="separate"),
    "no shared layer": _other(shared="none"),
    "gradients balanced": _other(shared_gradients="balanced"),
    "gradients projected": _other(shared_gradients="projected"),
    "no gradient of text": _other(shared_gradients="detach_text"),
    "no gradient of video": _other(shared_gradients="detach_video"),
    "consistency l2": Arm(descriptions="right", consistency="l2"),
    "consistency kl": Arm(descriptions="right", consistency="kl"),
}


class Sample:
    """The films of one seed, and what the frozen blocks made of them.

    Args:
        backbone: Whose blocks.
        recipe: Says how many blocks are frozen.
        seed: Of the films.
        shots: Training films of a class.
        num_test: Test films of a class.
    """

    def __init__(
        self, backbone: ViCLIP, recipe: Recipe, seed: int, shots: int, num_test: int
    ) -> None:
        self.actions = load_actions()
        config = AdapterConfig(start_block=recipe.start_block, end_block=4, dim=recipe.dim)
        self._frozen = AdaptedModel(backbone, config).eval()
        rng = np.random.default_rng([seed, 7])
        parts = [self._draw(each, "train", shots, seed, rng) for each in self.actions]
        self.train = [_join(draws) for draws in zip(*parts, strict=True)]
        self.train_labels = torch.arange(len(self.actions)).repeat_interleave(shots)
        self.test = _join([self._draw(each, "test", num_test, seed)[0] for each in self.actions])
        self.test_labels = torch.arange(len(self.actions)).repeat_interleave(num_test)

    @torch.no_grad()
    def _draw(
        self,
        action: Action,
        part: str,
        count: int,
        seed: int,
        rng: np.random.Generator | None = None,
    ) -> list[Prefix]:
        """Return the clips of one class: the middle frames, or random ones as often as wanted."""
        times = frame_times(NUM_FRAMES)
        if rng is None:
            clips = [_shrink(draw_videos(action, part, count, seed, times=times[1::2]))]
        else:
            films = _shrink(draw_videos(action, part, count, seed, times=times))
            clips = [_random_clip(films, rng) for _ in range(NUM_DRAWS)]
        encode = self._frozen.video_prefix
        return [
            _join([encode(part, keep_block_output=True) for part in to_input(clip).split(50)])
            for clip in clips
        ]


def _shrink(films: Pixels) -> Pixels:
    """Bring (B, T, H, W, 3) pixels to the backbone's size, as the loader does."""
    frames = torch.from_numpy(films).flatten(0, 1).permute(0, 3, 1, 2).float()
    frames = F.interpolate(frames, size=CONFIG.image_size, mode="bilinear", antialias=True)
    shrunk = frames.round().to(torch.uint8).permute(0, 2, 3, 1)
    return shrunk.unflatten(0, films.shape[:2]).numpy()


def _random_clip(films: Pixels, rng: np.random.Generator) -> Pixels:
    """Take one frame of each two of every film; mirror every other film, by chance."""
    picked = np.arange(0, NUM_FRAMES, 2) + rng.integers(0, 2, (len(films), NUM_FRAMES // 2))
    clip = np.take_along_axis(films, picked[:, :, None, None, None], axis=1)
    mirrored = rng.random(len(films)) < 0.5
    clip[mirrored] = clip[mirrored, :, :, ::-1]
    return clip


def _join(parts: Sequence[Prefix]) -> Prefix:
    outputs = [part.block_output for part in parts if part.block_output is not None]
    return Prefix(
        hidden=torch.cat([part.hidden for part in parts]),
        block_output=torch.cat(outputs) if outputs else None,
    )


def take(prefix: Prefix, rows: Tensor) -> Prefix:
    """Return some clips of many."""
    assert prefix.block_output is not None
    return Prefix(hidden=prefix.hidden[rows], block_output=prefix.block_output[rows])


def run(
    backbone: ViCLIP, sample: Sample, arm: Arm, recipe: Recipe, seed: int, halves: bool
) -> dict[str, float]:
    """Train one arm on one sample and test it.

    Args:
        backbone: Stays as it is.
        sample: The films.
        arm: What is trained.
        recipe: How.
        seed: Of weights, dropout and order.
        halves: Train on the base classes alone; test base and novel classes apart.

    Returns:
        Accuracies in percent.
    """
    torch.manual_seed(seed)
    groups = [each.action.group for each in sample.actions]
    base = [i for i, group in enumerate(groups) if not halves or group == "base"]
    model = AdaptedModel(
        backbone,
        AdapterConfig(
            start_block=recipe.start_block, end_block=4, dim=recipe.dim,
            scale=recipe.scale if arm.is_trained else 0.0, **arm.adapter,
        ),
    )  # fmt: skip
    if arm.is_trained:
        _train(model, sample, base, arm, recipe)
    model.eval()
    if not halves:
        return _test(model, sample, base)
    novel = [i for i, group in enumerate(groups) if group == "novel"]
    result = {f"base {name}": value for name, value in _test(model, sample, base).items()}
    return result | {f"novel {name}": v for name, v in _test(model, sample, novel).items()}


def _train(
    model: AdaptedModel, sample: Sample, classes: Sequence[int], arm: Arm, recipe: Recipe
) -> None:
    chosen = [sample.actions[i] for i in classes]
    prompts = model.prepare_prompts(tokenize_classes([a.action.readable for a in chosen]).ids)
    described = []
    if arm.descriptions:
        texts, names = describe_actions(arm.descriptions), [a.action.name for a in chosen]
        described = [
            embed_descriptions(model.backbone, {n: texts[n][kind] for n in names}, names)
            for kind in ("spatial", "temporal")
        ]
    place = {label: position for position, label in enumerate(classes)}
    rows = torch.tensor([r for r, y in enumerate(sample.train_labels.tolist()) if y in place])
    labels = torch.tensor([place[int(y)] for y in sample.train_labels[rows]])
    steps = recipe.epochs * -(-len(rows) // recipe.batch)
    optimizer = torch.optim.AdamW(
        model.trainable_parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98),
        weight_decay=recipe.weight_decay,
    )  # fmt: skip
    schedule = Schedule(
        peak=recipe.learning_rate, num_steps=steps, warmup_steps=steps // WARMUP_SHARE
    )
    step = 0
    model.train()
    config = StepConfig(alpha=recipe.alpha, consistency=arm.consistency)
    for epoch in range(recipe.epochs):
        clips = sample.train[epoch % NUM_DRAWS]
        for part in torch.randperm(len(rows)).split(recipe.batch):
            batch = take(clips, rows[part])
            accumulate_gradients(model, prompts, described, batch, labels[part], config)
            optimizer.param_groups[0]["lr"] = schedule.rate(step)
            optimizer.step()
            optimizer.zero_grad()
            step += 1


@torch.no_grad()
def _test(model: AdaptedModel, sample: Sample, classes: Sequence[int]) -> dict[str, float]:
    """Return top-1 over all films, over those of order-only pairs, and within the pairs."""
    chosen = tuple(sample.actions[i] for i in classes)
    prompts = model.prepare_prompts(tokenize_classes([a.action.readable for a in chosen]).ids)
    place = {label: position for position, label in enumerate(classes)}
    rows = torch.tensor([r for r, y in enumerate(sample.test_labels.tolist()) if y in place])
    labels = torch.tensor([place[int(y)] for y in sample.test_labels[rows]])
    embedded = [model.encode_video_prefix(take(sample.test, part)) for part in rows.split(100)]
    texts = F.normalize(model.encode_prompts(prompts), dim=-1)
    scores = F.normalize(torch.cat(embedded), dim=-1) @ texts.T  # (B, K)
    partners = order_partners(chosen)
    ordered = torch.tensor([int(y) in partners for y in labels])
    other = torch.tensor([partners.get(int(y), 0) for y in labels])
    right = (scores.argmax(dim=-1) == labels).float()
    everyone = torch.arange(len(labels))
    nearer = (scores[everyone, labels] > scores[everyone, other]).float()
    return {
        "top-1": 100 * right.mean().item(),
        "top-1, order-only": 100 * right[ordered].mean().item(),
        "within pairs": 100 * nearer[ordered].mean().item(),
    }
