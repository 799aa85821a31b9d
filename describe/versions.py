"""Reading a set: which versions a folder holds, and the rows of one, checked by hash."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from describe.errors import UserError
from describe.rows import Description, Rejected, Row, from_parquet

CARD = "README.md"
MANIFEST = "manifest.json"
DESCRIPTIONS = "descriptions.parquet"
REJECTED = "rejected.parquet"
MANIFEST_FORMAT = 1

# What `datasets` takes as a config's name everywhere, as the name of a folder too.
VERSION_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")

_REMEDY = "restore it, or delete its folder and describe again"
_FILE_FIELDS = {"arrow_bytes", "bytes", "rows", "sha256"}
_OPTIONAL_TABLES = ("classes", "edits", "model", "prompts", "rules", "sampling", "source")
_MANIFEST_FIELDS = {
    "counts": dict,
    "dataset": str,
    "files": dict,
    "fingerprint": str,
    "format": int,
    "order": int,
}


@dataclass(frozen=True, kw_only=True)
class DescriptionSet:
    """One version, read and checked against its manifest."""

    name: str
    """Name of the version."""

    path: Path
    """The version's folder."""

    rows: tuple[Description, ...]
    """The descriptions by class, kind and step."""

    manifest: Mapping[str, Any]
    """What made them."""

    @property
    def fingerprint(self) -> str:
        """Tagged SHA-256 over all rows, kept and rejected."""
        return str(self.manifest["fingerprint"])


def list_versions(root: Path) -> list[str]:
    """Return the names of the complete versions in `root`, oldest first.

    Raises:
        UserError: A manifest is damaged.
    """
    names = [path.parent.name for path in root.glob(f"*/{MANIFEST}") if path.parent.name[0] != "."]
    return sorted(names, key=lambda name: (read_manifest(root / name)["order"], name))


def read_version(root: Path, name: str | None = None) -> DescriptionSet:
    """Read version `name` of the set in `root`; by default the newest.

    Raises:
        UserError: There is no such version (those that exist are named), or a file is damaged.
    """
    folder = _folder(root, name)
    manifest = read_manifest(folder)
    rows = _read_rows(folder / DESCRIPTIONS, manifest, Description)
    return DescriptionSet(name=folder.name, path=folder, rows=rows, manifest=manifest)


def read_rejected(root: Path, name: str | None = None) -> tuple[Rejected, ...]:
    """Read what the rules turned down when version `name` was made.

    Raises:
        UserError: As `read_version`.
    """
    folder = _folder(root, name)
    manifest = read_manifest(folder)
    if REJECTED not in manifest["files"]:
        return ()
    return _read_rows(folder / REJECTED, manifest, Rejected)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of the version in `folder`.

    Raises:
        UserError: It is missing, no JSON, of another format, or lacks a field.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); {_REMEDY}") from error
    if not isinstance(manifest, dict):
        raise UserError(f"{path} holds no JSON object; {_REMEDY}")
    wrong = next(_malformed(manifest), None)
    if wrong:
        raise UserError(f"{path} has no valid {wrong}; {_REMEDY}")
    if manifest["format"] != MANIFEST_FORMAT:
        raise UserError(
            f"{path} has format {manifest['format']}; this program reads format "
            f"{MANIFEST_FORMAT}: update it"
        )
    return manifest


def _malformed(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that readers of a manifest could stumble over; the first is enough."""
    for field, kind in _MANIFEST_FIELDS.items():
        if not isinstance(manifest.get(field), kind):
            yield field
    for field in _OPTIONAL_TABLES:
        if not isinstance(manifest.get(field, {}), dict):
            yield field
    for name, file in manifest["files"].items():
        if not isinstance(file, dict) or not _FILE_FIELDS <= file.keys():
            yield f"files.{name}"
    counts, classes = manifest["counts"], manifest.get("classes", {})
    if not isinstance(counts.get("kept"), int) or not _is_counter(counts.get("rejected")):
        yield "counts"
    if not isinstance(counts.get("short", {}), dict):
        yield "counts.short"
    if not _is_counter({name: classes.get(name, 0) for name in ("count", "total")}):
        yield "classes"
    yield from _malformed_prompts(manifest.get("prompts", {}).get("files", {}))


def _malformed_prompts(files: object) -> Iterator[str]:
    if not isinstance(files, dict):
        yield "prompts.files"
        return
    for name, file in files.items():
        match file:
            case {"sha256": str(), "text": str()}:
                continue
        yield f"prompts.files.{name}"


def _is_counter(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(number, int) for number in value.values())


def _folder(root: Path, name: str | None) -> Path:
    known = list_versions(root)
    if not known:
        raise UserError(f"no description set in {root}; make one with `python -m describe`")
    if name is None:
        return root / known[-1]
    if name not in known:
        raise UserError(f"no version {name!r} in {root}; known: {', '.join(known)}")
    return root / name


def _read_rows(path: Path, manifest: Mapping[str, Any], row_type: type[Row]) -> tuple[Row, ...]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    stated = manifest["files"].get(path.name, {}).get("sha256")
    if hashlib.sha256(data).hexdigest() != stated:
        raise UserError(f"{path} is damaged (its hash is not the manifest's); {_REMEDY}")
    try:
        return from_parquet(data, row_type)
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}; {_REMEDY}") from error
