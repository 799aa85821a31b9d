"""What a filter did, sentence by sentence: a run's descriptions.json, and a table to look at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from adapt.quality_config import FilterConfig
from adapt.quality_filter import Judged
from describe.escape import printable

if TYPE_CHECKING:
    from describe.classes import ActionClass
    from describe.dataset import DescriptionSet

FORMAT = "adapt-descriptions-1"

# Characters of a sentence that are shown; all of it is in the report.
MAX_SHOWN = 200


def make_report(
    descriptions: "DescriptionSet",
    classes: "Sequence[ActionClass]",
    judged: Sequence[Judged],
    config: FilterConfig,
    context_length: int,
) -> dict[str, Any]:
    """Return the report as JSON data.

    Args:
        descriptions: The set.
        classes: Those it was joined to, in label order.
        judged: All their sentences, by class, kind and step.
        config: The filter.
        context_length: Tokens that the text tower reads; a longer sentence loses its end.
    """
    by_class: dict[str, list[Judged]] = {}
    for each in judged:
        by_class.setdefault(each.row.class_name, []).append(each)
    others = {row.class_name for row in descriptions.rows} - set(by_class)
    return {
        "format": FORMAT,
        "dataset": descriptions.manifest["dataset"],
        "version": descriptions.name,
        "fingerprint": descriptions.fingerprint,
        "filter": asdict(config),
        "context_length": context_length,
        "summary": {
            **_counts(judged, context_length),
            "ignored_classes": len(others),
            "kinds": {
                kind: _counts([each for each in judged if each.row.kind == kind], context_length)
                for kind in sorted({each.row.kind for each in judged})
            },
        },
        "classes": [
            {
                "class_name": each.name,
                "readable_name": each.readable,
                "sentences": [_sentence(item, context_length) for item in by_class[each.name]],
            }
            for each in classes
        ],
    }


def _counts(judged: Sequence[Judged], context_length: int) -> dict[str, Any]:
    kept = Counter(each.row.class_name for each in judged if each.kept)
    reasons = Counter(each.reason for each in judged if each.reason)
    margins = [each.margin for each in judged if each.margin is not None]
    return {
        "sentences": len(judged),
        "kept": sum(kept.values()),
        "dropped": len(judged) - sum(kept.values()),
        "weighted": sum(0 < each.weight < 1 for each in judged),
        "rescued": sum(each.weight == 1 and each.reason != "" for each in judged),
        "fewest_kept": min(kept.values(), default=0),
        "over_budget": sum(each.row.num_tokens > context_length for each in judged),
        "reasons": dict(sorted(reasons.items())),
        "median_margin": _rounded(median(margins)) if margins else None,
    }


def _sentence(judged: Judged, context_length: int) -> dict[str, Any]:
    row = judged.row
    return {
        "kind": row.kind,
        "step": row.step,
        "text": row.text,
        "num_tokens": row.num_tokens,
        "cut": row.num_tokens > context_length,
        "own": _rounded(judged.own),
        "next": _rounded(judged.next),
        "next_class": judged.next_class,
        "margin": _rounded(judged.margin),
        "kept": judged.kept,
        "weight": _rounded(judged.weight),
        "reason": judged.reason,
        "why": judged.why,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def summary_line(report: Mapping[str, Any]) -> str:
    """Return what became of the sentences, on one line."""
    counts = report["summary"]
    parts = [f"{counts['kept']} of {counts['sentences']} descriptions kept"]
    parts += [f"{number} {_REASONS[reason]}" for reason, number in counts["reasons"].items()]
    if counts["rescued"]:
        parts.append(f"{counts['rescued']} of these kept, or a class would have none")
    if counts["weighted"]:
        parts.append(f"{counts['weighted']} with less weight")
    if counts["over_budget"]:
        limit = report["context_length"]
        parts.append(f"{counts['over_budget']} over {limit} tokens lose their end")
    if counts["ignored_classes"]:
        parts.append(f"{counts['ignored_classes']} classes of the set not asked for")
    return "; ".join(parts)


def _short(text: str) -> str:
    return printable(text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…")


_REASONS = {
    "flagged": "flagged by a rule",
    "other class": "nearer to another class",
    "repeats": "repeat another",
    "surplus": "more than asked for",
}


def worst_classes(report: Mapping[str, Any], count: int) -> list[str]:
    """Return a line for each of the classes whose sentences are worst: by their mean margin."""
    scored = []
    for each in report["classes"]:
        margins = [item["margin"] for item in each["sentences"] if item["margin"] is not None]
        if margins:
            kept = sum(item["kept"] for item in each["sentences"])
            scored.append((sum(margins) / len(margins), each["class_name"], kept, len(margins)))
    return [
        f"{margin:6.2f}  {kept:3} of {total:3}  {printable(name)}"
        for margin, name, kept, total in sorted(scored)[:count]
    ]


def worst_sentences(report: Mapping[str, Any], count: int) -> list[str]:
    """Return two lines for each of the sentences that a filter found worst."""
    rows = [
        (item["margin"] if item["margin"] is not None else 0.0, each["class_name"], item)
        for each in report["classes"]
        for item in each["sentences"]
        if item["reason"] not in ("", "surplus")
    ]
    rows.sort(key=lambda row: (row[0], row[1], row[2]["kind"], row[2]["step"]))
    return [
        f"{printable(name)}, {item['kind']}: {_short(item['text'])}\n    {printable(item['why'])}"
        for _, name, item in rows[:count]
    ]
