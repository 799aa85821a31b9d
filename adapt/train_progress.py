"""What is seen of a run while it trains: a bar on a terminal, else a line now and then."""

import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from describe.terminal import show

# Without a terminal, a line of progress this often, in seconds.
PLAIN_EVERY_S = 10.0

# Steps that rates are averaged over.
WINDOW = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """What a step did, as it is logged and shown."""

    step: int
    """Steps done, over all epochs."""

    epoch: int
    """From 1."""

    loss: float
    classification: float
    consistency: float
    lr: float
    videos: int
    """Videos in the step, over all processes."""

    seconds: float
    """Time from the end of the step before."""

    waited: float
    """Of that, time this process waited for videos."""


class Rates:
    """Means over the last steps."""

    def __init__(self) -> None:
        self._steps: deque[StepReport] = deque(maxlen=WINDOW)

    def add(self, report: StepReport) -> None:
        """Take one more step into account."""
        self._steps.append(report)

    @property
    def seconds(self) -> float:
        """Seconds of a step."""
        return sum(each.seconds for each in self._steps) / max(1, len(self._steps))

    @property
    def videos_per_s(self) -> float:
        """Videos a second, over all processes."""
        total = sum(each.seconds for each in self._steps)
        return sum(each.videos for each in self._steps) / max(1e-9, total)

    @property
    def wait_share(self) -> float:
        """Share of the time spent waiting for videos."""
        total = sum(each.seconds for each in self._steps)
        return sum(each.waited for each in self._steps) / max(1e-9, total)


class Display(Protocol):
    """Where progress goes."""

    def step(self, report: StepReport, rates: Rates) -> None:
        """Show a step."""

    def looking(self, epoch: int, done: int, total: int) -> None:
        """Show how many videos an epoch, from 0, has been looked at with, to select one."""

    def note(self, line: str) -> None:
        """Print a line."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Silent:
    """Shows nothing: processes other than the first."""

    def step(self, report: StepReport, rates: Rates) -> None:
        """Show nothing."""

    def looking(self, epoch: int, done: int, total: int) -> None:
        """Show nothing."""

    def note(self, line: str) -> None:
        """Print nothing."""

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """A line every few seconds, and at the end of every epoch that took longer.

    Args:
        num_steps: Of the whole run.
        num_epochs: Of the whole run.
        clock: Monotonic seconds.
    """

    def __init__(
        self, num_steps: int, num_epochs: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._num_steps, self._num_epochs, self._clock = num_steps, num_epochs, clock
        self._shown_at = clock()

    def step(self, report: StepReport, rates: Rates) -> None:
        """Print a line, if the last one is old enough, or this is the last step."""
        now = self._clock()
        if now - self._shown_at < PLAIN_EVERY_S and report.step < self._num_steps:
            return
        self._shown_at = now
        head = f"epoch {report.epoch}/{self._num_epochs}  step {report.step}/{self._num_steps}"
        remaining = left(report, rates, self._num_steps)
        show(f"{head}  {describe(report, rates)}  {remaining} left", flush=True)

    def looking(self, epoch: int, done: int, total: int) -> None:
        """Print a line, if the last one is old enough."""
        now = self._clock()
        if now - self._shown_at >= PLAIN_EVERY_S:
            self._shown_at = now
            show(looking_line(epoch, done, total), flush=True)

    def note(self, line: str) -> None:
        """Print a line."""
        show(line, flush=True)

    def close(self) -> None:
        """Do nothing."""


class Bar:
    """A bar and a line of numbers, on a terminal.

    Args:
        num_steps: Of the whole run.
        num_epochs: Of the whole run.
        done: Steps done by an earlier process.
    """

    def __init__(self, num_steps: int, num_epochs: int, done: int) -> None:
        from rich.console import Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.text import Text

        self._num_steps, self._num_epochs = num_steps, num_epochs
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]} left"),
            expand=True,
        )
        self._task = self._bar.add_task(
            "", total=num_steps, completed=done, epoch=f"-/{num_epochs}", left="-:--:--"
        )
        self._numbers = Text("waiting for the first videos", no_wrap=True, overflow="ellipsis")
        self._live = Live(Group(self._bar, self._numbers), refresh_per_second=4)
        self._live.start()

    def step(self, report: StepReport, rates: Rates) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            completed=report.step,
            epoch=f"{report.epoch}/{self._num_epochs}",
            left=left(report, rates, self._num_steps),
        )
        self._numbers.plain = describe(report, rates)

    def looking(self, epoch: int, done: int, total: int) -> None:
        """Change the line of numbers."""
        self._numbers.plain = looking_line(epoch, done, total)

    def note(self, line: str) -> None:
        """Print a line above the bar."""
        self._live.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._live.stop()


def make_display(num_steps: int, num_epochs: int, done: int, *, is_main: bool) -> Display:
    """Choose how progress is shown."""
    if not is_main:
        return Silent()
    if sys.stdout.isatty():
        return Bar(num_steps, num_epochs, done)
    return Lines(num_steps, num_epochs)


def looking_line(epoch: int, done: int, total: int) -> str:
    """Return what is shown while an epoch is looked at, to select one. `epoch` is from 0."""
    return f"looking at epoch {epoch + 1}: {done} of {total} videos"


def describe(report: StepReport, rates: Rates) -> str:
    """Return the numbers of a step, on one line of at most 80 columns."""
    parts = f"{report.classification:.3f} + {report.consistency:.3f}"
    return (
        f"loss {report.loss:.3f} ({parts})  lr {report.lr:.1e}  "
        f"{rates.videos_per_s:.3g} video/s  waiting {rates.wait_share:.0%}  "
        f"{memory_bytes() / 2**30:.1f} GiB"
    )


def left(report: StepReport, rates: Rates, num_steps: int) -> str:
    """Return the time left at the present rate, as h:mm:ss."""
    seconds = round(rates.seconds * (num_steps - report.step))
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def memory_bytes() -> int:
    """Return the most that this process has had of the GPU's memory, or else of the machine's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
