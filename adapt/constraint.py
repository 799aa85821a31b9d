"""A description set becomes what the consistency loss holds the classes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from adapt.quality_config import FilterConfig
from adapt.quality_filter import Judged, choose
from adapt.quality_report import make_report
from adapt.quality_scores import TextScores, score_texts
from adapt.text import embed_texts, tokenize_classes
from adapt.tokens import tokenize
from describe.errors import UserError

if TYPE_CHECKING:
    from adapt.backbone import ViCLIP
    from describe.classes import ActionClass
    from describe.dataset import Description, DescriptionSet

KINDS = ("spatial", "temporal")


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """The mean embedding of each class's descriptions: a constant of the run."""

    spatial: Tensor | None
    """(K, D), rows of unit length; None where spatial descriptions are left out."""

    temporal: Tensor | None
    """(K, D), likewise."""

    report: dict[str, Any]
    """What was done with each sentence: the run's descriptions.json."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """One (K, D) for each kind in use, as `accumulate_gradients` takes them."""
        return tuple(each for each in (self.spatial, self.temporal) if each is not None)


def build_constraint(
    backbone: "ViCLIP",
    descriptions: "DescriptionSet",
    classes: "Sequence[ActionClass]",
    config: FilterConfig | None = None,
) -> Constraint:
    """Join a set to classes by name, filter it, and average what is kept, embedded.

    Every sentence is encoded once. Classes of the set that are not asked for are left out and
    counted.

    Args:
        backbone: Its text tower, on its device; the constraint is on that device.
        descriptions: One version of a set.
        classes: The K classes, in label order.
        config: The filter; by default none.

    Raises:
        UserError: A class has no description of a kind that is in use, or the filter cannot work.
    """
    config = config or FilterConfig()
    kinds = KINDS if config.description_kinds == "both" else (config.description_kinds,)
    rows = join_by_name(descriptions, classes, kinds)
    tokens = tokenize([row.text for row in rows], backbone.config.context_length).ids
    embeddings = embed_texts(backbone, tokens)  # (S, D)
    place = {each.name: label for label, each in enumerate(classes)}
    owners = torch.tensor([place[row.class_name] for row in rows])
    scores = None
    if config.filter == "text":
        scores = _score(backbone, embeddings, owners, rows, classes, config)
    judged = choose(rows, config, scores, [each.name for each in classes])
    means = {
        kind: _weighted_means(embeddings, owners, judged, kind, len(classes)) for kind in kinds
    }
    return Constraint(
        spatial=means.get("spatial"),
        temporal=means.get("temporal"),
        report=make_report(descriptions, classes, judged, config, backbone.config.context_length),
    )


def join_by_name(
    descriptions: "DescriptionSet", classes: "Sequence[ActionClass]", kinds: Sequence[str] = KINDS
) -> "list[Description]":
    """Return the rows of `classes`, by label, kind and step.

    Raises:
        UserError: A class has none of some kind; the message counts such classes and names the
            first.
    """
    place = {each.name: label for label, each in enumerate(classes)}
    rows = [row for row in descriptions.rows if row.class_name in place and row.kind in kinds]
    present = {(row.class_name, row.kind) for row in rows}
    for kind in kinds:
        missing = [each.name for each in classes if (each.name, kind) not in present]
        if missing:
            dataset = descriptions.manifest["dataset"]
            raise UserError(
                f"version {descriptions.name} of {dataset} has no {kind} description for "
                f"{len(missing)} of {len(classes)} classes, first {missing[0]!r}; describe "
                f"them, choose a version made for these classes{_or_kind(kind, present, classes)}"
            )
    return sorted(rows, key=lambda row: (place[row.class_name], row.kind, row.step))


def _or_kind(lacking: str, present: set[tuple[str, str]], classes: "Sequence[ActionClass]") -> str:
    """Return the advice to do with the other kind alone, where every class has that."""
    other = next(kind for kind in KINDS if kind != lacking)
    is_whole = all((each.name, other) in present for each in classes)
    return f", or pass --description-kinds {other}" if is_whole else ""


def _score(
    backbone: "ViCLIP",
    embeddings: Tensor,
    owners: Tensor,
    rows: "Sequence[Description]",
    classes: "Sequence[ActionClass]",
    config: FilterConfig,
) -> TextScores:
    names = [each.readable for each in classes]
    prompts = tokenize_classes(names, context_length=backbone.config.context_length).ids
    return score_texts(
        embeddings,
        owners,
        torch.tensor([KINDS.index(row.kind) for row in rows]),
        embed_texts(backbone, prompts),
        max_similarity=config.max_similarity,
    )


def _weighted_means(
    embeddings: Tensor, owners: Tensor, judged: Sequence[Judged], kind: str, num_classes: int
) -> Tensor:
    """Return (K, D): each embedding brought to unit length, averaged by weight, and again."""
    weights = [each.weight if each.row.kind == kind else 0.0 for each in judged]
    weighted = (
        F.normalize(embeddings.float(), dim=-1) * torch.tensor(weights).to(embeddings)[:, None]
    )
    sums = weighted.new_zeros(num_classes, weighted.shape[1])
    # Divided by no sum of weights: the length is lost in the next step.
    return F.normalize(sums.index_add_(0, owners.to(sums.device), weighted), dim=-1)
