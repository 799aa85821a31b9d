"""From what is asked for to the lists of a run: read, sought, drawn, guarded.

Everything that could make a result worthless is looked for first: files that are not there, videos
that are in training and test, classes that should be unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapt.data_config import DataConfig
from adapt.leakage import leaks, shared_classes
from adapt.sampling import few_shot, hold_out
from adapt.split_tasks import task_parts
from adapt.splits import VideoList
from adapt.tasks_files import Files
from describe.errors import UserError

# Datasets whose zero-shot test classes are chosen to be unknown; others share names by chance.
_KEPT_APART = ("k600",)


@dataclass(frozen=True, kw_only=True)
class Task:
    """The lists of a run."""

    name: str
    train: VideoList
    """Empty where nothing is trained; its classes are those that would be."""

    held_out: VideoList | None
    """Videos to choose an epoch by; never among the others."""

    evaluations: tuple[VideoList, ...]
    notes: tuple[str, ...]
    """What was drawn from which lists, what is missing, what was allowed."""

    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """List to class to the number of videos that are not there."""

    leaks: tuple[str, ...] = ()
    """What the user allowed to be known before the test."""


def make_task(
    config: DataConfig, *, seed: int, need_train: bool = True, remember: bool = True
) -> Task:
    """Read, check and draw the lists of a run.

    Args:
        config: What is asked for.
        seed: The run's seed; draws follow it unless `sample_seed` is set.
        need_train: False where nothing is trained: no training list is needed then.
        remember: Whether the videos' folder is remembered once all were found.

    Raises:
        UserError: A list or file is not there or cannot be read, a class has too few videos, or
            a guard found a leak.
    """
    draw = seed if config.sample_seed is None else config.sample_seed
    parts = task_parts(config, draw, need_train=need_train)
    files = Files(config)
    pool = files.seek(parts.train)
    aside = files.seek(parts.held_out) if parts.held_out and not config.held_out else None
    tests = tuple(files.seek(part) for part in parts.tests)
    files.refuse_missing()
    _refuse_empty(pool, tests, config, need_train=need_train)
    train = pool
    if need_train and config.task in ("few-shot", "base-to-novel"):
        train = _draw(pool, config, draw, files.notes(parts))
    if need_train and config.held_out:
        train, aside = hold_out(train, config.held_out, draw)
    found = [*parts.problems, *leaks(train, aside, tests)]
    found += [text for test in tests for text in _known_classes(train, test, config)]
    if found and not config.allow_leakage:
        more = f"; and {len(found) - 1} more like it" if len(found) > 1 else ""
        raise UserError(f"{found[0]}{more}; mend the lists, or pass --allow-leakage")
    notes = [summary(each) for each in (train, aside, *tests) if each is not None and len(each)]
    notes += [*files.notes(parts), *(_common_names(train, test, config) for test in tests)]
    notes += [f"leakage allowed: {text}" for text in found]
    notes += files.remember(parts) if remember else []
    return Task(
        name=config.task,
        train=train,
        held_out=aside,
        evaluations=tests,
        notes=tuple(note for note in notes if note),
        missing=files.missing,
        leaks=tuple(found),
    )


def _draw(pool: VideoList, config: DataConfig, seed: int, notes: Sequence[str]) -> VideoList:
    """Draw the shots; where there are too few, what was noted of folders may be the reason."""
    try:
        return few_shot(pool, config.shots, seed, nested=config.nested)
    except UserError as error:
        why = [note for note in notes if "are no class of" in note or "one folder too high" in note]
        raise UserError("; ".join([str(error), *why])) from error


def _refuse_empty(
    pool: VideoList, tests: Sequence[VideoList], config: DataConfig, *, need_train: bool
) -> None:
    for each in (pool, *tests) if need_train else tests:
        if len(each.classes) < 2:
            raise UserError(
                f"{each.dataset} ({each.name}) has {len(each.classes)} class; there is nothing to "
                "tell apart, at least 2 are needed"
            )
        if not len(each):
            raise UserError(f"{each.dataset} ({each.name}) has no video, by {each.source}")
    bare = [name for name, count in pool.counts().items() if not count] if need_train else []
    if bare and not config.allow_missing and config.task in ("zero-shot", "supervised"):
        raise UserError(
            f"{len(bare)} of {len(pool.classes)} classes of {pool.dataset} have no training video, "
            f"first {bare[0]!r}; give a class list without them (--classes), or --allow-missing"
        )


def _known_classes(train: VideoList, test: VideoList, config: DataConfig) -> list[str]:
    """Return the leak of test classes that should be unknown and are trained on."""
    if config.task not in ("zero-shot", "base-to-novel") or not len(train):
        return []
    if config.task == "base-to-novel" and test.name != "novel":
        return []
    known = shared_classes(train, test)
    is_all = len(known) == len(test.classes)
    if not known or (config.task == "zero-shot" and test.dataset not in _KEPT_APART and not is_all):
        return []
    first = ", ".join(map(repr, known[:3]))
    return [f"{len(known)} classes of {test.name!r} are classes of {train.name!r} too: {first}"]


def _common_names(train: VideoList, test: VideoList, config: DataConfig) -> str:
    """Return a note on classes that public zero-shot tests share with training by chance."""
    if config.task != "zero-shot" or not len(train) or test.dataset in _KEPT_APART:
        return ""
    known = shared_classes(train, test)
    if not known:
        return ""
    first = ", ".join(known[:3])
    return (
        f"{test.name}: {len(known)} of {len(test.classes)} classes have a name of a training class "
        f"({first}, ...), as in the public protocol"
    )


def summary(videos: VideoList) -> str:
    """Return what a list holds, on one line."""
    counts = [count for count in videos.counts().values() if count]
    each = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    bare = len(videos.classes) - len(counts)
    without = f" ({bare} without any)" if bare else ""
    return (
        f"{videos.name}: {len(videos)} videos of {len(videos.classes)} classes{without} of "
        f"{videos.dataset}, {each} of each; {videos.source}"
    )
