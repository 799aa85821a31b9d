"""The embedded model: tokens a second through our sender, and through a bare loop beside it."""

from collections.abc import Iterator

import arms
from measure import Figure

from describe.classes import load_classes
from describe.config import Config
from describe.embedded import SLOTS, default_gguf, embedded_endpoint, gguf_identity
from describe.endpoints import Endpoint


def figures(repeats: int = 3, *, num_requests: int = 32) -> Iterator[Figure]:
    """Measure with new seeds each repeat; both loops send the same bodies, each first in turn.

    Texts are not equal to the letter: how llama.cpp adds up depends on what else is in its slots,
    and one token drawn otherwise changes all that follow. So tokens are counted, of the replies
    that were not cut short, and the same requests must have been answered.
    """
    with embedded_endpoint(default_gguf()) as endpoint:
        arms.bare_aiohttp(_pairs(SLOTS, repeats), endpoint, SLOTS)  # a first reply is slower
        runs = []
        for repeat in range(repeats):
            pairs = _pairs(num_requests, repeat)
            runs.append(_both(pairs, endpoint, ours_first=repeat % 2 == 0))
    assert all(ours.texts.keys() == bare.texts.keys() for ours, bare in runs), "outputs differ"
    rates = [(ours.tokens / ours.wall_s, bare.tokens / bare.wall_s) for ours, bare in runs]
    same = sum(ours.texts[key] == bare.texts[key] for ours, bare in runs for key in ours.texts)
    yield Figure(
        name=f"embedded model, {num_requests} requests: ours / bare aiohttp, tokens/s",
        values=[ours / bare for ours, bare in rates],
        at_least=0.95,
        detail=f"{', '.join(f'{ours:.0f} / {bare:.0f}' for ours, bare in rates)} tokens/s; "
        f"{same} of {repeats * num_requests} texts the same",
    )


def _both(
    pairs: arms.Pairs, endpoint: Endpoint, *, ours_first: bool
) -> tuple[arms.Sent, arms.Sent]:
    if ours_first:
        ours = arms.ours(pairs, endpoint, SLOTS)
        return ours, arms.bare_aiohttp(pairs, endpoint, SLOTS)
    bare = arms.bare_aiohttp(pairs, endpoint, SLOTS)
    return arms.ours(pairs, endpoint, SLOTS), bare


def _pairs(num_requests: int, sample: int) -> arms.Pairs:
    """Draw number `sample` for the first classes of k400, as a run would ask for it."""
    maker = arms.asker(Config(dataset="k400"), gguf_identity(default_gguf()))
    classes = load_classes("k400").classes[:num_requests]
    asks = [maker.ask(action, "spatial", sample) for action in classes]
    return [(ask, maker.request(ask)) for ask in asks]
