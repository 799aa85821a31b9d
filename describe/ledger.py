"""Requests that got no usable reply: one JSON line each, never mixed with the replies."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from describe.errors import UserError
from describe.llm import PERMANENT, Failure, FailureKind
from describe.prompts import Ask


class Ledger:
    """An append-only file of failures.

    What a repeat of the same request would meet again (cut at max_tokens, filtered, too long) is
    known from it in the next run, which then asks for another sample instead of paying twice.

    Args:
        path: The file, made with the first failure.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.permanent = {key: failure for key, failure in self._read()}

    def add(self, ask: Ask, failure: Failure) -> None:
        """Append a failure.

        Raises:
            UserError: It could not be written.
        """
        line = {
            "key": ask.key,
            "class": ask.action.name,
            "kind": ask.kind,
            "failure": failure.kind,
            "detail": failure.detail,
        }
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}") from error
        if failure.kind in PERMANENT:
            self.permanent[ask.key] = failure

    def _read(self) -> Iterator[tuple[str, Failure]]:
        """Yield what is permanent; a last line cut short by a crash is passed over."""
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                data = json.loads(line)
                kind, key, detail = data["failure"], data["key"], data["detail"]
            except (ValueError, KeyError, TypeError):
                continue
            if kind in get_args(FailureKind) and kind in PERMANENT:
                yield str(key), Failure(kind=kind, detail=str(detail))
