"""What a user waits for when nothing is to be done: `--help`, and a run with all replies stored."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from loopback import Script, serve
from measure import Figure, interleave

ROOT = Path(__file__).parent.parent
# None of these has anything to do when every reply is stored.
NEEDLESS = ("openai", "aiohttp", "xllamacpp", "datasets", "torch")


def figures(repeats: int = 3, *, dataset: str = "k400", num_starts: int = 5) -> Iterator[Figure]:
    """Measure whole processes, beside one that does nothing."""
    yield _help(num_starts)
    yield _all_stored(repeats, dataset)


def _help(num_starts: int) -> Figure:
    runs = list(
        interleave(
            num_starts,
            lambda: _seconds(["-m", "describe", "--help"]),
            lambda: _seconds(["-c", "pass"]),
        )
    )
    nothing = min(nothing for _, nothing in runs)
    return Figure(
        name="`python -m describe --help`",
        values=[ours for ours, _ in runs],
        at_most=0.4,
        unit=" s",
        best=True,
        detail=f"`python -c pass` {nothing:.3f} s",
    )


def _all_stored(repeats: int, dataset: str) -> Figure:
    run = ["-m", "describe", "--dataset", dataset, "--model", "scripted"]
    with _workspace():
        with serve(Script(latency_s=0.0)) as server:
            first_s = _seconds([*run, "--base-url", server.url])
            sent = server.stats().served
            again = [*run, "--base-url", server.url]
            stored_s = [_seconds(again) for _ in range(repeats)]
            more = server.stats().served - sent
        imported = imports([*again, "--cache", "only"])
    assert more == 0, f"{more} requests were sent again"
    needless = sorted(imported & set(NEEDLESS))
    return Figure(
        name=f"{dataset} again, all stored",
        values=stored_s,
        at_most=3.0,
        unit=" s",
        detail=f"{sent} requests in {first_s:.1f} s at first, then {more}; "
        f"imported needlessly: {', '.join(needless) or 'nothing'}",
    )


@contextmanager
def _workspace() -> Iterator[None]:
    """Run with an empty workspace."""
    former = os.environ.get("DESCRIBE_HOME")
    with TemporaryDirectory() as folder:
        os.environ["DESCRIBE_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["DESCRIBE_HOME"]
            if former is not None:
                os.environ["DESCRIBE_HOME"] = former


def _python(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def _seconds(arguments: Sequence[str]) -> float:
    began_at = time.perf_counter()
    _python(arguments)
    return time.perf_counter() - began_at


def imports(arguments: Sequence[str]) -> set[str]:
    """Return the top-level modules that a run of Python imports."""
    lines = _python(["-X", "importtime", *arguments]).stderr.splitlines()
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if "|" in line}
