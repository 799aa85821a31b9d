"""SIGTERM and Ctrl-C in training: finish the step, save, and say how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(Exception):
    """A signal asked the run to end.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_status(self) -> int:
        """128 and the signal, as shells have it: 143 for SIGTERM, 130 for Ctrl-C."""
        return 128 + self.number


class SignalWatch:
    """Notes SIGTERM and SIGINT while it is entered.

    A signal in the midst of a step waits for its end, so that what is saved is whole. While the
    run only waits for videos, it ends at once.

    Args:
        impatient: Whether a second signal ends the run at once too, with nothing saved. Not under
            torchrun, which passes on signals that the process has had already.
    """

    def __init__(self, *, impatient: bool) -> None:
        self._impatient = impatient
        self.received: int | None = None
        """The first signal that came."""
        self._only_waits = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "SignalWatch":
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """In this block there is nothing to finish: a signal raises `Stopped`."""
        self.check()
        self._only_waits = True
        try:
            yield
        finally:
            self._only_waits = False

    def check(self) -> None:
        """Raise `Stopped` if a signal came.

        Raises:
            Stopped: One did.
        """
        if self.received is not None:
            raise Stopped(self.received)

    def _note(self, number: int, _: FrameType | None) -> None:
        again = self.received is not None
        self.received = number
        if self._only_waits:
            self._only_waits = False
            raise Stopped(number)
        if again and self._impatient:
            raise KeyboardInterrupt
