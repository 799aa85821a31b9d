"""A thousand requests, 64 at once: our wall time against the plain loops'."""

from collections.abc import Iterator

import arms
from loopback import Script, serve
from measure import Figure, interleave

from describe.endpoints import Endpoint


def figures(
    repeats: int = 3, *, num_requests: int = 1000, concurrency: int = 64
) -> Iterator[Figure]:
    """Measure at 250 ms latency, where the server is the limit, and at 50 ms, where the CPU is."""
    pairs = arms.make_pairs(num_requests)
    yield from _against_aiohttp(pairs, concurrency, repeats)
    yield from _against_openai(pairs, concurrency, repeats)


def _against_aiohttp(pairs: arms.Pairs, concurrency: int, repeats: int) -> Iterator[Figure]:
    with serve(Script(latency_s=0.25)) as server:
        endpoint = Endpoint(base_url=server.url, name="loopback")
        runs = list(
            interleave(
                repeats,
                lambda: arms.ours(pairs, endpoint, concurrency),
                lambda: arms.ours_in_full(pairs, endpoint, concurrency),
                lambda: arms.bare_aiohttp(pairs, endpoint, concurrency),
            )
        )
    assert all(run.texts == each[0].texts for each in runs for run in each), "outputs differ"
    yield _ratio("250 ms: ours / bare aiohttp", [(a, c) for a, _, c in runs], at_most=1.25)
    yield _ratio("250 ms: ours in full / bare aiohttp", [(b, c) for _, b, c in runs])


def _against_openai(pairs: arms.Pairs, concurrency: int, repeats: int) -> Iterator[Figure]:
    with serve(Script(latency_s=0.05)) as server:
        endpoint = Endpoint(base_url=server.url, name="loopback")
        runs = list(
            interleave(
                repeats,
                lambda: arms.ours(pairs, endpoint, concurrency),
                lambda: arms.ours_in_full(pairs, endpoint, concurrency),
                lambda: arms.bare_aiohttp(pairs, endpoint, concurrency),
                lambda: arms.plain_openai(pairs, endpoint, concurrency),
            )
        )
        cpu_ms = 1e3 * server.stats().cpu_s / server.stats().served
    assert all(run.texts == each[0].texts for each in runs for run in each), "outputs differ"
    served = f"; the server: {cpu_ms:.2f} ms of CPU a request"
    yield _ratio(
        "50 ms: ours / plain AsyncOpenAI", [(a, d) for a, _, _, d in runs], served, at_most=0.7
    )
    yield _ratio("50 ms: ours in full / plain AsyncOpenAI", [(b, d) for _, b, _, d in runs])
    yield _ratio("50 ms: ours / bare aiohttp", [(a, c) for a, _, c, _ in runs])


def _ratio(
    name: str,
    runs: list[tuple[arms.Sent, arms.Sent]],
    more: str = "",
    *,
    at_most: float | None = None,
) -> Figure:
    seconds = ", ".join(f"{ours.wall_s:.2f} / {other.wall_s:.2f} s" for ours, other in runs)
    return Figure(
        name=name,
        values=[ours.wall_s / other.wall_s for ours, other in runs],
        at_most=at_most,
        detail=seconds + more,
    )
