"""Writing a file so that a reader sees the whole of it, or what was there before."""

import contextlib
import os
import threading
from pathlib import Path

from describe.errors import UserError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it, whoever else writes the same one.

    Args:
        path: The file; its folder is made when missing.
        data: All of it.

    Raises:
        UserError: It cannot be written; the message names it.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise UserError(f"cannot write {path}: {error.strerror}") from error
