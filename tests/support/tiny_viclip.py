"""A backbone small enough for tests, with clips and texts to match."""

from dataclasses import replace

import torch

from adapt.backbone import ViCLIP, ViCLIPConfig
from adapt.text import tokenize_classes
from adapt.tokens import tokenize

torch.set_num_threads(1)  # tensors this small are slower on several

TINY = ViCLIPConfig(
    image_size=32, patch_size=16, vision_width=32, vision_layers=3, vision_heads=2, embed_dim=16,
    num_frames=4, text_width=16, text_layers=3, text_heads=2,
)  # fmt: skip

CLASS_NAMES = ("brush hair", "climb stairs", "climb", "brush teeth", "cartwheel")


def tiny_backbone(seed: int = 0, **changes) -> ViCLIP:
    """A backbone with random weights, biases and norms too, so that none can be forgotten."""
    torch.manual_seed(seed)
    backbone = ViCLIP(replace(TINY, **changes))
    for name, parameter in backbone.named_parameters():
        if name != "temp":
            parameter.data += 0.1 * torch.randn_like(parameter)
    return backbone


def clips(batch: int = 3, **changes) -> torch.Tensor:
    sizes = replace(TINY, **changes)
    generator = torch.Generator().manual_seed(1)
    shape = (batch, sizes.num_frames, 3, sizes.image_size, sizes.image_size)
    return torch.randn(shape, generator=generator)


def prompt_tokens() -> torch.Tensor:
    return tokenize_classes(CLASS_NAMES).ids


def description_tokens(count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """(K * count, L) ids for each of two kinds, of unequal lengths."""
    frames = ("a person who does {} {}", "first {}, then slowly and with both hands {}")
    kinds = [
        [frame.format(name, "again " * index) for name in CLASS_NAMES for index in range(count)]
        for frame in frames
    ]
    return tokenize(kinds[0]).ids, tokenize(kinds[1]).ids
