"""An edit that a page sends, on its way to the file of edits."""

import getpass
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from describe.browse_data import rule_meanings, why_read_only
from describe.browse_sets import SetFolder
from describe.edits import Edit, append_edit
from describe.errors import UserError
from describe.rows import Description
from describe.rules import RuleConfig, Sentence, judge
from describe.versions import read_rejected, read_version

_SENT = frozenset({"version", "class_name", "kind", "text", "action", "new_text", "reason"})


def store_edit(folder: SetFolder, data: Mapping[str, Any]) -> dict[str, Any]:
    """Append an edit of a sentence of `folder` to the edits of its dataset.

    Args:
        folder: The set that the page shows.
        data: What a person did: fields of `Edit`. Who and when are found here.

    Returns:
        The edit, and in `doubt` what the rules would have against a new sentence; they are not
        asked whether it may stand.

    Raises:
        UserError: The edit is impossible, is about no sentence of that version, or the set is not
            to be edited.
    """
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
    row = next(
        (
            row
            for row in (*found.rows, *read_rejected(folder.root, found.name))
            if (row.class_name, row.kind, row.text) == edit.key
        ),
        None,
    )
    if row is None:
        raise UserError(f"{found.name} has no such sentence; open the page again")
    if edit.action == "keep" and "text_cut" in row.flags:
        raise UserError("this sentence is too long to be kept as it is; rewrite it")
    append_edit(edit.dataset, edit)
    return {"edit": asdict(edit), "doubt": _doubt(edit, row, found.manifest)}


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user of this number
        return ""


def _doubt(edit: Edit, row: Description, manifest: Mapping[str, Any]) -> str:
    """Return why a rule would reject a rewritten sentence; empty when none would."""
    if edit.action != "rewrite":
        return ""
    sentence = Sentence(
        class_id=row.class_id,
        class_name=row.class_name,
        readable=row.readable_name,
        kind=edit.kind,
        text=edit.new_text,
    )
    (verdict,) = judge([sentence], RuleConfig())
    return "" if verdict.rule is None else rule_meanings(manifest)[verdict.rule]
