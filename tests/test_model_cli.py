"""What a configuration costs: the counts against torch's own counter, and the command."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from tiny_viclip import TINY, clips, prompt_tokens, tiny_backbone
from torch.utils.flop_counter import FlopCounterMode

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.cost import BYTES, frozen_text_work, text_work, video_work
from adapt.model import main
from adapt.token_forest import plant

SMALL = AdapterConfig(start_block=2, end_block=3, dim=8, rank=4)
METHODS = ["msta", "adaptformer", "lora", "st_adapter", "full", "frozen"]


def counted(run) -> tuple[int, int]:
    """FLOPs of `run` and of the backward pass of what it returns."""
    with FlopCounterMode(display=False) as forward:
        out = run()
    if not out.requires_grad:
        return forward.get_total_flops(), 0
    with FlopCounterMode(display=False) as backward:
        out.sum().backward()
    return forward.get_total_flops(), backward.get_total_flops()


@pytest.fixture
def plain_attention():
    """The counter knows the products of plain attention, and not every fused kernel."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("plain_attention")
def test_video_flops_are_what_torch_counts(method):
    backbone = tiny_backbone()
    model = AdaptedModel(backbone, replace(SMALL, method=method)).train()
    work = video_work(TINY, model.config, 3, plain=False)
    forward, backward = counted(lambda: model.encode_video(clips()))
    # torch counts the weight gradient of a grouped convolution as if it had no groups.
    convolved = {"msta": TINY.vision_width, "st_adapter": 2 * SMALL.dim}.get(method, 0)
    backward -= (SMALL.dim - 1) * 6 * 3 * 16 * convolved
    # The projection of the class token, and in full the patches' gradient, are not counted.
    assert work.forward == pytest.approx(forward, rel=0.01)
    assert work.backward == pytest.approx(backward, rel=0.04, abs=10_000)


@pytest.mark.parametrize("method", ["msta", "adaptformer", "lora", "full"])
@pytest.mark.usefixtures("plain_attention")
def test_text_flops_are_what_torch_counts(method):
    model = AdaptedModel(tiny_backbone(), replace(SMALL, method=method)).train()
    prompts = model.prepare_prompts(prompt_tokens())
    trees, length = prompts.forest.ids.shape
    work = text_work(TINY, model.config, trees, length, once=method != "full")
    forward, backward = counted(lambda: model.encode_prompts(prompts))
    assert work.forward == pytest.approx(forward, rel=0.05)
    assert work.backward == pytest.approx(backward, rel=0.08)


@pytest.mark.usefixtures("plain_attention")
def test_frozen_sentences_are_counted_at_full_length():
    backbone = tiny_backbone()
    tokens = torch.zeros(4, 32, dtype=torch.int64)
    tokens[:, -1] = 49407
    with torch.no_grad():
        forward, _ = counted(lambda: backbone.encode_text(tokens))
    assert frozen_text_work(TINY, 4).forward == pytest.approx(forward, rel=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_memory_is_what_autograd_keeps(method):
    model = AdaptedModel(tiny_backbone(), replace(SMALL, method=method)).train()
    kept, own = {}, {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        held = model.encode_video(clips())
    actual = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del held
    estimate = BYTES * video_work(TINY, model.config, 3, plain=False).kept
    assert estimate == pytest.approx(actual, rel=0.2, abs=3_000)


def test_the_plain_recipe_computes_more():
    once = video_work(TINY, SMALL, 3, plain=False).forward
    assert video_work(TINY, SMALL, 3, plain=True).forward > once
    forest = plant(prompt_tokens())
    packed = text_work(TINY, SMALL, *forest.ids.shape, once=True).forward
    assert text_work(TINY, SMALL, 5, 32, once=False).forward > 5 * packed


def test_the_table_of_the_few_shot_recipe(capsys):
    assert main([]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "ViCLIP-B/16, 8 frames x 224 x 224 pixels"
    assert lines[1] == "msta on text and video: dim 128, scale 0.005; blocks 8-12"
    assert "video tower 86,198,784 0" in lines
    assert "adapter, shared 82,560 82,560" in lines
    assert "total 151,347,841 1,744,000 1.15%" in lines


@pytest.mark.parametrize(
    ("argv", "total"),
    [
        (["--recipe", "base-to-novel"], "total 158,316,033 8,712,192 5.50%"),
        (["--method", "adaptformer", "--recipe", "base-to-novel"], "157,489,665 7,885,824"),
        (["--method", "full"], "total 149,603,841 149,603,841 100.00%"),
        (["--method", "frozen"], "total 149,603,841 0 0.00%"),
        (["--method", "lora", "--start-block", "12"], "total 149,685,761 81,920 0.05%"),
        (["--method", "st_adapter", "--dim", "384", "--end-block", "8"], "592,512"),
        (["--backbone", "l14", "--dim", "64"], "total 428,"),
    ],
)
def test_other_configurations_are_a_flag_away(argv, total, capsys):
    assert main(argv) == 0
    assert total in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--dim", "512"], "dim is 512; the temporal convolution"),
        (["--end-block", "13"], "blocks 8-13; this backbone has blocks 1-12"),
        (["--dataset", "k4000"], "no dataset 'k4000'"),
        (["--batch", "0"], "--batch is 0; it must be at least 1"),
        (["--image-size", "225"], "image_size is 225; it must be a multiple of patch_size"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_1(argv, message, capsys):
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert error.startswith("adapt.model: ")
    assert message in error
    assert error.count("\n") == 1


def test_help_does_not_load_torch():
    code = (
        "import sys; from adapt.model import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
