"""Files that list classes: text, CSV, TSV, JSON, folders. Strict, and with the place in each error.

A label decides which descriptions a video is trained with, so nothing is guessed here: a repeated
name, a gap in the labels or an unquoted comma is an error, and never a list that is one class off.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from describe.errors import UserError

MAX_NAME_LENGTH = 200

# Header cells that say what a column holds, most telling first. `label` is a name only where no
# other column is one: in `label,class` it is the number.
NAME_COLUMNS = ("name", "class_name", "class", "action", "label")
ID_COLUMNS = ("id", "class_id", "index", "label")
READABLE_COLUMNS = ("readable", "readable_name")
SUBSET_COLUMN = re.compile(r"base|novel|zero_shot_\d+")
JOINERS = "\u200c\u200d"  # invisible, and part of the spelling in several scripts


@dataclass(frozen=True, kw_only=True)
class ClassEntry:
    """One class as its file gives it."""

    place: str
    """Where it stands, for messages: `line 7`."""

    name: str
    label: str | int | None = None
    readable: str = ""

    places: Mapping[str, int] = field(default_factory=dict)
    """Subset name to the place in that subset's label order."""


def read_entries(path: Path) -> list[ClassEntry]:
    """Read the classes of a file or folder, in label order.

    Raises:
        UserError: The file is missing, empty or damaged, repeats a name, or has unusable labels.
    """
    if path.is_dir():
        entries = _folder_entries(path)
    elif path.suffix.lower() == ".json":
        entries = _json_entries(path)
    elif path.suffix.lower() in (".csv", ".tsv"):
        entries = _table_entries(path)
    else:
        lines = enumerate(_read_lines(path), start=1)
        entries = [_entry(path, f"line {i}", _unquoted(text)) for i, text in lines if text.strip()]
    if not entries:
        raise UserError(f"{path} names no class")
    _refuse_repeats(path, entries)
    entries = _in_label_order(path, entries)
    _check_places(path, entries)
    return entries


def _entry(path: Path, place: str, name: object, readable: object = "", **given: Any) -> ClassEntry:
    """Clean the names, and refuse what no later file could hold."""
    clean = _clean_name(path, place, name)
    if not clean:
        raise UserError(f"{path}, {place}: the name is empty")
    plain = _clean_name(path, place, readable)
    return ClassEntry(place=place, name=clean, readable=plain, **given)


def _clean_name(path: Path, place: str, name: object) -> str:
    if not isinstance(name, str):
        raise UserError(f"{path}, {place}: {name!r} is not a name; names are text")
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if len(clean) > MAX_NAME_LENGTH:
        raise UserError(
            f"{path}, {place}: the name has {len(clean)} characters; at most {MAX_NAME_LENGTH}"
        )
    for c in clean:
        if c == "\ufffd" or (unicodedata.category(c)[0] == "C" and c not in JOINERS):
            raise UserError(f"{path}, {place}: the name holds the character U+{ord(c):04X}")
    return clean


def _unquoted(line: str) -> str:
    """Take off quotes around a whole line: lists are often cut from a CSV file."""
    text = line.strip()
    is_quoted = len(text) > 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]
    return text[1:-1] if is_quoted else text


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no class list {path}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    try:
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8; save the list as UTF-8") from error


def _read_lines(path: Path) -> list[str]:
    # Not splitlines(): it also breaks at characters that are no line end in a text file.
    return _read_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _folder_entries(path: Path) -> list[ClassEntry]:
    folders = sorted(p.name for p in path.iterdir() if p.is_dir() and p.name[0] != ".")
    return [_entry(path, f"folder {name}", name) for name in folders]


def _table_entries(path: Path) -> list[ClassEntry]:
    rows = _table_rows(path)
    if not rows:
        return []
    columns = _columns(path, rows)
    if columns.header:
        rows = rows[1:]
    return [columns.entry(path, line, cells) for line, cells in rows]


def _table_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return (line number, cells) of each row that is not blank; all have as many cells."""
    text = "\n".join(_read_lines(path))
    first = text.lstrip().partition("\n")[0]
    delimiter = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True, skipinitialspace=True)
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}; is a quote missing?") from error
    for line, cells in rows:
        if len(cells) != len(rows[0][1]):
            raise UserError(
                f"{path}, line {line}: {len(cells)} fields, but line {rows[0][0]} has "
                f"{len(rows[0][1])}; put quotes around a name that holds a comma"
            )
        if any("\n" in cell for cell in cells):
            raise UserError(f"{path}, line {line}: a name over two lines; is a quote missing?")
    return rows


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Which column of a table holds what."""

    name: int
    label: int | None = None
    readable: int | None = None
    subsets: Mapping[str, int] = field(default_factory=dict)
    header: bool = False

    def entry(self, path: Path, line: int, cells: Sequence[str]) -> ClassEntry:
        return _entry(
            path,
            f"line {line}",
            cells[self.name],
            label=None if self.label is None else cells[self.label],
            readable="" if self.readable is None else cells[self.readable],
            places={
                name: _number(path, f"line {line}", cells[column])
                for name, column in self.subsets.items()
                if cells[column] not in ("", "-")
            },
        )


def _columns(path: Path, rows: Sequence[tuple[int, Sequence[str]]]) -> _Columns:
    header = [cell.casefold() for cell in rows[0][1]]
    names = [header.index(cell) for cell in NAME_COLUMNS if cell in header]
    if names:
        labels = [header.index(cell) for cell in ID_COLUMNS if cell in header]
        readables = [header.index(cell) for cell in READABLE_COLUMNS if cell in header]
        return _Columns(
            name=names[0],
            label=next((column for column in labels if column != names[0]), None),
            readable=next(iter(readables), None),
            subsets={c: i for i, c in enumerate(header) if SUBSET_COLUMN.fullmatch(c)},
            header=True,
        )
    if len(header) == 1:
        return _Columns(name=0)
    numbers = [all(cells[c].isdecimal() for _, cells in rows) for c in range(len(header))]
    if len(header) == 2 and sum(numbers) == 1:
        return _Columns(name=numbers.index(False), label=numbers.index(True))
    raise UserError(
        f"{path}: nothing says which of the {len(header)} columns is the name; "
        "begin with a line such as 'id,name'"
    )


def _json_entries(path: Path) -> list[ClassEntry]:
    try:
        data = json.loads(_read_text(path), object_pairs_hook=lambda pairs: pairs)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    except RecursionError:
        raise UserError(f"{path}: not a class list: nested too deeply") from None
    if not isinstance(data, list):
        raise UserError(f"{path}: {data!r} is not a list of names")
    return [_json_entry(path, f"item {i}", item) for i, item in enumerate(data, start=1)]


def _json_entry(path: Path, place: str, item: Any) -> ClassEntry:
    """Read one item. Objects come as lists of pairs, so that a repeated key is not lost."""
    match item:
        case str():
            return _entry(path, place, item)
        case (str(key), int(label)) if not isinstance(label, bool):  # {name: id}
            return _entry(path, f"{place} ({key!r})", key, label=label)
        case (str(key), str(name)) if key.strip().isdecimal():  # {id: name}
            return _entry(path, f"{place} ({key!r})", name, label=key)
        case [(str(), _), *_]:
            return _object_entry(path, place, {key.casefold(): value for key, value in item})
    raise UserError(
        f"{path}, {place}: {_plain(item)} is no class; give a list of names or of objects with a "
        "'name', or an object of names and numbers"
    )


def _plain(item: object) -> str:
    text = ": ".join(map(repr, item)) if isinstance(item, tuple) else repr(item)
    return text if len(text) <= 60 else text[:57] + "..."


def _object_entry(path: Path, place: str, given: Mapping[str, object]) -> ClassEntry:
    names = [column for column in NAME_COLUMNS if column in given]
    if not names:
        raise UserError(f"{path}, {place}: no 'name' among {', '.join(given)}")
    labels = [column for column in ID_COLUMNS if column in given and column != names[0]]
    return _entry(
        path,
        place,
        given[names[0]],
        readable=next((given[column] for column in READABLE_COLUMNS if column in given), ""),
        label=given[labels[0]] if labels else None,
    )


def _number(path: Path, place: str, value: object) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise UserError(f"{path}, {place}: {text!r} is not a whole number")
    return int(text)


def _refuse_repeats(path: Path, entries: Sequence[ClassEntry]) -> None:
    seen: dict[str, ClassEntry] = {}
    repeats = []
    for entry in entries:
        key = unicodedata.normalize("NFKC", entry.name).casefold()
        first = seen.setdefault(key, entry)
        if first is not entry:
            repeats.append(f"{first.name!r} ({first.place}) and {entry.name!r} ({entry.place})")
    if repeats:
        more = f", and {len(repeats) - 1} more" if len(repeats) > 1 else ""
        raise UserError(f"{path} repeats a class: {repeats[0]}{more}; keep one of them")


def _in_label_order(path: Path, entries: list[ClassEntry]) -> list[ClassEntry]:
    """Sort by the given labels, which must be 0 to K-1; without labels the order is the file's."""
    labelled = [entry for entry in entries if entry.label is not None]
    if not labelled:
        return entries
    if len(labelled) < len(entries):
        odd = next(entry for entry in entries if entry.label is None)
        raise UserError(f"{path}, {odd.place}: {odd.name!r} has no label, but others have one")
    by_label: dict[int, ClassEntry] = {}
    for entry in entries:
        label = _number(path, entry.place, entry.label)
        other = by_label.setdefault(label, entry)
        if other is not entry:
            raise UserError(f"{path}: label {label} stands at {other.place} and {entry.place}")
        if not 0 <= label < len(entries):
            raise UserError(
                f"{path}, {entry.place}: label {label} of {len(entries)} classes; "
                f"labels are 0 to {len(entries) - 1}, each once"
            )
    return [by_label[label] for label in range(len(entries))]


def _check_places(path: Path, entries: Sequence[ClassEntry]) -> None:
    for name in sorted({name for entry in entries for name in entry.places}):
        places = sorted(entry.places[name] for entry in entries if name in entry.places)
        if places != list(range(len(places))):
            raise UserError(
                f"{path}: the places in column {name!r} are not 0 to {len(places) - 1}, each once"
            )
    for entry in entries:
        if {"base", "novel"} <= entry.places.keys():
            raise UserError(f"{path}, {entry.place}: {entry.name!r} is both base and novel")
