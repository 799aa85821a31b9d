"""Loading a backbone, fitting it to other clips, and telling one backbone from another."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from adapt.backbone import ViCLIP, ViCLIPConfig
from adapt.clip_weights import clip_config, clip_to_viclip, is_clip
from adapt.weight_files import WeightFile, check_values, read_weights, write_safetensors
from describe.errors import UserError

logger = logging.getLogger(__name__)

TemporalFit = Literal["pad", "interpolate"]

SPATIAL = "vision_encoder.positional_embedding"
TEMPORAL = "vision_encoder.temporal_positional_embedding"

# Names what a hash covers and how. Change it, and this tag changes with it.
HASH_TAG = "b1:"


def load_backbone(
    source: str | Path,
    config: ViCLIPConfig | None = None,
    *,
    num_frames: int | None = None,
    image_size: int | None = None,
    temporal: TemporalFit = "pad",
    per_frame_attention: bool = False,
) -> ViCLIP:
    """Load ViCLIP, or CLIP as a ViCLIP without temporal embedding, in float32.

    Args:
        source: A `.pth`, a safetensors file, a folder, or a hub name such as
            OpenGVLab/ViCLIP-B-16-hf or openai/clip-vit-base-patch16.
        config: The sizes it must have. Read from the file where not given.
        num_frames: Frames of a clip, where another number than the checkpoint's is wanted
            (8 for CLIP, which has none).
        image_size: Pixels, where another size than the checkpoint's is wanted.
        temporal: How the temporal embedding is fitted: cut or padded with zeros, or interpolated.
        per_frame_attention: Let frames attend to themselves alone.

    Raises:
        UserError: The file cannot be read, or does not have the layout; the first mismatch is
            named with both shapes.
    """
    file = read_weights(source)
    state, stored = _viclip_state(file, num_frames)
    wanted = config or stored
    check_layout(state, wanted, file.path)
    check_values(file)
    target = replace(
        wanted,
        num_frames=wanted.num_frames if num_frames is None else num_frames,
        image_size=wanted.image_size if image_size is None else image_size,
        per_frame_attention=per_frame_attention or wanted.per_frame_attention,
    )
    with torch.device("meta"):
        backbone = ViCLIP(target)
    backbone.load_state_dict(_fit(state, wanted, target, temporal), assign=True)
    return backbone.requires_grad_(True).eval()


def _viclip_state(
    file: WeightFile, num_frames: int | None
) -> tuple[dict[str, Tensor], ViCLIPConfig]:
    if is_clip(file.state):
        frames = ViCLIPConfig.num_frames if num_frames is None else num_frames
        config = clip_config(file.state, file.config, frames)
        return clip_to_viclip(file.state, config), config
    return file.state, _stored_config(file)


def _stored_config(file: WeightFile) -> ViCLIPConfig:
    if "config" in file.metadata:
        try:
            return ViCLIPConfig(**json.loads(file.metadata["config"]))
        except (TypeError, ValueError) as error:
            raise UserError(f"{file.path} has an unreadable config: {error}") from error
    return infer_config(file.state, file.path)


def infer_config(state: Mapping[str, Tensor], path: Path) -> ViCLIPConfig:
    """Read the sizes of a ViCLIP checkpoint from its shapes, with heads of 64 channels.

    Raises:
        UserError: A tensor that tells a size is missing or has other dimensions.
    """
    try:
        width, _, _, _, patch = state["vision_encoder.conv1.weight"].shape
        positions, _ = state[SPATIAL].shape
        _, num_frames, _ = state[TEMPORAL].shape
        _, embed_dim = state["vision_encoder.proj"].shape
        vocab_size, text_width = state["text_encoder.token_embedding.weight"].shape
        context_length, _ = state["text_encoder.positional_embedding"].shape
    except KeyError as error:
        raise UserError(f"{path} is no ViCLIP checkpoint: it has no {error.args[0]}") from error
    except ValueError as error:
        raise UserError(f"{path} is no ViCLIP checkpoint: a tensor has other dimensions") from error
    return ViCLIPConfig(
        image_size=round((positions - 1) ** 0.5) * patch,
        patch_size=patch,
        vision_width=width,
        vision_layers=_count_layers(state, "vision_encoder"),
        vision_heads=max(1, width // 64),
        embed_dim=embed_dim,
        num_frames=num_frames,
        text_width=text_width,
        text_layers=_count_layers(state, "text_encoder"),
        text_heads=max(1, text_width // 64),
        context_length=context_length,
        vocab_size=vocab_size,
    )


def _count_layers(state: Mapping[str, Tensor], tower: str) -> int:
    prefix = f"{tower}.transformer.resblocks."
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})


def check_layout(state: Mapping[str, Tensor], config: ViCLIPConfig, path: Path) -> None:
    """Compare every name and shape with what `config` asks for.

    Raises:
        UserError: Naming the first mismatch, with both shapes.
    """
    # One block more than there are is enough to name what is missing, whatever is asked for.
    config = replace(
        config,
        vision_layers=min(config.vision_layers, _count_layers(state, "vision_encoder") + 1),
        text_layers=min(config.text_layers, _count_layers(state, "text_encoder") + 1),
    )
    with torch.device("meta"):
        expected = ViCLIP(config).state_dict()
    for name, tensor in expected.items():
        if name not in state:
            raise UserError(f"{path} has no {name}, expected {list(tensor.shape)}")
        if state[name].shape != tensor.shape:
            raise UserError(
                f"{path}: {name} is {list(state[name].shape)}, expected {list(tensor.shape)}"
            )
    extra = sorted(set(state) - set(expected))
    if extra:
        shape = list(state[extra[0]].shape)
        raise UserError(f"{path} has {extra[0]} {shape}, which this backbone has not")


def _fit(
    state: Mapping[str, Tensor], stored: ViCLIPConfig, target: ViCLIPConfig, temporal: TemporalFit
) -> dict[str, Tensor]:
    """Convert to float32 and bring the positional embeddings to the target's sizes."""
    fitted = {name: tensor.float().contiguous() for name, tensor in state.items()}
    if target.num_frames != stored.num_frames:
        fitted[TEMPORAL] = fit_temporal(fitted[TEMPORAL], target.num_frames, temporal)
    if target.grid_size != stored.grid_size:
        fitted[SPATIAL] = fit_spatial(fitted[SPATIAL], target.grid_size)
    return fitted


def fit_temporal(embedding: Tensor, num_frames: int, how: TemporalFit) -> Tensor:
    """Bring a (1, T, D) temporal embedding to `num_frames`, and say so in the log."""
    old = embedding.shape[1]
    if how == "interpolate":
        action = "interpolated"
        fitted = F.interpolate(
            embedding.transpose(1, 2), size=num_frames, mode="linear", align_corners=False
        ).transpose(1, 2)
    else:  # F.pad with a negative amount cuts
        action = "cut" if num_frames < old else "padded with zeros"
        fitted = F.pad(embedding, (0, 0, 0, num_frames - old))
    logger.warning("temporal embedding %s from %d to %d frames", action, old, num_frames)
    return fitted.contiguous()


def fit_spatial(embedding: Tensor, grid_size: int) -> Tensor:
    """Interpolate a (1 + P, D) positional embedding to a square grid, and say so in the log."""
    old = round((len(embedding) - 1) ** 0.5)
    grid = torch.unflatten(embedding[1:], 0, (old, old)).permute(2, 0, 1)[None]  # (1, D, H, W)
    grid = F.interpolate(grid, size=(grid_size, grid_size), mode="bicubic", align_corners=False)
    logger.warning(
        "positional embedding interpolated from %dx%d to %dx%d patches",
        old, old, grid_size, grid_size,
    )  # fmt: skip
    return torch.cat([embedding[:1], grid[0].flatten(1).t()])


def save_backbone(backbone: ViCLIP, path: Path) -> None:
    """Write a backbone as safetensors, with its sizes, so that `load_backbone` needs no more.

    Raises:
        UserError: The file cannot be written.
    """
    metadata = {"config": json.dumps(asdict(backbone.config))}
    write_safetensors(path, backbone.state_dict(), metadata)


def backbone_hash(backbone: ViCLIP) -> str:
    """Return a tagged SHA-256 of the sizes, names and bytes of a backbone.

    The same on any device; another for any weight changed.
    """
    digest = hashlib.sha256(json.dumps(asdict(backbone.config), sort_keys=True).encode())
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return HASH_TAG + digest.hexdigest()


def _bytes(tensor: Tensor) -> Any:
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
