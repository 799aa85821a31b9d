"""Class prompts and descriptions to token ids and embeddings."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from adapt.backbone import ViCLIP
from adapt.tokens import TokenizedTexts, tokenize
from describe.errors import UserError

TEMPLATE = "a video of {}."

# Texts of similar length are encoded together, so that little padding is computed.
MAX_BATCH_TOKENS = 4096


def tokenize_classes(
    class_names: Sequence[str], template: str = TEMPLATE, context_length: int = 32
) -> TokenizedTexts:
    """Put each readable class name into `template` and encode it.

    Raises:
        UserError: `template` has no `{}` to put a name in.
    """
    if "{}" not in template:
        raise UserError(f"template {template!r} has no {{}}, where the class name goes")
    return tokenize([template.replace("{}", name) for name in class_names], context_length)


_SAME = 1e-6  # cosines of equal texts are this near to 1, in float32


def alike_classes(embeddings: Tensor, names: Sequence[str]) -> str:
    """Return what to say of classes whose prompts are one text to a backbone; empty where none are.

    Args:
        embeddings: (K, D) of the class prompts.
        names: The K names in plain English.
    """
    unit = F.normalize(embeddings.detach().float(), dim=-1)
    with torch.autocast(unit.device.type, enabled=False):
        same = (unit @ unit.T > 1 - _SAME).fill_diagonal_(False)
    alike = [
        name for name, is_alike in zip(names, same.any(dim=1).tolist(), strict=True) if is_alike
    ]
    if not alike:
        return ""
    shown = ", ".join(map(repr, alike[:3])) + (", ..." if len(alike) > 3 else "")
    return (
        f"{len(alike)} of {len(names)} class prompts are the same to this backbone as another's "
        f"({shown}): it does not know these words, and cannot tell the classes apart"
    )


@torch.no_grad()
def embed_texts(backbone: ViCLIP, tokens: Tensor) -> Tensor:
    """Encode token ids with the frozen text tower, each distinct text once.

    Args:
        backbone: Whose text tower is used, on its device.
        tokens: (M, L) ids.

    Returns:
        (M, D), not normalised.
    """
    device = backbone.temp.device
    distinct, inverse = torch.unique(tokens, dim=0, return_inverse=True)
    lengths = distinct.argmax(dim=-1) + 1
    order = lengths.argsort()
    rows: list[Tensor] = []
    while len(order):
        # Take the longest that are left, as many as fill a batch.
        longest = int(lengths[order[-1]])
        take = order[-max(1, MAX_BATCH_TOKENS // longest) :]
        order = order[: len(order) - len(take)]
        rows.insert(0, backbone.encode_text(distinct[take].to(device)))
    embeddings = torch.cat(rows)
    restored = torch.empty_like(embeddings)
    restored[lengths.argsort().to(device)] = embeddings
    return restored[inverse.to(device)]


def embed_descriptions(
    backbone: ViCLIP,
    descriptions: Mapping[str, Sequence[str]],
    class_names: Sequence[str],
    *,
    weights: Mapping[str, Sequence[float]] | None = None,
    normalise_mean: bool = True,
) -> Tensor:
    """Average the embeddings of each class's descriptions; a constant of the run.

    Args:
        backbone: Its frozen text tower encodes them.
        descriptions: Class name to its M >= 1 sentences; M may differ by class.
        class_names: The K classes, in label order.
        weights: Class name to one weight >= 0 for each sentence: a weighted mean.
        normalise_mean: Whether the mean of the normalised embeddings is normalised again, as CLIP's
            prompt ensemble does.

    Returns:
        (K, D), without gradient.

    Raises:
        UserError: A class has no description, or not one weight for each.
    """
    missing = [name for name in class_names if not any(map(str.strip, descriptions.get(name, ())))]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(class_names)} classes have no description, "
            f"first {missing[0]!r}"
        )
    sentences = [text for name in class_names for text in descriptions[name]]
    tokens = tokenize(sentences, backbone.config.context_length).ids
    each = F.normalize(embed_texts(backbone, tokens), dim=-1)  # (sum of M, D)
    sizes = [len(descriptions[name]) for name in class_names]
    rows = []
    for name, group in zip(class_names, torch.split(each, sizes), strict=True):
        share = _shares(name, len(group), weights).to(group)
        rows.append(share @ group)
    means = torch.stack(rows)  # (K, D)
    return F.normalize(means, dim=-1) if normalise_mean else means


def _shares(name: str, count: int, weights: Mapping[str, Sequence[float]] | None) -> Tensor:
    """Return `count` shares that add up to 1."""
    if weights is None:
        return torch.full((count,), 1 / count)
    given = torch.tensor(weights.get(name, ()), dtype=torch.float32)
    if len(given) != count:
        raise UserError(f"class {name!r} has {count} descriptions and {len(given)} weights")
    if (given < 0).any() or not given.sum() > 0 or not given.isfinite().all():
        raise UserError(f"the weights of class {name!r} must be finite, >= 0 and not all zero")
    return given / given.sum()
