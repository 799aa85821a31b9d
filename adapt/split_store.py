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
from adapt.split_locate import missing_text, relocate
from adapt.splits import Video, VideoList, common_folder
from describe.classes import ActionClass, ClassList
from describe.errors import UserError

FORMAT = "adapt-list-1"
COLUMNS = ("path", "file", "class", "label", "start", "end", "group")
_REMEDY = "write it again with `python -m adapt.tasks --write FOLDER`"


def write_list(videos: VideoList, path: Path) -> None:
    """Write a list, whole or not at all.

    Raises:
        UserError: The file cannot be written.
    """
    folder = common_folder(videos) if len(videos) else None
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
        UserError: The file is missing, damaged or edited, or videos are not below `videos`: they
            are counted by class.
    """
    lines = _lines(path)
    head = _parse_head(path, lines[0])
    try:
        rows = list(csv.reader(lines[1:], strict=True))
        if not rows or tuple(rows[0]) != COLUMNS:
            raise UserError(f"{path}, line 2: not the columns {','.join(COLUMNS)}; {_REMEDY}")
        folder = Path(head["folder"] or ".")
        made = VideoList(
            name=head["name"],
            dataset=head["dataset"],
            classes=tuple(ActionClass(**each) for each in head["classes"]),
            videos=tuple(
                _video(path, number, cells, folder) for number, cells in enumerate(rows[1:], 3)
            ),
            source=head["source"],
        )
        is_whole = made.hash == head["hash"]
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); {_REMEDY}") from error
    if not is_whole:
        raise UserError(f"{path} is not as it was written (its hash differs); {_REMEDY}")
    return made if videos is None else _moved(made, [row[1] for row in rows[1:]], videos, path)


def _moved(made: VideoList, files: list[str], folder: Path, path: Path) -> VideoList:
    index = VideoIndex(folder)
    classes = ClassList(dataset=made.dataset, classes=made.classes)
    found, missing = relocate(made.videos, files, index, classes)
    if missing:
        raise UserError(missing_text(missing, len(made), path.name, index.folder))
    return made.with_videos(found)


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


def _video(path: Path, line: int, cells: list[str], folder: Path) -> Video:
    if len(cells) != len(COLUMNS):
        raise UserError(f"{path}, line {line}: {len(cells)} fields of {len(COLUMNS)}; {_REMEDY}")
    name, file, class_name, _, start, end, group = cells
    return Video(
        name=name,
        path=folder / file,
        class_name=class_name,
        start_seconds=float(start) if start else None,
        end_seconds=float(end) if end else None,
        group=group,
    )
