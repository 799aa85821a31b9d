"""Several processes, started by torchrun, that train one model.

Each process has its own part of every batch. Gradients are averaged by hand, and not by
DistributedDataParallel, for two reasons: a part may have lost videos, so that parts weigh by how
many they have left; and the two branches' gradients at a shared layer are averaged before they are
merged (`adapt.gradients`).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from describe.errors import UserError
from describe.terminal import show

Value = TypeVar("Value")

# What gloo says of a process that it cannot reach.
_LOST = ("gloo", "onnection", "imed out", "peer", "socket")

# A process may decode or evaluate while the others wait for it.
PATIENCE = timedelta(hours=2)


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among all."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    """Its place on this machine, and so its GPU."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """Return the sum of each value over processes, the same in all of them."""
        if self.world_size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=_wire_device())
        with _in_reach():
            dist.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def averaging(self, share: float) -> Callable[[Sequence[Tensor]], None] | None:
        """Return what replaces gradients by their weighted sum over processes, in place.

        Args:
            share: This process' part of all videos of the step; the shares add up to 1. The
                gradients must be those of the mean over its own videos.
        """
        if self.world_size == 1:
            return None

        def average(gradients: Sequence[Tensor]) -> None:
            bucket = torch.cat([gradient.flatten() for gradient in gradients]) * share
            with _in_reach():
                dist.all_reduce(bucket)
            sizes = [gradient.numel() for gradient in gradients]
            for gradient, part in zip(gradients, torch.split(bucket, sizes), strict=True):
                gradient.copy_(part.view_as(gradient))

        return average

    def gather(self, value: Value) -> list[Value]:
        """Return what each process gave, by rank, the same in all of them."""
        if self.world_size == 1:
            return [value]
        found: list[Value] = [value] * self.world_size
        with _in_reach():
            dist.all_gather_object(found, value)
        return found

    def raise_together(self, error: UserError | None) -> None:
        """Raise in all processes what some of them met, so that none waits for one that is gone.

        Raises:
            UserError: The error of the first of them.
        """
        if not self.sum(error is not None)[0]:
            return
        met = self.gather([] if error is None else [str(error)])
        raise UserError(next(text for texts in met for text in texts))

    def show(self, line: str) -> None:
        """Print a line of results; the first process does it for all."""
        if self.is_main:
            show(line, flush=True)

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.sum(0)


def processes_of_environment() -> Processes:
    """Read what torchrun says of this process; without torchrun it is alone.

    Raises:
        UserError: A variable that torchrun sets is no number.
    """
    try:
        found = Processes(
            rank=int(os.environ.get("RANK", "0")),
            world_size=int(os.environ.get("WORLD_SIZE", "1")),
            local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        )
    except ValueError as error:
        raise UserError(f"RANK, WORLD_SIZE or LOCAL_RANK is no number: {error}") from error
    return found


@contextmanager
def joined(processes: Processes, device: torch.device) -> Iterator[None]:
    """Connect the processes: nccl between GPUs, else gloo.

    Raises:
        UserError: They cannot find each other.
    """
    if processes.world_size == 1:
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        first = str(error).partition("\n")[0]
        raise UserError(f"the processes cannot connect: {first}; start them by torchrun") from error
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def _in_reach() -> Iterator[None]:
    """Turn the loss of another process into one line: what that one said is the reason.

    Raises:
        UserError: Another process has ended, or does not answer.
    """
    try:
        yield
    except RuntimeError as error:  # gloo has no class of its own for it
        text = str(error)
        is_lost = isinstance(error, dist.DistError) or any(word in text for word in _LOST)
        if not is_lost or "out of memory" in text:
            raise
        raise UserError(
            "another process has ended; what it said is the reason, and if it said nothing it was "
            "killed, perhaps for want of memory"
        ) from error


def _wire_device() -> torch.device:
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
