"""Measure figures: `python benchmarks/bench.py [NAME ...]`, or `make bench`."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import browse
import cached_run
import capacity_cut
import embedded_model
import memory
import sending
import slow_replies
import tyro
import video_loading
from measure import HEADER, Figure, load, machine

Measure = Callable[[int], Iterator[Figure]]
# What is measured by default takes under ten minutes on two cores.
SHORT: dict[str, Measure] = {
    "sending": sending.figures,
    "slow": slow_replies.figures,
    "cut": capacity_cut.figures,
    "cached": cached_run.figures,
    "embedded": embedded_model.figures,
    "memory": lambda repeats: memory.figures(1, num_requests=40_000),
}
FULL: dict[str, Measure] = {
    **SHORT,
    "memory": memory.figures,
    "run": lambda repeats: memory.whole_run(),
    "browse": browse.figures,
    "videos": video_loading.figures,
}


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """Measure figures, and say which are missed."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which: sending, slow, cut, cached, embedded, memory, run, browse, videos (default: the
    first six)."""

    full: bool = False
    """Memory over 100,000 requests instead of 40,000, in every repeat; then of a whole run."""

    repeats: int = 3
    """How often each arm runs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table. Returns 1 when a figure is missed."""
    config = tyro.cli(BenchConfig, args=argv, prog="bench", description=__doc__)
    measures = FULL if config.full else SHORT
    for name in config.names:
        if name not in FULL:
            print(f"bench: no {name!r}; known: {', '.join(FULL)}", file=sys.stderr)
            return 1
    missed = 0
    print(f"{machine()}\n\n{HEADER}", flush=True)
    for name in config.names or measures:
        print(f"{name}: {load()}", file=sys.stderr)
        for figure in {**FULL, **measures}[name](config.repeats):
            print(figure.row(), flush=True)
            missed += not figure.is_met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
