"""What a run checks of itself: gradients reach all that should train, and numbers are finite."""

from collections.abc import Iterable
from math import ceil

import torch
from torch import Tensor

from adapt.adapted import AdaptedModel, ClassPrompts
from adapt.cost import BYTES, count_parameters, text_work, video_work
from adapt.device import device_bytes
from adapt.train_setup import Plan


def unreached(model: AdaptedModel) -> set[str]:
    """Return the names of parameters that get no gradient by design.

    Of the last video block only the class token is read: with `class_token="spatial"` its
    convolution is never computed, and with "none" nothing of its video adapter is. A whole
    backbone that trains has a temperature, which the loss only reads where it is told to.
    """
    config = model.config
    if config.method == "full":
        return {"backbone.temp"}
    pair = max(_video_pairs(model), default=None)
    if config.method != "msta" or "video" not in config.adapts or pair is None:
        return set()
    parts = {"spatial": ("video_temporal",), "temporal": ()}.get(
        config.class_token, ("video_", "separate.video")
    )
    if config.class_token == "none" and config.branches == "video":
        parts = ("",)
    prefixes = tuple(f"adapter.blocks.{pair}.{part}" for part in parts)
    return {name for name, _ in model.named_parameters() if name.startswith(prefixes)}


def _video_pairs(model: AdaptedModel) -> Iterable[int]:
    """Yield the adapted pair that holds the last video block, if one does."""
    sizes = model.backbone.config
    last = min(sizes.text_layers, sizes.vision_layers)
    if model.config.start_block <= last <= model.config.end_block:
        yield last


def check_gradients(model: AdaptedModel) -> None:
    """Check, after a backward pass, that all that trains has a gradient and nothing else has.

    Raises:
        RuntimeError: A defect of this program; parameters are named.
    """
    without = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    frozen = [
        name
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad and parameter.grad is not None
    ]
    missing = sorted(set(without) - unreached(model))
    if missing:
        raise RuntimeError(f"{len(missing)} trained parameters got no gradient, first {missing[0]}")
    if frozen:
        raise RuntimeError(f"{len(frozen)} frozen parameters got a gradient, first {frozen[0]}")


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no tensor has a NaN or an infinity."""
    # A norm is one pass, and is not finite if any value is not.
    norms = [tensor.norm() for tensor in tensors]
    return not norms or bool(torch.stack(norms).isfinite().all())


def step_bytes(model: AdaptedModel, prompts: ClassPrompts, clips: int) -> tuple[int, int]:
    """Estimate what a step needs, in bytes.

    Args:
        model: What trains.
        prompts: Its class prompts.
        clips: Clips of one part of a process's batch.

    Returns:
        Whatever the batch (weights, gradients, AdamW's state, text activations), and for the clips.
    """
    parts = count_parameters(model)
    weights = sum(count for count, _ in parts.values())
    trained = sum(count for _, count in parts.values())
    sizes, config = model.backbone.config, model.config
    trees, length = prompts.forest.ids.shape
    text = text_work(sizes, config, trees, length, once=config.method != "full").kept
    video = video_work(sizes, config, clips, plain=False).kept
    return BYTES * (weights + 3 * trained + text), BYTES * video


def out_of_memory(plan: Plan, model: AdaptedModel, prompts: ClassPrompts) -> str:
    """Return what to say when a step does not fit: into how many parts to split a batch."""
    mine = plan.recipe.batch_size // plan.processes.world_size
    clips = ceil(mine / plan.config.machine.accumulate)
    fixed, needed = step_bytes(model, prompts, clips)
    # A tenth is left for what the estimate does not see.
    room = 0.9 * device_bytes(plan.device) - fixed
    fitting = max(1, min(int(room / max(1, needed / clips)), clips // 2))
    more = "; --recompute saves more" if fitting == 1 and not model.recompute_blocks else ""
    return (
        f"out of memory with {clips} clips at once on {plan.device}; {fitting} may fit: "
        f"--accumulate {ceil(mine / fitting)}{more}"
    )
