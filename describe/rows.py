"""One row of a description set: its columns, their bytes in parquet, and the hash over them."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from describe.errors import UserError
from describe.request import canonical_json

# The Hub's viewer shows short rows whole and cuts long ones. Measured as canonical JSON.
MAX_ROW_BYTES = 2000
_MAX_DETAIL = 200  # characters of a rule's detail; it may quote a whole sentence

# Names the hash and the form behind a fingerprint. Change either, and this tag changes with it.
_FINGERPRINT_TAG = "s1:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A sentence that was kept, and the way back to the request that gave it."""

    class_id: int
    """Label of the class in the whole list of its dataset, from 0."""

    class_name: str
    """The dataset's own name of the class. Join by this, never by position."""

    readable_name: str
    """The class name as the prompt spelt it."""

    group: str
    """"base" or "novel" where the dataset has such a protocol, else empty."""

    kind: str
    """"spatial": what it looks like; "temporal": one of its steps."""

    step: int
    """Position of the sentence within its class and kind, from 0; steps of time, in order."""

    text: str
    """The sentence."""

    num_tokens: int
    """CLIP tokens of the sentence, start and end tokens included."""

    flags: tuple[str, ...] = ()
    """Rules that had a doubt and did not reject."""

    repairs: tuple[str, ...] = ()
    """What was mended while the reply was read."""

    model: str = ""
    """The model that wrote the sentence."""

    prompt_version: str = ""
    """The prompts that asked for it."""

    request_key: str = ""
    """Hash of the exact request; the reply is stored under it."""

    sample: int = 0
    """0 for the first draw of a prompt, 1 for the second, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected(Description):
    """A sentence that a rule turned down, kept so that people can judge the rule."""

    rule: str
    """The rule that turned the sentence down."""

    detail: str = ""
    """What the rule saw."""


Row = TypeVar("Row", bound=Description)


_COLUMNS = {kind: [field.name for field in fields(kind)] for kind in (Description, Rejected)}


def schema(row_type: type[Description]) -> Any:
    """Return the arrow schema of `row_type`: one column a field, none of them nullable."""
    import pyarrow as pa

    types = {int: pa.int32(), str: pa.string(), tuple[str, ...]: pa.list_(pa.string())}
    columns = [(field.name, types[field.type]) for field in fields(row_type)]  # type: ignore[index]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


def to_parquet(rows: Sequence[Row]) -> bytes:
    """Return `rows` (at least one) as a parquet file. The same rows give the same bytes.

    An empty table is never written: `datasets` cannot load a split without rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema(type(rows[0]))
    data = {name: [getattr(row, name) for row in rows] for name in columns.names}
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(data, schema=columns),
        sink,
        compression="zstd",
        compression_level=3,
        data_page_version="1.0",
        row_group_size=10_000,
        version="2.6",
        write_page_index=True,  # lets the Hub's viewer filter without reading all of a file
    )
    return bytes(sink.getvalue())


def from_parquet(data: bytes, row_type: type[Row]) -> tuple[Row, ...]:
    """Return the rows of a parquet file.

    Raises:
        ValueError: The bytes are no parquet file, or its columns are not those of `row_type`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Not read_table: it imports pyarrow.dataset and pandas, half a second, for one file in memory.
    # Without threads: one that still holds `data` while Python exits ends the process with SIGABRT.
    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)  # ArrowInvalid is a ValueError
    table = file.read(use_threads=False)
    names = _COLUMNS[row_type]
    if table.column_names != names:
        raise ValueError(f"has the columns {', '.join(table.column_names)}")
    columns = (
        map(tuple, column.to_pylist()) if pa.types.is_list(column.type) else column.to_pylist()
        for column in table.columns
    )
    return tuple(
        row_type(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
    )


def arrow_bytes(data: bytes) -> int:
    """Return what the rows of a parquet file take in memory, which the Hub calls num_bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)  # no threads, as above
    return int(file.read(use_threads=False).nbytes)


def to_json(row: Description) -> dict[str, Any]:
    """Return a row as JSON data, its columns in order."""
    return {name: getattr(row, name) for name in _COLUMNS[type(row)]}


def row_bytes(row: Description) -> int:
    """Return the size of a row as canonical JSON in UTF-8."""
    return len(canonical_json(to_json(row)).encode())


def fingerprint(kept: Iterable[Description], rejected: Iterable[Rejected]) -> str:
    """Return the tagged SHA-256 over all rows: what a set says, whatever library wrote the file."""
    digest = hashlib.sha256()
    for rows in (kept, rejected):
        for row in rows:
            digest.update(canonical_json(to_json(row)).encode() + b"\n")
        digest.update(b"\n")
    return _FINGERPRINT_TAG + digest.hexdigest()


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return `rows` by class, kind and step, so that the order of replies leaves no trace."""
    return sorted(
        rows,
        key=lambda row: (row.class_id, row.kind, row.step, row.sample, row.request_key, row.text),
    )


def fitted(row: Row) -> Row:
    """Return `row` in valid Unicode and within `MAX_ROW_BYTES`.

    A rejected sentence may be as long as a reply; it is cut and flagged (the reply itself is still
    in the store). A kept sentence is never cut.

    Raises:
        UserError: A kept row is too long, or a rejected one is without its sentence.
    """
    if isinstance(row, Rejected):
        text, detail = _valid(row.text), _valid(row.detail)[:_MAX_DETAIL]
        if (text, detail) != (row.text, row.detail):
            row = replace(row, text=text, detail=detail)
    if row_bytes(row) <= MAX_ROW_BYTES:
        return row
    lengths = range(len(row.text) + 1 if isinstance(row, Rejected) else 0)
    fitting = bisect_right(lengths, MAX_ROW_BYTES, key=lambda length: row_bytes(_cut(row, length)))
    if fitting == 0:
        raise UserError(
            f"a {row.kind} description of {row.class_name!r} makes a row of {row_bytes(row)} "
            f"bytes, and {MAX_ROW_BYTES} are allowed; shorten its sentence or name"
        )
    return _cut(row, fitting - 1)


def _cut(row: Row, length: int) -> Row:
    return replace(row, text=row.text[:length] + "…", flags=(*row.flags, "text_cut"))


def _valid(text: str) -> str:
    """Return `text` with half surrogate pairs, which UTF-8 cannot hold, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
