"""ViCLIP: one transformer for a whole clip, one for a text, one embedding space for both.

Written from the description of ViCLIP (Wang et al., InternVid, arXiv 2307.06942); the names and
shapes of its `state_dict` are those of the published checkpoints.

Shapes, throughout `adapt`: B videos, V views a video, T frames a clip, C channels, H height,
W width, P patches a frame, K classes, M descriptions of one class, L tokens of a text, N tokens of
a sequence (1 + P * T for a clip), D width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from describe.errors import UserError

# QuickGELU(x) = x * sigmoid(1.702 x) = silu(1.702 x) / 1.702. The factors ride on the two matrix
# products around it, so that one elementwise pass is left and one activation is kept.
QUICK_GELU = 1.702

Added = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class ViCLIPConfig:
    """The sizes of one backbone. The defaults are those of ViCLIP-B/16."""

    image_size: int = 224
    """Height and width of a frame, in pixels."""

    patch_size: int = 16
    """Height and width of a patch, in pixels; divides `image_size`."""

    vision_width: int = 768
    """Width of the video tower."""

    vision_layers: int = 12
    """Blocks of the video tower."""

    vision_heads: int = 12
    """Attention heads of the video tower; divides `vision_width`."""

    embed_dim: int = 512
    """Width of the space that video and text meet in."""

    num_frames: int = 8
    """Frames of a clip."""

    text_width: int = 512
    """Width of the text tower."""

    text_layers: int = 12
    """Blocks of the text tower."""

    text_heads: int = 8
    """Attention heads of the text tower; divides `text_width`."""

    context_length: int = 32
    """Longest text, in tokens."""

    vocab_size: int = 49408
    """Tokens of the vocabulary."""

    per_frame_attention: bool = False
    """Each frame attends to itself alone, with a class token of its own; frames are averaged."""

    def __post_init__(self) -> None:
        """Refuse sizes that fit no module."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name != "per_frame_attention" and (type(value) is not int or value < 1):
                raise UserError(f"{each.name} is {value!r}; it must be a whole number above 0")
        for part, whole in (
            ("patch_size", "image_size"),
            ("vision_heads", "vision_width"),
            ("text_heads", "text_width"),
        ):
            if getattr(self, whole) % getattr(self, part):
                raise UserError(
                    f"{whole} is {getattr(self, whole)}; it must be a multiple of "
                    f"{part}, which is {getattr(self, part)}"
                )

    @property
    def grid_size(self) -> int:
        """Patches along one side of a frame."""
        return self.image_size // self.patch_size


VICLIP_B16 = ViCLIPConfig()
VICLIP_L14 = ViCLIPConfig(
    patch_size=14, vision_width=1024, vision_layers=24, vision_heads=16, embed_dim=768,
    text_width=768, text_heads=12,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Attend:
    """Which tokens a token sees: all of them, those before it, or those a mask names."""

    is_causal: bool = False
    mask: Tensor | None = None
    """Boolean, True where row sees column; broadcast over (batch, heads, N, N)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockHooks:
    """What an adapter adds inside one block. Without any, the block is the published one."""

    before: Added | None = None
    """Of the block's input; added to it before all else."""

    linear: Mapping[str, Added] = field(default_factory=dict)
    """By layer (q, k, v, out, fc, proj): of that layer's input, added to its output."""

    beside_mlp: Added | None = None
    """Of the MLP's input before its norm; added to the block's output."""

    beside_block: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    """Of the block's output, its input and its normed input: the new output."""


NO_HOOKS = BlockHooks()


class Attention(nn.Module):
    """Multi-head self-attention, with the parameter names of `nn.MultiheadAttention`.

    Args:
        width: D.
        num_heads: Divides `width`.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(
        self, queries: Tensor, tokens: Tensor, attend: Attend, added: Mapping[str, Added]
    ) -> Tensor:
        """Let `queries`, (B, Q, D), all of `tokens` or some, look at `tokens`, (B, N, D)."""
        q, k, v = self._project(queries, tokens)
        if added:
            q, k, v = (
                x + added[name](source) if name in added else x
                for name, x, source in (("q", q, queries), ("k", k, tokens), ("v", v, tokens))
            )
        q, k, v = (_split_heads(x, self.num_heads) for x in (q, k, v))
        mixed = F.scaled_dot_product_attention(
            q, k, v, attn_mask=attend.mask, is_causal=attend.is_causal
        )  # (B, heads, Q, D / heads)
        mixed = mixed.transpose(1, 2).flatten(-2)  # (B, Q, D)
        out: Tensor = self.out_proj(mixed)
        return out + added["out"](mixed) if "out" in added else out

    def _project(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weight, bias, width = self.in_proj_weight, self.in_proj_bias, tokens.shape[-1]
        if queries is tokens:
            q, k, v = F.linear(tokens, weight, bias).chunk(3, dim=-1)
        else:  # only the rows that are looked at later need a query
            q = F.linear(queries, weight[:width], bias[:width])
            k, v = F.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=-1)
        return q, k, v


def _split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, N, D) to (B, heads, N, D / heads)."""
    return torch.unflatten(x, -1, (num_heads, -1)).transpose(1, 2)


class MLP(nn.Module):
    """Two linear layers around QuickGELU.

    Args:
        width: D; the hidden width is 4 D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, added: Mapping[str, Added]) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        h = _scaled_linear(x, self.c_fc, QUICK_GELU, QUICK_GELU)  # (B, N, 4 D)
        if "fc" in added:
            h = h + QUICK_GELU * added["fc"](x)
        h = F.silu(h)
        out = _scaled_linear(h, self.c_proj, 1 / QUICK_GELU, 1.0)
        return out + added["proj"](h / QUICK_GELU) if "proj" in added else out


def _scaled_linear(x: Tensor, layer: nn.Linear, alpha: float, beta: float) -> Tensor:
    """Return `alpha * (x @ weight.T) + beta * bias` in one call."""
    out = torch.addmm(layer.bias, x.flatten(0, -2), layer.weight.t(), alpha=alpha, beta=beta)
    return out.view(*x.shape[:-1], -1)


class Block(nn.Module):
    """A pre-norm transformer block.

    Args:
        width: D.
        num_heads: Divides `width`.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attn = Attention(width, num_heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = MLP(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(
        self,
        x: Tensor,
        attend: Attend,
        hooks: BlockHooks = NO_HOOKS,
        first_token_only: bool = False,
    ) -> Tensor:
        """Map (B, N, D) to (B, N, D), or to the first token's (B, 1, D).

        The last block of the video tower is read at the class token alone, so nothing else of its
        output is computed: exact, and most of a block less.
        """
        if hooks.before is not None:
            x = x + hooks.before(x)
        normed: Tensor = self.ln_1(x)
        rows, normed_rows = (x[:, :1], normed[:, :1]) if first_token_only else (x, normed)
        h = rows + self.attn(normed_rows, normed, attend, hooks.linear)
        out: Tensor = h + self.mlp(self.ln_2(h), hooks.linear)
        if hooks.beside_mlp is not None:
            out = out + hooks.beside_mlp(h)
        if hooks.beside_block is not None:
            out = hooks.beside_block(out, rows, normed_rows)
        return out


class Transformer(nn.Module):
    """The blocks of one tower, under the published name `transformer.resblocks`."""

    def __init__(self, width: int, num_layers: int, num_heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, num_heads) for _ in range(num_layers))

    @property
    def blocks(self) -> list[Block]:
        """The blocks, first to last."""
        return [block for block in self.resblocks if isinstance(block, Block)]


class VisionEncoder(nn.Module):
    """The video tower: patches of all frames and one class token, seen together."""

    def __init__(self, config: ViCLIPConfig) -> None:
        super().__init__()
        width, patch = config.vision_width, config.patch_size
        self.per_frame_attention = config.per_frame_attention
        self.num_frames = config.num_frames
        self.conv1 = nn.Conv3d(3, width, (1, patch, patch), (1, patch, patch), bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(config.grid_size**2 + 1, width))
        self.temporal_positional_embedding = nn.Parameter(torch.zeros(1, config.num_frames, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, config.vision_layers, config.vision_heads)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, config.embed_dim))

    def embed(self, video: Tensor) -> Tensor:
        """Turn (B, T, 3, H, W) into the first block's tokens.

        Returns:
            (B, 1 + P * T, D), space outer and time inner; with per-frame attention
            (B * T, 1 + P, D).
        """
        patches = self.conv1(video.transpose(1, 2)).flatten(3)  # (B, D, T, P)
        patches = patches.permute(0, 3, 2, 1) + self.positional_embedding[1:, None]  # (B, P, T, D)
        patches = patches + self.temporal_positional_embedding
        if self.per_frame_attention:
            patches = patches.transpose(1, 2).flatten(0, 1)  # (B * T, P, D)
        else:
            patches = patches.flatten(1, 2)  # (B, P * T, D)
        class_token = self.class_embedding + self.positional_embedding[0]  # no temporal embedding
        class_token = class_token.to(patches.dtype).expand(len(patches), 1, -1)
        tokens: Tensor = self.ln_pre(torch.cat([class_token, patches], dim=1))
        return tokens

    def pool(self, tokens: Tensor) -> Tensor:
        """Project the class token of the last block's output, (B, N, D), to (B, embed_dim)."""
        embedding: Tensor = self.ln_post(tokens[:, 0]) @ self.proj
        if self.per_frame_attention:
            embedding = torch.unflatten(embedding, 0, (-1, self.num_frames)).mean(dim=1)
        return embedding


class TextEncoder(nn.Module):
    """The text tower: causal, read at the end-of-text token."""

    def __init__(self, config: ViCLIPConfig) -> None:
        super().__init__()
        width = config.text_width
        # Filled below with all else; `nn.Embedding` would fill it a first time.
        empty = torch.empty(config.vocab_size, width)
        self.token_embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
            empty, freeze=False
        )
        self.positional_embedding = nn.Parameter(torch.empty(config.context_length, width))
        self.transformer = Transformer(width, config.text_layers, config.text_heads)
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, config.embed_dim))

    def embed(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Look up ids and positions of the same shape (..., L): (..., L, D)."""
        embedded: Tensor = self.token_embedding(tokens) + self.positional_embedding[positions]
        return embedded

    def pool(self, ends: Tensor) -> Tensor:
        """Project end-of-text tokens, (K, D), to (K, embed_dim)."""
        embedding: Tensor = self.ln_final(ends) @ self.text_projection
        return embedding


class ViCLIP(nn.Module):
    """The backbone. Nothing in it is random at run time: no dropout, no dropped paths or tokens.

    Args:
        config: Its sizes.
    """

    def __init__(self, config: ViCLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.temp = nn.Parameter(torch.tensor(0.01))
        self.vision_encoder = VisionEncoder(config)
        self.text_encoder = TextEncoder(config)
        self._initialise()

    def _initialise(self) -> None:
        if self.temp.is_meta:
            return  # nothing to fill, and torch would load its compiler for random meta tensors
        for name, parameter in self.named_parameters():
            if parameter.ndim >= 2 or name.endswith("class_embedding"):
                std = 0.02 if "embedding" in name else parameter.shape[-1] ** -0.5 / 2
                nn.init.normal_(parameter, std=std)

    @property
    def temperature(self) -> Tensor:
        """What logits are divided by: `temp`, never below 0.01."""
        return self.temp.clamp(min=0.01)

    def encode_video(self, video: Tensor) -> Tensor:
        """Map (B, T, 3, H, W) floats, normalised pixels, to (B, D), not normalised."""
        check_video(video, self.config)
        tokens = self.vision_encoder.embed(video)
        blocks = self.vision_encoder.transformer.blocks
        for block in blocks:
            tokens = block(tokens, Attend(), first_token_only=block is blocks[-1])
        return self.vision_encoder.pool(tokens)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Map (K, L) token ids to (K, D), not normalised.

        Tokens after the last end-of-text token of the batch are cut: attention is causal, so no
        embedding changes.

        Raises:
            ValueError: A text ends beyond the context length.
        """
        longest = self.config.context_length
        ends = tokens.argmax(dim=-1)  # the end-of-text token has the highest id
        tokens = tokens[:, : int(ends.max()) + 1]
        if tokens.shape[1] > longest:
            raise ValueError(f"a text has {tokens.shape[1]} tokens; the backbone takes {longest}")
        positions = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        hidden = self.text_encoder.embed(tokens, positions)  # (K, L, D)
        for block in self.text_encoder.transformer.blocks:
            hidden = block(hidden, Attend(is_causal=True))
        return self.text_encoder.pool(hidden[torch.arange(len(ends), device=ends.device), ends])


def check_video(video: Tensor, config: ViCLIPConfig) -> None:
    """Refuse a clip of another shape than the backbone's.

    Raises:
        ValueError: With both shapes.
    """
    wanted = (config.num_frames, 3, config.image_size, config.image_size)
    if video.ndim != 5 or tuple(video.shape[1:]) != wanted:
        raise ValueError(f"video is {tuple(video.shape)}; the backbone takes (B, *{wanted})")
