"""What people said about single sentences: an append-only file a dataset, in the workspace.

    <workspace>/edits/<dataset>.jsonl     one edit a line, the oldest first

An edit is about a sentence (a class, a kind and an exact text), not about a version: whichever run
writes the sentence again, the edit holds there too. `describe.edit_apply` says what edits do.
"""

import fcntl
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args

from describe.errors import UserError
from describe.paths import workspace
from describe.request import KINDS, Kind, canonical_json

Action = Literal["keep", "reject", "rewrite", "undo"]
ACTIONS: tuple[Action, ...] = get_args(Action)
MAX_TEXT = 600  # characters of a rewritten sentence, far over what any text encoder reads
MAX_REASON = 200  # characters; what the `detail` of a rejected row holds

# A class, a kind and an exact text.
Key = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One thing that a person did to one sentence.

    Raises:
        UserError: A field holds what no edit can.
    """

    edited_at: str
    """When, as ISO 8601 in UTC."""

    dataset: str
    version: str
    """The version that the person was looking at; of no effect."""

    class_name: str
    """The dataset's own name of the class."""

    kind: Kind
    text: str
    """The sentence, letter for letter as that version has it."""

    action: Action
    """keep: whatever the rules say; reject: likewise; rewrite: put `new_text` in its place;
    undo: as if nobody had edited it so far, nor the sentences that it was rewritten from."""

    new_text: str = ""
    """The new sentence of a rewrite, else empty."""

    reason: str = ""
    author: str = ""

    def __post_init__(self) -> None:
        """Refuse what no reader of the file could use."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str):
                raise UserError(f"the {field.name} of an edit is {value!r}; it must be text")
            if not _is_unicode(value):
                raise UserError(f"the {field.name} of an edit is not valid Unicode; type it again")
        if self.action not in ACTIONS:
            raise UserError(f"no edit {self.action!r}; known: {', '.join(ACTIONS)}")
        if self.kind not in KINDS:
            raise UserError(f"no kind {self.kind!r}; known: {', '.join(KINDS)}")
        if not self.class_name or not self.text:
            raise UserError("an edit names the class and the sentence that it is about")
        if len(self.reason) > MAX_REASON:
            raise UserError(
                f"the reason has {len(self.reason)} characters; at most {MAX_REASON} are kept"
            )
        _refuse_new_text(self.action, self.new_text)

    @property
    def key(self) -> Key:
        """The sentence that this is about."""
        return self.class_name, self.kind, self.text

    @property
    def becomes(self) -> Key:
        """The sentence that stands there afterwards."""
        return self.class_name, self.kind, self.new_text or self.text

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild an edit from a line of the file.

        Raises:
            UserError: A field is missing, unknown or impossible.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(data.keys() - known):
            raise UserError(f"an edit has no field {unknown[0]!r}; update this program")
        if missing := sorted(known - {"new_text", "reason", "author"} - data.keys()):
            raise UserError(f"an edit without {missing[0]!r}")
        return cls(**data)


def _refuse_new_text(action: str, new_text: str) -> None:
    if action != "rewrite":
        if new_text:
            raise UserError(f"an edit that says {action} has no new text; rewrite has one")
        return
    if not new_text.strip() or new_text != " ".join(new_text.split()):
        raise UserError(
            "a rewritten sentence is one line of words, without spaces at its ends or two in a row"
        )
    if len(new_text) > MAX_TEXT:
        raise UserError(
            f"the rewritten sentence has {len(new_text)} characters; at most {MAX_TEXT} are allowed"
        )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        return False
    return True


def edits_path(dataset: str) -> Path:
    """Return the file of a dataset's edits, whether or not it exists.

    Raises:
        UserError: The name cannot be a file's, or there is no workspace.
    """
    if not dataset or dataset.startswith(".") or "/" in dataset or "\0" in dataset:
        raise UserError(f"a dataset cannot be named {dataset!r} where its edits are to be stored")
    return workspace() / "edits" / f"{dataset}.jsonl"


def append_edit(dataset: str, edit: Edit) -> None:
    """Store an edit, safe from any end of this process when this returns.

    Raises:
        UserError: It could not be written; nothing of it is there then.
        ValueError: `edit` is about another dataset.
    """
    if edit.dataset != dataset:
        raise ValueError(f"an edit of {edit.dataset!r} does not belong to {dataset!r}")
    path = edits_path(dataset)
    line = canonical_json(asdict(edit)).encode() + b"\n"
    with _locked(path) as handle:
        end = _mend_end(path, handle)
        try:
            written = os.write(handle, line)
            if written < len(line):
                raise OSError(28, "No space left on device", str(path))
            os.fsync(handle)
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, end)
            raise


def read_edits(dataset: str) -> list[Edit]:
    """Return the edits of a dataset, oldest first; none when nobody has edited it.

    A last line that was cut short (by a full disk, say) was never confirmed to anybody: it is
    passed over with a warning.

    Raises:
        UserError: A line cannot be read; the message has its number.
    """
    path = edits_path(dataset)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    edits = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        data = _parsed(line)
        if data is None and number == len(lines):
            warnings.warn(f"{path}: its last line was cut short and is left out", stacklevel=2)
        elif data is None:
            raise UserError(f"{path}, line {number}: no JSON object; mend or remove the line")
        else:
            edits.append(_read_edit(path, number, dataset, data))
    return edits


def _read_edit(path: Path, number: int, dataset: str, data: Mapping[str, Any]) -> Edit:
    try:
        edit = Edit.from_json(data)
    except UserError as error:
        raise UserError(f"{path}, line {number}: {error}") from error
    if edit.dataset != dataset:
        raise UserError(
            f"{path}, line {number}: an edit of {edit.dataset!r} in the file of {dataset!r}; "
            "move the line"
        )
    return edit


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line; None when it holds none."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the file for appending, for one writer at a time, and name the path of an error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            with suppress(OSError):  # a file system without locks; one line is one write anyway
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)
    except OSError as error:
        raise UserError(f"cannot write {error.filename or path}: {error.strerror}") from error


def _mend_end(path: Path, handle: int) -> int:
    """Give the file an end that a line can follow, and return its size in bytes."""
    data = path.read_bytes()
    tail = data[data.rfind(b"\n") + 1 :]
    if not tail:
        return len(data)
    if _parsed(tail) is None:  # cut short, and so never confirmed
        os.ftruncate(handle, len(data) - len(tail))
        return len(data) - len(tail)
    os.write(handle, b"\n")  # whole, saved by an editor that puts no end to its last line
    return len(data) + 1
