"""Runs that differ in nothing but their seed, brought together; and what must be said of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from adapt.metrics import harmonic_mean, mean_and_std
from adapt.report_notes import (
    leak_notes,
    missing_notes,
    result_notes,
    seed_notes,
    unread_notes,
)
from adapt.report_paper import BASE, HM, NOVEL, TOP1
from adapt.report_runs import RunRecord, as_flag
from adapt.results import Result
from adapt.run_folder import TRAINING_LISTS

# Student's t, 97.5%, by degrees of freedom from 1; beyond, the last is a little too wide.
_T = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip

MOST_DIFFERENCES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Stat:
    """An accuracy over seeds, in percent."""

    mean: float
    std: float | None
    """Sample standard deviation; None of one value."""

    count: int
    """Values behind it: seeds, or for one seed official splits."""

    over: str
    """What the values are: seeds or splits."""

    interval: tuple[float, float] | None
    """95%: of one result over its videos; of several seeds or splits of their mean, by t."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that differ in their seed alone, evaluated alike."""

    setting: str
    """Dataset and task, as a section of the report is headed."""

    adapter: str
    described: str
    filtered: str

    kind: str
    """How it was evaluated, where not every video by the last epoch."""

    variant: str
    """What tells it from another group that is otherwise called the same."""

    records: tuple[RunRecord, ...]
    """One for each seed and training list."""

    results: tuple[tuple[Result, ...], ...]
    """For each record, its results of this kind."""

    columns: Mapping[str, Stat]
    notes: tuple[str, ...]

    @property
    def is_leaky(self) -> bool:
        """Whether what is tested was known in training, and --allow-leakage let it be."""
        return any(
            record.leaks or any(each.leaks for each in results)
            for record, results in zip(self.records, self.results, strict=True)
        )

    @property
    def is_comparable(self) -> bool:
        """Whether its numbers are honest: every video, none of which trained or chose an epoch."""
        return not self.is_leaky and all(
            each.protocol == "every-video"
            and each.selection != "best-on-test"
            and not record.missing(each.list)
            for record, results in zip(self.records, self.results, strict=True)
            for each in results
        )

    @property
    def label(self) -> str:
        """What it is, on one line."""
        described = "" if self.described == "none" else f"descriptions {self.described}"
        filtered = f"filter {self.filtered}" if self.filtered not in ("", "none") else ""
        parts = (self.adapter, described, filtered, self.variant, self.kind)
        return "; ".join(part for part in parts if part)


def group_runs(records: Sequence[RunRecord]) -> list[Group]:
    """Bring finished, evaluated runs together, by setting, adapter and descriptions."""
    entries: dict[tuple[object, ...], list[tuple[RunRecord, tuple[Result, ...]]]] = {}
    for record in records:
        if not record.is_finished:
            continue
        for results in _by_kind(record):
            key = (*_names(record, results), _settings(record, results))
            entries.setdefault(key, []).append((record, results))
    groups = _beside_trained([_make(members) for members in entries.values()])
    return sorted(_with_variants(groups), key=_order)


def _names(record: RunRecord, results: Sequence[Result]) -> tuple[str, ...]:
    kind = _kind(record, results[0])
    return (record.setting, record.adapter, record.described, record.filtered, kind)


def _settings(record: RunRecord, results: Sequence[Result]) -> tuple[tuple[str, str], ...]:
    """Return all else that makes two runs different, as pairs.

    A list that one seed was evaluated on besides the lists of the run makes it no other run.
    """
    settings = record.settings()
    for each in [each for each in results if not _is_besides(record, each)] or results:
        settings[f"views of {each.list}"] = f"{each.num_clips}x{each.num_crops}"
        settings[f"list {each.list}"] = each.list_hash[:14]
    return tuple(sorted(settings.items()))


def _is_besides(record: RunRecord, result: Result) -> bool:
    """Tell a list given to `adapt.evaluate --list` from those that the run was made with."""
    return result.list not in record.manifest["lists"]


def _by_kind(record: RunRecord) -> list[tuple[Result, ...]]:
    kind = partial(_kind, record)
    tests = [each for each in record.results if each.list not in TRAINING_LISTS]
    ordered = sorted(tests, key=lambda each: (kind(each), each.list))
    return [tuple(found) for _, found in groupby(ordered, key=kind)]


def _kind(record: RunRecord, result: Result) -> str:
    """Say how a result was made, where that is not the usual way."""
    parts = ["leakage allowed"] if record.leaks or result.leaks else []
    if record.missing(result.list):
        parts.append("videos missing")
    if result.selection == "held-out":
        parts.append("epoch chosen on held-out videos")
    if result.selection == "best-on-test":
        parts.append("epoch chosen on the test videos")
    if result.protocol == "paper":
        parts.append("paper's protocol")
    views = f"{result.num_clips}x{result.num_crops}"
    if views in result.manner:
        parts.append(f"{views} views")
    if result.average != "probability":
        parts.append(f"{result.average} averaged")
    if result.precision != "fp32":
        parts.append(f"evaluated in {result.precision}")
    return ", ".join(parts)


def _make(members: Sequence[tuple[RunRecord, tuple[Result, ...]]]) -> Group:
    kept, notes = _distinct(members)
    kept, besides = _without_mixed_lists(kept)
    record, first = kept[0]
    setting, adapter, described, filtered, kind = _names(record, first)
    return Group(
        setting=setting,
        adapter=adapter,
        described=described,
        filtered=filtered,
        kind=kind,
        variant="",
        records=tuple(record for record, _ in kept),
        results=tuple(results for _, results in kept),
        columns=_columns([results for _, results in kept]),
        notes=(
            *notes,
            *leak_notes(kept),
            *missing_notes([record for record, _ in kept]),
            *unread_notes([record for record, _ in kept]),
            *seed_notes([record for record, _ in kept]),
            *besides,
            *result_notes(kept),
        ),
    )


def _distinct(
    members: Sequence[tuple[RunRecord, tuple[Result, ...]]],
) -> tuple[list[tuple[RunRecord, tuple[Result, ...]]], list[str]]:
    """Keep one run for each seed and training list, the newest; say which are left out.

    A frozen backbone has neither: however many runs, it is one.
    """
    ordered = sorted(members, key=lambda each: str(each[0].manifest.get("created", "")))
    newest = {_draw(record): record for record, _ in ordered}
    by_record = {id(record): results for record, results in members}
    kept, notes = [], []
    for record, results in members:
        chosen = newest[_draw(record)]
        if chosen is record:
            kept.append((record, results))
        elif record.is_untrained:
            notes.append(
                f"{record.name} repeats {chosen.name}: nothing is trained; it is counted once"
                f"{_otherwise(results, by_record[id(chosen)])}"
            )
        else:
            notes.append(
                f"{record.name} repeats {chosen.name}: the same seed {record.seed} and the same "
                f"training list; it is counted once{_otherwise(results, by_record[id(chosen)])}"
            )
    return sorted(kept, key=lambda each: each[0].seed), notes


def _otherwise(dropped: Sequence[Result], counted: Sequence[Result]) -> str:
    """Say where a repeat has other numbers, or lists that are not shown."""
    shown = {each.list: each.top1 for each in counted}
    parts = [
        f"{each.list} {each.top1:.2f}, counted {shown[each.list]:.2f}"
        for each in dropped
        if each.list in shown and each.top1 != shown[each.list]
    ]
    unseen = [each.list for each in dropped if each.list not in shown]
    said = f", though its numbers differ ({'; '.join(parts)})" if parts else ""
    return said + (f"; its results on {', '.join(unseen)} are not shown" if unseen else "")


def _draw(record: RunRecord) -> tuple[int, str] | None:
    """Return the seed and training list of a run; None where nothing is trained."""
    return None if record.is_untrained else (record.seed, record.train_hash)


def _without_mixed_lists(
    kept: Sequence[tuple[RunRecord, tuple[Result, ...]]],
) -> tuple[list[tuple[RunRecord, tuple[Result, ...]]], list[str]]:
    """Leave out lists besides the runs' own of which one name means two things; say so.

    Also say which of such lists not every run was evaluated on.
    """
    seen: dict[str, dict[tuple[object, ...], list[str]]] = {}
    for record, results in kept:
        for each in results:
            if _is_besides(record, each):
                what = (each.list_hash, each.num_clips, each.num_crops)
                seen.setdefault(each.list, {}).setdefault(what, []).append(record.name)
    notes = []
    for name, runs in seen.items():
        named = " and ".join(", ".join(each) for each in runs.values())
        count = sum(map(len, runs.values()))
        if len(runs) > 1:
            notes.append(f"{name}: not the same videos or views in {named}; left out of the table")
        elif count < len(kept):
            notes.append(f"{name}: of {named} alone, {count} of {len(kept)} runs")
    mixed = {name for name, runs in seen.items() if len(runs) > 1}
    return [
        (record, tuple(each for each in results if each.list not in mixed))
        for record, results in kept
    ], notes


def _columns(results: Sequence[Sequence[Result]]) -> dict[str, Stat]:
    """Return the accuracy of each column, over the runs of a group."""
    values: dict[str, list[list[Result]]] = {}
    for run in results:
        found: dict[str, list[Result]] = {}
        for each in run:
            found.setdefault(column_of(each.list), []).append(each)
        for name, parts in found.items():
            values.setdefault(name, []).append(parts)
    stats = {name: _stat(parts) for name, parts in values.items()}
    if BASE in stats and NOVEL in stats:
        mean = harmonic_mean(stats[BASE].mean, stats[NOVEL].mean)
        count = min(stats[BASE].count, stats[NOVEL].count)
        stats[HM] = Stat(mean=mean, std=None, count=count, over="seeds", interval=None)
    return stats


def column_of(list_name: str) -> str:
    """Return the column of a list: official splits of one dataset share one."""
    if list_name == "test":
        return TOP1
    split = re.fullmatch(r"(hmdb51|ucf101|k600)-\d+", list_name)
    return split[1] if split else list_name


def _stat(runs: Sequence[Sequence[Result]]) -> Stat:
    """Average one column: over the splits of each run, then over runs."""
    means = [mean_and_std([each.top1 for each in parts])[0] for parts in runs]
    if len(means) == 1 and len(runs[0]) == 1:
        only = runs[0][0]
        return Stat(mean=only.top1, std=None, count=1, over="seeds", interval=only.top1_interval)
    over = "seeds" if len(means) > 1 else "splits"
    values = means if len(means) > 1 else [each.top1 for each in runs[0]]
    mean, std = mean_and_std(values)
    return Stat(mean=mean, std=std, count=len(values), over=over, interval=t_interval(values))


def t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95% interval of a mean, by Student's t, within 0 and 100.

    None of one value, or of values that are all the same: they say nothing of how far others lie.
    """
    mean, std = mean_and_std(values)
    if not std:
        return None
    half = _T[min(len(values) - 1, len(_T)) - 1] * std / len(values) ** 0.5
    return max(0.0, mean - half), min(100.0, mean + half)


def _beside_trained(groups: Sequence[Group]) -> list[Group]:
    """Put groups of nothing trained wherever a trained one took the same tests."""
    trained = [g for g in groups if not g.records[0].is_untrained]
    done: list[Group] = []
    for group in groups:
        settings: set[str] = set()
        if group.records[0].is_untrained:
            settings = {other.setting for other in trained if _took_the_same_tests(group, other)}
        done += [replace(group, setting=setting) for setting in sorted(settings)] or [group]
    return done


def _took_the_same_tests(one: Group, other: Group) -> bool:
    """Whether two groups share a list, and mean the same videos by each shared name."""
    ours, theirs = ({each.list: each.list_hash for each in g.results[0]} for g in (one, other))
    shared = ours.keys() & theirs.keys()
    return bool(shared) and all(ours[name] == theirs[name] for name in shared)


def _with_variants(groups: Sequence[Group]) -> list[Group]:
    """Where several groups are called the same, say by what they differ."""
    named: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        key = (group.setting, group.adapter, group.described, group.filtered, group.kind)
        named.setdefault(key, []).append(group)
    done = []
    for same in named.values():
        settings = [dict(_settings(each.records[0], each.results[0])) for each in same]
        names = sorted({name for each in settings for name in each})
        differing = [n for n in names if len({each.get(n) for each in settings}) > 1]
        for group, own in zip(same, settings, strict=True):
            parts = [
                as_flag(name, own[name]) if name in own else f"without {name}"
                for name in differing[:MOST_DIFFERENCES]
            ]
            if len(differing) > MOST_DIFFERENCES:
                parts.append(f"and {len(differing) - MOST_DIFFERENCES} more")
            done.append(replace(group, variant=", ".join(parts)))
    return done


_ADAPTERS = ("frozen", "full", "adaptformer", "lora", "st_adapter")


def _order(group: Group) -> tuple[object, ...]:
    known = group.adapter in _ADAPTERS
    place = _ADAPTERS.index(group.adapter) if known else len(_ADAPTERS)
    return (group.setting, not group.is_comparable, place, group.adapter, group.described,
            group.filtered, group.kind, group.variant)  # fmt: skip
