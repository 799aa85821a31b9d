"""The parts of each task as rows: what is trained on, and what is tested, before files are sought.

A part knows its classes. Which list it came from, and what had to be decided, is in the notes.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adapt.data_config import DataConfig
from adapt.sampling import DIVISION_SEED
from adapt.settings import videos_folder
from adapt.split_files import patterns
from adapt.split_rows import Row
from adapt.split_sources import Collection, Rows, open_collection
from describe.classes import (
    ActionClass,
    ClassList,
    known_datasets,
    load_classes,
    read_classes,
    subset,
)
from describe.errors import UserError

_PUBLIC_SEEDS = (1, 2, 3)
_SPLITS = {"hmdb51": (1, 2, 3), "ucf101": (1, 2, 3)}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One list of a task, before its files are sought."""

    name: str
    collection: Collection
    classes: tuple[ActionClass, ...]
    rows: tuple[Row, ...]
    source: str


@dataclass(frozen=True, kw_only=True)
class Parts:
    """All lists of a task."""

    train: Part
    """What is trained on, or drawn from; without rows where nothing is trained."""

    tests: tuple[Part, ...]
    held_out: Part | None = None
    """A validation part that the dataset has besides its test part."""

    problems: tuple[str, ...] = ()
    """Leaks that lists have by themselves."""


def task_parts(config: DataConfig, seed: int, *, need_train: bool = True) -> Parts:
    """Return the lists of the task.

    Args:
        config: What is asked for.
        seed: Seed of the draw: public lists are numbered by it.
        need_train: Whether anything is trained.

    Raises:
        UserError: Something is not there, or cannot be read.
    """
    if config.task == "zero-shot":
        return _zero_shot(config, need_train=need_train)
    if config.dataset is None and config.videos is None:
        raise UserError("which videos? pass --dataset NAME and --videos FOLDER")
    collection = _open(config)
    if config.task == "base-to-novel":
        return _base_to_novel(collection, config, seed, need_train=need_train)
    divided: dict[str, Rows] = {}
    tests, held_out = _test_rows(collection, config, divided)
    train = Rows(rows=(), source="nothing is trained")
    if need_train:
        train = _train_rows(collection, config, divided)
    return Parts(
        train=_part("train", collection, train),
        tests=(_part("test", collection, tests),),
        held_out=_part("held_out", collection, held_out) if held_out else None,
    )


def _open(config: DataConfig) -> Collection:
    folder = videos_folder(config.dataset or "", config.videos)
    return open_collection(config.dataset, folder, config)


def _part(
    name: str,
    collection: Collection,
    found: Rows,
    classes: Sequence[ActionClass] | None = None,
) -> Part:
    """Make a part; with `classes`, only of the rows of those."""
    rows = found.rows
    if classes is not None:
        wanted = {each.name for each in classes}
        rows = tuple(row for row in rows if row.class_name in wanted)
    return Part(
        name=name,
        collection=collection,
        classes=collection.classes.classes if classes is None else tuple(classes),
        rows=rows,
        source=found.source,
    )


def _test_rows(
    collection: Collection, config: DataConfig, divided: dict[str, Rows]
) -> tuple[Rows, Rows | None]:
    """Return the test part, and a validation part where there is one besides."""
    if config.test_list is not None:
        return collection.read([config.test_list], "test"), None
    test = collection.part("test", config.split)
    validation = None if collection.has_official_lists else collection.part("val")
    if found := test or validation:
        return found, validation if test else None
    trained = [config.train_list] if config.train_list else _train_list(collection, config)
    if trained:
        raise UserError(
            f"nothing says what {collection.dataset} is tested on; pass --test-list beside the "
            f"training list {trained[0].name}"
        )
    divided.update(collection.division())
    return divided["test"], None


def _train_list(collection: Collection, config: DataConfig) -> list[Path]:
    """Return the list that says what a person's own dataset is trained on."""
    if collection.has_official_lists:
        return []
    return collection.find(*patterns(collection.dataset, "train", config.split))


def _train_rows(collection: Collection, config: DataConfig, divided: dict[str, Rows]) -> Rows:
    """Return what is trained on or drawn from."""
    if config.train_list is not None:
        return collection.read([config.train_list], "train")
    if divided:
        return divided["train"]
    public = f"train1_few_shot_{config.shots}.txt"
    if config.task == "few-shot" and config.shot_list == "public":
        return _public(collection, public)
    if found := collection.part("train", config.split):
        if config.task == "few-shot" and collection.find(re.escape(public)):
            collection.note([f"{public} is there too; --shot-list public takes it"])
        return found
    if config.task == "few-shot" and config.shot_list == "auto":
        if collection.find(re.escape(public)):
            collection.note([f"no full training list found; the public {public} is used"])
            return _public(collection, public)
    raise UserError(
        f"no training list of {collection.dataset} in or beside {collection.index.folder}; pass "
        f"--annotations FOLDER or --train-list FILE{_hint(collection, config)}"
    )


def _hint(collection: Collection, config: DataConfig) -> str:
    there = [s for s in (2, 4, 8, 16) if collection.find(rf"train1_few_shot_{s}\.txt")]
    if config.task != "few-shot" or not there:
        return ""
    return f"; public few-shot lists are there for --shots {', '.join(map(str, there))}"


def _public(collection: Collection, name: str, prefer: str = "all") -> Rows:
    files = collection.find(re.escape(name))
    if not files:
        raise UserError(
            f"--shot-list public: no {name} in or beside {collection.index.folder}; pass the "
            "folder that holds it with --annotations, or --shot-list sampled"
        )
    return collection.read(files, "train", prefer)


def _base_to_novel(
    collection: Collection, config: DataConfig, seed: int, *, need_train: bool
) -> Parts:
    base, novel = _halves(collection)
    divided: dict[str, Rows] = {}
    tests = {
        name: _half_test(collection, config, name, members, divided)
        for name, members in (("base", base), ("novel", novel))
    }
    train = Rows(rows=(), source="nothing is trained")
    if need_train:
        train = _base_train(collection, config, seed, divided)
    novel_names = {each.name for each in novel}
    leaked = [row for row in train.rows if row.class_name in novel_names]
    problems: tuple[str, ...] = ()
    if leaked and config.train_list is not None:
        # A whole official list is cut to the base classes; a list of the user's own is meant.
        count = len({row.class_name for row in leaked})
        problems = (
            f"{len(leaked)} training videos are of {count} novel classes, first "
            f"{leaked[0].name!r} ({leaked[0].class_name})",
        )
        seen = {row.class_name for row in leaked}
        base = tuple(c for c in collection.classes.classes if c in base or c.name in seen)
    return Parts(
        train=_part("train", collection, train, base),
        tests=(tests["base"], tests["novel"]),
        problems=problems,
    )


def _halves(collection: Collection) -> tuple[tuple[ActionClass, ...], tuple[ActionClass, ...]]:
    """Return base and novel classes: the public halves, else halves by a fixed seed."""
    classes: ClassList = collection.classes
    if {"base", "novel"} <= classes.subsets.keys():
        return subset(classes, "base").classes, subset(classes, "novel").classes
    if len(classes.classes) < 4:
        raise UserError(
            f"{classes.dataset} has {len(classes.classes)} classes; base-to-novel needs 4, two for "
            "each half"
        )

    def rank(each: ActionClass) -> str:
        return hashlib.sha256(f"base {DIVISION_SEED} {each.name}".encode()).hexdigest()

    chosen = set(sorted(classes.classes, key=rank)[: (len(classes.classes) + 1) // 2])
    base = tuple(each for each in classes.classes if each in chosen)
    novel = tuple(each for each in classes.classes if each not in chosen)
    collection.note(
        [
            f"{classes.dataset} has no public base and novel classes; halves by a fixed seed, "
            f"{len(base)} base: {', '.join(each.name for each in base[:5])}, ..."
        ]
    )
    return base, novel


def _half_test(
    collection: Collection,
    config: DataConfig,
    name: str,
    members: tuple[ActionClass, ...],
    divided: dict[str, Rows],
) -> Part:
    public = collection.find(rf"{name}_val\.txt")
    if config.test_list is None and public and not collection.part("test", config.split):
        return _part(name, collection, collection.read(public, "test", name), members)
    if not divided:
        found, _ = _test_rows(collection, config, divided)
    else:
        found = divided["test"]
    return _part(name, collection, found, members)


def _base_train(
    collection: Collection, config: DataConfig, seed: int, divided: dict[str, Rows]
) -> Rows:
    if config.train_list is not None:
        return collection.read([config.train_list], "train", "base")
    if divided:
        return divided["train"]
    public = f"fs_base_s{seed}_train.txt"
    if config.shot_list != "public":
        if found := collection.part("train", config.split):
            return found
        if files := collection.find(r"base_train\.txt"):
            return collection.read(files, "train", "base")
        if config.shot_list == "sampled" or not collection.find(r"fs_base_s\d_train\.txt"):
            raise UserError(
                f"no training list of {collection.dataset} in or beside "
                f"{collection.index.folder}; pass --annotations FOLDER or --train-list FILE"
            )
        collection.note([f"no full training list found; the public {public} is used"])
    if seed not in _PUBLIC_SEEDS or config.shots != 16:
        raise UserError(
            f"the public base lists have 16 shots and are for seeds 1, 2 and 3, not {config.shots} "
            f"shots and seed {seed}; pass --sample-seed 1, 2 or 3, or a full list (--train-list)"
        )
    return _public(collection, public, "base")


def _zero_shot(config: DataConfig, *, need_train: bool) -> Parts:
    if not config.test_datasets:
        raise UserError(
            "--task zero-shot needs --test-datasets, such as: --test-datasets hmdb51 ucf101 k600"
        )
    if config.test_list is not None and len(config.test_datasets) > 1:
        raise UserError("--test-list is one list; name one dataset with --test-datasets")
    if need_train and config.dataset in config.test_datasets:
        raise UserError(f"--test-datasets names {config.dataset}, which is trained on; name others")
    folders: Sequence[Path | None] = config.test_videos or [None] * len(config.test_datasets)
    tests: list[Part] = []
    for dataset, given in zip(config.test_datasets, folders, strict=True):
        folder = videos_folder(dataset, given, "--test-videos")
        tests += _zero_shot_tests(
            open_collection(dataset, folder, config, is_training=False), config
        )
    if not need_train:
        return Parts(train=_untrained(config, tests[0]), tests=tuple(tests))
    if config.dataset is None:
        raise UserError("which videos are trained on? pass --dataset NAME and --videos FOLDER")
    collection = _open(config)
    train = _all_training(collection, config)
    return Parts(train=_part("train", collection, train), tests=tuple(tests))


def _untrained(config: DataConfig, test: Part) -> Part:
    """Return an empty training part: of the dataset that is named, else of the first tested."""
    classes = test.classes
    if config.classes is not None:
        classes = read_classes(config.classes.expanduser(), config.dataset or "own").classes
    elif config.dataset in known_datasets():
        classes = load_classes(config.dataset).classes
    collection = replace(test.collection, dataset=config.dataset or test.collection.dataset)
    source = "nothing is trained"
    return Part(name="train", collection=collection, classes=classes, rows=(), source=source)


def _all_training(collection: Collection, config: DataConfig) -> Rows:
    if config.train_list is not None:
        return collection.read([config.train_list], "train")
    return collection.part("train", config.split) or collection.everything()


def _zero_shot_tests(collection: Collection, config: DataConfig) -> list[Part]:
    name = collection.dataset
    if config.test_list is not None:
        return [_part(name, collection, collection.read([config.test_list], "test"))]
    if name == "k600":
        return [_k600_test(collection, number) for number in (1, 2, 3)]
    if name in _SPLITS:
        found = {number: collection.part("test", number) for number in _SPLITS[name]}
        there = {number: rows for number, rows in found.items() if rows is not None}
        if there:
            lacking = [str(number) for number in found if number not in there]
            if lacking:
                collection.note([f"{name}: no list of split {', '.join(lacking)} found"])
            return [_part(f"{name}-{n}", collection, rows) for n, rows in there.items()]
        return [_part(name, collection, collection.everything())]
    rows = collection.part("test") or collection.part("val") or collection.everything()
    return [_part(name, collection, rows)]


def _k600_test(collection: Collection, number: int) -> Part:
    """Return one of the three public draws of 160 classes that Kinetics-400 does not have."""
    classes = subset(collection.classes, f"zero_shot_{number}").classes
    name = f"k600-{number}"
    if files := collection.find(rf"ZS_split{number}_K600_eval\.txt"):
        rows = collection.read(files, "", f"zero_shot_{number}")
    else:
        rows = collection.part("zero-shot") or collection.part("test") or collection.everything()
    return _part(name, collection, rows, classes)
