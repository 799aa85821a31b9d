"""The table that `python -m adapt.model` prints."""

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.cost import (
    BYTES,
    Work,
    count_parameters,
    frozen_text_work,
    text_work,
    video_work,
)
from adapt.text import tokenize_classes
from adapt.token_forest import TokenForest, plant
from describe.classes import load_classes
from describe.terminal import show

FROZEN = AdapterConfig(method="frozen")


def print_table(
    model: AdaptedModel, title: str, dataset: str, *, batch: int, num_descriptions: int
) -> None:
    """Print parameters, FLOPs and memory of a model on the meta device."""
    sizes, config = model.backbone.config, model.config
    show(f"{title}, {sizes.num_frames} frames x {sizes.image_size} x {sizes.image_size} pixels")
    show(_describe(config))
    _print_parameters(model)
    names = [each.readable for each in load_classes(dataset).classes]
    forest = plant(tokenize_classes(names, context_length=sizes.context_length).ids)
    _print_video(model)
    _print_step(model, f"{dataset}, {len(names)} classes", forest, len(names), batch,
                num_descriptions)  # fmt: skip
    _print_memory(model, forest, batch)


def _describe(config: AdapterConfig) -> str:
    if config.method in ("full", "frozen"):
        return {"full": "full fine-tuning", "frozen": "frozen, no adapter"}[config.method]
    blocks = f"blocks {config.start_block}-{config.end_block}"
    towers = " and ".join(config.adapts)
    if config.method == "lora":
        return f"lora on {towers}: rank {config.rank} of {', '.join(config.lora_targets)}; {blocks}"
    scale = "" if config.method == "st_adapter" else f", scale {config.scale}"
    return f"{config.method} on {towers}: dim {config.dim}{scale}; {blocks}"


def _print_parameters(model: AdaptedModel) -> None:
    parts = count_parameters(model)
    total = sum(count for count, _ in parts.values())
    trainable = sum(count for _, count in parts.values())
    show(f"\n{'parameters':<36}{'all':>14}{'trainable':>14}")
    for part, (count, trained) in parts.items():
        show(f"  {part:<34}{count:>14,}{trained:>14,}")
    show(f"  {'total':<34}{total:>14,}{trainable:>14,}{100 * trainable / total:>8.2f}%")


def _print_video(model: AdaptedModel) -> None:
    sizes = model.backbone.config
    adapted = video_work(sizes, model.config, 1, plain=False).forward
    frozen = video_work(sizes, FROZEN, 1, plain=False).forward
    show(f"\n{'GFLOPs of a video, inference':<50}")
    show(f"  {'frozen backbone':<48}{frozen / 1e9:>14,.1f}")
    extra = 100 * (adapted / frozen - 1)
    show(f"  {'this model':<48}{adapted / 1e9:>14,.1f}{extra:>+7.2f}%")


def _print_step(
    model: AdaptedModel,
    title: str,
    forest: TokenForest,
    num_classes: int,
    batch: int,
    num_descriptions: int,
) -> None:
    sizes, config = model.backbone.config, model.config
    show(f"\n{'GFLOPs of a training step':<36}{'forward':>14}{'backward':>14}")
    show(f"  {title}; batch {batch}")
    video = video_work(sizes, config, batch, plain=False)
    text = _step_text(model, forest)
    _print_work("videos", video)
    _print_work(f"class prompts, {forest.num_tokens} tokens", text)
    _print_work("this package", video + text)
    plain = video_work(sizes, config, batch, plain=True)
    plain += text_work(sizes, config, num_classes, sizes.context_length, once=False)
    if config.method != "full":
        plain += frozen_text_work(sizes, 2 * num_classes * num_descriptions)
    _print_work("the same done plainly", plain)
    ratio = (video + text).forward + (video + text).backward
    show(f"  {'this package / plainly':<48}{ratio / (plain.forward + plain.backward):>15.2f}x")


def _step_text(model: AdaptedModel, forest: TokenForest) -> Work:
    trees, length = forest.ids.shape
    full = model.config.method == "full"
    return text_work(model.backbone.config, model.config, trees, length, once=not full)


def _print_work(name: str, work: Work) -> None:
    show(f"  {name:<34}{work.forward / 1e9:>14,.0f}{work.backward / 1e9:>14,.0f}")


def _print_memory(model: AdaptedModel, forest: TokenForest, batch: int) -> None:
    parts = count_parameters(model)
    weights = BYTES * sum(count for count, _ in parts.values())
    state = 3 * BYTES * sum(count for _, count in parts.values())
    work = video_work(model.backbone.config, model.config, batch, plain=False)
    kept = BYTES * (work + _step_text(model, forest)).kept
    show(f"\n{'memory of a training step, estimated, float32':<50}{'GiB':>14}")
    for name, size in (
        ("weights", weights),
        ("gradients and AdamW's state", state),
        (f"activations kept for backward, batch {batch}", kept),
        ("total", weights + state + kept),
    ):
        show(f"  {name:<48}{size / 2**30:>14,.2f}")
