"""Which description sets there are to look at: those of the workspace, and any folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from describe.errors import UserError
from describe.versions import MANIFEST

# Folders of the workspace that hold sets, and what goes before the names of those.
_PLACES = {"sets": "", "published": "published/"}


@dataclass(frozen=True, kw_only=True)
class SetFolder:
    """A description set by the name that it goes by here."""

    name: str
    """`hmdb51`, or `published/hmdb51` for an imported one."""

    root: Path
    """Its folder: the one that holds README.md and v1, v2, ..."""


def find_sets(home: Path) -> list[SetFolder]:
    """Return the sets in the workspace `home`: described ones first, then imported ones."""
    return [
        SetFolder(name=prefix + root.name, root=root)
        for place, prefix in _PLACES.items()
        for root in _sets_in(home / place)
    ]


def choose_sets(home: Path, given: str | None) -> list[SetFolder]:
    """Return the set called `given`, in the workspace or as a folder; all sets without it.

    Raises:
        UserError: There is no such set, or none at all.
    """
    found = find_sets(home)
    if given is None:
        if not found:
            raise UserError(f"no description set in {home}; make one with `python -m describe`")
        return found
    named = [each for each in found if each.name == given.rstrip("/")]
    folder = Path(given).expanduser()
    if not named and _is_set(folder):
        named = [SetFolder(name=folder.resolve().name, root=folder.resolve())]
    if not named:
        raise UserError(f"no description set {given!r}; {_what_there_is(home, found)}")
    return named


def _what_there_is(home: Path, found: Sequence[SetFolder]) -> str:
    if not found:
        return f"there is none in {home}: make one with `python -m describe`, or give a folder"
    return f"known: {', '.join(each.name for each in found)}; or give the folder of a set"


def _sets_in(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(path for path in place.iterdir() if _is_set(path))


def _is_set(path: Path) -> bool:
    return path.is_dir() and any(path.glob(f"[!.]*/{MANIFEST}"))
