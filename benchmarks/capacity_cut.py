"""The server loses three quarters of its slots in mid-run, and says nothing: latency only rises."""

from collections.abc import Callable, Iterator

import arms
from loopback import Script, Stats, serve
from measure import Figure, interleave

from describe.endpoints import Endpoint

Arm = Callable[[arms.Pairs, Endpoint, int], arms.Sent]


def figures(
    repeats: int = 3,
    *,
    num_requests: int = 2000,
    concurrency: int = 64,
    latency_s: float = 0.25,
) -> Iterator[Figure]:
    """Measure how much of what is left of the server is used, and how long its queue is."""
    script = Script(
        latency_s=latency_s,
        capacity=concurrency,
        cut_after=num_requests // 2,
        cut_to=concurrency // 4,
    )
    pairs = arms.make_pairs(num_requests)

    def measure(arm: Arm) -> tuple[Stats, arms.Sent]:
        with serve(script) as server:
            sent = arm(pairs, Endpoint(base_url=server.url, name="loopback"), concurrency)
            return server.stats(), sent

    runs = list(interleave(repeats, lambda: measure(arms.ours), lambda: measure(arms.bare_aiohttp)))
    assert all(ours[1].texts == bare[1].texts for ours, bare in runs), "outputs differ"
    yield Figure(
        name=f"capacity {concurrency} cut to {script.cut_to}: throughput / what is left",
        values=[used_share(script, ours) for (ours, _), _ in runs],
        at_least=0.9,
        detail=f"bare aiohttp {', '.join(f'{used_share(script, b):.2f}' for _, (b, _) in runs)}",
    )
    yield Figure(
        name="the same: longest queue in the last quarter after the cut",
        values=[max(late_queue(ours)) for (ours, _), _ in runs],
        detail=f"at the cut {', '.join(str(max(o.queue_since)) for (o, _), _ in runs)}; bare "
        f"aiohttp, in the last quarter {', '.join(str(max(late_queue(b))) for _, (b, _) in runs)}",
    )


def used_share(script: Script, stats: Stats) -> float:
    """Slot time used since the server settled at its new capacity, as a share of all there was.

    What was under way when it settled is not counted, so that 1 is never reached.
    """
    since_s = stats.last_reply_at - stats.settled_at
    return stats.begun_since * script.latency_s / (script.cut_to * since_s)


def late_queue(stats: Stats) -> list[int]:
    """Lengths of the queue at the replies in the last quarter after the cut."""
    return stats.queue_since[len(stats.queue_since) * 3 // 4 :]
