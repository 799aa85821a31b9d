"""The adapters that MSTA is compared with, behind the same hooks: `hooks(branch, pair)`.

LoRA is written here and not taken from peft: ViCLIP keeps q, k and v in one parameter, which peft
cannot target, and wrapping layers would change the backbone's names and hash. On a plain linear
layer the two give the same numbers (tested).
"""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adapt.adapter_config import AdapterConfig, Branch, LoRATarget
from adapt.backbone import BlockHooks, ViCLIPConfig
from adapt.msta import MSTA
from adapt.temporal_conv import NUM_TAPS, TemporalKernel, temporal_conv


class Adapter(Protocol):
    """What a method must offer besides being a module."""

    keeps_blocks_frozen: bool
    """Whether it only adds to the outputs of blocks, so that a frozen output stays valid."""

    def hooks(self, branch: Branch, pair: int) -> BlockHooks:
        """Return what block `pair` of a tower is given."""
        ...


class Bottleneck(nn.Module):
    """AdaptFormer's branch beside the MLP: down, ReLU, dropout, up (Chen et al. 2022).

    `up` starts at zero, so that training starts from the backbone.

    Args:
        width: D.
        config: The adapter's.
    """

    def __init__(self, width: int, config: AdapterConfig) -> None:
        super().__init__()
        self.scale, self.dropout = config.scale, config.dropout
        self.down = nn.Linear(width, config.dim)
        self.up = nn.Linear(config.dim, width)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        for parameter in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, D) to (B, N, D)."""
        h = F.dropout(F.relu(self.down(x)), self.dropout, self.training)
        up: Tensor = self.up(h)
        return self.scale * up


class SpatioTemporalBottleneck(nn.Module):
    """ST-Adapter before the attention: down, depthwise convolution over time, up (Pan et al. 2022).

    The convolution starts at zero, so that training starts from the backbone. The class token is
    left alone.

    Args:
        config: The adapter's.
        backbone: Sizes of the towers.
    """

    def __init__(self, config: AdapterConfig, backbone: ViCLIPConfig) -> None:
        super().__init__()
        self.num_frames, self.per_frame = backbone.num_frames, backbone.per_frame_attention
        self.kernel: TemporalKernel = config.temporal_kernel
        self.down = nn.Linear(backbone.vision_width, config.dim)
        self.conv = nn.Conv3d(config.dim, config.dim, (NUM_TAPS, 1, 1), groups=config.dim)
        self.up = nn.Linear(config.dim, backbone.vision_width)
        assert self.conv.bias is not None
        for parameter in (self.conv.weight, self.conv.bias, self.down.bias, self.up.bias):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 1 + P * T, D) to the same shape, with zero for the class token."""
        h = self.down(x[:, 1:])
        axis, time_axis = (0, 1) if self.per_frame else (1, 2)
        h = torch.unflatten(h, axis, (-1, self.num_frames))
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        h = temporal_conv(h, weight, bias, time_axis=time_axis, kernel=self.kernel)
        up: Tensor = self.up(h.flatten(axis, axis + 1))
        return F.pad(up, (0, 0, 1, 0))


class LowRank(nn.Module):
    """LoRA's update of one linear layer: `alpha / rank * B A x`, with B zero at first.

    Args:
        sizes: Widths in and out.
        config: The adapter's.
    """

    def __init__(self, sizes: tuple[int, int], config: AdapterConfig) -> None:
        super().__init__()
        self.scale, self.dropout = config.lora_alpha / config.rank, config.dropout
        self.lora_A = nn.Parameter(torch.empty(config.rank, sizes[0]))
        self.lora_B = nn.Parameter(torch.zeros(sizes[1], config.rank))
        nn.init.kaiming_uniform_(self.lora_A, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, N, width in) to (B, N, width out)."""
        h = F.linear(F.dropout(x, self.dropout, self.training), self.lora_A)
        return F.linear(h, self.lora_B) * self.scale


def _linear_sizes(target: LoRATarget, width: int) -> tuple[int, int]:
    if target == "fc":
        return width, 4 * width
    return (4 * width, width) if target == "proj" else (width, width)


def _per_block(
    config: AdapterConfig, backbone: ViCLIPConfig, make: Callable[[int], nn.Module]
) -> nn.ModuleDict:
    """Make one module for each adapted block: `<branch>.<pair>`, given the tower's width."""
    widths = {"text": backbone.text_width, "video": backbone.vision_width}
    pairs = range(config.start_block, config.end_block + 1)
    return nn.ModuleDict(
        {
            branch: nn.ModuleDict({str(pair): make(widths[branch]) for pair in pairs})
            for branch in config.adapts
        }
    )


class AdaptFormer(nn.Module):
    """A bottleneck beside the MLP of each adapted block."""

    keeps_blocks_frozen = False

    def __init__(self, config: AdapterConfig, backbone: ViCLIPConfig) -> None:
        super().__init__()
        self.blocks = _per_block(config, backbone, lambda width: Bottleneck(width, config))

    def hooks(self, branch: Branch, pair: int) -> BlockHooks:
        """Return what block `pair` of a tower is given."""
        return BlockHooks(beside_mlp=self.blocks.get_submodule(f"{branch}.{pair}"))


class STAdapter(nn.Module):
    """A spatio-temporal bottleneck before each adapted video block."""

    keeps_blocks_frozen = False

    def __init__(self, config: AdapterConfig, backbone: ViCLIPConfig) -> None:
        super().__init__()
        self.blocks = _per_block(
            config, backbone, lambda _: SpatioTemporalBottleneck(config, backbone)
        )

    def hooks(self, branch: Branch, pair: int) -> BlockHooks:
        """Return what block `pair` of a tower is given."""
        return BlockHooks(before=self.blocks.get_submodule(f"{branch}.{pair}"))


class LoRA(nn.Module):
    """Low-rank updates of linear layers in each adapted block."""

    keeps_blocks_frozen = False

    def __init__(self, config: AdapterConfig, backbone: ViCLIPConfig) -> None:
        super().__init__()
        self.targets = config.lora_targets

        def make(width: int) -> nn.Module:
            sizes = {target: _linear_sizes(target, width) for target in config.lora_targets}
            return nn.ModuleDict({t: LowRank(size, config) for t, size in sizes.items()})

        self.blocks = _per_block(config, backbone, make)

    def hooks(self, branch: Branch, pair: int) -> BlockHooks:
        """Return what block `pair` of a tower is given."""
        updates = self.blocks.get_submodule(f"{branch}.{pair}")
        return BlockHooks(linear={t: updates.get_submodule(t) for t in self.targets})


class NoAdapter(nn.Module):
    """No parameters: the frozen backbone, or full fine-tuning of it."""

    keeps_blocks_frozen = False

    def hooks(self, branch: Branch, pair: int) -> BlockHooks:
        """Return nothing to add."""
        return BlockHooks()


def make_adapter(
    config: AdapterConfig, backbone: ViCLIPConfig
) -> MSTA | AdaptFormer | LoRA | STAdapter | NoAdapter:
    """Make the adapter that `config` names, with fresh parameters."""
    if config.method == "msta":
        return MSTA(config, backbone)
    if config.method == "adaptformer":
        return AdaptFormer(config, backbone)
    if config.method == "lora":
        return LoRA(config, backbone)
    return STAdapter(config, backbone) if config.method == "st_adapter" else NoAdapter()
