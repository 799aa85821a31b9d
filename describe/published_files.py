"""Description files that papers published: what a path says, and sentences joined to class names.

MSTA (arXiv 2411.11223) and OST (arXiv 2312.00096) publish JSON files keyed by nothing but a
position, "0" to "K-1", in the public label order of some list of classes. The position becomes a
name here, once, and only after the file has shown that it speaks of the classes in that order.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from describe.classes import ActionClass, ClassList, load_classes, readable_name
from describe.errors import UserError
from describe.request import Kind

_MSTA_NAME = re.compile(
    r"(?P<count>\d+)_(?P<kind>[st])_description_(?P<dataset>\w+?)(?:_(?P<part>base|novel))?\.json"
)
_OST_PATH = re.compile(
    r"(?:(?:^|/)(?P<dataset>[a-z0-9]+)/)?"
    r"(?:(?P<folder>spatio|temporal)_descriptors/|split(?P<split>[123])/|(?:^|/))"
    r"(?:(?P<kind>spatio|temporal)_)?(?P<count>\d+)_descriptors\.json$"
)
_DATASETS = {"hmdb": "hmdb51", "ucf": "ucf101", "ucf_101": "ucf101", "sth": "ssv2"}
_KINDS: Mapping[str, Kind] = {
    "s": "spatial",
    "spatio": "spatial",
    "t": "temporal",
    "temporal": "temporal",
}
ZERO_SHOT = "zero_shot"  # the classes of all zero-shot subsets together, in label order


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who published a file."""

    name: str
    title: str
    where: str
    model: str
    license: str


MSTA = Source(
    name="msta",
    title="Efficient Transfer Learning for Video-language Foundation Models",
    where="CVPR 2025, arXiv 2411.11223",
    model="DeepSeek",
    license="unknown",
)
OST = Source(
    name="ost",
    title="OST: Refining Text Knowledge with Optimal Spatio-Temporal Descriptor",
    where="CVPR 2024, arXiv 2312.00096",
    model="unknown",
    license="mit",
)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What the path of a published file says about it."""

    name: str
    """The file's name, with OST's folders where it has them."""

    source: Source
    dataset: str
    kind: Kind

    count: int
    """Sentences a class should have (the paper's N)."""

    part: str = ""
    """The subset it is about, such as `base`; empty for the whole dataset."""


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file, read and joined by name."""

    path: Path
    origin: Origin
    sha256: str
    classes: ClassList

    sentences: Mapping[str, tuple[str, ...]]
    """Official class name to its sentences, in the file's order."""

    def items(self) -> Iterator[tuple[ActionClass, int, str]]:
        """Yield each sentence with its class and its place in the class's list."""
        for name, texts in self.sentences.items():
            for step, text in enumerate(texts):
                yield self.classes.by_name[name], step, text


def find_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files among `paths`, and the JSON files in the folders among them.

    Raises:
        UserError: A path does not exist, or a folder holds no JSON file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob("*.json"))
            if not inside:
                raise UserError(f"no JSON file in {path}")
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            raise UserError(f"no file {path}")
    return list(found)


def recognize(path: Path, dataset: str | None = None) -> Origin:
    """Tell from its path what a published file is.

    Args:
        path: Named as its publisher named it; OST files need their folders, too.
        dataset: The dataset, where the path does not say it.

    Raises:
        UserError: The path fits no known publication, or says another dataset.
    """
    if match := _MSTA_NAME.fullmatch(path.name):
        source, kind, part = MSTA, match["kind"], match["part"] or ""
    elif match := _OST_PATH.search(path.as_posix()):
        source, kind = OST, match["kind"] or match["folder"]
        part = f"{ZERO_SHOT}_{match['split']}" if match["split"] else ""
    else:
        raise UserError(
            f"{path} is named like no published file; known: 8_t_description_k400.json (MSTA), "
            "k400/spatio_descriptors/8_descriptors.json (OST)"
        )
    said = _DATASETS.get(match["dataset"] or "", match["dataset"])
    if said is None and dataset is None:
        raise UserError(f"the path {path} does not say the dataset; give --dataset NAME")
    if said and dataset and said != dataset:
        raise UserError(f"{path} is of the dataset {said}, not {dataset}")
    if kind is None:
        raise UserError(f"the path {path} says neither spatio nor temporal; keep OST's folders")
    return Origin(
        name=match[0].lstrip("/"),
        source=source,
        dataset=said or str(dataset),
        kind=_KINDS[kind],
        count=int(match["count"]),
        part=part,
    )


def read_published(path: Path, dataset: str | None = None) -> PublishedFile:
    """Read a published file and join its positions to class names.

    Raises:
        UserError: The path is not recognized, the file is damaged or has another number of classes
            than the list it should be about, or its sentences do not fit that list's order.
    """
    origin = recognize(path, dataset)
    classes = load_classes(origin.dataset)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    lists = _parse(path, data)
    if origin.source is OST and origin.dataset == "k600" and not origin.part:
        origin = replace(origin, part=ZERO_SHOT)
    names = class_order(classes, origin.part)
    if len(lists) != len(names):
        of = f"{origin.dataset} {origin.part}".strip()
        raise UserError(f"{path} has {len(lists)} classes, but {of} has {len(names)}")
    check_order(path, [classes.by_name[name] for name in names], lists)
    return PublishedFile(
        path=path,
        origin=origin,
        sha256=hashlib.sha256(data).hexdigest(),
        classes=classes,
        sentences=dict(zip(names, lists, strict=True)),
    )


def class_order(classes: ClassList, part: str) -> tuple[str, ...]:
    """Return the official names in the label order of a published file about `part`."""
    if not part:
        return classes.names
    if part == ZERO_SHOT:
        members = {name for order in classes.subsets.values() for name in order}
        return tuple(name for name in classes.names if name in members)
    if part not in classes.subsets:
        raise UserError(f"{classes.dataset} has no subset {part!r}")
    return classes.subsets[part]


def check_order(path: Path, classes: Sequence[ActionClass], lists: Sequence[Sequence[str]]) -> None:
    """Refuse a file whose sentences fit the classes no better than a shifted list of them.

    Base and novel lists of k400 are of one length: a file under the wrong name would be read
    without any other sign. In all published files the right order names at least twice as many
    classes as any of the ten shifted ones; a wrong list does no better than they do.

    Raises:
        UserError: The order does not fit.
    """
    own = _telling_stems(classes)
    said = [_stems(" ".join(texts)) for texts in lists]

    def num_named(shift: int) -> int:
        return sum(bool(own[(i - shift) % len(own)] & stems) for i, stems in enumerate(said))

    shifted = max(num_named(shift) for shift in range(-5, 6) if shift)
    if num_named(0) < 1.5 * shifted:
        raise UserError(
            f"{path} does not fit the classes that its name says: {num_named(0)} of "
            f"{len(classes)} are named in their own sentences, {shifted} when the list is shifted"
        )


def _telling_stems(classes: Sequence[ActionClass]) -> list[set[str]]:
    """Return the words of each name, without those of many names (`playing`, `something`)."""
    own = [_stems(f"{readable_name(each.name)} {each.readable}") for each in classes]
    frequency = Counter(stem for stems in own for stem in stems)
    most = max(2, len(own) // 20)
    return [{stem for stem in stems if frequency[stem] <= most} for stems in own]


def _stems(text: str) -> set[str]:
    return {word[:4] for word in re.findall(r"[a-z]{3,}", text.lower())}


def _parse(path: Path, data: bytes) -> list[tuple[str, ...]]:
    """Return the lists of sentences by position."""
    try:
        pairs = json.loads(data, object_pairs_hook=lambda pairs: pairs)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise UserError(f"{path} is no JSON object of positions and sentences")
    by_position: dict[str, Any] = dict(pairs)
    if len(by_position) < len(pairs):
        repeated = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise UserError(f"{path} has the key {repeated!r} more than once")
    missing = [str(i) for i in range(len(by_position)) if str(i) not in by_position]
    if missing:
        raise UserError(f"{path} lacks the key {missing[0]!r}; keys are '0', '1', ... in order")
    return [_sentences(path, str(i), by_position[str(i)]) for i in range(len(by_position))]


def _sentences(path: Path, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise UserError(f"{path}, key {key!r}: no list of sentences")
    for text in value:
        # A lone surrogate is legal in JSON and in no other file.
        if not isinstance(text, str) or re.search(r"[\ud800-\udfff]", text):
            raise UserError(f"{path}, key {key!r}: {text!r} is no sentence")
    return tuple(value)
