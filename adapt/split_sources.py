"""One dataset on somebody's disk: its classes, its files, and the rows of its official parts.

Rows come from the user's own list, else from official lists, else from class folders. Which it was
is noted, and goes into the run.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adapt.data_config import DataConfig
from adapt.sampling import divide
from adapt.split_files import (
    WORDS,
    ListFolder,
    find_lists,
    list_folders,
    meant_by,
    patterns,
)
from adapt.split_folders import folder_rows, known_rows, nested_note
from adapt.split_hmdb import FILE as HMDB_FILE
from adapt.split_hmdb import read_hmdb
from adapt.split_index import VideoIndex
from adapt.split_labels import FULL, ClassNames, with_classes
from adapt.split_lists import read_rows
from adapt.split_rows import Row
from describe.classes import (
    ActionClass,
    ClassList,
    known_datasets,
    load_classes,
    read_classes,
    readable_name,
)
from describe.errors import UserError

PARTS_OF_LISTS = ("train", "val", "test")

TABLE = r"videos\.csv"
"""A user's own list of everything, with or without a column `split`."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of one part, and where they are from."""

    rows: tuple[Row, ...]
    """Each with the official name of its class."""

    source: str
    """The file or files, or how it was made."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A dataset as it lies on disk."""

    dataset: str
    classes: ClassList
    index: VideoIndex
    places: tuple[ListFolder, ...]
    has_official_lists: bool
    """Whether results on the dataset are compared on official lists."""

    allow_unofficial: bool
    has_name: bool
    """Whether the user named the dataset; else it is called after its folder."""

    notes: list[str] = field(default_factory=list)
    """What a person should know about how the lists were read."""

    def find(self, *names: str, several: bool = False) -> list[Path]:
        """Return the list file that one of the regular expressions names, the best first."""
        found = find_lists(self.places, self.dataset, names, several=several)
        given = next((place for place in self.places if place.is_given), None)
        if found and given is not None and found[0] not in given.files:
            self.note(
                [f"{found[0].name} is from {found[0].parent}: --annotations has no such list"]
            )
        return found

    def read(self, files: Sequence[Path], part: str = "", prefer: str = FULL) -> Rows:
        """Read list files.

        Args:
            files: One file, or HMDB-51's one for each class.
            part: Keep the rows of this part, in lists that hold several.
            prefer: The subset whose labels are expected.

        Raises:
            UserError: A file or line cannot be read, or a class is unknown.
        """
        names = ClassNames(self.classes)
        if HMDB_FILE.fullmatch(files[0].name):
            rows = read_hmdb(files, names, part)
            notes: list[str] = []
        else:
            raw = _of_part(read_rows(files[0]), part)
            rows, notes = with_classes(
                raw, names, file=files[0], prefer=prefer, shown=lambda row: self._shown(row, names)
            )
        self.note(notes)
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        return Rows(rows=tuple(rows), source=f"{files[0].name}{more}")

    def part(self, part: str, split: int = 1) -> Rows | None:
        """Return the `train`, `val` or `test` part; None where nothing says what it is.

        Raises:
            UserError: A list cannot be read.
        """
        is_many = self.dataset == "hmdb51" and bool(self.find(HMDB_FILE.pattern, several=True))
        if files := self.find(*patterns(self.dataset, part, split), several=is_many):
            return self.read(files, part)
        # What Kinetics and Something-Something call val is what they are tested on.
        is_test = part == "test" and self.has_official_lists
        if files := self.find(TABLE):
            return self._part_of_table(files, ("test", "val") if is_test else (part,))
        for folder in ("val", "test") if is_test else (part,):
            if rows := [row for row in self.folder_rows() if row.part == folder]:
                return Rows(rows=tuple(rows), source=f"{folder} folders")
        return None

    def _part_of_table(self, files: Sequence[Path], parts: Sequence[str]) -> Rows | None:
        """Return the rows of the first of the parts that has any."""
        rows = self.read(files).rows
        for part in parts:
            if found := tuple(row for row in rows if row.part == part):
                if blank := sum(not row.part for row in rows):
                    self.note([f"{files[0].name}: {blank} rows have no split and are left out"])
                return Rows(rows=found, source=files[0].name)
        return None

    def division(self) -> dict[str, Rows]:
        """Divide what nothing divides into `train` and `test`; what is marked `train` stays there.

        Raises:
            UserError: The dataset has official lists, which were not found; or nothing is left
                to be tested on.
        """
        self.need_official_lists()
        table = self.find(TABLE)
        found = list(self.read(table).rows) if table else self.folder_rows()
        if not found:
            raise UserError(
                f"{self._no_class_folder()}; put videos into class folders, or pass --train-list "
                "and --test-list"
            )
        marked = [row for row in found if row.part]  # as `train`: no row is of another part
        recordings = {row.group for row in marked if row.group}
        open_rows = [row for row in found if not row.part and row.group not in recordings]
        if not open_rows:
            raise UserError(
                f"all videos of {self.dataset} are marked as train; mark some as test, or pass "
                "--test-list"
            )
        _, test = divide(open_rows, lambda row: row.class_name or "", lambda row: row.name)
        drawn = set(test)
        train = [row for row in found if row not in drawn]
        more = f"; the {len(marked)} that are marked train stay there" if marked else ""
        self.note(
            [
                f"{self.dataset}: no list says what is for testing; one video in five of each "
                f"class is, drawn by a fixed seed ({len(train)} training, {len(test)} test){more}"
            ]
        )
        source = f"{table[0].name if table else 'class folders'}, divided by a fixed seed"
        return {
            "train": Rows(rows=tuple(train), source=source),
            "test": Rows(rows=tuple(test), source=source),
        }

    def everything(self) -> Rows:
        """Return all that class folders hold.

        Raises:
            UserError: There are none, or the dataset has official lists, which were not found.
        """
        self.need_official_lists()
        rows = self.folder_rows()
        if not rows:
            raise UserError(f"{self._no_class_folder()}; put videos into class folders")
        self.note([f"{self.dataset}: no list found; all {len(rows)} videos in class folders"])
        return Rows(rows=tuple(rows), source="class folders")

    def _no_class_folder(self) -> str:
        """Say that no folder is a class: there is none, or they are folders of other classes."""
        folders = list(dict.fromkeys(row.class_name for row in folder_rows(self.index.names)))
        if not folders:
            return f"no list and no class folder in {self.index.folder}"
        named = ", ".join(map(repr, folders[:3])) + (", ..." if len(folders) > 3 else "")
        return (
            f"{len(folders)} folders in {self.index.folder} ({named}), and none is one of the "
            f"{len(self.classes.classes)} classes of {self.dataset}, such as "
            f"{self.classes.names[0]!r}; another --dataset or --descriptions is meant, or --classes"
        )

    def need_official_lists(self) -> None:
        """Refuse to go on without lists that everybody else uses.

        Raises:
            UserError: The dataset has official lists, and the user allows no others.
        """
        if self.has_official_lists and not self.allow_unofficial:
            raise UserError(
                f"no official lists of {self.dataset} in or beside {self.index.folder}; pass "
                "--annotations FOLDER, or --allow-unofficial to go by class folders alone"
            )

    def folder_rows(self) -> list[Row]:
        """Return the videos in class folders, with official class names."""
        names = ClassNames(self.classes)
        found = folder_rows(self.index.names)
        rows, notes = known_rows(found, names)
        if stray := len(self.index.names) - len(found):
            notes = [*notes, f"{stray} videos are in no class folder and are left out"]
        self.note(notes if self.dataset in known_datasets() else [*notes, *nested_note(found)])
        return [replace(row, class_name=names.known(row.class_name or "")) for row in rows]

    def _shown(self, row: Row, names: ClassNames) -> str | None:
        """Return the class whose folder holds the row's file."""
        found = self.index.find(row.name)
        return names.in_name(found.relative_to(self.index.folder).as_posix()) if found else None

    def note(self, notes: Sequence[str]) -> None:
        """Keep notes that are new."""
        self.notes.extend(note for note in notes if note not in self.notes)


def open_collection(
    dataset: str | None, videos: Path, config: DataConfig, *, is_training: bool = True
) -> Collection:
    """Find out what a videos folder holds.

    Args:
        dataset: Its name; by default the folder's.
        videos: The folder.
        config: Where lists and classes are.
        is_training: Whether the class list and the lists of the configuration are meant for it.

    Raises:
        UserError: The folder, the annotations or the class list cannot be read.
    """
    index = VideoIndex(videos)
    own = config.classes if is_training else None
    folder = index.folder.resolve().name
    if dataset is None and own is None and (meant := meant_by(folder)):
        raise UserError(
            f"{videos} is called like {meant}; pass --dataset {meant} for its official lists, or "
            "--dataset NAME for one of your own"
        )
    name = dataset or re.sub(r"\W+", "_", folder).strip("_") or "own"
    places = tuple(list_folders(config.annotations, index.folder, name))
    lists = (config.train_list, config.test_list) if is_training else (config.test_list,)
    found = Collection(
        dataset=name,
        classes=read_classes(own.expanduser(), name)
        if own
        else _classes(name, index, lists, places),
        index=index,
        places=places,
        has_official_lists=name in WORDS and own is None,
        allow_unofficial=config.allow_unofficial,
        has_name=dataset is not None,
    )
    if lost := index.broken_links:
        found.note([f"{len(lost)} links below {index.folder} lead nowhere, first {lost[0]}"])
    return found


def _classes(
    dataset: str, index: VideoIndex, lists: Sequence[Path | None], places: Sequence[ListFolder]
) -> ClassList:
    """Return the shipped class list, else the class names of lists or folders, sorted.

    Of the spellings of one name in lists the first is taken.
    """
    if dataset in known_datasets():
        return load_classes(dataset)
    files = [file for file in lists if file is not None]
    if not files:
        for names_of_part in (*(patterns(dataset, part, 1) for part in PARTS_OF_LISTS), (TABLE,)):
            files += find_lists(places, dataset, names_of_part)
    rows = [row for file in files for row in read_rows(file)]
    named = sorted({row.class_name for row in rows if row.class_name})
    folders = sorted({row.class_name or "" for row in folder_rows(index.names)})
    names = _one_spelling(named) or _numbered(rows) or folders
    if not names:
        raise UserError(
            f"nothing names the classes of {dataset}: no class folder in {index.folder}; known "
            f"datasets: {', '.join(known_datasets())}; a list of your own: --classes FILE"
        )
    classes = (
        ActionClass(class_id=label, name=name, readable=readable_name(name))
        for label, name in enumerate(names)
    )
    return ClassList(dataset=dataset, classes=tuple(classes))


def _one_spelling(names: Sequence[str]) -> list[str]:
    """Return each name once, whatever its case, and whichever of space, `_` and `-` parts it."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(re.sub(r"[\s_-]+", " ", name.casefold()), name)
    return list(first.values())


def _numbered(rows: Sequence[Row]) -> list[str]:
    """Return the classes that numbers stand for, in their order: the folders that files are in.

    Of folders within one another the outermost that is one to one with the numbers. Empty where
    the numbers are not 0 to K - 1, or no folder is.
    """
    paths: dict[int, list[list[str]]] = {}
    for row in rows:
        if row.label is None or "/" not in row.name:
            return []
        paths.setdefault(row.label, []).append(row.name.split("/")[:-1])
    if not paths or sorted(paths) != list(range(len(paths))):
        return []
    for depth in range(min(len(path) for each in paths.values() for path in each)):
        folders = [{path[depth] for path in paths[label]} for label in range(len(paths))]
        names = [min(each) for each in folders]
        if all(len(each) == 1 for each in folders) and len(set(names)) == len(names):
            return names
    return []


def _of_part(rows: Sequence[Row], part: str) -> list[Row]:
    """Keep the rows of a part; a validation file is the test part of sets without another."""
    parts = {row.part for row in rows}
    if not part or parts <= {""}:
        return list(rows)
    if part == "zero-shot":  # Kinetics-600: its test part, else its validation part
        part = "test" if "test" in parts else "val"
    wanted = [row for row in rows if row.part in ("", part)]
    is_validation = part == "test" and parts == {"val"}
    return list(rows) if is_validation else wanted
