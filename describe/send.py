"""Send many requests to one or several endpoints, each at its own pace, and hand back each reply.

Memory stays flat: requests are drawn from an iterator when there is room for them, and there are
never more tasks than requests in flight.
"""

import asyncio
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from describe.endpoints import Endpoint, fetch_models, nearest_model
from describe.errors import UserError
from describe.llm import FATAL, RETRIED, UNANSWERED, Failure, post
from describe.pacing import Pace, PaceConfig, Ticket
from describe.prompts import Ask
from describe.request import Reply, Request

if TYPE_CHECKING:
    import aiohttp

# Requests in a row, none answered usefully, after which more of them would only cost money.
USELESS_AT_FIRST = 8


@dataclass(frozen=True, kw_only=True)
class SendConfig:
    """How requests are sent. Durations are in seconds."""

    pace: PaceConfig = field(default_factory=PaceConfig)
    """Limits on each endpoint."""

    request_timeout_s: float = 180.0
    """Longest time for one reply."""

    max_attempts: int = 5
    """Attempts at one request before it is reported as failed. Being told to wait is none."""

    max_bad_replies: int = 3
    """Of those, attempts that a server may answer with nothing usable: each may be paid for."""

    deadline_s: float | None = None
    """Longest time for all; then no more is sent. None: no limit."""

    drain_s: float = 5.0
    """After an interrupt, how long replies under way are still taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """Why sending ended before all was sent."""

    why: Literal["interrupted", "unreachable", "refused", "deadline", "useless"]
    message: str


@dataclass(slots=True)
class _Lane:
    endpoint: Endpoint
    pace: Pace
    is_proven: bool = False
    """It has given a usable reply. Until then, an unusable one counts as a failure of its own."""

    is_refused: bool = False
    """It refused the key or the model; nothing more is sent to it."""

    @property
    def is_dead(self) -> bool:
        return self.pace.dead_because is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sending:
    ask: Ask
    request: Request
    attempt: int


class Sender:
    """Sends requests until all are answered, or until it must stop.

    Args:
        endpoints: Where to send; the least loaded one gets the next request.
        config: Timeouts, attempts and pace.
        on_reply: Called with each reply as it arrives; stores it.
        on_failure: Called once for each request that got no usable reply.
        on_note: Called with a line for the user: waiting, an endpoint given up.
        is_proven: Whether this model has given usable replies before. If not, and the first
            requests bring none either, the run stops.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        config: SendConfig,
        *,
        on_reply: Callable[[Ask, Request, Reply, Endpoint], None],
        on_failure: Callable[[Ask, Failure], None],
        on_note: Callable[[str], None] = lambda line: None,
        is_proven: bool = False,
    ) -> None:
        self._lanes = [_Lane(e, Pace(config.pace, ceiling=e.max_in_flight)) for e in endpoints]
        self._config = config
        self._on_reply = on_reply
        self._on_failure = on_failure
        self._on_note = on_note
        self._again: deque[_Sending] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopped: Stopped | None = None
        self._error: BaseException | None = None
        self._is_proven = is_proven
        self._failures = 0

    async def run(self, asks: Iterable[tuple[Ask, Request]]) -> Stopped | None:
        """Send all of `asks`; return None, or why it ended early.

        Raises:
            UserError: `on_reply` raised it: a reply could not be stored.
        """
        async with self._session() as session:
            with self._signals(), self._deadline():
                await self._dispatch(session, iter(asks))
                await self._drain()
        if self._error is not None:
            raise self._error
        return self._stopped

    async def _dispatch(
        self, session: "aiohttp.ClientSession", source: Iterator[tuple[Ask, Request]]
    ) -> None:
        while self._stopped is None:
            lane = await self._lane_with_room()
            if lane is None:
                return
            following = self._next(source)  # drawn when it can go: another run may store it first
            if following is not None:
                self._start(session, lane, following)
            elif self._tasks:
                await self._wait(None)
            else:
                return

    def _next(self, source: Iterator[tuple[Ask, Request]]) -> "_Sending | None":
        """The next request and which attempt it is; fresh ones before repeats, within bounds."""
        if len(self._again) < sum(lane.pace.limit for lane in self._lanes):
            fresh = next(source, None)
            if fresh is not None:
                return _Sending(ask=fresh[0], request=fresh[1], attempt=1)
        return self._again.popleft() if self._again else None

    async def _lane_with_room(self) -> _Lane | None:
        while self._stopped is None:
            lanes = [lane for lane in self._lanes if not lane.is_refused and lane.pace.has_room]
            if lanes:
                return min(lanes, key=lambda lane: lane.pace.load)
            if all(lane.is_dead for lane in self._lanes):
                self._stop_for_want_of_endpoints()
                return None
            pauses = [lane.pace.pause_left_s for lane in self._lanes if not lane.is_dead]
            pause_s = min((pause for pause in pauses if pause > 0), default=None)
            if pause_s is not None or self._tasks:  # else a pause ended between the two looks
                await self._wait(pause_s)
        return None

    def _stop_for_want_of_endpoints(self) -> None:
        all_refused = all(lane.is_refused for lane in self._lanes)
        reasons = [
            lane.pace.dead_because or ""
            if lane.is_refused
            else f"{lane.endpoint.name}: {lane.pace.dead_because}"
            for lane in self._lanes
        ]
        self._stop("refused" if all_refused else "unreachable", "; ".join(reasons))

    async def _wait(self, timeout_s: float | None) -> None:
        """Sleep until a task ends, a stop is asked for, or `timeout_s` have passed."""
        self._changed.clear()
        if timeout_s is None:
            await self._changed.wait()
            return
        timer = asyncio.get_running_loop().call_later(timeout_s, self._changed.set)
        await self._changed.wait()
        timer.cancel()

    def _start(self, session: "aiohttp.ClientSession", lane: _Lane, sending: _Sending) -> None:
        task = asyncio.create_task(self._attempt(session, lane, lane.pace.start(), sending))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and self._error is None:
            self._error = task.exception()
            self._stop("unreachable", str(self._error))
        self._changed.set()

    async def _attempt(
        self,
        session: "aiohttp.ClientSession",
        lane: _Lane,
        ticket: Ticket,
        sending: _Sending,
    ) -> None:
        ask, request = sending.ask, sending.request
        try:
            outcome = await post(session, lane.endpoint, request, self._config.request_timeout_s)
        except asyncio.CancelledError:
            lane.pace.dropped()
            raise
        if isinstance(outcome, Reply):
            lane.pace.answered(ticket)
            lane.is_proven = self._is_proven = True
            self._on_reply(ask, request, outcome, lane.endpoint)
            return
        self._pace_failure(lane, ticket, outcome)
        if outcome.kind in FATAL:
            self._again.append(sending)  # another endpoint may take it
            await self._give_up(lane, str(request.body["model"]), outcome)
        else:
            self._settle(sending, outcome)

    async def _give_up(self, lane: _Lane, model: str, failure: Failure) -> None:
        """Send nothing more to an endpoint that refused the key or the model; go on elsewhere."""
        if lane.is_refused:
            return
        lane.is_refused = True
        lane.pace.dead_because = await asyncio.to_thread(_explain, lane.endpoint, model, failure)
        if not all(other.is_dead for other in self._lanes):
            self._on_note(f"going on without it: {lane.pace.dead_because}")

    def _pace_failure(self, lane: _Lane, ticket: Ticket, failure: Failure) -> None:
        was_paused = lane.pace.pause_left_s > 0
        if failure.kind in ("rate_limited", "loading"):
            lane.pace.told_to_wait(
                ticket,
                failure.retry_after_s,
                why=failure.detail,
                overloaded=failure.kind == "rate_limited",
            )
        elif failure.kind in UNANSWERED or (failure.kind == "bad_reply" and not lane.is_proven):
            overloaded = failure.kind == "timeout"
            lane.pace.failed(ticket, why=failure.detail, overloaded=overloaded)
        else:
            lane.pace.answered(ticket, good=False)
        pause_s = lane.pace.pause_left_s
        if pause_s >= 1 and not was_paused and lane.pace.dead_because is None:
            self._on_note(f"{lane.endpoint.name}: waiting {pause_s:.0f} s ({failure.detail})")

    def _settle(self, sending: _Sending, failure: Failure) -> None:
        """Queue a failed request again, or report it."""
        if failure.kind in ("rate_limited", "loading"):
            self._again.append(sending)
        elif failure.kind in RETRIED and sending.attempt < self._most_attempts(failure):
            self._again.append(replace(sending, attempt=sending.attempt + 1))
        else:
            self._failures += 1
            self._on_failure(sending.ask, failure)
            if not self._is_proven and self._failures >= USELESS_AT_FIRST:
                self._stop(
                    "useless",
                    f"none of the first {self._failures} requests got a usable "
                    f"reply, the last one: {failure.detail}",
                )

    def _most_attempts(self, failure: Failure) -> int:
        most = self._config.max_attempts
        return min(most, self._config.max_bad_replies) if failure.kind == "bad_reply" else most

    def _stop(self, why: str, message: str) -> None:
        if self._stopped is None:
            self._stopped = Stopped(why=why, message=message)  # type: ignore[arg-type]
        self._changed.set()

    async def _drain(self) -> None:
        """Take what arrives within a few seconds; a second interrupt ends even that."""
        if self._tasks and self._stopped is not None and self._error is None:
            self._on_note(
                f"waiting up to {self._config.drain_s:g} s for replies under way: "
                f"{len(self._tasks)}"
            )
            await asyncio.wait(self._tasks, timeout=self._config.drain_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _interrupt(self) -> None:
        if self._stopped is None:
            self._stop("interrupted", "interrupted")
        else:
            for task in self._tasks:
                task.cancel()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        caught: list[signal.Signals] = []
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._interrupt)
                caught.append(number)
        except (ValueError, RuntimeError, NotImplementedError):
            pass  # not the main thread, or a system without signals: Ctrl-C ends the run at once
        try:
            yield
        finally:
            for number in caught:
                loop.remove_signal_handler(number)

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        if self._config.deadline_s is None:
            yield
            return
        loop = asyncio.get_running_loop()
        message = "the deadline has passed"
        timer = loop.call_later(self._config.deadline_s, self._stop, "deadline", message)
        yield
        timer.cancel()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator["aiohttp.ClientSession"]:
        import aiohttp

        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # Pace is the limit
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            yield session


def _explain(endpoint: Endpoint, model: str, failure: Failure) -> str:
    """Say what the user can change about a refusal that no repeat would cure."""
    if failure.kind == "auth":
        return f"{endpoint.name} refused the key ({failure.detail}); check OPENAI_API_KEY"
    if failure.kind == "quota":
        return f"{endpoint.name}: the account's quota is used up ({failure.detail})"
    try:
        names = [str(each.get("id")) for each in fetch_models(endpoint, timeout_s=10)]
    except UserError:
        return f"{endpoint.name} has no model {model!r} or no such path ({failure.detail})"
    if model in names:
        return f"{endpoint.name} has the model but no such path ({failure.detail})"
    nearest = nearest_model(model, names)
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return f"{endpoint.name} has no model {model!r}; it has: {', '.join(names)}{hint}"
