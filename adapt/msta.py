"""MSTA: adapters beside the blocks of both towers, tied by a layer that both share.

Chen et al., "Efficient Transfer Learning for Video-language Foundation Models", CVPR 2025, arXiv
2411.11223. For an adapted block, `out = block(x) + scale * A(x)`, with

- text:  `A(x) = up(S(relu(down(x))))`
- video: `A(x) = up(h) + conv(h)`, `h = S(relu(down(x)))`, conv depthwise over time
- `S`: a linear layer and ReLU, one a block, in both.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adapt.adapter_config import AdapterConfig, Branch
from adapt.backbone import BlockHooks, ViCLIPConfig
from adapt.gradients import SharedLayer, add_scaled, scale_gradient
from adapt.temporal_conv import NUM_TAPS, temporal_conv


class MSTABlock(nn.Module):
    """The adapters of one pair of blocks.

    Args:
        config: The adapter's.
        backbone: Sizes of the towers.
    """

    def __init__(self, config: AdapterConfig, backbone: ViCLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.num_frames = backbone.num_frames
        self.per_frame = backbone.per_frame_attention
        dim = config.dim
        if "text" in config.adapts:
            self.text_down = nn.Linear(backbone.text_width, dim)
            self.text_up = nn.Linear(dim, backbone.text_width)
        if "video" in config.adapts:
            width = backbone.vision_width
            self.video_down = nn.Linear(width, dim)
            self.video_up = nn.Linear(dim, width)
            if config.temporal:  # kept as the published layer; adapt.temporal_conv computes it
                self.video_temporal = nn.Conv3d(dim, width, (NUM_TAPS, 1, 1), groups=dim)
        if config.shared == "shared":
            self.shared = SharedLayer(dim)
        elif config.shared == "separate":
            self.separate = nn.ModuleDict({branch: SharedLayer(dim) for branch in config.adapts})
        self._initialise()

    def _initialise(self) -> None:
        if any(parameter.is_meta for parameter in self.parameters()):
            return
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def text(self, out: Tensor, x: Tensor, normed: Tensor) -> Tensor:
        """Add the text adapter to a block's output, (G, N, D)."""
        h = self._hidden(x, normed, "text", self.text_down)
        return self._add(out, self.text_up(h))

    def video(self, out: Tensor, x: Tensor, normed: Tensor) -> Tensor:
        """Add the video adapter to a block's output, or to the class token's part of it."""
        only_class_token = out.shape[1] == 1
        if self.config.class_token == "none":
            if only_class_token:
                return out
            x, normed = x[:, 1:], normed[:, 1:]
        h = self._hidden(x, normed, "video", self.video_down)
        convolved = self._convolve(h, only_class_token)
        return self._add(out, self.video_up(h), *convolved)

    def _hidden(self, x: Tensor, normed: Tensor, branch: Branch, down: nn.Linear) -> Tensor:
        config = self.config
        source = normed if config.input_norm else x
        if config.gradient_scaling and config.scale != 0:
            source = scale_gradient(source, config.scale)
        h = F.dropout(F.relu(down(source)), config.dropout, self.training)
        if config.shared == "none":
            return h
        layer = self.shared if config.shared == "shared" else self.separate[branch]
        shared: Tensor = layer(h, branch)
        return shared

    def _convolve(self, h: Tensor, only_class_token: bool) -> tuple[Tensor, ...]:
        if not self.config.temporal:
            return ()
        has_class_token = self.config.class_token != "none"
        parts = []
        if has_class_token and self.config.class_token == "temporal":
            parts.append(self._conv(h[:, None, :1]).flatten(1, 2))  # (B, 1, D)
        if not only_class_token:
            patches = h[:, 1:] if has_class_token else h
            parts.append(self._conv_patches(patches))
        if len(parts) == 2:
            return (torch.cat(parts, dim=1),)
        return tuple(parts)

    def _conv_patches(self, h: Tensor) -> Tensor:
        if self.per_frame:  # (B * T, P, m), frames outside
            clips = torch.unflatten(h, 0, (-1, self.num_frames))
            return self._conv(clips, time_axis=1).flatten(0, 1)
        return self._conv(torch.unflatten(h, 1, (-1, self.num_frames))).flatten(1, 2)

    def _conv(self, h: Tensor, time_axis: int = 2) -> Tensor:
        layer = self.video_temporal
        assert layer.bias is not None
        kernel = self.config.temporal_kernel
        return temporal_conv(h, layer.weight, layer.bias, time_axis=time_axis, kernel=kernel)

    def _add(self, out: Tensor, *added: Tensor) -> Tensor:
        return add_scaled(out, added, self.config.scale, self.config.gradient_scaling)


class MSTA(nn.Module):
    """All adapters of a model: one `MSTABlock` for each adapted pair of blocks.

    Args:
        config: The adapter's.
        backbone: Sizes of the towers.
    """

    keeps_blocks_frozen = True  # the block itself is untouched, so its output can be kept

    def __init__(self, config: AdapterConfig, backbone: ViCLIPConfig) -> None:
        super().__init__()
        pairs = range(config.start_block, config.end_block + 1)
        self.blocks = nn.ModuleDict({str(pair): MSTABlock(config, backbone) for pair in pairs})

    def hooks(self, branch: Branch, pair: int) -> BlockHooks:
        """Return what block `pair` of a tower is given."""
        block = self.blocks[str(pair)]
        assert isinstance(block, MSTABlock)
        return BlockHooks(beside_block=block.text if branch == "text" else block.video)

    def shared_layers(self) -> dict[int, SharedLayer]:
        """Return the layers that both branches use, by block."""
        layers = {}
        for pair, block in self.blocks.items():
            layer = getattr(block, "shared", None)
            if isinstance(layer, SharedLayer):
                layers[int(pair)] = layer
        return layers
