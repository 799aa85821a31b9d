"""The pace of an endpoint, on a clock that the tests move by hand."""

import heapq
import random
from collections import deque

import pytest

from describe.pacing import Pace, PaceConfig


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(clock: Clock, *, ceiling: int | None = None, jitter: float = 0.0, **config) -> Pace:
    return Pace(PaceConfig(**config), ceiling=ceiling, clock=clock, jitter=lambda: jitter)


def wave(pace: Pace, clock: Clock, latency_s) -> None:
    """Fill the limit, let `latency_s(in flight)` pass, and have all of it answered."""
    tickets = []
    while pace.has_room:
        tickets.append(pace.start())
    clock.now += latency_s(len(tickets))
    for ticket in tickets:
        pace.answered(ticket)


def settle(pace: Pace, clock: Clock, latency_s, waves: int = 200) -> list[int]:
    limits = []
    for _ in range(waves):
        wave(pace, clock, latency_s)
        limits.append(pace.limit)
    return limits


def queueing(capacity: int, work_s: float = 1.0):
    """A server that works on `capacity` requests at once and queues the rest."""
    return lambda in_flight: work_s * max(1.0, in_flight / capacity)


def serve_in_order(pace: Pace, clock: Clock, capacity, num_requests: int) -> list[int]:
    """A server with so many slots after so many replies; a reply at once makes room for one more.

    Unlike in a wave, a queue builds up while it is measured. Returns the limit at each reply.
    """
    chance, waiting, working, limits = random.Random(0), deque(), [], []
    for _ in range(num_requests):
        while pace.has_room:
            waiting.append(pace.start())
        while waiting and len(working) < capacity(len(limits)):
            done_at = clock.now + chance.uniform(0.24, 0.26)
            heapq.heappush(working, (done_at, chance.random(), waiting.popleft()))
        clock.now, _, ticket = heapq.heappop(working)
        pace.answered(ticket)
        limits.append(pace.limit)
    return limits


def test_flat_latency_doubles_the_limit_to_its_ceiling(clock):
    assert settle(make(clock), clock, lambda n: 0.25, waves=3) == [32, 64, 64]


def test_the_endpoints_own_ceiling_counts(clock):
    assert max(settle(make(clock, ceiling=10), clock, lambda n: 0.25)) == 10


def test_a_queue_stops_the_growth_near_the_capacity(clock):
    limits = settle(make(clock), clock, queueing(20))
    assert all(20 <= limit <= 52 for limit in limits[5:]), limits[5:]


def test_capacity_cut_to_a_quarter_shrinks_the_limit_but_not_below_the_capacity(clock):
    pace = make(clock)
    settle(pace, clock, queueing(64), waves=10)
    assert pace.limit == 64
    limits = settle(pace, clock, queueing(16))
    assert all(16 <= limit <= 36 for limit in limits[10:]), limits


def test_a_queue_that_builds_up_while_it_is_measured_is_still_seen(clock):
    limits = serve_in_order(make(clock), clock, lambda replies: 20, 3000)
    assert all(20 <= limit <= 36 for limit in limits[600:]), limits[600::50]


@pytest.mark.parametrize("cut_after", [650, 660, 670])  # at another point of the epoch each
def test_a_cut_seen_while_the_queue_builds_up_shrinks_the_limit(clock, cut_after):
    def slots(replies: int) -> int:
        return 64 if replies < cut_after else 8

    limits = serve_in_order(make(clock), clock, slots, 3000)
    assert limits[599] == 64
    assert all(8 <= limit <= 24 for limit in limits[1400:]), limits[1400::50]


def test_a_batching_server_slower_at_every_step_is_still_filled(clock):
    # 64 at once take 1.6x as long as 16 at once: far more throughput, and no queue.
    assert settle(make(clock), clock, lambda n: 0.5 + n / 100)[-1] == 64


def test_a_server_slower_for_all_alike_is_not_starved(clock):
    pace = make(clock)
    settle(pace, clock, lambda n: 0.25, waves=10)
    limits = settle(pace, clock, lambda n: 2.0)  # eight times slower, at any concurrency
    assert limits[-1] == 64


def test_a_slow_reply_among_many_changes_nothing(clock):
    pace = make(clock)
    settle(pace, clock, lambda n: 0.25, waves=5)
    slow = pace.start()
    settle(pace, clock, lambda n: 0.25, waves=40)
    pace.answered(slow)
    assert pace.limit == 64


def test_many_429_at_once_are_one_pause_and_one_cut(clock):
    pace = make(clock, start_concurrency=32)
    for ticket in [pace.start() for _ in range(32)]:
        pace.told_to_wait(ticket, 7.0, why="429")
    assert pace.limit == 16
    assert pace.pause_left_s == 7.0
    assert not pace.has_room


def test_after_a_pause_one_request_asks_whether_it_is_over(clock):
    pace = make(clock)
    pace.told_to_wait(pace.start(), 7.0, why="429")
    clock.now += 7
    assert pace.has_room
    ticket = pace.start()
    assert not pace.has_room
    pace.answered(ticket)
    assert pace.has_room


def test_an_absurd_retry_after_is_capped_and_jittered(clock):
    pace = make(clock, max_pause_s=60, jitter=0.5)
    pace.told_to_wait(pace.start(), 1e9, why="429")
    assert pace.pause_left_s == pytest.approx(63)


def test_without_retry_after_the_pause_doubles(clock):
    pace = make(clock, backoff_s=0.5)
    pauses = []
    for _ in range(4):
        pace.told_to_wait(pace.start(), None, why="429")
        pauses.append(pace.pause_left_s)
        clock.now += pace.pause_left_s
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_server_that_only_asks_to_wait_is_given_up_in_the_end(clock):
    pace = make(clock, give_up_s=100)
    for _ in range(3):
        pace.told_to_wait(pace.start(), 50.0, why="503 loading", overloaded=False)
        clock.now += 50
    assert pace.dead_because == "no reply for 100 s: 503 loading"
    assert pace.limit == 16


def test_failures_in_a_row_open_the_breaker_after_as_many_pauses(clock):
    pace = make(clock, max_failures=3, backoff_s=1.0)
    for _ in range(3):
        assert pace.dead_because is None
        ticket = pace.start()
        assert not pace.has_room or pace.failures == 0  # one at a time after a failure
        clock.now += 0.1
        pace.failed(ticket, why="refused")
        clock.now += pace.pause_left_s
    assert pace.dead_because == "3 failures in a row: refused"
    assert not pace.has_room


def test_what_was_in_flight_together_fails_once(clock):
    pace = make(clock, max_failures=3)
    tickets = [pace.start() for _ in range(16)]
    clock.now += 1
    for ticket in tickets:
        pace.failed(ticket, why="reset")
    assert pace.failures == 1
    assert pace.in_flight == 0


def test_a_failure_beside_replies_is_the_requests_own(clock):
    pace = make(clock)
    unlucky, lucky = pace.start(), pace.start()
    clock.now += 1
    pace.answered(lucky)
    pace.failed(unlucky, why="500")
    assert pace.failures == 0
    assert pace.pause_left_s == 0


def test_a_reply_ends_a_row_of_failures(clock):
    pace = make(clock, max_failures=3)
    for _ in range(10):
        ticket = pace.start()
        clock.now += 0.1
        pace.failed(ticket, why="500")
        clock.now += pace.pause_left_s + 1
        ticket = pace.start()
        clock.now += 0.1
        pace.answered(ticket)
    assert pace.dead_because is None


def test_a_wave_of_timeouts_halves_the_limit_once(clock):
    pace = make(clock)
    tickets = [pace.start() for _ in range(16)]
    clock.now += 180
    for ticket in tickets:
        pace.failed(ticket, why="no reply within 180 s", overloaded=True)
    assert (pace.limit, pace.failures) == (8, 1)
