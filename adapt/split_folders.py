"""Folders of class folders: what people have without any list."""

from collections.abc import Sequence

from adapt.split_labels import ClassNames
from adapt.split_rows import Row
from adapt.splits import group_of, part_of


def folder_rows(names: Sequence[str]) -> list[Row]:
    """Return a row for each file that is in a class folder; `class_name` is the folder's.

    Understood are `class/file` and `train/class/file` (also val, validation, test), with any
    folders that all files share in front, and folders within a class.

    Args:
        names: Paths relative to the videos folder, with forward slashes.
    """
    split = [name.split("/") for name in names]
    shared = _shared_depth(split)
    rows = []
    for name, parts in zip(names, split, strict=True):
        folders = parts[shared:-1]
        part = part_of(folders[0]) if len(folders) > 1 else ""
        inner = folders[1:] if part else folders
        if inner:
            rows.append(
                Row(
                    name=name,
                    place=name,
                    class_name=inner[0],
                    group=group_of(name),
                    part=part,
                )
            )
    return rows


def nested_note(rows: Sequence[Row]) -> list[str]:
    """Return a note where what seem to be classes may be datasets, or parts, that hold them.

    Args:
        rows: Of class folders; `class_name` is the folder's.
    """
    inner: dict[str, set[str]] = {}
    for row in rows:
        folders = row.name.split("/")[:-1]
        below = folders[folders.index(row.class_name or "") + 1 :]
        inner.setdefault(row.class_name or "", set()).add(below[0] if below else "")
    if not inner or any("" in found or len(found) < 2 for found in inner.values()):
        return []
    first = next(iter(inner))
    return [
        f"each of the {len(inner)} class folders ({', '.join(list(inner)[:3])}) holds folders of "
        f"its own, such as {first}/{min(inner[first])}; if those are the classes, --videos is one "
        "folder too high"
    ]


def known_rows(rows: Sequence[Row], names: ClassNames) -> tuple[list[Row], list[str]]:
    """Return the rows whose folder is a class, and a note on the folders that are none."""
    kept = [row for row in rows if names.known(row.class_name or "")]
    others = sorted({row.class_name or "" for row in rows} - {row.class_name for row in kept})
    if not others:
        return kept, []
    return kept, [
        f"{len(others)} folders ({len(rows) - len(kept)} videos) are no class of "
        f"{names.classes.dataset} and are left out: {', '.join(others[:3])}"
    ]


def _shared_depth(split: Sequence[Sequence[str]]) -> int:
    """Return how many folders all files have in common; never the last, which may be a class."""
    depth = 0
    while all(len(parts) > depth + 2 for parts in split) and (
        len({parts[depth] for parts in split}) == 1
    ):
        depth += 1
    return depth
