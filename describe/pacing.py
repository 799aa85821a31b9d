"""How many requests an endpoint gets at once, when it rests, and when it is given up.

Pure bookkeeping on a clock that is handed in: nothing here waits, sends or knows of HTTP.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class PaceConfig:
    """Limits on the sending to one endpoint. Durations are in seconds."""

    max_concurrency: int = 64
    """Most requests in flight to one endpoint."""

    start_concurrency: int = 16
    """Requests in flight before anything is known of the endpoint."""

    backoff_s: float = 0.5
    """Pause after a first failure; it doubles with each further one in a row."""

    max_pause_s: float = 60.0
    """Longest pause, whatever Retry-After says."""

    max_failures: int = 5
    """Failures in a row (each after its own pause) that end the sending to an endpoint."""

    give_up_s: float = 600.0
    """Longest time without any reply while the endpoint asks us to wait (429, still loading)."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request in flight: when it began, and in which epoch of the limit."""

    started_at: float
    epoch: int


class Pace:
    """The pace of one endpoint.

    The limit starts small, doubles an epoch while latency stays flat, and creeps once it has
    seen a queue. An epoch is `limit / 2` replies to requests that began in it; its median latency
    is compared with the best seen at about this limit (a power of two), because a batching server
    is slower at 64 than at 8 and still far better used. A median far over that, in two epochs
    running, means a queue: the limit falls by a quarter. If latency then does not fall, it was no
    queue: the limit is restored and what is normal learned anew.

    Args:
        config: The limits.
        ceiling: The endpoint's own most requests in flight, if it is known.
        clock: Monotonic seconds.
        jitter: Uniform numbers in [0, 1), so that many clients do not come back at once.
    """

    def __init__(
        self,
        config: PaceConfig,
        *,
        ceiling: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.config = config
        self.ceiling = min(config.max_concurrency, ceiling or config.max_concurrency)
        self.limit = min(config.start_concurrency, self.ceiling)
        self.in_flight = 0
        self.failures = 0
        self.dead_because: str | None = None
        self.paused_until = 0.0
        self._clock = clock
        self._jitter = jitter
        self._last_reply_at = float("-inf")
        self._last_failure_at = float("-inf")
        self._waiting_since: float | None = None
        self._waits = 0
        self._epoch = 0
        self._latencies: list[float] = []
        self._normal: dict[int, float] = {}  # limit.bit_length() -> median latency in seconds
        self._slow_start = True
        self._is_suspect = False
        self._before_cut: tuple[int, float] | None = None

    @property
    def load(self) -> float:
        """Share of the limit in use."""
        return self.in_flight / self.limit

    @property
    def pause_left_s(self) -> float:
        """Seconds until this endpoint may be asked again; 0 when it may be now."""
        return max(0.0, self.paused_until - self._clock())

    @property
    def has_room(self) -> bool:
        """Whether a request may start now. After a failure or a 429, one at a time."""
        limit = 1 if self.failures or self._waiting_since is not None else self.limit
        return self.dead_because is None and self.in_flight < limit and self.pause_left_s == 0

    def start(self) -> Ticket:
        """Count a request in."""
        self.in_flight += 1
        return Ticket(self._clock(), self._epoch)

    def dropped(self) -> None:
        """Count a request out that says nothing about the endpoint (it was cancelled)."""
        self.in_flight -= 1

    def answered(self, ticket: Ticket, *, good: bool = True) -> None:
        """Count a request out that the endpoint answered; `good` replies shape the limit."""
        self.in_flight -= 1
        self._last_reply_at = self._clock()
        self._waiting_since = None
        self._waits = self.failures = 0
        if good and ticket.epoch == self._epoch:
            self._latencies.append(self._clock() - ticket.started_at)
            if len(self._latencies) >= max(4, self.limit // 2):
                self._end_epoch()

    def told_to_wait(
        self, ticket: Ticket, retry_after_s: float | None, *, why: str, overloaded: bool = True
    ) -> None:
        """Count a request out that got 429 (overloaded), or 503 from a server still loading.

        One pause for all: of the many that were in flight together, only the first halves
        the limit. Until the next reply, one request at a time asks whether the wait is over.
        """
        self.in_flight -= 1
        now = self._clock()
        if self._waiting_since is None:
            self._waiting_since = now
        if ticket.epoch == self._epoch:
            self._waits += 1
            self._slow_start = self._slow_start and not overloaded
            self._set_limit(self.limit // 2 if overloaded else self.limit)
        backoff = self.config.backoff_s * 2 ** min(self._waits - 1, 16)
        self._pause(backoff if retry_after_s is None else max(0.0, retry_after_s))
        if now - self._waiting_since >= self.config.give_up_s:
            self.dead_because = f"no reply for {now - self._waiting_since:.0f} s: {why}"

    def failed(self, ticket: Ticket, *, why: str, overloaded: bool = False) -> None:
        """Count a request out that was not answered: 5xx, reset, refused, timed out (overloaded).

        What was in flight together fails together, and counts once. Where others were answered
        meanwhile, the endpoint is alive and the failure is that request's alone.
        """
        self.in_flight -= 1
        if overloaded and ticket.epoch == self._epoch:
            self._slow_start = False
            self._set_limit(self.limit // 2)
        if max(self._last_reply_at, self._last_failure_at) > ticket.started_at:
            return
        self._last_failure_at = self._clock()
        self.failures += 1
        self._pause(self.config.backoff_s * 2 ** (self.failures - 1))
        if self.failures >= self.config.max_failures:
            self.dead_because = f"{self.failures} failures in a row: {why}"

    def _pause(self, wait_s: float) -> None:
        capped = min(wait_s, self.config.max_pause_s)
        until = self._clock() + capped * (1 + 0.1 * self._jitter())
        self.paused_until = max(self.paused_until, until)

    def _end_epoch(self) -> None:
        latency = median(self._latencies)
        size = self.limit.bit_length()
        if self._before_cut is not None and latency > 0.9 * self._before_cut[1]:
            self._normal = {self._before_cut[0].bit_length(): latency}  # no queue: slower for all
            self._set_limit(self._before_cut[0])
            self._before_cut = None
            self._is_suspect = False
        elif latency > self._most_normal(size):
            self._slow_start = False
            if self._is_suspect or self._before_cut is not None:
                self._before_cut = (self.limit, latency)
                self._set_limit(self.limit * 3 // 4)
            else:
                self._is_suspect = True  # while a queue still builds up, latency says too little
                self._set_limit(self.limit)
        else:
            self._before_cut = None
            self._is_suspect = False
            self._normal[size] = min(latency, self._normal.get(size, latency))
            step = self.limit if self._slow_start else max(1, self.limit // 16)
            self._set_limit(self.limit + step)

    def _most_normal(self, size: int) -> float:
        """The latency above which a limit of `size` bits has a queue before it."""
        if size in self._normal:
            return 1.5 * self._normal[size]
        return 1.6 * self._normal.get(size - 1, float("inf"))

    def _set_limit(self, limit: int) -> None:
        self.limit = max(1, min(limit, self.ceiling))
        self._epoch += 1
        self._latencies.clear()
