"""Something-Something V2's annotation files: JSON of ids and templates."""

import json
from pathlib import Path
from typing import Any

from adapt.split_rows import Row, read_lines
from describe.errors import UserError


def read_ssv2(path: Path) -> list[Row]:
    """Read `something-something-v2-train.json` or `-validation.json`.

    A class is a template without its brackets: "Holding [something]" is "Holding something". The
    `label` of an item, which names the objects, is not the class.

    Raises:
        UserError: It is no such file; items without a template, as of the test set, are named.
    """
    try:
        items = json.loads("\n".join(read_lines(path)))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    except RecursionError:
        raise UserError(f"{path}: not a list of videos: nested too deeply") from None
    if not isinstance(items, list):
        raise UserError(f"{path}: not a list of videos; expected [{{'id', 'template'}}, ...]")
    return [_row(item, f"{path}, item {number}") for number, item in enumerate(items, start=1)]


def _row(item: Any, place: str) -> Row:
    match item:
        case {"id": str() | int() as number, "template": str(template)} if template.strip():
            name = template.replace("[", "").replace("]", "")
            return Row(name=f"{number}.webm", place=place, class_name=" ".join(name.split()))
        case {"id": str() | int()}:
            raise UserError(
                f"{place}: no template; the test set has no labels, use the validation file"
            )
    raise UserError(f"{place}: no 'id' and 'template'")
