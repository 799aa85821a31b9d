"""The published recipe done plainly: what the rest of this package is measured against.

Every text has its full context of tokens, every block computes every token, descriptions are
encoded again in each step, and MSTA stands in its published form. It shares parameters with an
`AdaptedModel` and nothing else, so that it is also the independent truth of the tests.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adapt.adapted import AdaptedModel
from adapt.adapter_config import tower_block
from adapt.backbone import Block, ViCLIP
from adapt.losses import classification_loss, consistency_loss
from adapt.msta import MSTA, MSTABlock


def encode_text(model: AdaptedModel, tokens: Tensor, *, adapted: bool = True) -> Tensor:
    """Map (K, context_length) ids to (K, D), not normalised."""
    tower = model.backbone.text_encoder
    x = tower.token_embedding(tokens) + tower.positional_embedding
    length = tokens.shape[1]
    mask = torch.full((length, length), float("-inf"), device=x.device).triu(1)
    for index, block in enumerate(tower.transformer.blocks):
        adapter = _adapter(model, "text", index) if adapted else None
        x = _block(block, x, mask) + (_text_adapter(adapter, block.ln_1, x) if adapter else 0)
    ends = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=-1)]
    embedding: Tensor = tower.ln_final(ends) @ tower.text_projection
    return embedding


def encode_video(model: AdaptedModel, video: Tensor) -> Tensor:
    """Map (B, T, 3, H, W) to (B, D), not normalised."""
    tower = model.backbone.vision_encoder
    x = _video_tokens(model.backbone, video)
    for index, block in enumerate(tower.transformer.blocks):
        adapter = _adapter(model, "video", index)
        added = _video_adapter(adapter, block.ln_1, x, video.shape[1]) if adapter else 0
        x = _block(block, x, None) + added
    embedding: Tensor = tower.ln_post(x[:, 0]) @ tower.proj
    return embedding


def step_loss(
    model: AdaptedModel,
    prompts: Tensor,
    descriptions: Sequence[Tensor],
    video: Tensor,
    labels: Tensor,
    alpha: float = 1.0,
) -> Tensor:
    """Return the loss of one step, everything computed anew.

    Args:
        model: With MSTA, or with method full.
        prompts: (K, L) ids of the class prompts.
        descriptions: For each kind (K * M, L) ids of the sentences, class by class.
        video: (B, T, 3, H, W).
        labels: (B,).
        alpha: Weight of the consistency loss.
    """
    classes = encode_text(model, prompts)
    embedding = encode_video(model, video)
    with torch.no_grad():
        means = [_mean_embedding(model, tokens, len(prompts)) for tokens in descriptions]
    return losses(embedding, classes, labels, means, alpha)


def losses(
    video: Tensor, classes: Tensor, labels: Tensor, means: Sequence[Tensor], alpha: float = 1.0
) -> Tensor:
    """Add both losses; the consistency loss where there are descriptions."""
    loss = classification_loss(video, classes, labels)
    return loss + alpha * consistency_loss(classes, *means) if means else loss


def _mean_embedding(model: AdaptedModel, tokens: Tensor, num_classes: int) -> Tensor:
    each = F.normalize(encode_text(model, tokens, adapted=False), dim=-1)
    return each.view(num_classes, -1, each.shape[-1]).mean(dim=1)


def _video_tokens(backbone: ViCLIP, video: Tensor) -> Tensor:
    tower = backbone.vision_encoder
    x = tower.conv1(video.transpose(1, 2))  # (B, D, T, H, W)
    x = x.permute(0, 3, 4, 2, 1).flatten(1, 2)  # (B, P, T, D)
    position = tower.positional_embedding
    x = x + position[1:].unsqueeze(1) + tower.temporal_positional_embedding
    first = (tower.class_embedding + position[0]).expand(len(x), 1, -1)
    tokens: Tensor = tower.ln_pre(torch.cat([first, x.flatten(1, 2)], dim=1))
    return tokens


def _block(block: Block, x: Tensor, mask: Tensor | None) -> Tensor:
    attn = block.attn
    qkv = F.linear(block.ln_1(x), attn.in_proj_weight, attn.in_proj_bias)
    q, k, v = qkv.view(*x.shape[:2], 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    x = x + attn.out_proj(mixed.transpose(1, 2).flatten(2))
    h = block.mlp.c_fc(block.ln_2(x))
    out: Tensor = x + block.mlp.c_proj(h * torch.sigmoid(1.702 * h))
    return out


def _adapter(model: AdaptedModel, branch: str, index: int) -> MSTABlock | None:
    if not isinstance(model.adapter, MSTA):
        return None
    first = tower_block(model.backbone.config, "text" if branch == "text" else "video", 1)
    name = str(index - first + 1)
    block = model.adapter.blocks[name] if name in model.adapter.blocks else None
    return block if isinstance(block, MSTABlock) else None


def _hidden(adapter: MSTABlock, down: nn.Linear, norm: nn.Module, x: Tensor) -> Tensor:
    h = F.relu(down(_gradient_times(norm(x), adapter.config.scale)))
    h = F.dropout(h, adapter.config.dropout, adapter.training)
    return F.relu(adapter.shared.linear(h))


def _text_adapter(adapter: MSTABlock, norm: nn.Module, x: Tensor) -> Tensor:
    out = adapter.text_up(_hidden(adapter, adapter.text_down, norm, x))
    return adapter.config.scale * _gradient_times(out, 1 / adapter.config.scale)


def _video_adapter(adapter: MSTABlock, norm: nn.Module, x: Tensor, num_frames: int) -> Tensor:
    h = _hidden(adapter, adapter.video_down, norm, x)
    side = round(((h.shape[1] - 1) / num_frames) ** 0.5)
    volume = h[:, 1:].view(len(h), side, side, num_frames, -1).permute(0, 4, 3, 1, 2)
    weight, bias = adapter.video_temporal.weight, adapter.video_temporal.bias
    temporal = F.conv3d(volume, weight, bias, padding="same", groups=adapter.config.dim)
    temporal = temporal.permute(0, 3, 4, 2, 1).flatten(1, 3)  # (B, P * T, D)
    zero = torch.zeros_like(temporal[:, :1])
    out = adapter.video_up(h) + torch.cat([zero, temporal], dim=1)
    return adapter.config.scale * _gradient_times(out, 1 / adapter.config.scale)


def _gradient_times(x: Tensor, factor: float) -> Tensor:
    """Return `x`, with its gradient multiplied by `factor`, as the published code does it."""
    scaled = x * factor
    return (x - scaled).detach() + scaled
