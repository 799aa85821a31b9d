"""The depthwise convolution over time, three ways that give the same numbers.

Each of m hidden channels is convolved over the frames of its patch into
`width / m` output channels. On two CPU cores the convolution in channels-last form is the fastest:
it reads the hidden activations where they lie (figures in docs/model.md).
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

TemporalKernel = Literal["auto", "conv2d", "conv3d", "shift"]

NUM_TAPS = 3


def temporal_conv(
    h: Tensor, weight: Tensor, bias: Tensor, *, time_axis: int, kernel: TemporalKernel = "auto"
) -> Tensor:
    """Convolve over time, zero beyond the first and the last frame.

    Args:
        h: (B, P, T, m), or (B, T, P, m) when `time_axis` is 1.
        weight: (D, 1, 3, 1, 1), as a `Conv3d` with m groups keeps it.
        bias: (D,).
        time_axis: 2, or 1.
        kernel: How it is computed. "auto" takes the fastest for the device.

    Returns:
        (B, P, T, D) or (B, T, P, D), as `h` is.
    """
    if kernel == "auto":
        kernel = "conv2d" if h.device.type == "cpu" else "shift"
    if kernel == "conv2d":
        return _conv2d(h, weight, bias, time_axis)
    if kernel == "conv3d":
        return _conv3d(h, weight, bias, time_axis)
    return _shift(h, weight, bias, time_axis)


def _conv2d(h: Tensor, weight: Tensor, bias: Tensor, time_axis: int) -> Tensor:
    # (B, m, *, *) seen in channels-last memory order: neither copied on the way in nor out.
    shape = (NUM_TAPS, 1) if time_axis == 1 else (1, NUM_TAPS)
    padding = (1, 0) if time_axis == 1 else (0, 1)
    image = h.permute(0, 3, 1, 2)
    out = F.conv2d(image, weight.view(-1, 1, *shape), bias, padding=padding, groups=h.shape[-1])
    return out.permute(0, 2, 3, 1)


def _conv3d(h: Tensor, weight: Tensor, bias: Tensor, time_axis: int) -> Tensor:
    volume = h.transpose(1, 2) if time_axis == 2 else h  # (B, T, P, m)
    volume = volume.permute(0, 3, 1, 2).unsqueeze(-1)  # (B, m, T, P, 1)
    out = F.conv3d(volume, weight, bias, padding=(1, 0, 0), groups=h.shape[-1])
    out = out.squeeze(-1).permute(0, 2, 3, 1)  # (B, T, P, D)
    return out.transpose(1, 2) if time_axis == 2 else out


def _shift(h: Tensor, weight: Tensor, bias: Tensor, time_axis: int) -> Tensor:
    taps = weight.flatten(1).t()  # (3, D)
    spread = h.repeat_interleave(taps.shape[1] // h.shape[-1], dim=-1)  # (B, P, T, D)
    zero = torch.zeros_like(spread.narrow(time_axis, 0, 1))
    rest = spread.shape[time_axis] - 1
    earlier = torch.cat([zero, spread.narrow(time_axis, 0, rest)], dim=time_axis)
    later = torch.cat([spread.narrow(time_axis, 1, rest), zero], dim=time_axis)
    return earlier * taps[0] + spread * taps[1] + later * taps[2] + bias
