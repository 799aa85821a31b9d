"""From rows to files: what is there, and an account by class of what is not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adapt.split_index import VideoIndex
from adapt.split_labels import ClassNames
from adapt.split_rows import Row
from adapt.splits import Video
from describe.classes import ClassList
from describe.errors import UserError

_CLASSES_NAMED = 4
_FILES_NAMED = 2


@dataclass(frozen=True, kw_only=True)
class Located:
    """What became of the rows of one list."""

    videos: tuple[Video, ...]
    missing: tuple[Row, ...]
    """Rows without a file; their `class_name` is official."""

    untimed: int = 0
    """Files that are named by an id alone and taken whole, though the list gives times."""


def locate(
    rows: Sequence[Row], index: VideoIndex, classes: ClassList, *, uncut: bool = False
) -> Located:
    """Find the file of each row.

    Args:
        rows: Rows with official class names.
        index: The videos folder.
        classes: To tell class folders; a file in another class's folder is never taken for a name
            that it only shares the bare name with.
        uncut: A file named by the id alone is the whole video: keep the times of its rows.

    Raises:
        UserError: A name may be two files, or two rows are one file.
    """
    names = ClassNames(classes)
    videos: list[Video] = []
    missing: list[Row] = []
    taken: dict[tuple[Path, float | None, float | None], Row] = {}
    untimed = 0
    for row in rows:
        fits = _OtherClass(names, row.class_name or "")
        path, has_times = _find(row, index, fits, uncut)
        if path is None:
            missing.append(row)
            continue
        start, end = (row.start_seconds, row.end_seconds) if has_times else (None, None)
        untimed += bool(row.other_names) and not has_times and path.stem in row.other_names
        other = taken.setdefault((path, start, end), row)
        if other is not row:
            raise UserError(
                f"{row.name!r} ({row.place}) and {other.name!r} ({other.place}) are one file: "
                f"{path}; list each video once, with its folder where names repeat"
            )
        videos.append(
            Video(
                name=row.name,
                path=path,
                class_name=row.class_name or "",
                start_seconds=start,
                end_seconds=end,
                group=row.group,
            )
        )
    return Located(videos=tuple(videos), missing=tuple(missing), untimed=untimed)


class _OtherClass:
    """Says whether a path may show the class: it is in no other class's folder."""

    def __init__(self, names: ClassNames, class_name: str) -> None:
        self.names = names
        self.class_name = class_name

    def __call__(self, path: str) -> bool:
        return self.names.in_folders(path) in (None, self.class_name)


def _find(row: Row, index: VideoIndex, fits: _OtherClass, uncut: bool) -> tuple[Path | None, bool]:
    """Return the file, and whether the row's times count in it."""
    if (path := index.find(row.name, fits)) is not None:
        return path, not row.other_names
    for name in row.other_names:
        if (path := index.find(name, fits)) is not None:
            return path, uncut
    return None, False


def relocate(
    videos: Sequence[Video], files: Sequence[str], index: VideoIndex, classes: ClassList
) -> tuple[list[Video], list[Video]]:
    """Find videos that were moved.

    Args:
        videos: As they were.
        files: The path of each relative to the folder that all were below.
        index: Where they are now.
        classes: To tell class folders.

    Returns:
        Those that are there, with their new paths, and those that are not.

    Raises:
        UserError: A name may be two files, or two videos are one file.
    """
    names = ClassNames(classes)
    found: list[Video] = []
    missing: list[Video] = []
    taken: dict[tuple[Path, float | None, float | None], str] = {}
    for video, file in zip(videos, files, strict=True):
        fits = _OtherClass(names, video.class_name)
        path = index.find(video.name, fits) or index.find(file, fits)
        if path is None:
            missing.append(video)
            continue
        other = taken.setdefault((path, video.start_seconds, video.end_seconds), video.name)
        if other != video.name:
            raise UserError(f"{video.name!r} and {other!r} are one file: {path}")
        found.append(replace(video, path=path))
    return found, missing


def count_missing(missing: Sequence[Row | Video]) -> dict[str, int]:
    """Return how many videos of each class are missing, most first."""
    return dict(Counter(row.class_name or "" for row in missing).most_common())


def missing_text(missing: Sequence[Row | Video], total: int, name: str, folder: Path) -> str:
    """Return one line: how many are missing, of which classes, and the first of them."""
    by_class = count_missing(missing)
    most = ", ".join(f"{each} {n}" for each, n in list(by_class.items())[:_CLASSES_NAMED])
    more = f", ... ({len(by_class)} classes)" if len(by_class) > _CLASSES_NAMED else ""
    first = ", ".join(repr(row.name) for row in missing[:_FILES_NAMED])
    return (
        f"{len(missing)} of {total} videos of {name} are not below {folder}: {most}{more}; "
        f"first {first}"
    )
