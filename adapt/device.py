"""The device that a model runs on: which one it is, what memory it has, and what to say if none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from adapt.distributed import Processes
from describe.errors import UserError

# What torch has no class of its own for: the machine's memory, and CUDA's libraries.
_OUT_OF_MEMORY = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA out of memory")


def choose_device(name: str, processes: Processes) -> torch.device:
    """Return the device that `--device` means for this process.

    Raises:
        UserError: There is no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if count else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device is {name!r}; take cpu, cuda or cuda:1") from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise UserError(f"--device is {name!r}; take cpu, cuda or cuda:1")
    if not count:
        raise UserError(f"--device {name}: this torch sees no CUDA device; take cpu")
    index = processes.local_rank if device.index is None else device.index
    if index >= count:
        raise UserError(
            f"cuda:{index} is asked for, and there are {count} CUDA devices, from cuda:0; start as "
            "many processes as there are devices, or choose one with --device"
        )
    return torch.device("cuda", index)


def device_bytes(device: torch.device) -> int:
    """Return the memory of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the machine, had no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or any(
        text in str(error) for text in _OUT_OF_MEMORY
    )


@contextmanager
def with_memory(device: torch.device) -> Iterator[None]:
    """Turn the want of memory where nothing can be split into one line.

    Raises:
        UserError: The device has no memory left.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"no memory left on {device}; end what else runs there, or take another --device"
        ) from error
