"""Clocks and memory of the benchmark, on any device."""

import gc
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """Seconds of each round, by the clock and of this process's CPU time over all threads.

    Other work on the machine stretches the clock; CPU time it hardly touches.
    """

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least disturbed round."""
        return min(self.seconds)

    @property
    def best_cpu(self) -> float:
        """The least CPU time of a round."""
        return min(self.cpu_seconds)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done everything it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Return seconds by the clock and of CPU time of one call, queued work included."""
    gc.collect()
    synchronise(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    run()
    synchronise(device)
    return time.perf_counter() - start, time.process_time() - cpu_start


def interleave(
    arms: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, Times]:
    """Time every arm in every round, so that a slow minute slows all of them.

    On CUDA a first round, not counted, warms up kernels and the allocator.
    """
    if device.type == "cuda":
        for run in arms.values():
            run()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, run in arms.items():
            found[name].append(timed(run, device))
    times = {}
    for name, values in found.items():
        seconds, cpu_seconds = zip(*values, strict=True)
        times[name] = Times(seconds=seconds, cpu_seconds=cpu_seconds)
    return times


def peak_bytes(prepare: Callable[[], Callable[[], object]], device: torch.device) -> int:
    """Return the peak memory of two steps: the device's, or of a fresh process on the CPU.

    Args:
        prepare: Makes the step. On the CPU it must be picklable, and the memory that the process
            had before, with torch loaded, is taken off.
        device: Where the step runs.
    """
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        _two_steps(prepare)
        return torch.cuda.max_memory_allocated(device)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_of_process, (prepare,))


def _two_steps(prepare: Callable[[], Callable[[], object]]) -> None:
    step = prepare()
    step()  # the optimizer's state exists from the first step on
    step()


def _peak_of_process(prepare: Callable[[], Callable[[], object]]) -> int:
    before = _peak_resident()
    _two_steps(prepare)
    return _peak_resident() - before


def _peak_resident() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent had before this process was its own
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
