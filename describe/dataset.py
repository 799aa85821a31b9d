"""The description set: a Hugging Face dataset folder whose versions are written once, then read.

    <set>/README.md                  the card; its YAML names one config a version, newest first
    <set>/v1/descriptions.parquet    one row a sentence that was kept
    <set>/v1/rejected.parquet        one row a sentence that was not (absent when all were kept)
    <set>/v1/manifest.json           what made the version, and the hash of each file

A version is complete or absent, and never changes. The card is made from the manifests alone, so
whatever a killed run left undone is repaired by the next call.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from describe.card import CardVersion, render_card
from describe.errors import UserError
from describe.rows import (
    Description,
    Rejected,
    arrow_bytes,
    fingerprint,
    fitted,
    in_order,
    to_parquet,
)
from describe.versions import (
    CARD,
    DESCRIPTIONS,
    MANIFEST,
    MANIFEST_FORMAT,
    REJECTED,
    VERSION_NAME,
    DescriptionSet,
    list_versions,
    read_manifest,
    read_rejected,
    read_version,
)

__all__ = [
    "Description",
    "DescriptionSet",
    "Rejected",
    "WrittenVersion",
    "list_versions",
    "next_free_name",
    "read_rejected",
    "read_version",
    "write_card",
    "write_version",
]

UNFINISHED = ".writing-"  # starts the name of what is still being written
SECRET_NAME = re.compile(r"api_?key|authori[sz]ation|password|secret", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenVersion:
    """Where the rows are now."""

    name: str
    """Name of the version, and of its config."""

    path: Path
    """The version's folder, inside the set's."""

    created: bool
    """False: a version with the same rows stood there already, and was left alone."""


def write_version(
    root: Path,
    kept: Iterable[Description],
    rejected: Iterable[Rejected],
    manifest: Mapping[str, Any],
    name: str | None = None,
) -> WrittenVersion:
    """Write a version of the set in `root`, or find the one that holds the same rows.

    What is found stays as it is, manifest and all: the rows are the version.

    Args:
        root: Folder of the set, made when missing.
        kept: The descriptions, in any order.
        rejected: What the rules turned down, in any order.
        manifest: What made the rows, as JSON data: `dataset`, and any of `classes`, `model`,
            `sampling`, `prompts`, `rules`, `counts`, `source`, `license`, `notes`, `libraries`.
            The counts of kept and rejected rows, the hashes and the fingerprint are added here.
            It must not say how a run went (what was cached, how long it took), only what made
            the rows: the same replies have to give the same bytes.
        name: Name of the version; by default that of the version with the same rows, else the
            next free `v1`, `v2`, ...

    Raises:
        UserError: Nothing was kept, `name` is taken or impossible, or `root` cannot be written.
        ValueError: The manifest names a secret.
    """
    kept = [fitted(row) for row in in_order(kept)]
    rejected = [fitted(row) for row in in_order(rejected)]
    _refuse_empty(root, kept, rejected)
    _refuse_name(name)
    _refuse_secrets(manifest)
    content = fingerprint(kept, rejected)
    with _one_writer(root):
        _refuse_other_dataset(root, manifest["dataset"])
        found = _find(root, content, name)
        if found is None:
            name = name or next_free_name(root)
            complete = _complete_manifest(root, manifest, content)
            _write_folder(root / name, kept, rejected, complete)
        _write_card(root)
    written = found or str(name)
    return WrittenVersion(name=written, path=root / written, created=found is None)


def write_card(root: Path) -> None:
    """Write README.md anew from the manifests; leave it untouched when it says the same.

    Raises:
        UserError: There is no version, one is damaged, or the file cannot be written.
    """
    read_version(root)
    with _one_writer(root):
        _write_card(root)


def next_free_name(root: Path) -> str:
    """Return the first of `v1`, `v2`, ... after all that exist in `root`."""
    taken = [path.name[1:] for path in root.glob("v*")]
    return f"v{max((int(number) for number in taken if number.isdecimal()), default=0) + 1}"


def _refuse_empty(root: Path, kept: Sequence[Description], rejected: Sequence[Rejected]) -> None:
    if kept:
        return
    rules = Counter(row.rule for row in rejected)
    most = f", most by the rule {rules.most_common(1)[0][0]!r}" if rules else ""
    raise UserError(
        f"no sentence was kept ({len(rejected)} were rejected{most}); no version is written to "
        f"{root}"
    )


def _refuse_name(name: str | None) -> None:
    if name is None:
        return
    if not VERSION_NAME.fullmatch(name) or name.endswith("_rejected"):
        raise UserError(
            f"a version cannot be named {name!r}; use letters, digits, '_' and single dots, such "
            "as v2, and no '_rejected' at the end"
        )


def _refuse_secrets(manifest: Mapping[str, Any]) -> None:
    """Refuse a manifest that a careless caller filled with a whole endpoint."""
    stack: list[Any] = [manifest.get(part) for part in ("model", "sampling", "source")]
    while stack:
        value = stack.pop()
        if isinstance(value, Mapping):
            wrong = [name for name in value if SECRET_NAME.search(str(name))]
            if wrong:
                raise ValueError(f"the manifest names a secret: {', '.join(wrong)}")
            stack.extend(value.values())
        elif isinstance(value, list | tuple):
            stack.extend(value)


def _refuse_other_dataset(root: Path, dataset: object) -> None:
    for name in list_versions(root)[-1:]:
        other = read_manifest(root / name)["dataset"]
        if other != dataset:
            raise UserError(
                f"{root} holds descriptions of {other!r}, not of {dataset!r}; a folder is for one "
                "dataset: choose another"
            )


def _find(root: Path, content: str, name: str | None) -> str | None:
    """Return the version that holds `content` already, if any.

    Raises:
        UserError: `name` exists and holds something else.
    """
    known = list_versions(root)
    same = [known_name for known_name in known if _fingerprint(root / known_name) == content]
    if name is None:
        return same[-1] if same else None
    if name in same:
        return name
    if (root / name).exists():
        what = "other rows" if name in known else "no complete version"
        raise UserError(
            f"{root / name} exists and holds {what}, and a version never changes; the next free "
            f"name is {next_free_name(root)}"
        )
    return None


def _fingerprint(folder: Path) -> str:
    return str(read_manifest(folder)["fingerprint"])


def _complete_manifest(root: Path, manifest: Mapping[str, Any], content: str) -> dict[str, Any]:
    orders = [read_manifest(root / name)["order"] for name in list_versions(root)]
    order = 1 + max(orders, default=0)
    return {**manifest, "fingerprint": content, "format": MANIFEST_FORMAT, "order": order}


def _write_folder(
    folder: Path,
    kept: Sequence[Description],
    rejected: Sequence[Rejected],
    manifest: Mapping[str, Any],
) -> None:
    """Write a version beside its place, then move it there in one step."""
    tables = {DESCRIPTIONS: to_parquet(kept)}
    if rejected:  # `datasets` cannot load a split without rows
        tables[REJECTED] = to_parquet(rejected)
    by_rule = dict(sorted(Counter(row.rule for row in rejected).items()))
    num_rows = {DESCRIPTIONS: len(kept), REJECTED: len(rejected)}
    files = {
        name: {
            "rows": num_rows[name],
            "bytes": len(data),
            "arrow_bytes": arrow_bytes(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for name, data in tables.items()
    }
    counts = {**manifest.get("counts", {}), "kept": len(kept), "rejected": by_rule}
    whole = {**manifest, "files": files, "counts": counts}
    text = json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    unfinished = folder.with_name(UNFINISHED + folder.name)
    unfinished.mkdir()
    for name, data in {**tables, MANIFEST: text.encode()}.items():
        _write_file(unfinished / name, data)
    _sync(unfinished)
    unfinished.rename(folder)
    _sync(folder.parent)


def _write_card(root: Path) -> None:
    names = list_versions(root)
    versions = [CardVersion(name=name, manifest=read_manifest(root / name)) for name in names]
    data = render_card(versions, read_version(root).rows, read_rejected(root)).encode()
    path = root / CARD
    if path.is_file() and path.read_bytes() == data:
        return
    unfinished = path.with_name(UNFINISHED + CARD)
    _write_file(unfinished, data)
    unfinished.replace(path)
    _sync(root)


@contextmanager
def _one_writer(root: Path) -> Iterator[None]:
    """Hold `root` for one writer, remove what a killed one left, and name the path of an error."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root, os.O_RDONLY)
        try:
            with suppress(OSError):  # a file system without locks; renames keep it whole anyway
                fcntl.flock(handle, fcntl.LOCK_EX)
            _remove_unfinished(root)
            yield
        finally:
            _remove_unfinished(root)
            os.close(handle)
    except OSError as error:
        raise UserError(f"cannot write {error.filename or root}: {error.strerror}") from error


def _remove_unfinished(root: Path) -> None:
    for path in root.glob(f"{UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write_file(path: Path, data: bytes) -> None:
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)  # a full disk does not say which file it was
        raise


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
