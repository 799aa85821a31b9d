"""Gradients where text and video meet: the scaling identity, and the shared layer's two gradients.

The shared layer of MSTA receives one gradient from each branch. As published they are added. The
paper names this as its first limit, so three other ways to bring them together stand here.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adapt.adapter_config import Branch, SharedGradients


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.factor, None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """Return `x` unchanged; on the way back its gradient is multiplied by `factor`."""
    out: Tensor = _ScaleGradient.apply(x, factor)  # type: ignore[no-untyped-call]
    return out


class _AddScaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, back: float, *added: Tensor) -> Tensor:
        ctx.back = back
        ctx.shapes = [(part.shape[1], part.dtype) for part in added]
        out = x.clone()
        for part in added:
            out[:, -part.shape[1] :].add_(part, alpha=scale)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad = grads[0]
        scaled = grad if ctx.back == 1 else grad * ctx.back
        parts = (scaled[:, -rows:].to(dtype) for rows, dtype in ctx.shapes)
        return (grad, None, None, *parts)


def add_scaled(x: Tensor, added: tuple[Tensor, ...], scale: float, unscaled: bool) -> Tensor:
    """Return `x + scale * added`, each part lined up with the last tokens of `x`.

    Args:
        x: (B, N, D).
        added: Each (B, n, D) with n <= N.
        scale: The factor.
        unscaled: Whether the parts get the gradient of the sum itself, without `scale`: MSTA's
            gradient-scaling identity, folded in.
    """
    if not added:
        return x
    back = 1.0 if unscaled and scale != 0 else scale
    out: Tensor = _AddScaled.apply(x, scale, back, *added)  # type: ignore[no-untyped-call]
    return out


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedGradientReport:
    """The two gradients of one shared layer, and what was made of them."""

    text_norm: float
    video_norm: float
    cosine: float
    """Of the angle between the two; 0 when one of them is zero."""

    applied_norm: float
    applied_to_text: float
    """Cosine between the gradient that was applied and the text branch's."""

    applied_to_video: float

    def unscaled(self, scale: float) -> "SharedGradientReport":
        """Return the same without the factor of a loss scaler."""
        norms = {
            name: getattr(self, name) / scale
            for name in ("text_norm", "video_norm", "applied_norm")
        }
        return replace(self, **norms)


def combine(text: Tensor, video: Tensor, mode: SharedGradients) -> Tensor:
    """Bring two gradients of the same parameters together.

    - published: their sum.
    - balanced: both brought to the mean of their norms, then added.
    - projected: when they point against each other, each first loses its part along the other
      (PCGrad, Yu et al. 2020); then added.
    - detach_text, detach_video: that branch's gradient is left out.

    Args:
        text: (n,) gradient that came through the text branch.
        video: (n,) gradient that came through the video branch.
        mode: One of the above.
    """
    if mode == "detach_text":
        return video
    if mode == "detach_video":
        return text
    if mode == "balanced":
        text_norm, video_norm = float(text.norm()), float(video.norm())
        if text_norm > 0 and video_norm > 0:
            mean = (text_norm + video_norm) / 2
            return text * (mean / text_norm) + video * (mean / video_norm)
    if mode == "projected":
        dot = text @ video
        if dot < 0:
            along_video, along_text = dot / (video @ video), dot / (text @ text)
            return text - along_video * video + video - along_text * text
    return text + video


def report(text: Tensor, video: Tensor, applied: Tensor) -> SharedGradientReport:
    """Measure two gradients and the one made of them."""
    return SharedGradientReport(
        text_norm=float(text.norm()),
        video_norm=float(video.norm()),
        cosine=float(F.cosine_similarity(text, video, dim=0)),
        applied_norm=float(applied.norm()),
        applied_to_text=float(F.cosine_similarity(applied, text, dim=0)),
        applied_to_video=float(F.cosine_similarity(applied, video, dim=0)),
    )


class SharedLayer(nn.Module):
    """Linear and ReLU, used by both branches; what ties text and video together.

    While `separated`, each branch uses leaves of its own that share the parameters' memory. Their
    gradients stay apart, over any number of backward passes, until `merge` brings them together.

    Args:
        dim: Width of the hidden activations.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, dim)
        self.separated = False
        self._leaves: dict[Branch, tuple[Tensor, Tensor]] = {}

    def forward(self, h: Tensor, branch: Branch) -> Tensor:
        """Map (B, N, m) of one branch to (B, N, m)."""
        if not (self.separated and torch.is_grad_enabled()):
            together: Tensor = self.linear(h)
            return F.relu(together)
        return F.relu(F.linear(h, *self._leaves_of(branch)))

    def _leaves_of(self, branch: Branch) -> tuple[Tensor, Tensor]:
        if branch not in self._leaves:
            weight, bias = self.linear.weight, self.linear.bias
            self._leaves[branch] = (
                weight.detach().requires_grad_(),
                bias.detach().requires_grad_(),
            )
        return self._leaves[branch]

    def leaves(self) -> list[Tensor]:
        """Return both branches' leaves in a fixed order, to average gradients over processes."""
        branches: tuple[Branch, ...] = ("text", "video")
        return [leaf for branch in branches for leaf in self._leaves_of(branch)]

    def merge(self, mode: SharedGradients) -> SharedGradientReport:
        """Add what is made of the two branches' gradients to the parameters', and drop the two."""
        text, video = self._flat_gradient("text"), self._flat_gradient("video")
        applied = combine(text, video, mode)
        num_weights = self.linear.weight.numel()
        _add_gradient(self.linear.weight, applied[:num_weights].view_as(self.linear.weight))
        _add_gradient(self.linear.bias, applied[num_weights:])
        self._leaves.clear()
        return report(text, video, applied)

    def _flat_gradient(self, branch: Branch) -> Tensor:
        leaves = self._leaves.get(branch, ())
        if not leaves or any(leaf.grad is None for leaf in leaves):
            return self.linear.weight.new_zeros(self.linear.weight.numel() + len(self.linear.bias))
        return torch.cat([leaf.grad.flatten() for leaf in leaves if leaf.grad is not None])


def _add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    known = parameter.grad
    parameter.grad = gradient.clone() if known is None else known + gradient
