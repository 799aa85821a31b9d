"""What every reader of lists shares: a row before its file is sought, and text read strictly."""

from dataclasses import dataclass
from pathlib import Path

from describe.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a list."""

    name: str
    """The video as the list names it."""

    place: str
    """Where it stands, for messages: `val1.txt, line 7`."""

    class_name: str | None = None
    """The class as the list spells it."""

    label: int | None = None
    """The class as a number, where the list gives only that."""

    other_names: tuple[str, ...] = ()
    """What else the file may be called."""

    start_seconds: float | None = None
    end_seconds: float | None = None
    """Times of the action in a video that was not cut."""

    group: str = ""
    """The recording it was cut from, where the list or the name says so."""

    part: str = ""
    """`train`, `val` or `test`, where the list says so itself."""


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, without their ends; a byte order mark is dropped.

    Raises:
        UserError: The file cannot be read, or a line is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"no list {path}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    try:
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8; save the list as UTF-8") from error
    # Not splitlines(): it also breaks at characters that are no line end in a text file.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def clean_name(name: str) -> str:
    """Return a video's name with forward slashes and no `./` in front."""
    return name.strip().replace("\\", "/").removeprefix("./")


def seconds(text: str, place: str) -> float | None:
    """Return a time; None for an empty field.

    Raises:
        UserError: It is no number of seconds.
    """
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise UserError(f"{place}: {text!r} is not a time in seconds")
    return value
