"""A twentieth of the replies takes ten seconds: is the run as long as its slowest chain?"""

import heapq
import random
from collections.abc import Iterator, Sequence

import arms
from loopback import Script, serve
from measure import Figure, interleave

from describe.endpoints import Endpoint


def figures(
    repeats: int = 3,
    *,
    num_requests: int = 1000,
    concurrency: int = 64,
    latency_s: float = 0.25,
    slow_s: float = 10.0,
) -> Iterator[Figure]:
    """Measure against the schedule that no sender can beat without knowing which are slow."""
    slow = tuple(sorted(random.Random(0).sample(range(num_requests), num_requests // 20)))
    latencies = [slow_s if i in set(slow) else latency_s for i in range(num_requests)]
    ideal_s = list_schedule_s(latencies, concurrency)
    pairs = arms.make_pairs(num_requests)
    with serve(Script(latency_s=latency_s, slow_s=slow_s, slow=slow)) as server:
        endpoint = Endpoint(base_url=server.url, name="loopback")
        runs = list(
            interleave(
                repeats,
                lambda: arms.ours(pairs, endpoint, concurrency),
                lambda: arms.bare_aiohttp(pairs, endpoint, concurrency),
            )
        )
    assert all(ours.texts == bare.texts for ours, bare in runs), "outputs differ"
    seconds = ", ".join(f"{ours.wall_s:.2f}" for ours, _ in runs)
    bare = ", ".join(f"{bare.wall_s / ideal_s:.2f}" for _, bare in runs)
    yield Figure(
        name=f"5% of replies take {slow_s:g} s: ours / slowest chain",
        values=[ours.wall_s / ideal_s for ours, _ in runs],
        at_most=1.1,
        detail=f"{seconds} s; the chain is {ideal_s:.2f} s long; bare aiohttp {bare}",
    )


def list_schedule_s(latencies: Sequence[float], concurrency: int) -> float:
    """Return when the last request ends, if each in turn starts as soon as a slot is free.

    The slowest chain of replies, one waiting for the other's slot, at no cost of our own.
    """
    free_at = [0.0] * concurrency
    ends = 0.0
    for latency_s in latencies:
        end = heapq.heappop(free_at) + latency_s
        heapq.heappush(free_at, end)
        ends = max(ends, end)
    return ends
