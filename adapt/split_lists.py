"""Files that list videos, told apart by what is in them: lines, CSV, the official forms.

    path label             one video a line; space, tab or comma (ViFi-CLIP, UCF-101, most others)
    path                   the class is the folder in the path (UCF-101's test lists)
    path,class,...         CSV with a header (your own)
    label,youtube_id,...   CSV of Kinetics
    [{"id": ...}, ...]     JSON of Something-Something V2

A line that cannot be read is an error with its number, never a video less.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from adapt.split_kinetics import kinetics_row
from adapt.split_rows import Row, clean_name, read_lines, seconds
from adapt.split_ssv2 import read_ssv2
from adapt.splits import PARTS, VIDEO_SUFFIXES, group_of
from describe.errors import UserError

COMMENT = "# "  # with the space: HMDB-51 has a video called #437_How_To_Ride_A_Bike_...
PATH_COLUMNS = ("path", "video", "file", "filename", "video_path", "filepath", "video_name", "name")
# The first that holds a name; a number only where none does: numbers mean what a list makes them.
CLASS_COLUMNS = ("class", "class_name", "action", "label", "category", "label_name", "class_id")
PART_COLUMNS = ("split", "part", "subset", "set")
START_COLUMNS = ("start", "start_seconds", "time_start")
END_COLUMNS = ("end", "end_seconds", "time_end")
GROUP_COLUMNS = ("group", "recording", "source_video")

_NUMBERED = re.compile(r"(.*[^\s,])[\s,]+(-?[0-9]+)")
_ENDINGS = "|".join(sorted(ending[1:] for ending in VIDEO_SUFFIXES))
_NAMED = re.compile(rf"(.+?\.(?:{_ENDINGS}))(?:\s*[,;\t]\s*|\s+)(\S.*)", re.IGNORECASE)
_COUNTED = re.compile(rf".+\.(?:{_ENDINGS})[\s,;0-9-]+", re.IGNORECASE)
_BARE = re.compile(rf".*[^\s/]\.(?:{_ENDINGS})", re.IGNORECASE)


def read_rows(path: Path) -> list[Row]:
    """Read a list of any form.

    Raises:
        UserError: The file is missing, empty or not a list; a line cannot be read (its number is
            given); a video stands in it twice.
    """
    path = path.expanduser()
    if path.suffix.casefold() == ".json":
        rows = read_ssv2(path)
    else:
        lines = ["" if line.startswith(COMMENT) else line for line in read_lines(path)]
        first = next((line for line in lines if line.strip()), "")
        header = _header(first)
        rows = list(_table_rows(path, lines, *header) if header else _line_rows(path, lines))
    if not rows:
        raise UserError(f"{path} lists no video")
    return without_repeats(rows)


def without_repeats(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, each video once.

    Raises:
        UserError: A video stands under two classes.
    """
    first: dict[tuple[object, ...], Row] = {}
    for row in rows:
        kept = first.setdefault((row.name, row.start_seconds, row.end_seconds, row.part), row)
        if (kept.class_name, kept.label) != (row.class_name, row.label):
            raise UserError(
                f"{row.place}: {row.name!r} stands under {_class(row)!r}, and at {kept.place} "
                f"under {_class(kept)!r}; keep one"
            )
    return list(first.values())


def _class(row: Row) -> str | int | None:
    return row.label if row.class_name is None else row.class_name


def _header(line: str) -> tuple[str, list[str]] | None:
    """Return the delimiter and the columns of a header line; None if it is no header."""
    for delimiter in "\t,;":
        cells = [cell.strip().casefold() for cell in next(csv.reader([line], delimiter=delimiter))]
        if "youtube_id" in cells or (
            set(cells) & set(PATH_COLUMNS) and set(cells) & set(CLASS_COLUMNS)
        ):
            return delimiter, cells
    return None


def _table_rows(
    path: Path, lines: Sequence[str], delimiter: str, header: Sequence[str]
) -> Iterator[Row]:
    read: Callable[[Mapping[str, str], str], Row] = (
        kinetics_row if "youtube_id" in header else _own_row
    )
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    begun = 0  # the last line of the row before: where a quote is missing, a row runs on
    try:
        for cells in reader:
            place = f"{path}, line {begun + 1}"
            begun = reader.line_num
            if not any(cell.strip() for cell in cells) or _is_header(cells, header):
                continue
            if len(cells) != len(header):
                raise UserError(
                    f"{place}: {len(cells)} fields, but the header has {len(header)}; "
                    "put quotes around a field that holds the delimiter"
                )
            yield read(dict(zip(header, (cell.strip() for cell in cells), strict=True)), place)
    except csv.Error as error:
        raise UserError(f"{path}, line {begun + 1}: {error}; is a quote missing?") from error


def _is_header(cells: Sequence[str], header: Sequence[str]) -> bool:
    return [cell.strip().casefold() for cell in cells] == list(header)


def _own_row(cells: Mapping[str, str], place: str) -> Row:
    name = clean_name(_first(cells, PATH_COLUMNS))
    named = _class_of(cells)
    if not name or not named:
        raise UserError(f"{place}: no {'path' if not name else 'class'}; each row needs both")
    part = _first(cells, PART_COLUMNS)
    if part.casefold() not in {"", *PARTS}:
        raise UserError(f"{place}: {part!r} is no split; use train, val or test")
    start = seconds(_first(cells, START_COLUMNS), place)
    end = seconds(_first(cells, END_COLUMNS), place)
    if end is not None and end <= (start or 0):
        raise UserError(f"{place}: ends at {end:g} s, before it starts at {start or 0:g} s")
    return Row(
        name=name,
        place=place,
        class_name=None if _is_number(named) else named,
        label=int(named) if _is_number(named) else None,
        start_seconds=start,
        end_seconds=end,
        group=_first(cells, GROUP_COLUMNS) or group_of(name),
        part=PARTS.get(part.casefold(), ""),
    )


def _class_of(cells: Mapping[str, str]) -> str:
    found = [cells[column] for column in CLASS_COLUMNS if cells.get(column)]
    return next((each for each in found if not _is_number(each)), found[0] if found else "")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+", text) is not None


def _first(cells: Mapping[str, str], columns: Sequence[str]) -> str:
    return next((cells[column] for column in columns if column in cells), "")


def _line_rows(path: Path, lines: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield line_row(line.strip(), f"{path}, line {number}")


def line_row(line: str, place: str) -> Row:
    """Read one line of the form `path label`, `path,label`, `path class name` or `path`.

    Raises:
        UserError: It has another form.
    """
    if line.startswith('"'):
        line = _unquoted(line)
    # `a.mp4 exercise 1` is class `exercise 1`: not only numbers follow the ending.
    is_named = _NAMED.fullmatch(line) is not None and _COUNTED.fullmatch(line) is None
    if not is_named and (found := _NUMBERED.fullmatch(line)):
        name = clean_name(found[1])
        if re.search(r"\s[0-9]+$", name):
            raise UserError(
                f"{place}: three columns, as in a list of frame folders; give `path label`, with "
                "quotes around a path that holds spaces and no ending"
            )
        return Row(name=name, place=place, label=int(found[2]), group=group_of(name))
    if found := _NAMED.fullmatch(line):
        name = clean_name(found[1])
        named = found[2].strip().strip('"')
        return Row(name=name, place=place, class_name=named, group=group_of(name))
    if _BARE.fullmatch(line):
        name = clean_name(line)
        return Row(name=name, place=place, group=group_of(name))
    raise UserError(f"{place}: {line[:60]!r} is not `path label`; the label is a number or a class")


def _unquoted(line: str) -> str:
    """Return `"a path" 3` and `"a path",3` with a tab in place of the quotes and separator."""
    path, quote, rest = line[1:].replace('""', "\0").partition('"')
    return f"{path}\t{rest.strip(' ,')}".strip().replace("\0", '"') if quote else line
