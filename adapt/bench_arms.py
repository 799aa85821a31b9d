"""What the benchmark compares: this package's training step, the plain one, and its neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from adapt import plain
from adapt.adapted import AdaptedModel, Prefix
from adapt.adapter_config import AdapterConfig
from adapt.backbone import ViCLIP, ViCLIPConfig
from adapt.step import StepConfig, accumulate_gradients
from adapt.text import embed_texts, tokenize_classes
from adapt.tokens import tokenize

Sync = Callable[[], None]

# Sentences as long as published ones: most of 20 to 32 tokens.
SENTENCES = (
    "A video about {} where a person keeps both hands near the body and leans slowly forward.",
    "A video of {} generally involves the following step: moving towards it, which is a sub-step.",
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of one training step."""

    class_names: Sequence[str]
    num_descriptions: int
    """Of each of two kinds, for each class."""

    batch: int


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What one step is given."""

    prompts: Tensor
    """(K, L) ids."""

    sentences: tuple[Tensor, Tensor]
    """(K * M, L) ids of each kind."""

    video: Tensor
    labels: Tensor


def make_inputs(shape: Shape, sizes: ViCLIPConfig, device: torch.device) -> Inputs:
    """Make random videos, and texts for the classes of `shape`."""
    prompts = tokenize_classes(shape.class_names, context_length=sizes.context_length).ids
    sentences = [
        [template.format(f"{name} {number}") for name in shape.class_names
         for number in range(shape.num_descriptions)]
        for template in SENTENCES
    ]  # fmt: skip
    ids = [tokenize(kind, sizes.context_length).ids.to(device) for kind in sentences]
    pixels = (shape.batch, sizes.num_frames, 3, sizes.image_size, sizes.image_size)
    generator = torch.Generator().manual_seed(0)
    return Inputs(
        prompts=prompts.to(device),
        sentences=(ids[0], ids[1]),
        video=torch.randn(pixels, generator=generator).to(device),
        labels=torch.arange(shape.batch, device=device) % len(shape.class_names),
    )


def make_model(sizes: ViCLIPConfig, config: AdapterConfig, device: torch.device) -> AdaptedModel:
    """Make a model with random weights, the same in every call."""
    torch.manual_seed(0)
    with device:
        return AdaptedModel(ViCLIP(sizes), config).train()


def make_optimizer(model: AdaptedModel) -> torch.optim.Optimizer:
    """Return the recipe's optimizer."""
    return torch.optim.AdamW(
        model.trainable_parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-3
    )


class PlainStep:
    """The published recipe done plainly; without descriptions where the backbone itself trains."""

    def __init__(self, model: AdaptedModel, inputs: Inputs) -> None:
        self.model, self.inputs = model, inputs
        self.optimizer = make_optimizer(model)

    def loss(self) -> Tensor:
        """Add a step's gradients and return its loss."""
        inputs = self.inputs
        sentences = () if self.model.config.method == "full" else inputs.sentences
        loss = plain.step_loss(self.model, inputs.prompts, sentences, inputs.video, inputs.labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def __call__(self) -> None:
        """Run one whole step."""
        self.loss()
        self.optimizer.step()
        self.optimizer.zero_grad()


class Step:
    """This package's step. Prompts are packed, and descriptions encoded, once, on making it.

    Args:
        model: It is trained.
        inputs: Of every step.
        cache_videos: Whether the frozen part of the video tower is run once, too.
        descriptions: Embeddings that another arm of the same backbone has made of `inputs`.
    """

    def __init__(
        self,
        model: AdaptedModel,
        inputs: Inputs,
        cache_videos: bool = False,
        descriptions: Sequence[Tensor] | None = None,
    ) -> None:
        self.model, self.inputs = model, inputs
        self.optimizer = make_optimizer(model)
        self.prompts = model.prepare_prompts(inputs.prompts)
        self.descriptions = list(descriptions or ())
        if model.config.method != "full" and not descriptions:
            self.descriptions = [
                _mean(embed_texts(model.backbone, ids), len(inputs.prompts))
                for ids in inputs.sentences
            ]
        self.videos: Tensor | Prefix = inputs.video
        if cache_videos:
            self.videos = model.video_prefix(inputs.video, keep_block_output=True)

    def loss(self) -> Tensor:
        """Add a step's gradients and return its loss."""
        result = accumulate_gradients(
            self.model, self.prompts, self.descriptions, self.videos, self.inputs.labels,
            StepConfig(),
        )  # fmt: skip
        return result.classification + result.consistency

    def __call__(self) -> None:
        """Run one whole step."""
        self.loss()
        self.optimizer.step()
        self.optimizer.zero_grad()


def _mean(embeddings: Tensor, num_classes: int) -> Tensor:
    return F.normalize(embeddings, dim=-1).view(num_classes, -1, embeddings.shape[-1]).mean(dim=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Equality:
    """How far two ways of one step are apart, without dropout."""

    loss: float
    """Difference of the losses over the loss."""

    gradient: float
    """Greatest difference of a gradient over the greatest gradient of that parameter."""


def compare(reference: PlainStep | Step, other: PlainStep | Step) -> Equality:
    """Run a step both ways on models with equal weights and compare what comes out."""
    losses, gradients = [], []
    for arm in (reference, other):
        arm.model.eval()
        arm.model.zero_grad()
        losses.append(float(arm.loss()))
        named = arm.model.named_parameters()
        gradients.append({n: p.grad.clone() for n, p in named if p.grad is not None})
        arm.model.zero_grad()
        arm.model.train()
    apart = [
        float((gradients[0][name] - grad).abs().max() / gradients[0][name].abs().max())
        for name, grad in gradients[1].items()
    ]
    return Equality(loss=abs(losses[0] - losses[1]) / abs(losses[0]), gradient=max(apart))


def sections(step: Step, timed: Callable[[str, Callable[[], Tensor]], Tensor]) -> None:
    """Run one step in pieces, each through `timed(name, piece)`."""
    model, inputs = step.model, step.inputs
    classes = timed("text, forward", lambda: model.encode_prompts(step.prompts))
    held: list[Prefix] = []

    def frozen() -> Tensor:
        held.append(model.video_prefix(inputs.video))
        return held[0].hidden

    timed("video, frozen blocks", frozen)
    video = timed("video, from the first adapted block", lambda: model.encode_video_prefix(held[0]))
    gathered = classes.detach().requires_grad_()

    def video_backward() -> Tensor:
        losses = plain.losses(video, gathered, inputs.labels, step.descriptions)
        losses.backward()  # type: ignore[no-untyped-call]
        return losses

    def text_backward() -> Tensor:
        assert gathered.grad is not None
        classes.backward(gathered.grad)  # type: ignore[no-untyped-call]
        return classes

    def update() -> Tensor:
        step.optimizer.step()
        step.optimizer.zero_grad()
        return classes

    timed("losses and video, backward", video_backward)
    timed("text, backward", text_backward)
    timed("optimizer", update)


def without_adapter(model: AdaptedModel) -> AdaptedModel:
    """Return the same backbone, frozen and without its adapter."""
    return AdaptedModel(model.backbone, replace(AdapterConfig(), method="frozen")).eval()
