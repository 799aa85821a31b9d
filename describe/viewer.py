"""`python -m describe.viewer SET`: what the Hub's dataset viewer would show of a set, offline.

The limits are those of the viewer's own source (huggingface/dataset-viewer) and of its production
settings, by the names that they have there. `docs/publish.md` lists them.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from describe.diff_sides import find_set
from describe.errors import UserError
from describe.escape import printable
from describe.terminal import run_command, show, some
from describe.validate_card import front_matter_faults, parse_configs, read_front_matter

# chart/env/prod.yaml: firstRows.maxBytes. worker/config.py: the other three.
FIRST_ROWS_MAX_BYTES = 200_000
FIRST_ROWS_MIN_NUMBER = 10
FIRST_ROWS_CELL_MIN_BYTES = 100
FIRST_ROWS_COLUMNS_MAX_NUMBER = 1_000
# libcommon/constants.py
MAX_NUM_ROWS_PER_PAGE = 100
# worker/statistics_utils.py
MAX_PROPORTION_STRING_LABELS = 0.2
MAX_NUM_STRING_LABELS = 1_000
NUM_BINS = 10
# chart/env/prod.yaml: duckDBIndex.maxDatasetSizeBytes, above which search and filter see a part.
MAX_INDEXED_BYTES = 5_000_000_000
# search/routes/filter.py: SQL_INVALID_SYMBOLS
_NOT_IN_A_FILTER = re.compile(r";|--|/\*|\*/")

ColumnKind = Literal["string_label", "string_text", "int", "list"]


@dataclass(frozen=True, kw_only=True)
class FirstRows:
    """The page that the viewer opens with."""

    shown: int
    """Rows on it."""

    cut: tuple[str, ...]
    """Columns with a cell that was cut, and that the viewer shows as raw JSON then."""

    num_bytes: int
    fits: bool
    """False: TooBigContentError, and the viewer shows nothing at all."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The head of one column."""

    name: str
    kind: ColumnKind
    """string_label: shown as categories, each with its share; string_text: as lengths."""

    num_values: int
    """Different values; of a list column, different lengths."""


@dataclass(frozen=True, kw_only=True)
class ConfigView:
    """One config with its split."""

    name: str
    is_default: bool
    """The viewer opens with it."""

    num_rows: int
    first_rows: FirstRows
    columns: tuple[Column, ...]
    is_wholly_indexed: bool
    """Whether search and filter see every row."""

    unfilterable: tuple[str, ...]
    """Class names that no filter can hold."""


@dataclass(frozen=True, kw_only=True)
class ViewerConfig:
    """Which set to look at."""

    folder: Annotated[str, tyro.conf.Positional]
    """The set: its name in the workspace, or its folder."""


def view(root: Path) -> list[ConfigView]:
    """Return what the viewer would show of each config, in the card's order.

    Raises:
        UserError: The card cannot be read, or a file that it names.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    front = read_front_matter(root)
    for fault in front_matter_faults(front):
        raise UserError(fault)
    views = []
    for config in parse_configs(front):
        files = [file for pattern in config.paths for file in sorted(root.glob(pattern))]
        try:
            tables = [pq.read_table(pa.BufferReader(file.read_bytes())) for file in files]
        except (OSError, ValueError) as error:
            raise UserError(
                f"the files of config {config.name!r} cannot be read: {error}"
            ) from error
        if not tables:
            raise UserError(f"config {config.name!r} names no file of {root}")
        views.append(_view_config(config.name, pa.concat_tables(tables), config.is_default))
    return views


def first_rows(rows: Sequence[Mapping[str, Any]], types: Mapping[str, Any]) -> FirstRows:
    """Return the first page of a split.

    At least ten rows are shown, their cells cut where they are too much; then as many whole rows
    as there is room for.

    Args:
        rows: The first rows of the split, 100 are enough.
        types: Column name to its feature, as `datasets` writes it.
    """
    if len(types) > FIRST_ROWS_COLUMNS_MAX_NUMBER:
        return FirstRows(shown=0, cut=(), num_bytes=0, fits=False)
    head = [{"feature_idx": i, "name": n, "type": types[n]} for i, n in enumerate(types)]
    room = FIRST_ROWS_MAX_BYTES - _size({"features": head, "rows": [], "truncated": False})
    items = [{"row_idx": i, "row": dict(row), "truncated_cells": []} for i, row in enumerate(rows)]
    items = items[:MAX_NUM_ROWS_PER_PAGE]
    first = items[:FIRST_ROWS_MIN_NUMBER]
    used = 2 + sum(_size(item) + 1 for item in first)
    if used >= room:
        used, cut = _cut_cells(first, used, room)
        return FirstRows(shown=len(first), cut=cut, num_bytes=used, fits=used < room)
    shown = len(first)
    for item in items[FIRST_ROWS_MIN_NUMBER:]:
        used += _size(item) + 1
        if used >= room:
            break
        shown += 1
    return FirstRows(shown=shown, cut=(), num_bytes=min(used, room), fits=True)


def column(name: str, values: Sequence[Any]) -> Column:
    """Return how the head of a column is shown.

    A string column is one of categories if at most a fifth of its values differ, and at most 1,000
    do; or if at most ten differ.
    """
    if isinstance(values[0], str):
        found = len(set(values))
        is_few = found / len(values) <= MAX_PROPORTION_STRING_LABELS
        is_label = (is_few and found <= MAX_NUM_STRING_LABELS) or found <= NUM_BINS
        kind: ColumnKind = "string_label" if is_label else "string_text"
        return Column(name=name, kind=kind, num_values=found)
    if isinstance(values[0], int):
        return Column(name=name, kind="int", num_values=len(set(values)))
    return Column(name=name, kind="list", num_values=len({len(value) for value in values}))


def _view_config(name: str, table: Any, is_default: bool) -> ConfigView:
    columns = {each: table.column(each).to_pylist() for each in table.column_names}
    page = table.slice(0, MAX_NUM_ROWS_PER_PAGE).to_pylist()
    types = {field.name: _feature(str(field.type)) for field in table.schema}
    names = sorted(set(columns.get("class_name", ())))
    return ConfigView(
        name=name,
        is_default=is_default,
        num_rows=table.num_rows,
        first_rows=first_rows(page, types),
        columns=tuple(column(each, values) for each, values in columns.items() if values),
        is_wholly_indexed=table.nbytes <= MAX_INDEXED_BYTES,
        unfilterable=tuple(each for each in names if _NOT_IN_A_FILTER.search(each)),
    )


def _feature(arrow_type: str) -> dict[str, Any]:
    if arrow_type.startswith("list<"):
        return {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    return {"dtype": arrow_type, "_type": "Value"}


def _cut_cells(
    items: Sequence[dict[str, Any]], used: int, room: int
) -> tuple[int, tuple[str, ...]]:
    """Cut the cells of the last rows first, until all fit or all are cut."""
    for item in reversed(items):
        if used < room:
            break
        before = _size(item)
        for name, value in item["row"].items():
            text = _dump(value)
            if len(text) > FIRST_ROWS_CELL_MIN_BYTES:
                item["row"][name] = text[:FIRST_ROWS_CELL_MIN_BYTES].decode(errors="ignore")
                item["truncated_cells"].append(name)
        used += _size(item) - before
    return used, tuple(sorted({name for item in items for name in item["truncated_cells"]}))


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _size(value: object) -> int:
    return len(_dump(value))


def print_view(root: Path) -> None:
    """Print what the viewer would show."""
    for each in view(root):
        first = each.first_rows
        mark = " (the viewer opens with it)" if each.is_default else ""
        show(f"{each.name}{mark}: {each.num_rows} rows, {first.shown} on the first page")
        if not first.fits:
            show("  the first page is too big: the viewer shows nothing (TooBigContentError)")
        if first.cut:
            show(f"  cut on the first page: {', '.join(first.cut)}")
        for kind, shown_as in (("string_label", "categories"), ("string_text", "text")):
            names = [f"{c.name} ({c.num_values})" for c in each.columns if c.kind == kind]
            show(f"  {shown_as}: {', '.join(names) or 'none'}")
        if not each.is_wholly_indexed:
            show("  search and filter see a part of the rows (over 5 GB)")
        if each.unfilterable:
            names = [printable(name) for name in each.unfilterable]
            show(f"  classes that no filter can name (';', '--' or '/*' in them): {some(names)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 done, 1 the user must change something."""
    return run_command(
        "describe.viewer",
        lambda: tyro.cli(
            ViewerConfig, args=argv, prog="python -m describe.viewer", description=__doc__
        ),
        run,
    )


def run(config: ViewerConfig) -> int:
    """Print what the viewer would show of a set; return the exit status."""
    print_view(find_set(config.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
