"""Resident memory over a hundred thousand requests."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import arms
from cached_run import ROOT
from loopback import Script, serve
from measure import Figure

from describe.cache import ReplyStore
from describe.config import Config
from describe.endpoints import Endpoint
from describe.llm import Failure
from describe.prompts import Ask
from describe.request import Reply, Request
from describe.send import SendConfig, Sender

LATENCY_S = 0.005  # the server is never what is waited for


def figures(
    repeats: int = 3, *, num_requests: int = 100_000, after: int = 10_000
) -> Iterator[Figure]:
    """Measure what the process grows by after its first requests, each time in a new process."""
    grown = []
    rates = []
    for _ in range(repeats):
        with serve(Script(latency_s=LATENCY_S)) as server:
            begin, end, wall_s = in_new_process(server.url, num_requests, after)
        grown.append((end - begin) / 2**20)
        rates.append(num_requests / wall_s)
    yield Figure(
        name=f"{num_requests:,} requests: growth after the first {after:,}",
        values=grown,
        at_most=150,
        unit=" MB",
        detail=f"{', '.join(f'{rate:.0f}' for rate in rates)} requests/s, each reply on disk",
    )


def in_new_process(url: str, num_requests: int, after: int) -> tuple[int, int, float]:
    """Send from a new process; return its memory after `after` replies, at the end, and time."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(send_all, url, num_requests, after).result()


def send_all(url: str, num_requests: int, after: int) -> tuple[int, int, float]:
    """Send requests as they are made, store each reply; see `in_new_process`."""
    import asyncio

    resident: list[int] = []
    failures: list[Failure] = []
    replies = 0
    with TemporaryDirectory() as folder, ReplyStore(Path(folder) / "replies") as store:

        def put(ask: Ask, request: Request, reply: Reply, endpoint: Endpoint) -> None:
            nonlocal replies
            store.put(request, reply, {"class": ask.action.name, "kind": ask.kind})
            replies += 1
            if replies in (after, num_requests):
                resident.append(resident_bytes())

        sender = Sender(
            [Endpoint(base_url=url, name="loopback")],
            SendConfig(),
            on_reply=put,
            on_failure=lambda ask, failure: failures.append(failure),
        )
        began_at = time.perf_counter()
        stopped = asyncio.run(sender.run(_made_up(num_requests)))
        wall_s = time.perf_counter() - began_at
        assert stopped is None, stopped
        assert not failures, failures[:3]
        assert replies == len(store.keys()) == num_requests
    return resident[0], resident[1], wall_s


def _made_up(num_requests: int) -> Iterable[tuple[Ask, Request]]:
    maker = arms.asker(Config(dataset="made-up", model=arms.MODEL.name))
    for number in range(num_requests):
        ask = maker.ask(arms.numbered(number), "spatial", 0)
        yield ask, maker.request(ask)


def resident_bytes(pid: int | str = "self") -> int:
    """Return the resident memory of a process (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def whole_run(
    num_classes: int = 50_000, after: int = 10_000, every_s: float = 0.5
) -> Iterator[Figure]:
    """Watch `python -m describe` over a made-up class list: two requests a class, then the set.

    Unlike sending, the rules over the whole set need all of its sentences at once.
    """
    with TemporaryDirectory() as folder, serve(Script(latency_s=LATENCY_S)) as server:
        names = Path(folder) / "made-up.txt"
        names.write_text("".join(f"action {i}\n" for i in range(num_classes)))
        command = [sys.executable, "-m", "describe", "--classes", str(names), "--model", "scripted"]
        began_at = time.perf_counter()
        with subprocess.Popen(
            [*command, "--base-url", server.url, "--rounds", "0"],
            cwd=ROOT,
            env=os.environ | {"DESCRIBE_HOME": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            seen = list(_watch(process, lambda: server.stats().served, every_s))
        wall_s = time.perf_counter() - began_at
    assert process.returncode == 0, f"exit status {process.returncode}"
    sending = [resident for served, resident in seen if after <= served < 2 * num_classes]
    yield Figure(
        name=f"`python -m describe`, {num_classes:,} classes: growth while sending",
        values=[(max(sending) - sending[0]) / 2**20],
        unit=" MB",
        detail=f"from {sending[0] / 2**20:.0f} MB; {max(r for _, r in seen) / 2**20:.0f} MB at the "
        f"end, with the rules over all sentences; {wall_s:.0f} s in all",
    )


def _watch(
    process: "subprocess.Popen[bytes]", count_served: Callable[[], int], every_s: float
) -> Iterator[tuple[int, int]]:
    """Yield how many requests were served, and the memory of the process, until it ends."""
    while process.poll() is None:
        served = count_served()
        try:
            yield served, resident_bytes(process.pid)
        except (ProcessLookupError, FileNotFoundError):
            return  # it has just ended
        time.sleep(every_s)
