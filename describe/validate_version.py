"""Faults of one version: its manifest against its files, and its rows against each other."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from describe.errors import UserError
from describe.request import KINDS
from describe.rows import (
    MAX_ROW_BYTES,
    Description,
    Rejected,
    fingerprint,
    from_parquet,
    row_bytes,
    schema,
)
from describe.versions import DESCRIPTIONS, MANIFEST, REJECTED, read_manifest

_AGAIN = "restore it, or delete its folder and describe again"
_GROUPS = ("", "base", "novel")


def version_faults(root: Path, name: str) -> Iterator[str]:
    """Yield the faults of version `name` of the set in `root`."""
    folder = root / name
    if not (folder / MANIFEST).is_file():
        yield f"{name}/{MANIFEST}: is missing; {_AGAIN}"
        return
    try:
        manifest = read_manifest(folder)
    except UserError as error:
        yield str(error).replace(f"{root}/", "")
        return
    yield from _prompt_faults(name, manifest)
    found = [*_file_faults(folder, manifest)]
    yield from found
    if not found:
        yield from _content_faults(folder, manifest)


def _prompt_faults(name: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    for prompt, file in manifest.get("prompts", {}).get("files", {}).items():
        if hashlib.sha256(file["text"].encode()).hexdigest() != file["sha256"]:
            yield f"{name}/{MANIFEST}: the hash of prompt {prompt!r} is not its text's; {_AGAIN}"


def _file_faults(folder: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps the files from being read as rows."""
    for file in (
        DESCRIPTIONS,
        *(file for file in sorted(manifest["files"]) if file != DESCRIPTIONS),
    ):
        where = f"{folder.name}/{file}"
        stated = manifest["files"].get(file)
        if stated is None:
            yield f"{folder.name}/{MANIFEST}: does not list {file}; {_AGAIN}"
        elif not (folder / file).is_file():
            yield f"{where}: is missing, and the manifest lists it; {_AGAIN}"
        else:
            yield from _table_faults(where, (folder / file).read_bytes(), stated)


def _table_faults(where: str, data: bytes, stated: Mapping[str, Any]) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(data))
    except (ValueError, OSError) as error:  # ArrowInvalid; a page that does not decompress
        yield f"{where}: is no readable parquet file ({_one_line(error)}); {_AGAIN}"
        return
    if hashlib.sha256(data).hexdigest() != stated["sha256"]:
        yield f"{where}: its hash is not the manifest's; {_AGAIN}"
        return
    if table.num_rows != stated["rows"]:
        yield (
            f"{where}: has {table.num_rows} rows, and the manifest says {stated['rows']}; {_AGAIN}"
        )
    yield from _column_faults(where, table)


def _column_faults(where: str, table: Any) -> Iterator[str]:
    expected = schema(Rejected if where.endswith(REJECTED) else Description)
    missing = [name for name in expected.names if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in expected.names]
    if missing:
        yield f"{where}: lacks the column {', '.join(missing)}; {_AGAIN}"
    if unknown:
        yield f"{where}: has the unknown column {', '.join(unknown)}; {_AGAIN}"
    for name in expected.names:
        if name in missing:
            continue
        actual = table.schema.field(name).type
        if actual != expected.field(name).type:
            yield (
                f"{where}: column {name!r} is {actual}, and {expected.field(name).type} is "
                f"expected; {_AGAIN}"
            )
        elif table.column(name).null_count:
            yield f"{where}: column {name!r} has {table.column(name).null_count} nulls; {_AGAIN}"


def _content_faults(folder: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    kept = from_parquet((folder / DESCRIPTIONS).read_bytes(), Description)
    has_rejected = REJECTED in manifest["files"]
    rejected = from_parquet((folder / REJECTED).read_bytes(), Rejected) if has_rejected else ()
    yield from _row_faults(f"{folder.name}/{DESCRIPTIONS}", kept)
    yield from _row_faults(f"{folder.name}/{REJECTED}", rejected)
    yield from _repeat_faults(f"{folder.name}/{DESCRIPTIONS}", kept)
    yield from _step_faults(f"{folder.name}/{DESCRIPTIONS}", kept)
    yield from _class_faults(folder.name, [*kept, *rejected], manifest.get("classes", {}))
    yield from _coverage_faults(folder.name, kept, manifest)
    yield from _count_faults(f"{folder.name}/{MANIFEST}", kept, rejected, manifest["counts"])
    if fingerprint(kept, rejected) != manifest["fingerprint"]:
        yield f"{folder.name}/{MANIFEST}: its fingerprint is not that of the rows; {_AGAIN}"


def _row_faults(where: str, rows: Sequence[Description]) -> Iterator[str]:
    """Yield one fault for each way in which rows are wrong, with the first of them."""
    found: dict[str, list[str]] = defaultdict(list)
    for number, row in enumerate(rows):
        for remedy, problem in _row_problems(row):
            found[remedy].append(f"row {number} (class {row.class_name!r}) {problem}")
    for remedy, problems in found.items():
        more = f" and {len(problems) - 1} more like it" if len(problems) > 1 else ""
        yield f"{where}: {_one_line(problems[0])}{more}; {remedy}"


def _row_problems(row: Description) -> Iterator[tuple[str, str]]:
    size = row_bytes(row)
    if size > MAX_ROW_BYTES:
        yield "shorten its sentence", f"takes {size} bytes, over {MAX_ROW_BYTES}"
    if row.kind not in KINDS:
        yield f"use {' or '.join(KINDS)}", f"has the kind {row.kind!r}"
    if row.group not in _GROUPS:
        yield "use base, novel or an empty one", f"has the group {row.group!r}"
    if not row.text.strip():
        yield "leave it out", "has no text"
    if row.class_id < 0:
        yield "count classes from 0", f"has the class_id {row.class_id}"
    if isinstance(row, Rejected) and not row.rule:
        yield "name the rule that turned it down", "has no rule"


def _repeat_faults(where: str, kept: Sequence[Description]) -> Iterator[str]:
    first: dict[tuple[int, str, str], int] = {}
    for number, row in enumerate(kept):
        key = (row.class_id, row.kind, row.text.casefold())
        if key in first and not row.flags:  # a flag says that the rules saw it, and it was kept
            yield (
                f"{where}: rows {first[key]} and {number} (class {row.class_name!r}) hold the "
                f"same {row.kind} sentence; leave one out"
            )
            return
        first[key] = number


def _step_faults(where: str, kept: Sequence[Description]) -> Iterator[str]:
    steps: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in kept:
        steps[row.class_name, row.kind].append(row.step)
    for (class_name, kind), found in steps.items():
        if sorted(found) != list(range(len(found))):
            yield (
                f"{where}: the {kind} steps of {class_name!r} are {sorted(found)}; number them "
                f"from 0 to {len(found) - 1}"
            )
            return


def _class_faults(
    name: str, rows: Sequence[Description], classes: Mapping[str, Any]
) -> Iterator[str]:
    names: dict[int, str] = {}
    ids: dict[str, int] = {}
    for row in rows:
        if names.setdefault(row.class_id, row.class_name) != row.class_name:
            yield (
                f"{name}: class_id {row.class_id} is {names[row.class_id]!r} and "
                f"{row.class_name!r}; one id has one name"
            )
            return
        if ids.setdefault(row.class_name, row.class_id) != row.class_id:
            yield (
                f"{name}: class {row.class_name!r} has the ids {ids[row.class_name]} and "
                f"{row.class_id}; one name has one id"
            )
            return
    total = classes.get("total")
    if total is not None and max(names) >= total:
        yield f"{name}: class_id {max(names)} is not in 0..{total - 1}; use ids of the class list"


def _coverage_faults(
    name: str, kept: Sequence[Description], manifest: Mapping[str, Any]
) -> Iterator[str]:
    described = manifest.get("classes", {}).get("count")
    if described is None:
        return
    found = len({row.class_id for row in kept})
    short = len(manifest["counts"].get("short", {}))
    if not found <= described <= found + short:
        yield (
            f"{name}: {found} classes have descriptions, and the manifest says {described} with "
            f"{short} left short; name each class without rows in counts.short"
        )


def _count_faults(
    where: str,
    kept: Sequence[Description],
    rejected: Sequence[Rejected],
    counts: Mapping[str, Any],
) -> Iterator[str]:
    if counts.get("kept") != len(kept):
        yield f"{where}: counts {counts.get('kept')} kept, and {len(kept)} are there; {_AGAIN}"
    by_rule = dict(Counter(row.rule for row in rejected))
    stated = counts.get("rejected", {})
    for rule in sorted({*by_rule, *stated}):
        if by_rule.get(rule, 0) != stated.get(rule, 0):
            yield (
                f"{where}: counts {stated.get(rule, 0)} rejected by {rule!r}, and "
                f"{by_rule.get(rule, 0)} are there; {_AGAIN}"
            )


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())
