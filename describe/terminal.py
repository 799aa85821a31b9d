"""What commands print: progress, results and errors, to readers that may be gone (`| head`)."""

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

from describe.errors import UserError
from describe.escape import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

INTERRUPTED = 130  # the exit status after Ctrl-C

Config = TypeVar("Config")

# Without a terminal, a line of progress this often, in seconds.
PLAIN_EVERY_S = 10.0

# Columns that the bar needs beside its numbers.
MIN_BAR_COLUMNS = 72


class Progress(Protocol):
    """What sending reports to."""

    def replied(self, kept: int, rejected: int, tokens: int) -> None:
        """One more request is done, with this many sentences kept and rejected at first sight."""

    def failed(self) -> None:
        """One more request is done, without a usable reply."""

    def note(self, line: str) -> None:
        """Print a line beside the progress."""


class Tally:
    """Counts shared by both forms of progress.

    Args:
        total: Requests to send.
        clock: Monotonic seconds.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = self.kept = self.rejected = self.tokens = self.failures = 0
        self._clock = clock
        self._began_at = clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first request."""
        return max(1e-9, self._clock() - self._began_at)

    @property
    def eta(self) -> str:
        """Time left at the present rate, as m:ss."""
        if not self.done:
            return "-:--"
        left_s = round(self.elapsed_s / self.done * (self.total - self.done))
        return f"{left_s // 60}:{left_s % 60:02d}"

    def __str__(self) -> str:
        failed = f", {self.failures} failed" if self.failures else ""
        return (
            f"{self.done}/{self.total} replies{failed}, {self.kept} kept, {self.rejected} rejected,"
            f" {self.tokens / self.elapsed_s:.0f} tokens/s, {self.eta} left"
        )


class PlainProgress:
    """A line now and then: for logs, pipes and CI."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._tally = Tally(total)
        self._printed_at_s = 0.0

    def replied(self, kept: int, rejected: int, tokens: int) -> None:
        """Count a reply."""
        _count(self._tally, kept, rejected, tokens)
        self._print_now_and_then()

    def failed(self) -> None:
        """Count a failure."""
        self._tally.done += 1
        self._tally.failures += 1
        self._print_now_and_then()

    def note(self, line: str) -> None:
        """Print a line."""
        say(line)

    def _print_now_and_then(self) -> None:
        tally = self._tally
        if tally.done == tally.total or tally.elapsed_s - self._printed_at_s >= PLAIN_EVERY_S:
            self._printed_at_s = tally.elapsed_s
            say(f"{self._title}: {tally}")


class BarProgress:
    """A bar with the counts beside it, for a terminal."""

    def __init__(self, bar: "RichProgress", task: "TaskID", total: int) -> None:
        self._bar = bar
        self._task = task
        self._tally = Tally(total)

    def replied(self, kept: int, rejected: int, tokens: int) -> None:
        """Count a reply."""
        _count(self._tally, kept, rejected, tokens)
        self._update()

    def failed(self) -> None:
        """Count a failure."""
        self._tally.done += 1
        self._tally.failures += 1
        self._update()

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(line, markup=False, highlight=False)

    def _update(self) -> None:
        tally = self._tally
        rate = f"{tally.tokens / tally.elapsed_s:.0f} tok/s"
        self._bar.update(
            self._task,
            completed=tally.done,
            counts=f"{tally.kept} kept {tally.rejected} rejected",
            rate=rate,
            left=tally.eta,
        )


def _count(tally: Tally, kept: int, rejected: int, tokens: int) -> None:
    tally.done += 1
    tally.kept += kept
    tally.rejected += rejected
    tally.tokens += tokens


@contextmanager
def progress(title: str, total: int) -> Iterator[Progress]:
    """Show the progress of `total` requests: a bar where there is room, else a line at times."""
    if not _takes_a_bar():
        yield PlainProgress(title, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]} {task.fields[rate]} {task.fields[left]}"),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(title, total=total, counts="", rate="", left="")
        yield BarProgress(bar, task, total)


def _takes_a_bar() -> bool:
    """Whether standard error is a terminal that can show the bar and all of its numbers."""
    encoding = (sys.stderr.encoding or "").lower().replace("-", "")
    if not sys.stderr.isatty() or encoding != "utf8":
        return False
    columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # 0: nobody set it
    return columns >= MIN_BAR_COLUMNS and "CI" not in os.environ


def run_command(
    name: str,
    parse: Callable[[], Config],
    run: Callable[[Config], int],
    *,
    if_interrupted: str = "",
) -> int:
    """Run a command, and turn what its user can mend or did into one line and an exit status.

    Args:
        name: What the line begins with.
        parse: Reads the flags.
        run: Does the work and returns the exit status.
        if_interrupted: What to do after Ctrl-C, to be said then.

    Returns:
        The status of `run`, 1 after a UserError, 130 after Ctrl-C. A reader of the output that has
        read enough ends neither the work nor changes the status.
    """
    warnings.showwarning = lambda message, *_: say(f"warning: {message}")
    try:
        try:
            config = parse()
        except BrokenPipeError:  # the help was printed, and not read to its end
            _print_no_more(sys.stdout)
            return 0
        return run(config)
    except UserError as error:
        say(f"{name}: {printable(str(error))}")
        return 1
    except KeyboardInterrupt:
        say(f"{name}: interrupted" + (f"; {if_interrupted}" if if_interrupted else ""))
        return INTERRUPTED
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _print_no_more(sys.stdout)


def say(line: str = "") -> None:
    """Print a line to standard error, in whatever encoding that has."""
    _print(line, sys.stderr, flush=True)


def show(line: str = "", *, flush: bool = False) -> None:
    """Print a line of results to standard output, in whatever encoding that has."""
    _print(line, sys.stdout, flush=flush)


def _print(line: str, stream: TextIO, *, flush: bool = False) -> None:
    encoding = stream.encoding or "ascii"
    try:
        print(line.encode(encoding, "replace").decode(encoding), file=stream, flush=flush)
    except BrokenPipeError:
        _print_no_more(stream)


def _print_no_more(stream: TextIO) -> None:
    """Let all that is printed from now on go nowhere: its reader is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def some(names: Sequence[str], most: int = 5) -> str:
    """Return `a, b, c and 4 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def table(rows: Sequence[tuple[str, object]]) -> list[str]:
    """Return lines with the names in one column and the values in the next."""
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in rows]
