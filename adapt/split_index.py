"""Where the files of a folder are: one walk, then every name of a list is found in it.

Lists name videos in their own way: with the class folder or without, with the ending they had
before somebody re-encoded them, from a folder further up. A file is found by what it is called, and
where two files answer to one name neither is taken.
"""

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from adapt.splits import VIDEO_SUFFIXES, loose, part_of, stem
from describe.errors import UserError

# Copies of Kinetics keep whole files for damaged ones in a folder that begins so.
_REPLACEMENTS = "replacement"


class VideoIndex:
    """The video files below a folder, by name. The folder is read, and never written."""

    def __init__(self, folder: Path) -> None:
        """Walk the folder.

        Raises:
            UserError: It is no folder, or a part of it cannot be read.
        """
        self.folder = folder.expanduser()
        if not self.folder.is_dir():
            raise UserError(f"no folder {folder}; give the videos' folder with --videos")
        self.broken_links: list[str] = []
        """Links that look like videos and lead nowhere, as on a disk that is not mounted."""

        self.names = sorted(_walk(self.folder, self.broken_links))
        """Paths of the video files relative to the folder, with forward slashes, sorted."""
        if not self.names:
            lost = f"; {len(self.broken_links)} links lead nowhere" if self.broken_links else ""
            raise UserError(f"no video below {folder}{lost}; endings looked for: {_endings()}")

    @cached_property
    def _exact(self) -> dict[str, str]:
        return {unicodedata.normalize("NFC", name): name for name in self.names}

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(_stem_key(name), []).append(name)
        return found

    @cached_property
    def _by_folded_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.names:
            found.setdefault(_stem_key(name).casefold(), []).append(name)
        return found

    @cached_property
    def _chains(self) -> frozenset[tuple[str, ...]]:
        """Return every run of folders that lie in one another, by their loose names."""
        folders = {tuple(map(loose, name.split("/")[:-1])) for name in self.names}
        return frozenset(
            each[first:last]
            for each in folders
            for first in range(len(each))
            for last in range(first + 1, len(each) + 1)
        )

    def _known_folders(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return the innermost of a name's folders, as many as lie in one another here."""
        folders = tuple(map(loose, parts[:-1]))
        chains = (folders[first:] for first in range(len(folders)))
        return next((chain for chain in chains if chain in self._chains), ())

    def find(self, name: str, fits: Callable[[str], bool] = lambda _: True) -> Path | None:
        """Return the file that a list calls `name`; None where there is none.

        Tried in turn: the path as it is, also from a folder further down or up; then the file
        with that bare name wherever it is, whatever its ending; then in another case. But where
        the folders that the name gives are there, a file of that bare name in others is another;
        and one in `test` is never one of `train`.

        Args:
            name: The video's name, with forward slashes.
            fits: Says of a path that has only the bare name in common whether it may be taken.

        Raises:
            UserError: Two files answer to the name equally well.
        """
        parts = [part for part in unicodedata.normalize("NFC", name).split("/") if part != "."]
        for first in range(len(parts)):
            if (path := self._exact.get("/".join(parts[first:]))) is not None:
                return self.folder / path
        key = _stem_key(name)
        found = self._by_stem.get(key) or self._by_folded_stem.get(key.casefold(), [])
        known = self._known_folders(parts)
        wanted = _part_in(parts[:-1])
        best = _most_alike(
            [
                path
                for path in found
                if fits(path)
                and _lies_in(path, known)
                and (not wanted or _part_in(path.split("/")[:-1]) in ("", wanted))
            ],
            parts,
        )
        if len(best) > 1:
            raise UserError(
                f"{name!r} may be {best[0]!r} or {best[1]!r} below {self.folder}; "
                "keep one of them, or name it with its folder in the list"
            )
        return self.folder / best[0] if best else None


def _stem_key(name: str) -> str:
    return stem(unicodedata.normalize("NFC", name))


def _part_in(folders: Sequence[str]) -> str:
    """Return the part of a dataset that one of the folders speaks of; empty where none does."""
    return next((part for folder in folders if (part := part_of(folder))), "")


def _lies_in(path: str, chain: tuple[str, ...]) -> bool:
    folders = tuple(map(loose, path.split("/")[:-1]))
    if any(folder.startswith(_REPLACEMENTS) for folder in folders):
        return True
    last = len(folders) - len(chain)
    return any(folders[first : first + len(chain)] == chain for first in range(last + 1))


def _most_alike(found: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Keep the files whose path ends most like the name's: its ending first, then its folders."""
    if len(found) < 2:
        return list(found)
    scores = [_likeness(name.split("/"), parts) for name in found]
    return [name for name, score in zip(found, scores, strict=True) if score == max(scores)]


def _likeness(path: Sequence[str], parts: Sequence[str]) -> tuple[int, bool]:
    folders = 0
    for mine, wanted in zip(reversed(path[:-1]), reversed(parts[:-1]), strict=False):
        if loose(mine) != loose(wanted):
            break
        folders += 1
    return folders, unicodedata.normalize("NFC", path[-1]) == parts[-1]


def _walk(folder: Path, broken: list[str]) -> Iterator[str]:
    """Yield the videos below `folder`. Links to folders are followed, but never in a circle.

    Links that lead nowhere, or to themselves, are added to `broken`.
    """
    open_folders = [("", folder)]
    seen = {_identity(folder)}
    while open_folders:
        prefix, here = open_folders.pop()
        try:
            entries = list(os.scandir(here))
        except OSError as error:
            raise UserError(f"cannot read the folder {here}: {error.strerror}") from error
        for entry in entries:
            if entry.name.startswith("."):
                continue
            is_video = os.path.splitext(entry.name)[1].casefold() in VIDEO_SUFFIXES
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:  # a link to itself
                is_folder = is_file = False
            if is_folder:
                if (identity := _identity(entry.path)) not in seen:
                    seen.add(identity)
                    open_folders.append((f"{prefix}{entry.name}/", Path(entry.path)))
            elif is_video and is_file:
                yield prefix + entry.name
            elif is_video and entry.is_symlink():
                broken.append(prefix + entry.name)


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _endings() -> str:
    return ", ".join(sorted(VIDEO_SUFFIXES))
