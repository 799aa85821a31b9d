"""What is remembered between runs: where a dataset's videos are, and which sets there are.

`videos.json` in the workspace maps a dataset to its folder. It is written after a run that found
all files, so that later runs need no `--videos`.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from describe.errors import UserError
from describe.paths import workspace

FILE = "videos.json"

logger = logging.getLogger(__name__)


def known_videos() -> dict[str, Path]:
    """Return the remembered folder of each dataset.

    Raises:
        UserError: The file is damaged.
    """
    path = workspace() / FILE
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; delete it and pass --videos") from error
    if not isinstance(data, dict) or not all(isinstance(each, str) for each in data.values()):
        raise UserError(f"{path} is no table of datasets and folders; delete it and pass --videos")
    return {name: Path(folder) for name, folder in data.items()}


def videos_folder(dataset: str, given: Path | None, flag: str = "--videos") -> Path:
    """Return the folder of a dataset's videos: the one given, else the one remembered.

    Raises:
        UserError: Neither; or the remembered one is gone.
    """
    if given is not None:
        return given.expanduser()
    known = known_videos()
    if dataset not in known:
        raise UserError(
            f"where are the videos of {dataset}? pass {flag} FOLDER once; it is remembered"
        )
    if not known[dataset].is_dir():
        raise UserError(
            f"the videos of {dataset} were in {known[dataset]}, which is gone; pass {flag} FOLDER"
        )
    return known[dataset]


def remember_videos(dataset: str, folder: Path) -> str | None:
    """Remember a folder; return a line that says so, or None if it was known.

    Raises:
        UserError: The workspace cannot be written.
    """
    absolute = folder.expanduser().absolute()
    with _one_writer():  # from reading on: another run may be remembering its own
        known = known_videos()
        if known.get(dataset) == absolute:
            return None
        table = {name: str(path) for name, path in {**known, dataset: absolute}.items()}
        path = workspace() / FILE
        partial = path.with_name(f".{FILE}.{os.getpid()}")
        try:
            partial.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            os.replace(partial, path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise UserError(f"cannot write {path}: {error.strerror}") from error
    return f"videos of {dataset} are in {absolute}: remembered in {path}"


@contextmanager
def _one_writer() -> Iterator[None]:
    """Hold the workspace for one writer; nothing is left behind, also by one that is killed."""
    handle = os.open(workspace(), os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks; renames keep the file whole anyway
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def find_set(version: str, dataset: str | None = None) -> Path:
    """Return the folder of the one description set in the workspace that has a version.

    A set of all classes goes before a set of some of them (`hmdb51` before `hmdb51_base`). A
    damaged set that is not asked for is left out, with a warning.

    Args:
        version: Such as `v2`.
        dataset: The dataset, where several may have the version.

    Raises:
        UserError: No set has it (those that exist are named), several datasets have, or the set
            is damaged.
    """
    return _find(version, dataset).folder


def find_dataset(version: str) -> str:
    """Return the dataset that has descriptions of that version.

    Raises:
        UserError: As `find_set`.
    """
    return _find(version).dataset


@dataclass(frozen=True, kw_only=True)
class _Set:
    folder: Path
    dataset: str
    versions: tuple[str, ...]


def _find(version: str, dataset: str | None = None) -> _Set:
    every, damaged = _sets()
    for folder, error in damaged.items():
        if dataset in (None, folder.name) and (folder / version).is_dir():
            other = "; or name another dataset with --dataset" if dataset is None and every else ""
            raise UserError(f"{error}{other}") from error
        logger.warning("%s; this set is left out", error)
    sets = [each for each in every if dataset in (None, each.dataset)]
    found = [each for each in sets if version in each.versions]
    datasets = sorted({each.dataset for each in found})
    whole = [each for each in found if each.folder.name == each.dataset] or found
    if len(datasets) == 1 and len(whole) == 1:
        return whole[0]
    if len(datasets) > 1:
        raise UserError(
            f"{len(datasets)} datasets have descriptions {version!r}: {', '.join(datasets)}; say "
            "which with --dataset"
        )
    if found:
        folders = ", ".join(str(each.folder) for each in found)
        raise UserError(f"several sets have descriptions {version!r}: {folders}; name its folder")
    there = "; ".join(
        f"{each.folder.name} has {', '.join(each.versions)}" for each in sets or every
    )
    where = f" of {dataset}" if dataset else ""
    near = get_close_matches(dataset or "", [each.dataset for each in every if not sets], n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise UserError(
        f"no descriptions {version!r}{where} in {workspace() / 'sets'} ({there or 'none at all'})"
        f"{meant or '; make them with `python -m describe`'}"
    )


def _sets() -> tuple[list[_Set], dict[Path, UserError]]:
    """Return the sets in the workspace, and the folders of those that cannot be read."""
    from describe.dataset import list_versions, read_version

    found, damaged = [], {}
    for folder in sorted(path for path in (workspace() / "sets").glob("*") if path.is_dir()):
        try:
            versions = tuple(list_versions(folder))
            if versions:
                dataset = str(read_version(folder, versions[-1]).manifest["dataset"])
                found.append(_Set(folder=folder, dataset=dataset, versions=versions))
        except UserError as error:
            damaged[folder] = error
    return found, damaged
