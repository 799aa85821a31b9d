"""metrics.jsonl, and TensorBoard where it is installed."""

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from describe.errors import UserError


class MetricsLog:
    """One JSON object a line, each written at once, so that a killed run keeps what it saw.

    Args:
        path: The file; None writes nothing (processes other than the first).
        keep_bytes: On resuming, its size when the checkpoint was written. What stands behind will
            happen again and is cut off, a half line too.

    Raises:
        UserError: The file cannot be written.
    """

    def __init__(self, path: Path | None, keep_bytes: int = 0) -> None:
        self._path = path
        self._file = None
        self._board: Any = None
        if path is None:
            return
        try:
            self._file = path.open("ab")
            size = self._file.seek(0, os.SEEK_END)
            self._file.truncate(min(keep_bytes, size))
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}") from error

    def open_tensorboard(self, folder: Path, step: int) -> None:
        """Write numbers to TensorBoard too, if it is installed.

        Args:
            folder: Where.
            step: The first step of this process; what an earlier one wrote from there on is hidden.

        Raises:
            UserError: The folder cannot be written.
        """
        if self._path is None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        try:
            self._board = SummaryWriter(folder, purge_step=step)
        except OSError as error:
            raise UserError(f"cannot write {folder}: {error.strerror}") from error

    def write(self, event: str, step: int, **values: Any) -> None:
        """Add a line.

        Raises:
            UserError: The disk is full, or the like.
        """
        if self._file is None:
            return
        data = {"event": event, "step": step, **{k: _finite(v) for k, v in values.items()}}
        line = json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}") from error
        if self._board is not None:
            try:
                for name, value in values.items():
                    if isinstance(value, float) and math.isfinite(value):
                        self._board.add_scalar(f"{event}/{name}", value, step)
            except OSError as error:  # of an earlier line: it writes from a thread of its own
                raise UserError(f"cannot write for TensorBoard: {error.strerror}") from error

    def sync(self) -> int:
        """Bring all lines to disk and return the size of the file."""
        if self._file is None:
            return 0
        try:
            os.fsync(self._file.fileno())
            # Not tell(): after a truncation, and before the first line, it is the old size.
            return os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            with suppress(OSError):  # metrics.jsonl has it all
                self._board.close()


def _finite(value: Any) -> Any:
    """JSON has no NaN; it is written as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
