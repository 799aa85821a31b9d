"""Videos that could not be read: named in a file, left out from then on, and counted."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from describe.errors import UserError
from describe.escape import escape

_SHOWN = 20


class Quarantine:
    """The bad videos of one list.

    Args:
        path: A file of JSON lines (name, reason, when) that is read at first and appended to; None
            keeps them in memory alone.
        allowed: How many there may be.
        names: The videos of the list; the file may name those of other lists too.

    Raises:
        UserError: The file names too many of them, or cannot be read.
    """

    def __init__(self, path: Path | None, allowed: int, names: frozenset[str]) -> None:
        self._path, self._allowed, self._names = path, allowed, names
        self._reasons = self._written()
        self.check(self._reasons)

    def __contains__(self, name: str) -> bool:
        """Whether the video is known to be bad."""
        return name in self._reasons

    def add(self, name: str, reason: str, *, lasts: bool = True) -> None:
        """Name a bad video.

        Args:
            name: The video.
            reason: Why it cannot be read.
            lasts: Whether it is bad for good. One that is not there (a disk that is away) is left
                out of this process alone, and not written down.

        Raises:
            UserError: It is one too many, or the file cannot be written.
        """
        if name in self._reasons:
            return
        self._reasons[name] = reason
        if self._path is not None and lasts:
            _append(self._path, {"name": name, "reason": reason, "when": _now()})
        self.check(self._reasons)

    def check_all(self) -> None:
        """Count what other processes have named in the file too.

        Raises:
            UserError: All of them are too many.
        """
        self.check(self._reasons | self._written())

    def check(self, reasons: Mapping[str, str]) -> None:
        """Refuse more bad videos than are allowed.

        Args:
            reasons: Why each cannot be read, by name.

        Raises:
            UserError: There are more.
        """
        if len(reasons) <= self._allowed:
            return
        bad = list(reasons.items())
        each = "; ".join(f"{escape(name)} ({escape(reason)})" for name, reason in bad[:_SHOWN])
        rest = "" if len(bad) <= _SHOWN else f"; and {len(bad) - _SHOWN} more"
        again = f"; to have them tried again, take their lines out of {self._path}"
        where = again if self._written().keys() & reasons.keys() else ""
        raise UserError(
            f"{len(bad)} of {len(self._names)} videos cannot be read, and --max-bad-videos allows "
            f"{self._allowed}: {each}{rest}{where}"
        )

    def _written(self) -> dict[str, str]:
        return {name: why for name, why in _read(self._path).items() if name in self._names}


def _read(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    reasons = {}
    for line in lines:
        try:
            match json.loads(line):
                case {"name": str(name), "reason": str(reason)}:
                    reasons[name] = reason
        except ValueError:
            continue  # a line that a killed run left unfinished; its video will be found again
    return reasons


def _append(path: Path, line: dict[str, str]) -> None:
    """Add a line in one write, so that several processes may share the file."""
    try:
        with path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
            unfinished = bool(size) and file.read(1) != b"\n"
            text = "\n" * unfinished + json.dumps(line) + "\n"
            file.write(text.encode())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
