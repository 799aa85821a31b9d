"""What must be known before a number of a report is quoted: lines under its table."""

from collections.abc import Sequence

from adapt.report_runs import RunRecord
from adapt.results import Result
from adapt.run_folder import TRAINING_LISTS


def leak_notes(kept: Sequence[tuple[RunRecord, tuple[Result, ...]]]) -> list[str]:
    """Say what was known before the tests, and allowed to be."""
    notes = []
    for record, results in kept:
        notes += [f"{record.name}: leakage allowed: {leak}" for leak in record.leaks]
        for each in results:
            notes += [
                f"{record.name}, {each.list}: leakage allowed: {leak}"
                for leak in each.leaks
                if leak not in record.leaks
            ]
    return notes


def missing_notes(records: Sequence[RunRecord]) -> list[str]:
    """Say which lists of which runs lacked videos that --allow-missing went on without."""
    return [
        f"{record.name}, {name}: {count} videos were missing, and --allow-missing went on without "
        "them"
        for record in records
        for name in record.manifest["lists"]
        if (count := record.missing(name))
    ]


def unread_notes(records: Sequence[RunRecord]) -> list[str]:
    """Say which runs could not read some of their training videos."""
    return [
        f"{record.name}: {count} of {record.manifest['lists'].get('train', {}).get('count', '?')} "
        "training videos could not be read"
        for record in records
        if (count := len({str(each.get("name", "")) for each in record.run.bad_videos()}))
    ]


def seed_notes(records: Sequence[RunRecord]) -> list[str]:
    """Say where several runs are fewer draws than they look."""
    notes: list[str] = []
    if len(records) < 2 or records[0].adapter == "frozen":
        return notes
    lists = {record.train_hash for record in records}
    is_drawn = records[0].shots is not None
    names = ", ".join(record.name for record in records)
    if is_drawn and len(lists) == 1:
        notes.append(
            f"{names}: {len(records)} seeds trained on one and the same list; what is shown as "
            "± leaves out the choice of training videos"
        )
    seeds = [record.seed for record in records]
    for seed in sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        same = ", ".join(record.name for record in records if record.seed == seed)
        notes.append(f"{same}: the same seed {seed}, on different training lists")
    return notes


def result_notes(kept: Sequence[tuple[RunRecord, tuple[Result, ...]]]) -> list[str]:
    """Say which results are older than their run, over fewer videos, or of one adapter."""
    notes = []
    hashes: dict[str, list[str]] = {}
    for record, results in kept:
        hashes.setdefault(results[0].adapter_hash, []).append(record.name)
        for each in results:
            where = f"{record.name}, {each.list}"
            done = record.manifest.get("epochs_done", each.epoch)
            if each.selection == "last" and each.epoch != done:
                notes.append(
                    f"{where}: was evaluated after epoch {each.epoch}, and training went on to "
                    f"{done}; evaluate again"
                )
            if each.n_failed:
                notes.append(
                    f"{where}: {each.n_failed} of {each.n_total} videos could not be read; "
                    f"accuracies are over {each.n_evaluated}"
                )
            if each.n_dropped:
                notes.append(
                    f"{where}: {each.n_dropped} of {each.n_total} videos were dropped, as the "
                    "published evaluations did"
                )
    for names in hashes.values():
        if len(names) > 1 and kept[0][0].adapter != "frozen":
            notes.append(f"{', '.join(names)}: the trained adapter is the same to the last bit")
    return notes


def left_out(records: Sequence[RunRecord]) -> list[str]:
    """Say which runs are in no group, and why."""
    lines = []
    for record in records:
        if not record.is_finished:
            epochs = record.manifest.get("recipe", {}).get("epochs", "?")
            done = record.manifest.get("epochs_done", 0)
            lines.append(
                f"{record.name}: {record.run.status}, {done} of {epochs} epochs; go on with "
                f"python -m adapt.train --resume {record.run.path}"
            )
        elif all(each.list in TRAINING_LISTS for each in record.results):
            lines.append(
                f"{record.name}: not evaluated; python -m adapt.evaluate {record.run.path}"
            )
    return lines
