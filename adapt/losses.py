"""The two losses: which class a clip shows, and staying near what the class's descriptions say."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from describe.errors import UserError

Consistency = Literal["cosine", "l2", "kl"]

TEMPERATURE = 0.01


def class_logits(
    video_embeddings: Tensor, class_embeddings: Tensor, temperature: float | Tensor = TEMPERATURE
) -> Tensor:
    """Return cosines over `temperature`: (B, D) and (K, D), of any length, to (B, K)."""
    videos = F.normalize(video_embeddings.float(), dim=-1)
    classes = F.normalize(class_embeddings.float(), dim=-1)
    return videos @ classes.T / temperature


def classification_loss(
    video_embeddings: Tensor,
    class_embeddings: Tensor,
    labels: Tensor,
    temperature: float | Tensor = TEMPERATURE,
) -> Tensor:
    """Return the mean cross-entropy over (B,) labels among the K training classes."""
    return F.cross_entropy(class_logits(video_embeddings, class_embeddings, temperature), labels)


def consistency_loss(
    class_embeddings: Tensor,
    *descriptions: Tensor,
    kind: Consistency = "cosine",
    temperature: float | Tensor = TEMPERATURE,
) -> Tensor:
    """Hold each class embedding to its descriptions; the mean over all K classes.

    - cosine: the sum over kinds of `1 - cos(w_c, D_c)`, so `2 - cos - cos` for two (the paper).
    - l2: the sum over kinds of the distance between the two on the unit sphere.
    - kl: the sum over kinds of KL(p || q), where p says how like class c's description is to the
      descriptions of all classes, and q how like the class embedding is.

    Args:
        class_embeddings: (K, D), the adapted text branch's; the only one to get a gradient.
        descriptions: One (K, D) for each kind, such as spatial and temporal: constants.
        kind: One of the above.
        temperature: Of the softmax in kl.

    Raises:
        UserError: There is no description.
        ValueError: Shapes differ, or a description needs a gradient.
    """
    if not descriptions:
        raise UserError("the consistency loss needs at least one kind of description")
    for part in descriptions:
        if part.shape != class_embeddings.shape:
            raise ValueError(f"descriptions {tuple(part.shape)}, classes {class_embeddings.shape}")
        if part.requires_grad:
            raise ValueError("descriptions are constants of a run and must not need a gradient")
    classes = F.normalize(class_embeddings.float(), dim=-1)
    terms = [_terms(classes, F.normalize(part.float(), dim=-1), kind, temperature)
             for part in descriptions]  # fmt: skip
    return torch.stack(terms).sum(dim=0).mean()


def _terms(
    classes: Tensor, described: Tensor, kind: Consistency, temperature: float | Tensor
) -> Tensor:
    """Return (K,) for one kind; both arguments (K, D) with rows of unit length."""
    if kind == "cosine":
        return 1 - (classes * described).sum(dim=-1)
    if kind == "l2":
        # The derivative of a distance has no value at zero; below 1e-6 it is taken as constant.
        return (classes - described).square().sum(dim=-1).clamp(min=1e-12).sqrt()
    wanted = F.log_softmax(described @ described.T / temperature, dim=-1)
    actual = F.log_softmax(classes @ described.T / temperature, dim=-1)
    return F.kl_div(actual, wanted, reduction="none", log_target=True).sum(dim=-1)
