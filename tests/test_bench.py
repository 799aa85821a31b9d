"""The benchmark runs in full on a small backbone, with equal outputs."""

import re

import pytest
import torch

from adapt import plain
from adapt.adapter_config import AdapterConfig
from adapt.backbone import ViCLIPConfig
from adapt.bench import main
from adapt.bench_arms import PlainStep, Shape, Step, compare, make_inputs, make_model
from adapt.bench_clock import interleave, peak_bytes
from adapt.bench_parts import shape_of

SMALL = ViCLIPConfig(
    image_size=32, vision_width=32, vision_layers=2, vision_heads=2, embed_dim=16, num_frames=4,
    text_width=16, text_layers=2, text_heads=2,
)  # fmt: skip
ADAPTER = AdapterConfig(start_block=1, end_block=2, dim=8)
CPU = torch.device("cpu")


def arms(cache_videos=False):
    shape = Shape(class_names=["walk", "run", "run away"], num_descriptions=2, batch=2)
    inputs = make_inputs(shape, SMALL, CPU)
    make = (make_model(SMALL, ADAPTER, CPU) for _ in range(2))
    return PlainStep(next(make), inputs), Step(next(make), inputs, cache_videos)


@pytest.mark.parametrize("cache_videos", [False, True])
def test_the_arms_compute_the_same(cache_videos):
    equal = compare(*arms(cache_videos))
    assert equal.loss < 1e-5
    assert equal.gradient < 1e-4


def test_a_difference_would_show():
    reference, ours = arms()
    with torch.no_grad():
        ours.model.get_parameter("adapter.blocks.1.text_up.weight").mul_(2)
    equal = compare(reference, ours)
    assert equal.gradient > 1e-3


def test_the_shapes_are_those_of_the_datasets():
    assert len(shape_of("k400", 4).class_names) == 200
    assert shape_of("k400", 4).num_descriptions == 2
    assert len(shape_of("ssv2", 4).class_names) == 174
    assert shape_of("ssv2", 4).num_descriptions == 8


def test_arms_run_in_turn():
    order = []
    times = interleave({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2, CPU)
    assert order == ["a", "b", "a", "b"]
    assert times["a"].best == min(times["a"].seconds)
    assert len(times["b"].seconds) == 2


def allocate_much():
    return lambda: torch.ones(60 * 2**20, dtype=torch.uint8)


def test_peak_memory_is_that_of_the_step_alone():
    assert 50 * 2**20 < peak_bytes(allocate_much, CPU) < 120 * 2**20


def test_the_command_prints_every_part(capsys):
    argv = "--backbone tiny --batch 2 --rounds 1 --parts k400 inference conv".split()
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert f"torch {torch.__version__}" in printed.splitlines()[0]
    for part in ("k400", "inference", "conv"):
        assert re.search(rf"^{part}: ", printed, re.MULTILINE)
    apart = [float(number) for number in re.findall(r"(?:apart|gradients) ([\d.e+-]+)", printed)]
    assert len(apart) == 4
    assert max(apart) < 1e-4
    assert re.search(r"and cached video prefixes +\d+\.\d+ s", printed)
    assert re.search(r"paper, Table S2 \(GPU\), MSTA +65.7 +0.948x", printed)


def test_arms_that_compute_something_else_are_not_timed(capsys, monkeypatch):
    right = plain.step_loss
    monkeypatch.setattr(plain, "step_loss", lambda *given: 1.001 * right(*given))
    assert main("--backbone tiny --batch 2 --rounds 1 --parts k400".split()) == 1
    assert "this package: the loss differs by 1.0e-03, most 1e-04" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--batch", "0"], "--batch is 0; it must be at least 1"),
        (["--rounds", "0"], "--rounds is 0; it must be at least 1"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_1(argv, message, capsys):
    assert main(argv) == 1
    assert capsys.readouterr().err == f"adapt.bench: {message}\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="here there is a CUDA device")
def test_a_missing_device_is_said(capsys):
    assert main(["--device", "cuda"]) == 1
    assert "--device cuda: this torch sees no CUDA device" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_command_runs_on_cuda(capsys):
    assert main("--backbone tiny --batch 2 --rounds 1 --device cuda".split()) == 0
    assert torch.cuda.get_device_name() in capsys.readouterr().out
