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
    """Seconds of each round."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least disturbed round."""
        return min(self.seconds)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done everything it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of one call, work queued on the device included."""
    gc.collect()
    synchronise(device)
    start = time.perf_counter()
    run()
    synchronise(device)
    return time.perf_counter() - start


def interleave(
    arms: Mapping[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, Times]:
    """Time every arm in every round, so that a slow minute slows all of them.

    On CUDA a first round, not counted, warms up kernels and the allocator.
    """
    if device.type == "cuda":
        for run in arms.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, run in arms.items():
            seconds[name].append(timed(run, device))
    return {name: Times(seconds=tuple(values)) for name, values in seconds.items()}


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
