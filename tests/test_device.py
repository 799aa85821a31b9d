"""`adapt.device`: which device is meant, and the want of memory, in one line each."""

import pytest
import torch

from adapt.device import choose_device, with_memory
from adapt.distributed import Processes
from describe.errors import UserError


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_each_process_of_a_machine_has_a_device_of_its_own(two_gpus):
    assert choose_device("auto", Processes(local_rank=1)) == torch.device("cuda", 1)
    assert choose_device("cuda", Processes(local_rank=0)) == torch.device("cuda", 0)
    assert choose_device("cuda:1", Processes()) == torch.device("cuda", 1)
    assert choose_device("cpu", Processes(local_rank=1)) == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "local_rank", "message"),
    [
        ("cuda:2", 0, "cuda:2 is asked for, and there are 2 CUDA devices, from cuda:0"),
        ("auto", 2, "cuda:2 is asked for, .*; start as many processes as there are devices"),
        ("mps", 0, "--device is 'mps'; take cpu, cuda or cuda:1"),
        ("gpu0", 0, "--device is 'gpu0'; take cpu, cuda or cuda:1"),
    ],
)
def test_a_device_that_is_not_there_is_one_line(two_gpus, name, local_rank, message):
    with pytest.raises(UserError, match=message):
        choose_device(name, Processes(local_rank=local_rank))


def test_cuda_without_cuda_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto", Processes()) == torch.device("cpu")
    with pytest.raises(UserError, match="--device cuda: this torch sees no CUDA device; take cpu"):
        choose_device("cuda", Processes())


def test_only_the_want_of_memory_is_taken_for_that():
    with pytest.raises(UserError, match="no memory left on cpu; end what else runs there"):
        with with_memory(torch.device("cpu")):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
    with pytest.raises(RuntimeError, match="shapes differ"):
        with with_memory(torch.device("cpu")):
            raise RuntimeError("shapes differ")
