"""What the frozen text tower makes of each description: whose it is, and what it repeats.

Texts of one dataset share most of what they say ("a video of ..."), and their embeddings point into
one narrow cone. So they are centred first: the mean of all descriptions is taken from each, that of
all class prompts from each prompt.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from describe.errors import UserError

# A class is its prompt, and half as much the other descriptions. More of these finds single strays
# slightly better, and is blind where all of a class's descriptions are another's.
PEER_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class TextScores:
    """S descriptions, judged by the text tower; on the CPU."""

    own: Tensor
    """(S,) cosine with the class it was written for."""

    next: Tensor
    """(S,) cosine with the nearest other class."""

    next_class: Tensor
    """(S,) which class that is."""

    repeats: dict[int, list[tuple[int, float]]]
    """Description to those before it, of its class and kind, that it is very like; and how like."""

    @property
    def margin(self) -> Tensor:
        """(S,) how much nearer it is to its own class than to the next."""
        return self.own - self.next


@torch.no_grad()
def score_texts(
    descriptions: Tensor,
    owners: Tensor,
    kinds: Tensor,
    prompts: Tensor,
    *,
    max_similarity: float,
) -> TextScores:
    """Compare each description with every class, and with those before it in its own class.

    Class k stands at `prompt_k + PEER_SHARE * mean of its descriptions`, brought to unit length.
    For the class that a description was written for, the mean is of the others alone: otherwise
    each would vouch for itself.

    Args:
        descriptions: (S, D) embeddings of any length, those of a class and kind in order.
        owners: (S,) class of each.
        kinds: (S,) a number for each kind of description.
        prompts: (K, D) embeddings of the class prompts.
        max_similarity: Cosine above which two are listed as repeating each other.

    Raises:
        UserError: There is one class, so nothing can be nearer to another.
    """
    num_classes = len(prompts)
    if num_classes < 2:
        raise UserError("--filter text compares classes, and there is only one; use another filter")
    texts, anchors = _centred(descriptions.cpu()), _centred(prompts.cpu())
    owners, kinds = owners.cpu(), kinds.cpu()
    sums = torch.zeros_like(anchors).index_add_(0, owners, texts)  # (K, D)
    counts = owners.bincount(minlength=num_classes)[:, None]
    others = (sums[owners] - texts) / (counts[owners] - 1).clamp(min=1)
    own_anchors = F.normalize(anchors[owners] + PEER_SHARE * others, dim=-1)
    anchors = F.normalize(anchors + PEER_SHARE * sums / counts.clamp(min=1), dim=-1)
    own = (texts * own_anchors).sum(dim=-1)
    cosines = texts @ anchors.T  # (S, K)
    cosines[torch.arange(len(texts)), owners] = -torch.inf
    nearest = cosines.max(dim=-1)
    return TextScores(
        own=own,
        next=nearest.values,
        next_class=nearest.indices,
        repeats=_repeats(texts, owners, kinds, max_similarity),
    )


def _centred(embeddings: Tensor) -> Tensor:
    unit = F.normalize(embeddings.float(), dim=-1)
    return F.normalize(unit - unit.mean(dim=0), dim=-1)


def _repeats(
    texts: Tensor, owners: Tensor, kinds: Tensor, limit: float
) -> dict[int, list[tuple[int, float]]]:
    groups: dict[tuple[int, int], list[int]] = {}
    for index, group in enumerate(zip(owners.tolist(), kinds.tolist(), strict=True)):
        groups.setdefault(group, []).append(index)
    found: dict[int, list[tuple[int, float]]] = {}
    for members in groups.values():
        similar = (texts[members] @ texts[members].T).clamp(max=1).tril(diagonal=-1)
        for later, earlier in (similar > limit).nonzero().tolist():
            cosine = float(similar[later, earlier])
            found.setdefault(members[later], []).append((members[earlier], cosine))
    return found
