"""HMDB-51's official lists: one file a class and split, and 0, 1 or 2 behind each name."""

import re
from collections.abc import Sequence
from pathlib import Path

from adapt.split_labels import ClassNames
from adapt.split_rows import Row, read_lines
from describe.errors import UserError

FILE = re.compile(r"(.+)_test_split(\d+)\.txt", re.IGNORECASE)
_PARTS = {"0": "", "1": "train", "2": "test"}  # 0: in neither part of this split


def read_hmdb(files: Sequence[Path], names: ClassNames, part: str) -> list[Row]:
    """Read the `part` (`train` or `test`) of a split from the files of all classes.

    Raises:
        UserError: A class has no file, a file is of no class, or a line is unreadable.
    """
    rows = []
    missing = dict.fromkeys(names.classes.names)
    for file in files:
        found = FILE.fullmatch(file.name)
        assert found is not None
        class_name = names.official(found[1], str(file))
        missing.pop(class_name, None)
        for number, line in enumerate(read_lines(file), start=1):
            if not line.strip():
                continue
            name, _, mark = line.strip().rpartition(" ")
            if mark not in _PARTS or not name.strip():
                raise UserError(f"{file}, line {number}: {line!r} is not a name and 0, 1 or 2")
            if _PARTS[mark] == part:
                place = f"{file}, line {number}"
                rows.append(Row(name=name.strip(), place=place, class_name=class_name))
    if missing:
        raise UserError(
            f"{len(missing)} of {len(names.classes.names)} classes have no list beside {files[0]}, "
            f"first {next(iter(missing))!r}; restore the files"
        )
    return rows
