"""CLIP checkpoints in transformers' layout, as a second family of backbones.

The same module serves: CLIP is ViCLIP with a temporal embedding of zero. With per-frame attention
and one frame it gives CLIP's own image embeddings.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from adapt.backbone import ViCLIPConfig
from describe.errors import UserError

_BLOCK_NAMES = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def is_clip(state: Mapping[str, Tensor]) -> bool:
    """Tell CLIP in transformers' layout by its names."""
    return "vision_model.embeddings.class_embedding" in state


def clip_config(
    state: Mapping[str, Tensor], stored: Mapping[str, Any] | None, num_frames: int
) -> ViCLIPConfig:
    """Read the sizes of a CLIP checkpoint from its tensors, and its heads from `config.json`.

    Raises:
        UserError: It lacks a tensor that tells a size, or computes something else than ViCLIP does.
    """
    _refuse_other_arithmetic(stored or {})
    try:
        return _sizes(state, stored or {}, num_frames)
    except KeyError as error:
        raise UserError(f"the CLIP checkpoint has no {error.args[0]}") from error
    except ValueError as error:
        raise UserError("the CLIP checkpoint has a tensor of other dimensions") from error


# What ViCLIP and OpenAI's CLIP compute; transformers leaves defaults out of config.json.
_ARITHMETIC = {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}


def _refuse_other_arithmetic(stored: Mapping[str, Any]) -> None:
    for tower in ("vision_config", "text_config"):
        for name, wanted in _ARITHMETIC.items():
            found = (stored.get(tower) or {}).get(name, wanted)
            if found != wanted:
                raise UserError(
                    f"the CLIP checkpoint's {tower} has {name} {found!r}; only {wanted!r} is "
                    "supported (OpenAI's CLIP models)"
                )


def _sizes(state: Mapping[str, Tensor], stored: Mapping[str, Any], num_frames: int) -> ViCLIPConfig:
    vision_width, _, patch, _ = state["vision_model.embeddings.patch_embedding.weight"].shape
    positions = len(state["vision_model.embeddings.position_embedding.weight"])
    vocab_size, text_width = state["text_model.embeddings.token_embedding.weight"].shape
    return ViCLIPConfig(
        image_size=round((positions - 1) ** 0.5) * patch,
        patch_size=patch,
        vision_width=vision_width,
        vision_layers=_count_layers(state, "vision_model"),
        vision_heads=_heads(stored, "vision_config", vision_width),
        embed_dim=len(state["visual_projection.weight"]),
        num_frames=num_frames,
        text_width=text_width,
        text_layers=_count_layers(state, "text_model"),
        text_heads=_heads(stored, "text_config", text_width),
        context_length=len(state["text_model.embeddings.position_embedding.weight"]),
        vocab_size=vocab_size,
    )


def _heads(stored: Mapping[str, Any], tower: str, width: int) -> int:
    # OpenAI's CLIP models have heads of 64 channels.
    return int((stored.get(tower) or {}).get("num_attention_heads", max(1, width // 64)))


def _count_layers(state: Mapping[str, Tensor], tower: str) -> int:
    prefix = f"{tower}.encoder.layers."
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def clip_to_viclip(state: Mapping[str, Tensor], config: ViCLIPConfig) -> dict[str, Tensor]:
    """Rename and reshape a CLIP checkpoint into ViCLIP's layout.

    Raises:
        UserError: A tensor is missing; the message names it.
    """
    try:
        converted = dict(_converted(state, config))
    except KeyError as error:
        raise UserError(f"the CLIP checkpoint has no {error.args[0]}") from error
    return converted


def _converted(state: Mapping[str, Tensor], config: ViCLIPConfig) -> Iterator[tuple[str, Tensor]]:
    yield "temp", (-state["logit_scale"]).exp().reshape(())
    vision = "vision_model."
    yield "vision_encoder.class_embedding", state[f"{vision}embeddings.class_embedding"].flatten()
    positions = state[f"{vision}embeddings.position_embedding.weight"]
    yield "vision_encoder.positional_embedding", positions
    temporal = positions.new_zeros(1, config.num_frames, config.vision_width)
    yield "vision_encoder.temporal_positional_embedding", temporal
    patches = state[f"{vision}embeddings.patch_embedding.weight"]
    yield "vision_encoder.conv1.weight", patches.unsqueeze(2)  # (D, 3, 1, p, p)
    yield "vision_encoder.proj", state["visual_projection.weight"].t()
    # "layrnorm" is how transformers spells it.
    yield from _pair(state, "vision_encoder.ln_pre", f"{vision}pre_layrnorm")
    yield from _pair(state, "vision_encoder.ln_post", f"{vision}post_layernorm")
    yield from _blocks(state, "vision_encoder", "vision_model", config.vision_layers)
    text = "text_model."
    yield "text_encoder.token_embedding.weight", state[f"{text}embeddings.token_embedding.weight"]
    positions = state[f"{text}embeddings.position_embedding.weight"]
    yield "text_encoder.positional_embedding", positions
    yield "text_encoder.text_projection", state["text_projection.weight"].t()
    yield from _pair(state, "text_encoder.ln_final", f"{text}final_layer_norm")
    yield from _blocks(state, "text_encoder", "text_model", config.text_layers)


def _pair(state: Mapping[str, Tensor], new: str, old: str) -> Iterator[tuple[str, Tensor]]:
    for part in ("weight", "bias"):
        yield f"{new}.{part}", state[f"{old}.{part}"]


def _blocks(
    state: Mapping[str, Tensor], new_tower: str, old_tower: str, layers: int
) -> Iterator[tuple[str, Tensor]]:
    for layer in range(layers):
        new, old = (
            f"{new_tower}.transformer.resblocks.{layer}",
            f"{old_tower}.encoder.layers.{layer}",
        )
        for part in ("weight", "bias"):
            projections = [state[f"{old}.self_attn.{x}_proj.{part}"] for x in "qkv"]
            yield f"{new}.attn.in_proj_{part}", torch.cat(projections)
        for new_name, old_name in _BLOCK_NAMES.items():
            yield from _pair(state, f"{new}.{new_name}", f"{old}.{old_name}")
