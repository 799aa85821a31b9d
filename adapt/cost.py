"""What a configuration costs, from its sizes alone: parameters, FLOPs and memory.

A multiply and an add are two FLOPs. Matrix products, attention and convolutions are counted, as
`torch.utils.flop_counter` counts them; norms and activations are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig, Branch, tower_block
from adapt.backbone import ViCLIPConfig

BYTES = 4  # of a float32 value


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """FLOPs of both passes, and values kept from the forward pass for the backward pass."""

    forward: int = 0
    backward: int = 0
    kept: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(
            forward=self.forward + other.forward,
            backward=self.backward + other.backward,
            kept=self.kept + other.kept,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """What a block sees: sequences of `length` tokens, of which `read` are read afterwards."""

    sequences: int
    length: int
    read: int
    width: int

    @property
    def rows(self) -> int:
        """Tokens in all."""
        return self.sequences * self.length

    @property
    def read_rows(self) -> int:
        """Tokens in all whose output is computed."""
        return self.sequences * self.read


@dataclass(frozen=True, kw_only=True, slots=True)
class Gradients:
    """Where the backward pass goes in one block."""

    through: bool
    """Through attention and MLP."""

    to_input: bool
    """On to the blocks below."""

    trained: bool = False
    """To the block's own weights."""


def count_parameters(model: AdaptedModel) -> dict[str, tuple[int, int]]:
    """Return (all, trainable) parameters by part of the model."""
    parts: dict[str, tuple[int, int]] = {}
    for name, parameter in model.named_parameters():
        part = _part(name)
        total, trainable = parts.get(part, (0, 0))
        count = parameter.numel()
        parts[part] = (total + count, trainable + count * parameter.requires_grad)
    return parts


def _part(name: str) -> str:
    for piece, part in (
        ("backbone.vision_encoder", "video tower"),
        ("backbone.text_encoder", "text tower"),
        ("backbone.temp", "temperature"),
        (".shared.", "adapter, shared"),
        ("text", "adapter, text"),
    ):
        if piece in name:
            return part
    return "adapter, video"


def video_work(sizes: ViCLIPConfig, config: AdapterConfig, batch: int, *, plain: bool) -> Work:
    """Count a batch of clips.

    Args:
        sizes: The backbone's.
        config: The adapter.
        batch: Clips.
        plain: Whether the last block computes every token, and not the class token alone.
    """
    patches = sizes.grid_size**2
    frames = sizes.num_frames
    sequences, length = (batch, 1 + patches * frames)
    if sizes.per_frame_attention:
        sequences, length = batch * frames, 1 + patches
    trained = config.method == "full"
    pixels = 3 * sizes.patch_size**2
    work = _linear(batch * frames * patches, pixels, sizes.vision_width, trained, False)
    if trained:  # the pixels, and the input of the first norm
        work += Work(kept=batch * frames * patches * (pixels + sizes.vision_width))
    for index in range(sizes.vision_layers):
        read = 1 if index == sizes.vision_layers - 1 and not plain else length
        tokens = Tokens(sequences=sequences, length=length, read=read, width=sizes.vision_width)
        work += _block_work(sizes, config, "video", index, tokens)
    return work


def text_work(
    sizes: ViCLIPConfig, config: AdapterConfig, trees: int, length: int, *, once: bool
) -> Work:
    """Count a batch of prompts in one step.

    Args:
        sizes: The backbone's.
        config: The adapter.
        trees: Sequences: trees of prompts, or prompts.
        length: Tokens in each.
        once: Whether frozen blocks were run before, once for all steps.
    """
    tokens = Tokens(sequences=trees, length=length, read=length, width=sizes.text_width)
    work = Work()
    first = _first_block(sizes, config, "text")
    for index in range(sizes.text_layers):
        if once and index < first:
            continue
        own = not (once and index == first and config.method == "msta")
        work += _block_work(sizes, config, "text", index, tokens, own=own)
    return work


def frozen_text_work(sizes: ViCLIPConfig, texts: int) -> Work:
    """Count `texts` sentences of full length through the frozen text tower."""
    config = AdapterConfig(method="frozen")
    return text_work(sizes, config, texts, sizes.context_length, once=False)


def _first_block(sizes: ViCLIPConfig, config: AdapterConfig, branch: Branch) -> int:
    if config.method == "full":
        return 0
    layers = sizes.text_layers if branch == "text" else sizes.vision_layers
    return tower_block(sizes, branch, config.start_block) if branch in config.adapts else layers


def _block_work(
    sizes: ViCLIPConfig,
    config: AdapterConfig,
    branch: Branch,
    index: int,
    tokens: Tokens,
    own: bool = True,
) -> Work:
    first = _first_block(sizes, config, branch)
    above = index > first
    starts = index == first
    gradients = Gradients(
        through=above or (starts and config.method in ("lora", "st_adapter", "full")),
        to_input=above or (starts and config.method in ("st_adapter", "full")),
        trained=config.method == "full",
    )
    work = sum(_own_work(tokens, gradients), Work()) if own else Work()
    pair = index - tower_block(sizes, branch, 1) + 1
    if branch in config.adapts and config.start_block <= pair <= config.end_block:
        work += sum(_adapter_work(sizes, config, branch, tokens, above), Work())
    return work


def _linear(rows: int, inner: int, outer: int, trained: bool, to_input: bool) -> Work:
    flops = 2 * rows * inner * outer
    return Work(forward=flops, backward=flops * (trained + to_input))


def _own_work(tokens: Tokens, gradients: Gradients) -> Iterator[Work]:
    """Count what the block itself does."""
    width, rows, read = tokens.width, tokens.rows, tokens.read_rows
    trained, through = gradients.trained, gradients.through
    yield _linear(read, width, width, trained, gradients.to_input)  # q
    yield _linear(rows, width, 2 * width, trained, gradients.to_input)  # k and v
    attention = 4 * tokens.sequences * tokens.length * tokens.read * width
    yield Work(forward=attention, backward=2 * attention * through)
    for inner, outer in ((width, width), (width, 4 * width), (4 * width, width)):
        yield _linear(read, inner, outer, trained, through)
    if through:  # inputs of the norms, q, k, v, attention's output, SiLU's input
        yield Work(kept=width * (rows + read + read + 2 * rows + read + 4 * read))
    if trained:  # inputs of the linear layers besides
        yield Work(kept=width * (rows + read + 4 * read))


def _adapter_work(
    sizes: ViCLIPConfig, config: AdapterConfig, branch: Branch, tokens: Tokens, above: bool
) -> Iterator[Work]:
    """Count what the adapter adds to one block."""
    width, read, dim = tokens.width, tokens.read_rows, config.dim
    if config.method == "lora":
        for target in config.lora_targets:
            rows = tokens.rows if target in ("k", "v") else read
            inner = 4 * width if target == "proj" else width
            outer = 4 * width if target == "fc" else width
            yield _linear(rows, inner, config.rank, True, above)
            yield _linear(rows, config.rank, outer, True, True)
            yield Work(kept=rows * (inner + config.rank))
        return
    patches = 0 if read < tokens.rows else tokens.rows - tokens.sequences
    if config.method == "st_adapter":
        patches = read = tokens.rows - tokens.sequences
    yield _linear(read, width, dim, True, above)
    yield _linear(read, dim, width, True, True)
    yield Work(kept=read * (width + 2 * dim + dim // 4))  # inputs, and the dropout mask in bytes
    if config.method == "msta" and config.shared != "none":
        yield _linear(read, dim, dim, True, True)
        yield Work(kept=read * dim)
    convolves = config.method == "st_adapter" or (config.method == "msta" and config.temporal)
    if branch == "video" and convolves:
        outer = width if config.method == "msta" else dim
        yield Work(forward=6 * patches * outer, backward=12 * patches * outer, kept=patches * dim)
