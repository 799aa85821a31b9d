"""Prompts packed so that what they share is computed once, and padding is not computed at all.

Text attention is causal, so a token's activations depend on the tokens before it alone: "a video
of" is the same for every class. Prompts are laid into prefix trees, and a mask lets each token see
its ancestors. Every prompt's embedding equals that of the prompt alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Attention is quadratic in a tree's size and a tree repeats the common prefix, so that the cost is
# flat between 48 and 128 tokens.
MAX_TREE_TOKENS = 96


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenForest:
    """G trees of at most N tokens, and where each of K prompts ends."""

    ids: Tensor
    """(G, N) token ids, zero where a tree is smaller."""

    positions: Tensor
    """(G, N) positions of the tokens in their prompts."""

    mask: Tensor
    """(G, 1, N, N), True where the row's token sees the column's: itself and its ancestors."""

    ends: Tensor
    """(K,) index of each prompt's last token in the flattened (G * N)."""

    @property
    def num_tokens(self) -> int:
        """Tokens that are computed, padding of the smaller trees included."""
        return self.ids.numel()

    def gather_ends(self, hidden: Tensor) -> Tensor:
        """Pick each prompt's last token from (G, N, D): (K, D)."""
        return hidden.flatten(0, 1)[self.ends]

    def to(self, device: torch.device) -> "TokenForest":
        """Return the same forest on another device."""
        return TokenForest(
            ids=self.ids.to(device),
            positions=self.positions.to(device),
            mask=self.mask.to(device),
            ends=self.ends.to(device),
        )


class _Tree:
    """A prefix tree under construction: parallel lists, parents before children."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.parents: list[int] = []
        self.positions: list[int] = []
        self._children: dict[tuple[int, int], int] = {}

    def num_new(self, prompt: Sequence[int]) -> int:
        node = -1
        for depth, token in enumerate(prompt):
            child = self._children.get((node, token))
            if child is None:
                return len(prompt) - depth
            node = child
        return 0

    def add(self, prompt: Sequence[int]) -> int:
        """Add what is missing of `prompt` and return its last node."""
        node = -1
        for position, token in enumerate(prompt):
            child = self._children.get((node, token))
            if child is None:
                child = self._children[node, token] = len(self.ids)
                self.ids.append(token)
                self.parents.append(node)
                self.positions.append(position)
            node = child
        return node


def plant(tokens: Tensor, *, share: bool = True, max_tokens: int = MAX_TREE_TOKENS) -> TokenForest:
    """Pack prompts into trees.

    Args:
        tokens: (K, L) ids, each row with its end-of-text token (the highest id).
        share: Whether prompts share prefixes. Without, each is a tree of its own, padded to the
            longest of all.
        max_tokens: Size that no tree with more than one prompt exceeds.
    """
    prompts = [row[: row.index(max(row)) + 1] for row in tokens.tolist()]
    trees: list[_Tree] = []
    last_nodes = [(0, 0)] * len(prompts)
    for row in sorted(range(len(prompts)), key=prompts.__getitem__):  # neighbours share most
        new = trees[-1].num_new(prompts[row]) if trees and share else max_tokens + 1
        if not trees or len(trees[-1].ids) + new > max_tokens:
            trees.append(_Tree())
        last_nodes[row] = (len(trees) - 1, trees[-1].add(prompts[row]))
    return _lay_out(trees, last_nodes, tokens.device)


def _lay_out(
    trees: Sequence[_Tree], last_nodes: Sequence[tuple[int, int]], device: torch.device
) -> TokenForest:
    size = max(len(tree.ids) for tree in trees)
    ids = torch.zeros(len(trees), size, dtype=torch.int64)
    positions = torch.zeros_like(ids)
    mask = torch.eye(size, dtype=torch.bool).repeat(len(trees), 1, 1, 1)  # (G, 1, N, N)
    for g, tree in enumerate(trees):
        ids[g, : len(tree.ids)] = torch.tensor(tree.ids)
        positions[g, : len(tree.ids)] = torch.tensor(tree.positions)
        for node, parent in enumerate(tree.parents):
            if parent >= 0:  # what the parent sees, and itself
                mask[g, 0, node] |= mask[g, 0, parent]
    ends = torch.tensor([g * size + node for g, node in last_nodes])
    return TokenForest(ids=ids, positions=positions, mask=mask, ends=ends).to(device)
