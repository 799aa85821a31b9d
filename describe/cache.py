"""Every reply a language model ever gave us, keyed by its request; `python -m describe.cache`.

Replies cost money, so this is data and not a cache that may be thrown away: nothing is evicted,
nothing is overwritten in silence, and a damaged file is set aside and read as far as it goes.
"""

import fcntl
import json
import shutil
import sqlite3
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, TypeVar

from describe.errors import UserError
from describe.request import Reply, Request, canonical_json

FORMAT = "1"
PICKLED_KEY = "a pickled key"  # stands for one; no request has it
MIN_ROW_BYTES = 300  # no entry is shorter than the two hashes and the JSON around them
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A stored reply, with the request that it answers and what it was asked for."""

    request: Request
    reply: Reply
    label: Mapping[str, str] = field(default_factory=dict)
    """What the request was for: class and kind. Never part of the key."""

    def to_json(self) -> str:
        """Return the stored text, with a checksum over all of it."""
        data = {
            "label": dict(self.label),
            "reply": asdict(self.reply),
            "request": self.request.to_json(),
        }
        checksum = sha256(canonical_json(data).encode()).hexdigest()
        return canonical_json(data | {"sha256": checksum})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read `to_json` back.

        Raises:
            ValueError: The text is damaged: cut short, edited, or of another form.
        """
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("an entry is a JSON object")
        checksum = data.pop("sha256", None)
        if checksum != sha256(canonical_json(data).encode()).hexdigest():
            raise ValueError("the checksum does not match")
        try:
            request = Request.from_json(data["request"])
            return cls(request=request, reply=Reply(**data["reply"]), label=data["label"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"an entry without {error}") from error


class ReplyStore:
    """A folder with one SQLite file of entries, safe for several runs at once.

    Args:
        folder: Made when missing. A damaged file in it is set aside, and what is still readable
            in that is copied into a new one.

    Raises:
        UserError: The folder cannot be written, or was written by another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open()

    def get(self, key: str) -> Reply | None:
        """Return the reply under `key`; None when there is none, or only a damaged one."""
        entry = self.entry(key)
        return None if entry is None else entry.reply

    def entry(self, key: str) -> Entry | None:
        """Return the entry under `key`; a damaged one is a miss and a warning."""
        try:
            text = self._text(key)
            return None if text is None else _checked(key, text)
        except ValueError as error:
            warnings.warn(f"damaged reply {key} in {self.folder}: {error}", stacklevel=2)
            return None

    def __contains__(self, key: str) -> bool:
        """Whether a sound reply is stored under `key`."""
        return self.get(key) is not None

    def _text(self, key: str) -> Any:
        return self._safely(lambda: self._db.get(key, retry=True))

    def put(self, request: Request, reply: Reply, label: Mapping[str, str]) -> None:
        """Store a reply, safe from any end of this process when this returns.

        A former reply to the same request is kept as history.

        Raises:
            UserError: It could not be written; the message names the folder.
        """
        text = Entry(request=request, reply=reply, label=label).to_json()

        def write() -> None:
            with self._db.transact(retry=True):
                former = self._former(request.key)
                if former is not None and former != text:
                    number = 0
                    while f"former:{request.key}:{number}" in self._db:
                        number += 1
                    self._db.set(f"former:{request.key}:{number}", former)
                self._db.set(request.key, text)

        self._safely(write)

    def _former(self, key: str) -> str | None:
        try:
            former: str | None = self._db.get(key)
        except ValueError:  # a pickle: told of when it was looked up, and nothing to keep
            return None
        return former

    def keys(self) -> list[str]:
        """Return all keys, in the order in which they were stored, without former replies."""
        keys: list[str] = self._safely(lambda: list(self._db))
        return [key for key in keys if not key.startswith("former:")]

    def entries(self) -> Iterator[Entry]:
        """Yield every sound entry, in the order in which they were stored."""
        for key in self.keys():
            entry = self.entry(key)
            if entry is not None:
                yield entry

    def verify(self) -> tuple[int, list[str]]:
        """Return the number of sound entries, and a line for each damaged one."""
        sound, faults = 0, []
        for key in self.keys():
            try:
                _checked(key, self._text(key))
                sound += 1
            except ValueError as error:
                faults.append(f"{key}: {error}")
        return sound, faults

    def close(self) -> None:
        """Close the file. Replies are on disk already."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        try:
            self._db = _open_db(self.folder)
            self._db.get(FORMAT)
        except sqlite3.DatabaseError as error:
            if _is_full_or_forbidden(error):
                raise _cannot_write(self.folder, error) from error
            self._salvage(error)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        found = self._safely(lambda: self._db.setdefault_format())
        if found != FORMAT:
            raise UserError(
                f"the replies in {self.folder} have format {found}, this version reads {FORMAT}; "
                "export them with the version that wrote them (python -m describe.cache --export "
                "FILE), then import them here"
            )

    def _safely(self, operation: Callable[[], _T]) -> _T:
        """Run `operation`; when the file turns out to be damaged, salvage it and run it again."""
        try:
            return operation()
        except sqlite3.DatabaseError as error:
            if _is_full_or_forbidden(error):
                raise _cannot_write(self.folder, error) from error
            self._salvage(error)
            return operation()
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def _salvage(self, error: sqlite3.DatabaseError) -> None:
        """Put a sound store with all that can be read in the place of a damaged one.

        The new one is complete before it takes the name, so that a kill in between loses nothing;
        of two runs that find the damage, one salvages and the other finds a sound store.
        """
        try:
            with _one_salvager(self.folder):
                if not _is_damaged(self.folder / "cache.db"):
                    self._db = _open_db(self.folder)
                    return
                rescued, aside = _rescue(self.folder)
                self._db = _open_db(self.folder)
        except (sqlite3.DatabaseError, OSError) as fault:
            raise _cannot_write(self.folder, fault) from fault
        warnings.warn(
            f"the replies in {self.folder} were damaged ({error}); {rescued} could be read and "
            f"were kept, the damaged file is in {aside}",
            stacklevel=3,
        )


def _checked(key: str, text: Any) -> Entry:
    if not isinstance(text, str):
        raise ValueError("not text")
    entry = Entry.from_json(text)
    if entry.request.key != key:
        raise ValueError("it answers another request")
    return entry


def _open_db(folder: Path) -> Any:
    from diskcache import UNKNOWN, Cache, Disk

    class TextDisk(Disk):  # type: ignore[misc]
        """Stores text as text in the row, and never unpickles: a pickle can run code."""

        def put(self, key: Any) -> tuple[Any, bool]:
            return str(key), True

        def get(self, key: Any, raw: bool) -> Any:
            if not raw:
                warnings.warn(f"a pickled key in {folder}; it was not loaded", stacklevel=2)
                return PICKLED_KEY
            return key

        def store(
            self, value: Any, read: bool, key: Any = UNKNOWN
        ) -> tuple[int, int, str | None, Any]:
            return 0, 1, None, str(value)  # size, mode (raw), file name, value

        def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
            if mode != 1 or filename is not None:
                raise ValueError("not plain text (a pickle or a file); it was not loaded")
            return value

    class TextCache(Cache):  # type: ignore[misc]
        """A diskcache of text, never evicted."""

        def setdefault_format(self) -> str:
            """Return the stored format, writing ours into a new file."""
            with self.transact(retry=True):
                rows = self._sql("SELECT value FROM Settings WHERE key = 'describe_format'")
                found = rows.fetchone()
                if found is None:
                    self._sql("INSERT INTO Settings VALUES ('describe_format', ?)", (FORMAT,))
            return FORMAT if found is None else str(found[0])

    return TextCache(
        str(folder),
        disk=TextDisk,
        eviction_policy="none",
        cull_limit=0,
        size_limit=2**62,
        statistics=0,
    )


def _is_full_or_forbidden(error: sqlite3.DatabaseError) -> bool:
    words = ("full", "readonly", "read-only", "unable to open", "disk i/o", "permission", "locked")
    return isinstance(error, sqlite3.OperationalError) and any(
        word in str(error).lower() for word in words
    )


def _cannot_write(folder: Path, error: Exception) -> UserError:
    return UserError(f"cannot store replies in {folder}: {error}; what was stored before is safe")


@contextmanager
def _one_salvager(folder: Path) -> Iterator[None]:
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_damaged(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as db:
            found = db.execute("PRAGMA quick_check(1)").fetchone()
            db.execute("SELECT count(*) FROM Cache")
            return bool(found != ("ok",))
    except sqlite3.DatabaseError:
        return True


def _rescue(folder: Path) -> tuple[int, Path]:
    """Replace a damaged folder; return the number of rows rescued, and where the old one is."""
    fresh = folder.with_name(f"{folder.name}.rescued")
    shutil.rmtree(fresh, ignore_errors=True)
    with closing(_open_db(fresh)) as db:
        rescued = 0
        for key, text in _readable_rows(folder / "cache.db"):
            db.set(key, text)
            rescued += 1
    number = 1
    while (aside := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    folder.rename(aside)
    fresh.rename(folder)
    return rescued, aside


def _readable_rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (key, text) of every row that SQLite can still read, one row at a time."""
    _pad(path)
    with closing(sqlite3.connect(path)) as db:
        try:
            last = db.execute("SELECT max(rowid) FROM Cache").fetchone()[0] or 0
        except sqlite3.DatabaseError:  # the last page is lost
            last = path.stat().st_size // MIN_ROW_BYTES
        for rowid in range(1, last + 1):
            try:
                row = db.execute(
                    "SELECT key, value FROM Cache WHERE rowid = ? AND mode = 1", [rowid]
                ).fetchone()
            except sqlite3.DatabaseError:
                continue
            if row is not None and isinstance(row[0], str) and isinstance(row[1], str):
                yield row


def _pad(path: Path) -> None:
    """Give a file that was cut short the size its header states; SQLite reads none of it else."""
    with path.open("r+b") as file:
        header = file.read(32)
        page_bytes, num_pages = header[16:18], header[28:32]
        stated = int.from_bytes(page_bytes, "big") * int.from_bytes(num_pages, "big")
        if header.startswith(b"SQLite format 3\0") and file.seek(0, 2) < stated:
            file.truncate(stated)


if __name__ == "__main__":
    from describe.cache_command import main

    sys.exit(main())
