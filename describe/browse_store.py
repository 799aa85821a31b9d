"""An edit that a page sends, on its way to the file of edits."""

import getpass
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from describe.browse_data import edits_in_force, rule_meanings, why_read_only
from describe.browse_sets import SetFolder
from describe.edits import Edit, append_edit, read_edits
from describe.errors import UserError
from describe.rows import Description
from describe.rules import RuleConfig, Sentence, judge
from describe.versions import DescriptionSet, read_rejected, read_version

_SENT = frozenset({"version", "class_name", "kind", "text", "action", "new_text", "reason"})
# Characters that change how the text around them is shown (UAX 9, explicit formatting).
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_writing = threading.Lock()


def store_edit(folder: SetFolder, data: Mapping[str, Any]) -> dict[str, Any]:
    """Append an edit of a sentence of `folder` to the edits of its dataset.

    Args:
        folder: The set that the page shows.
        data: What a person did: fields of `Edit`. Who and when are found here. In `known_edits`
            the number of edits that the page knows of; without it none can be newer.

    Returns:
        All edits that are in force now, how many there are with the others, and in `doubt` what
        the rules would have against a new sentence; they are not asked whether it may stand.

    Raises:
        UserError: The edit is impossible, is about no sentence of that version, there is a newer
            one of that sentence, or the set is not to be edited.
    """
    data = dict(data)
    known = data.pop("known_edits", None)
    if unknown := sorted(data.keys() - _SENT):
        raise UserError(f"an edit has no field {unknown[0]!r}")
    found = read_version(folder.root, str(data.get("version")))
    if why := why_read_only(folder, found.manifest, is_live=True):
        raise UserError(why)
    edit = Edit.from_json(
        {
            **data,
            "dataset": found.manifest["dataset"],
            "edited_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "author": _author(),
        }
    )
    _refuse_controls(edit.new_text)
    row = _row_of(folder, found, edit)
    with _writing:
        if isinstance(known, int):
            _refuse_unseen(edit, read_edits(edit.dataset)[known:])
        append_edit(edit.dataset, edit)
        return {**edits_in_force(found.manifest), "doubt": _doubt(edit, row, found)}


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user of this number
        return ""


def _refuse_controls(text: str) -> None:
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cn", "Co") or character in _REORDERING:
            raise UserError(
                f"a rewritten sentence holds no control characters; remove U+{ord(character):04X}"
            )


def _row_of(folder: SetFolder, found: DescriptionSet, edit: Edit) -> Description:
    """Return the row that an edit is about."""
    rows = (*found.rows, *read_rejected(folder.root, found.name))
    same = (row for row in rows if (row.class_name, row.kind, row.text) == edit.key)
    row = next(same, None)
    if row is None:
        raise UserError(f"{found.name} has no such sentence; open the page again")
    if edit.action == "keep" and "text_cut" in row.flags:
        raise UserError("this sentence is too long to be kept as it is; rewrite it")
    return row


def _refuse_unseen(edit: Edit, newer: Sequence[Edit]) -> None:
    """Refuse an edit of a sentence that was edited elsewhere since the page was opened."""
    for other in newer:
        if edit.key in (other.key, other.becomes):
            raise UserError(
                f"this sentence was edited elsewhere since this page was opened ({other.action}); "
                "copy what you wrote and open the page again"
            )


def _doubt(edit: Edit, row: Description, found: DescriptionSet) -> str:
    """Return why a rule would reject a rewritten sentence; empty when none would."""
    if edit.action != "rewrite":
        return ""
    others = [
        _sentence(each, each.text)
        for each in found.rows
        if (each.class_name, each.kind) == edit.key[:2] and each.text != edit.text
    ]
    verdict = judge([*others, _sentence(row, edit.new_text)], _limits(found.manifest))[-1]
    return "" if verdict.rule is None else rule_meanings(found.manifest)[verdict.rule]


def _sentence(row: Description, text: str) -> Sentence:
    return Sentence(
        class_id=row.class_id,
        class_name=row.class_name,
        readable=row.readable_name,
        kind="spatial" if row.kind == "spatial" else "temporal",
        text=text,
    )


def _limits(manifest: Mapping[str, Any]) -> RuleConfig:
    """Return the limits that a version was made with."""
    stated = manifest.get("rules", {}).get("config", {})
    known = {each.name for each in fields(RuleConfig)}
    return RuleConfig(**{name: value for name, value in stated.items() if name in known})
