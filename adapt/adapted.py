"""A backbone and an adapter as one model, which computes no frozen activation twice.

Everything below the first adapted block is the same in every step. For the class prompts it is
computed once a run; for videos it can be kept where there is no augmentation. Nothing below that
block is kept for the backward pass.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from adapt.adapter_config import (
    AdapterConfig,
    Branch,
    SharedGradients,
    check_adapter,
    num_pairs,
    tower_block,
)
from adapt.adapters import make_adapter
from adapt.backbone import NO_HOOKS, Attend, Block, BlockHooks, ViCLIP, check_video
from adapt.gradients import SharedGradientReport
from adapt.msta import MSTA
from adapt.token_forest import TokenForest, plant


@dataclass(frozen=True, kw_only=True, slots=True)
class Prefix:
    """What the frozen part of a tower made of its input."""

    hidden: Tensor
    """(B, N, D) input of the first adapted block."""

    block_output: Tensor | None = None
    """(B, N, D) that block's own output, where the adapter only adds to it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassPrompts:
    """The class prompts of a run, packed, with what the frozen text blocks made of them."""

    forest: TokenForest
    prefix: Prefix | None
    """None where the whole backbone trains."""


class AdaptedModel(nn.Module):
    """A backbone with an adapter. Only the adapter trains, unless `config.method` is full.

    Args:
        backbone: Taken as it is; its parameters are frozen in place (or set to train, for full).
        config: The adapter.

    Raises:
        UserError: The adapter does not fit the backbone.
    """

    def __init__(self, backbone: ViCLIP, config: AdapterConfig) -> None:
        super().__init__()
        check_adapter(config, backbone.config)
        self.config = config
        self.backbone = backbone.requires_grad_(config.method == "full")
        self.adapter = make_adapter(config, backbone.config)
        self.recompute_blocks = False
        """Whether activations of adapted blocks are recomputed in the backward pass."""
        self.share_prefixes = True
        """Whether class prompts share the computation of common beginnings."""
        self.separate_shared_gradients(config.shared_gradients != "published")

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Return the parameters an optimizer should have, in a fixed order."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def encode_video(self, video: Tensor) -> Tensor:
        """Map (B, T, 3, H, W) floats, normalised pixels, to (B, D), not normalised."""
        return self.encode_video_prefix(self.video_prefix(video))

    def video_prefix(self, video: Tensor, *, keep_block_output: bool = False) -> Prefix:
        """Run the frozen part of the video tower.

        Args:
            video: (B, T, 3, H, W).
            keep_block_output: Also run the first adapted block itself, for an adapter that only
                adds to it: twice the memory, and one block less in every later step.
        """
        check_video(video, self.backbone.config)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.method == "full"):
            hidden = self.backbone.vision_encoder.embed(video)
            return self._run_frozen("video", hidden, Attend(), keep_block_output)

    def encode_video_prefix(self, prefix: Prefix) -> Tensor:
        """Finish what `video_prefix` began: (B, D), not normalised."""
        return self.backbone.vision_encoder.pool(self._run_adapted("video", prefix, Attend()))

    def prepare_prompts(self, tokens: Tensor) -> ClassPrompts:
        """Pack class prompts and run the frozen part of the text tower, once a run.

        Args:
            tokens: (K, L) token ids, on any device.
        """
        forest = plant(tokens.cpu(), share=self.share_prefixes)
        forest = forest.to(self.backbone.temp.device)
        if self.config.method == "full":
            return ClassPrompts(forest=forest, prefix=None)
        with torch.no_grad():
            return ClassPrompts(forest=forest, prefix=self._text_prefix(forest))

    def encode_prompts(self, prompts: ClassPrompts) -> Tensor:
        """Map K class prompts to (K, D), not normalised."""
        prefix = prompts.prefix or self._text_prefix(prompts.forest)
        hidden = self._run_adapted("text", prefix, Attend(mask=prompts.forest.mask))
        return self.backbone.text_encoder.pool(prompts.forest.gather_ends(hidden))

    def separate_shared_gradients(self, separated: bool = True) -> None:
        """Keep the branches' gradients at shared layers apart until `merge_shared_gradients`."""
        if isinstance(self.adapter, MSTA):
            for layer in self.adapter.shared_layers().values():
                layer.separated = separated

    def shared_leaves(self) -> list[Tensor]:
        """Return the leaves of separated shared layers, the same in every process."""
        if not isinstance(self.adapter, MSTA):
            return []
        layers = self.adapter.shared_layers().values()
        return [leaf for layer in layers if layer.separated for leaf in layer.leaves()]

    def merge_shared_gradients(
        self, mode: SharedGradients | None = None
    ) -> dict[int, SharedGradientReport]:
        """Bring separated gradients together, before the optimizer's step.

        Args:
            mode: As the adapter is configured, unless given.

        Returns:
            A report for each block with a separated shared layer.
        """
        if not isinstance(self.adapter, MSTA):
            return {}
        mode = mode or self.config.shared_gradients
        layers = self.adapter.shared_layers().items()
        return {pair: layer.merge(mode) for pair, layer in layers if layer.separated}

    def compile_blocks(self, backend: str = "inductor") -> None:
        """Compile every block with torch.compile."""
        for branch in ("text", "video"):
            for block in self._blocks(branch):
                block.compile(backend=backend, dynamic=False)

    def _text_prefix(self, forest: TokenForest) -> Prefix:
        hidden = self.backbone.text_encoder.embed(forest.ids, forest.positions)
        keep = not torch.is_grad_enabled()
        return self._run_frozen("text", hidden, Attend(mask=forest.mask), keep)

    def _blocks(self, branch: Branch) -> list[Block]:
        backbone = self.backbone
        tower = backbone.text_encoder if branch == "text" else backbone.vision_encoder
        return tower.transformer.blocks

    def _first_block(self, branch: Branch) -> int:
        """Return the index of the first block that is not the same in every step."""
        if self.config.method == "full":
            return 0
        if branch not in self.config.adapts:
            return len(self._blocks(branch))
        return tower_block(self.backbone.config, branch, self.config.start_block)

    def _hooks(self, branch: Branch, index: int) -> BlockHooks:
        sizes = self.backbone.config
        pair = index - tower_block(sizes, branch, 1) + 1
        adapted = self.config.start_block <= pair <= min(self.config.end_block, num_pairs(sizes))
        if not adapted or branch not in self.config.adapts:
            return NO_HOOKS
        return self.adapter.hooks(branch, pair)

    def _run_frozen(
        self, branch: Branch, hidden: Tensor, attend: Attend, keep_block_output: bool
    ) -> Prefix:
        blocks = self._blocks(branch)
        first = self._first_block(branch)
        for index in range(first):
            hidden = blocks[index](
                hidden, attend, NO_HOOKS, _class_token_only(branch, blocks, index)
            )
        if not (keep_block_output and first < len(blocks) and self.adapter.keeps_blocks_frozen):
            return Prefix(hidden=hidden)
        only = _class_token_only(branch, blocks, first)
        return Prefix(hidden=hidden, block_output=blocks[first](hidden, attend, NO_HOOKS, only))

    def _run_adapted(self, branch: Branch, prefix: Prefix, attend: Attend) -> Tensor:
        blocks = self._blocks(branch)
        hidden = prefix.hidden
        for index in range(self._first_block(branch), len(blocks)):
            hooks = self._hooks(branch, index)
            only = _class_token_only(branch, blocks, index)
            if prefix.block_output is not None and hidden is prefix.hidden:
                assert hooks.beside_block is not None
                rows = hidden[:, :1] if only else hidden
                hidden = hooks.beside_block(prefix.block_output, rows, blocks[index].ln_1(rows))
            elif self.recompute_blocks and torch.is_grad_enabled():
                hidden = checkpoint(blocks[index], hidden, attend, hooks, only, use_reentrant=False)
            else:
                hidden = blocks[index](hidden, attend, hooks, only)
        return hidden


def _class_token_only(branch: Branch, blocks: list[Block], index: int) -> bool:
    """Whether nothing but the class token of this block's output is ever read."""
    return branch == "video" and index == len(blocks) - 1
