"""What publishing a set would change on the Hub: files by hash, versions, tags. Sends nothing."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from describe.errors import UserError
from describe.escape import printable
from describe.terminal import some
from describe.versions import CARD, MANIFEST, list_versions, read_manifest

State = Literal["added", "changed", "unchanged"]
# What the Hub puts into every repository, and what people add to one: never in the way.
_HARMLESS = frozenset({".gitattributes", ".gitignore", CARD, "LICENSE", "LICENSE.md"})


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file of the repository, as the Hub lists it."""

    path: str
    blob_id: str
    """Its git hash."""

    sha256: str | None = None
    """Its SHA-256, where it is stored beside git (LFS, Xet)."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A repository as it stands."""

    commit: str
    """The commit that all of this is true of."""

    private: bool
    files: Mapping[str, RemoteFile]
    tags: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One file of the set, against what the Hub has."""

    path: str
    data: bytes
    state: State


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that publishing would do."""

    repo: str
    versions: tuple[str, ...]
    """All versions of the set, oldest first."""

    new: tuple[str, ...]
    """Those that the Hub does not have."""

    files: tuple[Change, ...]
    tags: tuple[str, ...]
    """Tags that are missing."""

    @property
    def to_send(self) -> tuple[Change, ...]:
        """The files that are not there as they are here."""
        return tuple(file for file in self.files if file.state != "unchanged")


def make_plan(root: Path, repo: str, remote: Remote | None, *, tag: bool) -> Plan:
    """Compare the set in `root` with what the Hub has.

    Args:
        root: A set without faults.
        repo: `owner/name`.
        remote: The repository as it stands; None: there is none yet.
        tag: Whether each version is to have a tag.

    Raises:
        UserError: A published version would change or vanish, or the repository holds other data.
    """
    there = {} if remote is None else remote.files
    versions = list_versions(root)
    files = [
        Change(path=path, data=data, state=_state(data, there.get(path)))
        for path, data in local_files(root, repo)
    ]
    _refuse_strangers(repo, there, versions)
    _refuse_rewriting(files, there, versions)
    tags = frozenset() if remote is None else remote.tags
    return Plan(
        repo=repo,
        versions=tuple(versions),
        new=tuple(name for name in versions if f"{name}/{MANIFEST}" not in there),
        files=tuple(files),
        tags=tuple(name for name in versions if tag and name not in tags),
    )


def local_files(root: Path, repo: str) -> Iterator[tuple[str, bytes]]:
    """Yield the paths and bytes to publish: the card, and what the manifests list."""
    yield CARD, _card(root, repo)
    for name in list_versions(root):
        for file in (MANIFEST, *sorted(read_manifest(root / name)["files"])):
            path = root / name / file
            try:
                yield f"{name}/{file}", path.read_bytes()
            except OSError as error:
                raise UserError(f"cannot read {path}: {error.strerror}") from error


def git_hash(data: bytes) -> str:
    """Return the hash by which git names these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _card(root: Path, repo: str) -> bytes:
    """Return the card, with the repository's name where it says how to load the set."""
    text = (root / CARD).read_bytes()
    return text.replace(b'load_dataset("<folder>"', f'load_dataset("{repo}"'.encode())


def _state(data: bytes, remote: RemoteFile | None) -> State:
    if remote is None:
        return "added"
    if remote.sha256 is not None:
        return "unchanged" if hashlib.sha256(data).hexdigest() == remote.sha256 else "changed"
    return "unchanged" if git_hash(data) == remote.blob_id else "changed"


def _refuse_strangers(repo: str, there: Mapping[str, RemoteFile], versions: Sequence[str]) -> None:
    """Refuse a repository of something else, or with versions that this folder lacks."""
    folders = {path.partition("/")[0] for path in there if path.endswith(f"/{MANIFEST}")}
    lacking = sorted(printable(name) for name in folders - set(versions))
    if lacking:
        raise UserError(
            f"{repo} has the version {some(lacking)}, which is not here, and the card would lose "
            f"it; get it first: hf download {repo} --repo-type dataset --local-dir FOLDER"
        )
    strange = [
        path
        for path in sorted(there)
        if path not in _HARMLESS and path.partition("/")[0] not in folders
    ]
    if strange:
        raise UserError(
            f"{repo} holds files of no version of this set ({some(list(map(printable, strange)))});"
            " give another --repo"
        )


def _refuse_rewriting(
    files: Sequence[Change], there: Mapping[str, RemoteFile], versions: Sequence[str]
) -> None:
    """Refuse to change a version that is published."""
    here = {file.path for file in files}
    changed = [file.path for file in files if file.state == "changed" and file.path != CARD]
    gone = [path for path in there if path.partition("/")[0] in versions and path not in here]
    for path in sorted([*changed, *gone]):
        name = path.partition("/")[0]
        raise UserError(
            f"version {name} is published with other bytes ({printable(path)}), and a version "
            "never changes; describe into a new version, or give another --repo"
        )
