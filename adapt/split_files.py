"""Which files are a dataset's lists: official names, and those that public repositories gave them.

Looked for in the folder that the user names, else in the videos' folder and beside it. A file whose
path speaks of another dataset is passed over: `ucf_splits/val1.txt` is no list of HMDB-51.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from describe.errors import UserError

# Datasets that have official lists, and words that speak of them in a path.
WORDS = {
    "hmdb51": ("hmdb",),
    "k400": ("k400", "kinetics400", "kinetics-400", "kinetics_400"),
    "k600": ("k600", "kinetics600", "kinetics-600", "kinetics_600"),
    "ssv2": ("ssv2", "sthv2", "sth-v2", "something"),
    "ucf101": ("ucf",),
}

_KINETICS = r"(?:kinetics[-_]?)?(?:k?\d00[-_])?{part}(?:[-_]list)?(?:[-_]videos)?\.(?:csv|txt)"
_OWN = r"{part}(?:[-_]list)?\.(?:csv|txt)"
_VAL = "(?:val|validate|validation)"
_TRAIN = "(?:train|training)"

# Names of the lists by dataset and part, the most official first; {n} is the split.
LISTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("hmdb51", "train"): (
        r".+_test_split{n}\.txt",
        r"hmdb51_train_split_{n}_videos\.txt",
        r"train{n}\.txt",
    ),
    ("hmdb51", "test"): (
        r".+_test_split{n}\.txt",
        r"hmdb51_val_split_{n}_videos\.txt",
        r"val{n}\.txt",
    ),
    ("ucf101", "train"): (
        r"trainlist0?{n}\.txt",
        r"ucf101_train_split_{n}_videos\.txt",
        r"train{n}\.txt",
    ),
    ("ucf101", "test"): (
        r"testlist0?{n}\.txt",
        r"ucf101_val_split_{n}_videos\.txt",
        r"val{n}\.txt",
    ),
    ("k400", "train"): (_KINETICS.replace("{part}", _TRAIN),),
    ("k400", "test"): (_KINETICS.replace("{part}", _VAL),),
    ("k600", "train"): (_KINETICS.replace("{part}", _TRAIN),),
    ("k600", "test"): (_KINETICS.replace("{part}", _VAL),),
    ("ssv2", "train"): (
        r"something-something-v2-train\.json",
        r"train\.json",
        r"(?:sthv2_)?train(?:_list)?(?:_videos)?\.txt",
    ),
    ("ssv2", "test"): (
        r"something-something-v2-validation\.json",
        r"validation\.json",
        r"(?:sthv2_)?(?:val|validation)(?:_list)?(?:_videos)?\.txt",
    ),
    ("k600", "zero-shot"): (_KINETICS.replace("{part}", "test"), _KINETICS.replace("{part}", _VAL)),
    ("", "train"): (_OWN.replace("{part}", _TRAIN),),
    ("", "val"): (_OWN.replace("{part}", _VAL),),
    ("", "test"): (_OWN.replace("{part}", "test"),),
}

KEPT = b'# {"format": "adapt-list'  # how a list begins that `write_list` wrote
_LIST_FOLDER = re.compile(r"annot|split|list|label|7030", re.IGNORECASE)
_DEPTH = 4  # folders below the one that the user names


# What people call them beside their own names.
ALIASES = {
    **dict.fromkeys(("hmdb", "hmdb51org"), "hmdb51"),
    **dict.fromkeys(("kinetics", "kinetics400"), "k400"),
    **dict.fromkeys(("kinetics600",), "k600"),
    **dict.fromkeys(("sthv2", "sthsthv2", "somethingsomethingv2", "20bnsomethingsomethingv2"),
                    "ssv2"),
    **dict.fromkeys(("ucf",), "ucf101"),
}  # fmt: skip


def meant_by(name: str) -> str | None:
    """Return the dataset with official lists that a name must mean; None where it means none."""
    plain = "".join(c for c in name.casefold() if c.isalnum())
    return plain if plain in WORDS else ALIASES.get(plain)


@dataclass(frozen=True, kw_only=True)
class ListFolder:
    """A folder in which lists are looked for, and the text files in it."""

    root: Path
    files: tuple[Path, ...]
    is_given: bool = False
    """Whether the user named it: what is in it comes before all else."""


def list_folders(annotations: Path | None, videos: Path, dataset: str) -> list[ListFolder]:
    """Return where lists may be, the most telling place first.

    Beside the videos only for datasets with official lists: a `train.csv` there may be anything.

    Raises:
        UserError: `annotations` does not exist.
    """
    places = []
    if annotations is not None:
        given = annotations.expanduser()
        if not given.exists():
            raise UserError(f"no annotations {annotations}; give a folder of lists, or one file")
        is_file = given.is_file()
        files = [given] if is_file else sorted(_text_files(given, _DEPTH))
        root = given.parent if is_file else given
        places.append(ListFolder(root=root, files=tuple(files), is_given=True))
    inside = videos.expanduser()
    for near in [inside, inside.absolute().parent] if dataset in WORDS else [inside]:
        found = sorted(_text_files(near, 0))
        for folder in sorted(_folders(near)):
            if _LIST_FOLDER.search(folder.name):
                found += sorted(_text_files(folder, 1))
        places.append(ListFolder(root=near, files=tuple(found)))
    return places


def find_lists(
    places: Sequence[ListFolder], dataset: str, patterns: Sequence[str], *, several: bool = False
) -> list[Path]:
    """Return the list that one of `patterns` names.

    A folder that the user named is looked through first; of all others, the best name counts.

    Args:
        places: Where to look.
        dataset: Files that speak of another dataset are passed over.
        patterns: Regular expressions for the whole file name, the best first.
        several: Whether many files make up one list (HMDB-51 has one for each class).

    Raises:
        UserError: Two different files answer to the same name.
    """
    given = [place for place in places if place.is_given]
    others = [place for place in places if not place.is_given]
    for group in (given, others):
        for pattern, place in product(patterns, group):
            found = [
                file
                for file in place.files
                if re.fullmatch(pattern, file.name, re.IGNORECASE)
                and not _is_kept_by_a_run(file)
                and not _speaks_of_another(file.relative_to(place.root).as_posix(), dataset)
            ]
            if found and not several:
                _refuse_unlike(found)
                return found[:1]
            if found:
                return found
    return []


def patterns(dataset: str, part: str, split: int) -> tuple[str, ...]:
    """Return the file names of a dataset's lists, as regular expressions; own ones by default."""
    known = dataset if dataset in WORDS else ""
    return tuple(each.replace("{n}", str(split)) for each in LISTS.get((known, part), ()))


def _speaks_of_another(path: str, dataset: str) -> bool:
    spoken = {name for name, words in WORDS.items() if any(w in path.casefold() for w in words)}
    return bool(spoken) and dataset in WORDS and dataset not in spoken


def _is_kept_by_a_run(file: Path) -> bool:
    """Whether it is a list of ours: what one run drew is no official list for the next."""
    return _bytes(file, len(KEPT)) == KEPT


def _bytes(file: Path, count: int = -1) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error


def _refuse_unlike(found: Sequence[Path]) -> None:
    first = _bytes(found[0]) if len(found) > 1 else b""
    other = next((file for file in found[1:] if _bytes(file) != first), None)
    if other is not None:
        raise UserError(
            f"two different lists: {found[0]} and {other}; name the right one with --annotations"
        )


def _text_files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # a folder beside the videos that is not ours to read
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_file() and entry.name.casefold().endswith((".txt", ".csv", ".json")):
            yield Path(entry.path)
        elif depth and entry.is_dir():
            yield from _text_files(Path(entry.path), depth - 1)


def _folders(folder: Path) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    yield from (Path(e.path) for e in entries if e.name[0] != "." and e.is_dir())
