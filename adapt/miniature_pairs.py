"""Films with captions, and the loss that brings them together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from adapt.backbone import ViCLIP
from adapt.miniature_captions import (
    Caption,
    all_texts,
    contradict,
    is_true,
    visible_pairs,
    write_caption,
)
from adapt.miniature_classes import ORDER_PAIRS, OTHER_MOTIONS, load_actions
from adapt.miniature_render import render
from adapt.miniature_weights import CONFIG, narrow_ids, tokens_in_use
from adapt.miniature_world import PRETRAINING, TASKS, World, make_film
from adapt.text import tokenize_classes
from adapt.tokens import tokenize

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

MOST_ALIKE = 0.5  # cosine of captions that contradict each other, before that costs anything
UNKNOWN_SHARE = 0.04  # of tokens, that are hidden, so that row 0 learns to say nothing
PATCH_STD = 0.006  # gives patches a standard deviation of about 1
_CHUNK = 48


def draw_clips(
    world: World,
    shapes: Sequence[str],
    motions: Sequence[str],
    seed: int,
    *,
    num_frames: int = 8,
    size: int = CONFIG.image_size,
) -> NDArray[np.uint8]:
    """Draw clips of `num_frames` evenly spaced frames.

    Returns:
        (B, T, H, W, 3).
    """
    rng = np.random.default_rng(seed)
    parts = []
    for at in range(0, len(shapes), _CHUNK):
        part = slice(at, at + _CHUNK)
        count = len(shapes[part])
        times = (np.arange(num_frames) + rng.uniform(0.25, 0.75, (count, num_frames))) / num_frames
        film = make_film(world, shapes[part], motions[part], times.astype(np.float32), rng)
        parts.append((render(world, film, size, rng) * 255 + 0.5).astype(np.uint8))
    return np.concatenate(parts)


def to_input(pixels: NDArray[np.uint8]) -> Tensor:
    """Turn (B, T, H, W, 3) pixels into (B, T, 3, H, W) normalised floats."""
    video = torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).float().contiguous()
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return video.sub_(255 * mean).div_(255 * std)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Videos, each with a caption."""

    videos: Tensor
    """(B, T, 3, H, W)."""
    tokens: Tensor
    """(B, L) rows of the narrow table."""
    fits: Tensor
    """(B, B) True where video (row) and caption (column) fit."""
    contradicts: Tensor
    """(B, B) True where no video fits both captions."""


class Pairs:
    """A pool of films; each batch has other captions.

    Args:
        size: Films of the pool.
        vague_share: As `write_caption` takes it.
        seed: Of everything.
    """

    def __init__(self, size: int, vague_share: float, seed: int) -> None:
        self._seed, self._vague_share = seed, vague_share
        known = visible_pairs()
        chosen = np.random.default_rng([seed, 0]).integers(0, len(known), size)
        self._shapes = [known[i][0] for i in chosen]
        self._motions = [known[i][1] for i in chosen]
        self._pixels = draw_clips(PRETRAINING, self._shapes, self._motions, seed)
        self._films: dict[tuple[str, str], list[int]] = {}
        for place, pair in enumerate(zip(self._shapes, self._motions, strict=True)):
            self._films.setdefault(pair, []).append(place)
        self.in_use = tokens_in_use(all_texts())

    def batch(self, step: int, size: int) -> Batch:
        """Return the batch of a step, half of it drawn freely and half to rival that."""
        rng = np.random.default_rng([self._seed, 1, step])
        picked = rng.choice(len(self._shapes), size // 2, replace=False)
        picked = np.concatenate([picked, [self._rival(i, rng) for i in picked]])
        facts = [(self._shapes[i], self._motions[i]) for i in picked]
        captions = [write_caption(*fact, self._vague_share, rng) for fact in facts]
        fits = torch.tensor([[is_true(caption, *fact) for caption in captions] for fact in facts])
        apart = torch.tensor([[contradict(one, other) for other in captions] for one in captions])
        gain = torch.from_numpy(rng.uniform(0.8, 1.2, (len(picked), 1, 1, 1, 1)).astype(np.float32))
        return Batch(
            videos=to_input(self._pixels[picked]) * gain,
            tokens=self._tokens(captions, rng),
            fits=fits,
            contradicts=apart,
        )

    def _rival(self, picked: int, rng: np.random.Generator) -> int:
        """Return a film of the same shape that runs the other way, or does something else."""
        shape, motion = self._shapes[picked], self._motions[picked]
        pair = next((pair for pair in ORDER_PAIRS if motion in pair), None)
        motions = [m for m in pair or OTHER_MOTIONS if m != motion and (shape, m) in self._films]
        return int(rng.choice(self._films[shape, str(rng.choice(motions or [motion]))]))

    def _tokens(self, captions: list[Caption], rng: np.random.Generator) -> Tensor:
        ids = narrow_ids(tokenize([caption.text for caption in captions]).ids, self.in_use)
        hidden = torch.from_numpy(rng.random(ids.shape) < UNKNOWN_SHARE)
        hidden &= (ids != ids.amax()) & (torch.arange(ids.shape[1]) > 0)
        return ids.masked_fill(hidden, 0)


def new_backbone(in_use: Tensor) -> ViCLIP:
    """Return an untrained backbone with a narrow token table.

    Time and place start about as large as the pixels. Where they start much smaller, rising and
    falling get one embedding, and nothing pulls the two apart for long.
    """
    backbone = ViCLIP(replace(CONFIG, vocab_size=len(in_use) + 1))
    vision = backbone.vision_encoder
    torch.nn.init.normal_(vision.conv1.weight, std=PATCH_STD)
    torch.nn.init.normal_(vision.positional_embedding, std=0.5)
    torch.nn.init.normal_(vision.temporal_positional_embedding, std=0.5)
    torch.nn.init.normal_(backbone.text_encoder.token_embedding.weight, std=0.3)
    torch.nn.init.normal_(backbone.text_encoder.positional_embedding, std=0.1)
    return backbone


def contrastive_loss(videos: Tensor, texts: Tensor, fits: Tensor, temperature: float) -> Tensor:
    """Return the mean of both directions' cross-entropy, shared among all that fit.

    Args:
        videos: (B, D), of any length.
        texts: (B, D), of any length.
        fits: (B, B) True where video (row) and caption (column) fit.
        temperature: What cosines are divided by.
    """
    logits = F.normalize(videos, dim=-1) @ F.normalize(texts, dim=-1).T / temperature
    targets = fits.float()
    rows = F.cross_entropy(logits, targets / targets.sum(dim=1, keepdim=True))
    columns = F.cross_entropy(logits.T, targets.T / targets.T.sum(dim=1, keepdim=True))
    return (rows + columns) / 2


def likeness_loss(texts: Tensor, contradicts: Tensor) -> Tensor:
    """Return how much too alike captions are that contradict each other.

    Without this, "rising" and "falling" begin as one text and the films of both as one embedding;
    as long as the texts are one, no gradient parts the films, and the other way round.

    Args:
        texts: (B, D), of any length.
        contradicts: (B, B).
    """
    texts = F.normalize(texts, dim=-1)
    excess = F.relu(texts @ texts.T - MOST_ALIKE).square()[contradicts]
    return excess.sum() / excess.count_nonzero().clamp(min=1)


@torch.no_grad()
def zero_shot(backbone: ViCLIP, in_use: Tensor, count: int = 6, seed: int = 77) -> str:
    """Say how well unseen films are told apart, by names seen in training and by the tasks'."""
    tasks = [(each.shape, each.motion) for each in load_actions()]
    known = sorted(set(visible_pairs()) - set(tasks))
    return "; ".join(
        f"{title} {_accuracies(backbone, in_use, world, pairs, count, seed)}"
        for title, world, pairs in (
            ("named pairs", PRETRAINING, known),
            ("new pairs", PRETRAINING, tasks),
            ("tasks", TASKS, tasks),
        )
    )


def _accuracies(
    backbone: ViCLIP,
    in_use: Tensor,
    world: World,
    pairs: Sequence[tuple[str, str]],
    count: int,
    seed: int,
) -> str:
    names = [f"a {shape} {motion}" for shape, motion in pairs]
    classes = F.normalize(
        backbone.encode_text(narrow_ids(tokenize_classes(names).ids, in_use)), dim=-1
    )
    actual = [pair for pair in pairs for _ in range(count)]
    pixels = draw_clips(world, [s for s, _ in actual], [m for _, m in actual], seed)
    parts = [backbone.encode_video(part) for part in torch.split(to_input(pixels), 48)]
    scores = F.normalize(torch.cat(parts), dim=-1) @ classes.T
    best = scores.argmax(dim=-1).tolist()
    chosen = [pairs[i] for i in best]
    right = np.mean([a == b for a, b in zip(actual, chosen, strict=True)])
    shape = np.mean([a[0] == b[0] for a, b in zip(actual, chosen, strict=True)])
    motion = np.mean([a[1] == b[1] for a, b in zip(actual, chosen, strict=True)])
    partners = {m: n for pair in ORDER_PAIRS for m, n in (pair, pair[::-1])}
    ordered = np.mean([
        float(row[pairs.index(a)] > row[pairs.index((a[0], partners[a[1]]))])
        for a, row in zip(actual, scores, strict=True)
        if a[1] in partners
    ])  # fmt: skip
    return f"{right:.2f} (shape {shape:.2f}, motion {motion:.2f}, within pairs {ordered:.2f})"
