"""One run in detail: curves, classes, mistakes, descriptions, videos that could not be read."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeGuard

from adapt.plots import Bar, Line, bar_chart, line_chart, matrix
from adapt.report_classes import GroupChange, Mistake, worst_mistakes
from adapt.report_runs import RunRecord
from adapt.results import Result

# Classes of which all are drawn; of more, the worst alone.
MOST_CLASSES = 51
MOST_ROWS = 15
MOST_VIDEOS = 50
CURVES = ("loss", "classification", "consistency")

Facts = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class ResultDetails:
    """One evaluation of a run."""

    title: str
    facts: Facts
    classes: str
    """Plot of the accuracy of each class, or of the worst."""

    matrix: str
    """Confusion matrix; empty where there are too many classes to read one."""

    mistakes: list[Mistake]
    failed: list[tuple[str, str]]
    more_failed: int


@dataclass(frozen=True, kw_only=True)
class Descriptions:
    """What a filter did, in short."""

    facts: Facts
    dropped: Sequence[Mapping[str, Any]]
    """Sentences: class_name, kind, text, why."""

    more_dropped: int


@dataclass(frozen=True, kw_only=True)
class RunDetails:
    """All that the page shows of one run."""

    name: str
    setting: str
    adapter: str
    status: str
    headline: str
    facts: Facts
    notes: list[str]
    curves: list[tuple[str, str]]
    """Plots of the training, each with what it shows."""

    results: list[ResultDetails]
    descriptions: Descriptions | None
    bad_videos: list[tuple[str, str]]
    more_bad_videos: int


def run_details(record: RunRecord) -> RunDetails:
    """Gather what is shown of a run.

    Raises:
        UserError: One of its files is damaged.
    """
    bad = [(str(b.get("name", "")), str(b.get("reason", ""))) for b in record.run.bad_videos()]
    lines = record.run.metrics()
    return RunDetails(
        name=record.name,
        setting=record.setting,
        adapter=record.adapter,
        status=record.run.status,
        headline=", ".join(f"{each.name} {each.top1:.2f}" for each in record.results),
        facts=_facts(record) + _pace(lines),
        notes=[str(note) for note in record.manifest.get("notes", [])],
        curves=_curves(lines),
        results=[_result(each) for each in record.results],
        descriptions=_descriptions(record.run.descriptions_report()),
        bad_videos=bad[:MOST_VIDEOS],
        more_bad_videos=max(0, len(bad) - MOST_VIDEOS),
    )


def _facts(record: RunRecord) -> Facts:
    manifest = record.manifest
    recipe = manifest.get("recipe", {})
    train = manifest["lists"].get("train", {})
    described = manifest.get("descriptions")
    facts = [
        ("status", f"{record.run.status}, {manifest.get('epochs_done', 0)} epochs"),
        ("created", str(manifest.get("created", ""))),
        ("command", str(manifest.get("command", ""))),
        ("backbone", f"{manifest['backbone']['source']}, {_short(manifest['backbone']['hash'])}"),
        ("adapter", f"{record.adapter}, {int(manifest['adapter']['trainable']):,} trainable"),
        ("training list", f"{train.get('count', 0)} videos, {_short(train.get('hash', ''))}"),
        ("seed", str(record.seed)),
        ("recipe", ", ".join(f"{k} {v}" for k, v in recipe.items() if k != "seed")),
        ("machine", str(manifest.get("device", ""))),
        ("versions", ", ".join(f"{k} {v}" for k, v in manifest.get("versions", {}).items())),
    ]
    if described is not None:
        text = f"{described['dataset']} {described['version']}, {_short(described['fingerprint'])}"
        facts.insert(5, ("descriptions", f"{text}; filter {described['filter']}"))
    return facts


def _short(text: object) -> str:
    """Return the beginning of a hash."""
    return str(text)[:19]


def _pace(lines: Sequence[Mapping[str, Any]]) -> Facts:
    """Return how fast it was trained, and what was skipped, from metrics.jsonl."""
    facts = []
    speeds = _line("videos_per_s", lines, "step").ys
    waits = _line("wait_share", lines, "step").ys
    if speeds and waits:
        share = 100 * median(waits)
        text = f"{median(speeds):.3g} videos/s, {share:.0f}% of the time waiting for data (medians)"
        facts.append(("speed", text))
    skipped = sum(line.get("event") == "skip" for line in lines)
    if skipped:
        facts.append(("skipped steps", f"{skipped}: a number was not finite"))
    return facts


def _curves(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Draw the parts of the loss, the learning rate, and the accuracies an epoch was chosen by."""
    losses = [line for name in CURVES if (line := _line(name, lines, "step")).xs]
    rate = _line("lr", lines, "step")
    chosen = _line("top1", lines, "evaluation")
    on = {str(line.get("on")) for line in lines if line.get("event") == "evaluation"}
    plots = (
        ("Parts of the loss, by step.", line_chart(losses, x_label="step", title="Loss by step")),
        ("Learning rate, by step.", line_chart([rate], x_label="step", title="Learning rate")),
        (
            f"Top-1 in training, by step: what the epoch was chosen by ({', '.join(sorted(on))}).",
            line_chart([chosen], x_label="step", title="Top-1 in training"),
        ),
    )
    return [(caption, plot) for caption, plot in plots if plot]


def _line(name: str, lines: Sequence[Mapping[str, Any]], event: str) -> Line:
    """Return the numbers of one name, by step; what is not finite is left out."""
    points = [
        (float(line["step"]), float(line[name]))
        for line in lines
        if line.get("event") == event
        and _is_number(line.get("step"))
        and _is_number(line.get(name))
    ]
    return Line(name=name, xs=[x for x, _ in points], ys=[y for _, y in points])


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _result(result: Result) -> ResultDetails:
    failed = [(name, reason) for name, reason in result.failed]
    readable = len(result.class_names) <= MOST_CLASSES
    return ResultDetails(
        title=result.name,
        facts=_result_facts(result),
        classes=_class_bars(result),
        matrix=matrix(result.class_names, result.confusion, title=f"Confusion on {result.list}")
        if readable
        else "",
        mistakes=worst_mistakes(result, MOST_ROWS),
        failed=failed[:MOST_VIDEOS],
        more_failed=max(0, len(failed) - MOST_VIDEOS),
    )


def _result_facts(result: Result) -> Facts:
    low, high = result.top1_interval
    dropped = f", {result.n_dropped} dropped" if result.n_dropped else ""
    return [
        ("top-1", f"{result.top1:.2f} (95% over videos: {low:.1f} to {high:.1f})"),
        ("top-5", f"{result.top5:.2f}"),
        ("mean over classes", f"{result.mean_per_class:.2f}"),
        ("videos", f"{result.n_evaluated} of {result.n_total}, {result.n_failed} failed{dropped}"),
        (
            "views",
            f"{result.num_clips} clips x {result.num_crops} crops, {result.average} averaged",
        ),
        ("protocol", f"{result.protocol}; epoch: {result.selection}, {result.epoch}"),
    ]


def _class_bars(result: Result) -> str:
    known = [each for each in result.per_class if each["top1"] is not None]
    known.sort(key=lambda each: (float(each["top1"]), str(each["class_name"])))
    shown = known if len(known) <= MOST_CLASSES else known[: 2 * MOST_ROWS]
    title = "Accuracy by class" if len(shown) == len(known) else "The worst classes"
    return bar_chart(
        [
            Bar(
                name=str(each["class_name"]),
                value=float(each["top1"]),
                title=f"{each['class_name']}: {float(each['top1']):.1f}% of {each['n']} videos",
            )
            for each in shown
        ],
        title=f"{title} on {result.list}",
    )


def change_bars(change: GroupChange) -> str:
    """Draw the greatest gains and losses by class."""
    classes = list(change.classes)
    if len(classes) > 2 * MOST_ROWS:
        classes = classes[:MOST_ROWS] + classes[-MOST_ROWS:]
    return bar_chart(
        [
            Bar(
                name=each.class_name,
                value=each.change,
                title=f"{each.class_name}: {each.before:.1f} to {each.after:.1f}, "
                f"{each.videos} videos",
            )
            for each in classes
        ],
        title=f"Change by class on {change.list_name}, in percentage points",
        signed=True,
    )


def _descriptions(report: Mapping[str, Any] | None) -> Descriptions | None:
    if report is None:
        return None
    summary = report["summary"]
    dropped = [
        {"class_name": each["class_name"], **sentence}
        for each in report["classes"]
        for sentence in each["sentences"]
        if sentence["weight"] < 1  # the best of a class is kept, whatever was said of it
    ]
    reasons = Counter(str(each["reason"]) for each in dropped)
    dropped.sort(key=lambda each: each["margin"] if each["margin"] is not None else 0.0)
    return Descriptions(
        facts=[
            ("kept", f"{summary['kept']} of {summary['sentences']}"),
            (
                "left out or given less weight",
                ", ".join(f"{n} {reason}" for reason, n in sorted(reasons.items())) or "none",
            ),
            ("fewest in a class", str(summary.get("fewest_kept", ""))),
            ("too long for the text tower", str(summary.get("over_budget", 0))),
        ],
        dropped=dropped[:MOST_ROWS],
        more_dropped=max(0, len(dropped) - MOST_ROWS),
    )
