"""Lists as a run keeps them: one CSV file each, written and read back to the same bytes and hash.

The first line is a comment with JSON: the format, what the list is for, its classes, and the
folder that the paths are relative to. The rest is CSV, for people and other programs.
"""

import csv
import io
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from adapt.split_index import VideoIndex
from adapt.splits import Video, VideoList
from describe.classes import ActionClass
from describe.errors import UserError

FORMAT = "adapt-list-1"
COLUMNS = ("path", "file", "class", "label", "start", "end", "group")
_REMEDY = "write it again with `python -m adapt.tasks --write FOLDER`"


def write_list(videos: VideoList, path: Path) -> None:
    """Write a list, whole or not at all.

    Raises:
        UserError: The file cannot be written.
    """
    folder = _common_folder(videos)
    text = io.StringIO(newline="")
    text.write("# " + json.dumps(_head(videos, folder)) + "\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for video, label in zip(videos.videos, videos.labels, strict=True):
        file = os.path.relpath(video.path, folder) if folder else ""
        times = ["" if t is None else repr(t) for t in (video.start_seconds, video.end_seconds)]
        writer.writerow([video.name, file, video.class_name, label, *times, video.group])
    data = text.getvalue().encode("utf-8", "surrogateescape")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def read_list(path: Path, videos: Path | None = None) -> VideoList:
    """Read a list that `write_list` wrote.

    Args:
        path: The CSV file.
        videos: Where the videos are now; by default where they were. Files are not looked at
            unless this is given.

    Raises:
        UserError: The file is missing, damaged or edited, or a video is not below `videos`.
    """
    lines = _lines(path)
    head = _parse_head(path, lines[0])
    rows = list(csv.reader(lines[1:], strict=True))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise UserError(f"{path}, line 2: not the columns {','.join(COLUMNS)}; {_REMEDY}")
    index = None if videos is None else VideoIndex(videos)
    folder = Path(head["folder"] or ".")
    made = VideoList(
        name=head["name"],
        dataset=head["dataset"],
        classes=tuple(ActionClass(**each) for each in head["classes"]),
        videos=tuple(
            _video(path, number, cells, folder, index)
            for number, cells in enumerate(rows[1:], start=3)
        ),
        source=head["source"],
    )
    known = set(made.class_names)
    if any(video.class_name not in known for video in made.videos) or made.hash != head["hash"]:
        raise UserError(f"{path} is not as it was written (its hash differs); {_REMEDY}")
    return made


def _head(videos: VideoList, folder: Path | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": videos.name,
        "dataset": videos.dataset,
        "hash": videos.hash,
        "count": len(videos),
        "folder": "" if folder is None else str(folder),
        "source": videos.source,
        "classes": [
            {"class_id": c.class_id, "name": c.name, "readable": c.readable, "group": c.group}
            for c in videos.classes
        ],
    }


def _common_folder(videos: VideoList) -> Path | None:
    """Return the deepest folder that all files are below, as an absolute path."""
    folders = {os.path.abspath(video.path.parent) for video in videos.videos}
    return Path(os.path.commonpath(folders)) if folders else None


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except FileNotFoundError:
        raise UserError(f"no list {path}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return io.StringIO(text, newline="\n").readlines() or [""]


def _parse_head(path: Path, line: str) -> dict[str, Any]:
    try:
        head = json.loads(line.removeprefix("# "))
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise UserError(f"{path}, line 1: not a list of format {FORMAT}; {_REMEDY}")
    return head


def _video(
    path: Path, line: int, cells: list[str], folder: Path, index: VideoIndex | None
) -> Video:
    if len(cells) != len(COLUMNS):
        raise UserError(f"{path}, line {line}: {len(cells)} fields of {len(COLUMNS)}; {_REMEDY}")
    name, file, class_name, _, start, end, group = cells
    found = folder / file
    if index is not None:
        located = index.find(name) or index.find(file)
        if located is None:
            raise UserError(f"{path}, line {line}: no file {name!r} below {index.folder}")
        found = located
    return Video(
        name=name,
        path=found,
        class_name=class_name,
        start_seconds=float(start) if start else None,
        end_seconds=float(end) if end else None,
        group=group,
    )
