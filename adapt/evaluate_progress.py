"""How far an evaluation is: a line that moves on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable

from describe.terminal import say

# Without a terminal, a line this often, in seconds.
PLAIN_EVERY_S = 30.0


class Counter:
    """Counts videos; called with those done and all of them.

    Args:
        name: What is evaluated.
        clock: Monotonic seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self._started = self._shown = clock()

    def __call__(self, done: int, total: int) -> None:
        """Show it, where enough time has passed."""
        now = self._clock()
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r{self._line(done, total, now)}\x1b[K", end=end, file=sys.stderr, flush=True)
        elif now - self._shown >= PLAIN_EVERY_S:
            self._shown = now
            say(self._line(done, total, now))

    def _line(self, done: int, total: int, now: float) -> str:
        seconds = max(1e-9, now - self._started)
        left = round(seconds / done * (total - done))
        clock = f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}"
        return f"{self._name}: {done} of {total} videos, {done / seconds:.3g}/s, {clock} left"
