"""The adapters that MSTA is compared with: counts, positions, and where they start from."""

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import Linear as PeftLinear
from tiny_viclip import clips, prompt_tokens, tiny_backbone

from adapt.adapted import AdaptedModel
from adapt.adapter_config import AdapterConfig
from adapt.adapters import Bottleneck, LowRank
from adapt.backbone import VICLIP_B16, ViCLIP
from adapt.checkpoint import backbone_hash
from adapt.step import StepConfig, accumulate_gradients
from describe.errors import UserError

SMALL = AdapterConfig(start_block=2, end_block=3, dim=8, scale=0.1, rank=4, dropout=0.0)
LABELS = torch.tensor([0, 4, 2])


def adapted(method, **changes) -> AdaptedModel:
    backbone = tiny_backbone()
    torch.manual_seed(3)
    return AdaptedModel(backbone, replace(SMALL, method=method, **changes)).train()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"method": "adaptformer", "dim": 256, "start_block": 1}, 7_885_824),
        ({"method": "adaptformer", "dim": 256, "end_block": 8}, 657_152),
        ({"method": "adaptformer", "branches": "video", "end_block": 8, "dim": 256}, 394_240),
        # down 768 -> 384, three taps and a bias a channel, up 384 -> 768
        ({"method": "st_adapter", "dim": 384, "end_block": 8}, 295_296 + 1_536 + 295_680),
        # q and v of both towers: 2 * 16 * (768 + 768) + 2 * 16 * (512 + 512)
        ({"method": "lora", "end_block": 8}, 49_152 + 32_768),
        ({"method": "lora", "end_block": 8, "branches": "text", "lora_targets": ("fc",)}, 40_960),
        ({"method": "full"}, 149_603_841),
        ({"method": "frozen"}, 0),
    ],
)
def test_parameters_are_counted(changes, expected):
    with torch.device("meta"):
        model = AdaptedModel(ViCLIP(VICLIP_B16), AdapterConfig(**changes))
    assert sum(parameter.numel() for parameter in model.trainable_parameters()) == expected


@pytest.mark.parametrize("method", ["adaptformer", "lora", "st_adapter", "full", "frozen"])
@pytest.mark.parametrize("per_frame", [False, True])
@torch.no_grad()
def test_every_method_starts_from_the_backbone(method, per_frame):
    backbone = tiny_backbone(per_frame_attention=per_frame)
    model = AdaptedModel(backbone, replace(SMALL, method=method))
    expected = backbone.encode_video(clips())
    torch.testing.assert_close(model.encode_video(clips()), expected, rtol=1e-5, atol=1e-6)
    encoded = model.encode_prompts(model.prepare_prompts(prompt_tokens()))
    expected = backbone.encode_text(prompt_tokens())
    torch.testing.assert_close(encoded, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        ("adaptformer", {"video", "text"}),
        ("lora", {"video", "text"}),
        ("st_adapter", {"video"}),
    ],
)
def test_a_step_trains_the_adapter_alone_and_moves_both_embeddings(method, trained):
    model, before = adapted(method), backbone_hash(tiny_backbone())
    frozen = model.encode_video(clips()).detach()
    prompts = model.prepare_prompts(prompt_tokens())
    frozen_text = model.encode_prompts(prompts).detach()
    optimizer = torch.optim.AdamW(model.trainable_parameters(), lr=0.1)
    for _ in range(2):  # what starts at zero lets nothing through in the first
        accumulate_gradients(model, prompts, [], clips(), LABELS, StepConfig())
        assert {n for n, p in model.named_parameters() if p.grad is not None} <= {
            n for n, _ in model.named_parameters() if n.startswith("adapter.")
        }
        optimizer.step()
        optimizer.zero_grad()
    assert backbone_hash(model.backbone) == before
    assert not torch.allclose(model.encode_video(clips()), frozen)
    moved = not torch.allclose(model.encode_prompts(prompts), frozen_text)
    assert moved == ("text" in trained)


def test_full_fine_tuning_reaches_every_tower_and_temp():
    model = adapted("full")
    prompts = model.prepare_prompts(prompt_tokens())
    config = StepConfig(temperature=None, accumulate=3, consistency="kl")
    model.backbone.temp.data.fill_(0.05)
    accumulate_gradients(model, prompts, [torch.randn(5, 16)], clips(), LABELS, config)
    assert all(p.grad is not None for p in model.backbone.parameters())


@torch.no_grad()
def test_lora_is_pefts_on_a_linear_layer():
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(6, 10), torch.randn(2, 3, 6)
    theirs = PeftLinear(
        layer, "default", LoraConfig(r=4, lora_alpha=8), r=4, lora_alpha=8, lora_dropout=0.0
    )
    ours = LowRank((6, 10), replace(SMALL, rank=4, lora_alpha=8.0))
    ours.lora_B.normal_()
    theirs.lora_A["default"].weight.copy_(ours.lora_A)
    theirs.lora_B["default"].weight.copy_(ours.lora_B)
    torch.testing.assert_close(layer(x) + ours(x), theirs(x))


@pytest.mark.parametrize("target", ["q", "k", "v", "out", "fc", "proj"])
@torch.no_grad()
def test_a_lora_update_is_the_same_as_a_changed_weight(target):
    model = adapted("lora", lora_targets=(target,), start_block=3)
    for name, parameter in model.adapter.named_parameters():
        parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(len(name)))
    merged = tiny_backbone()
    for tower, branch in ((merged.vision_encoder, "video"), (merged.text_encoder, "text")):
        block = tower.transformer.blocks[2]
        update = model.adapter.blocks.get_submodule(f"{branch}.3.{target}")
        delta = update.scale * update.lora_B @ update.lora_A
        width = delta.shape[1]
        if target in "qkv":
            row = "qkv".index(target) * width
            block.attn.in_proj_weight[row : row + width] += delta
        else:
            layers = {"out": block.attn.out_proj, "fc": block.mlp.c_fc, "proj": block.mlp.c_proj}
            layers[target].weight += delta
    video, expected = model.encode_video(clips()), merged.encode_video(clips())
    assert not torch.allclose(video, tiny_backbone().encode_video(clips()), atol=1e-4)
    torch.testing.assert_close(video, expected, rtol=1e-4, atol=1e-5)
    text = model.encode_prompts(model.prepare_prompts(prompt_tokens()))
    torch.testing.assert_close(text, merged.encode_text(prompt_tokens()), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_adaptformer_stands_beside_the_mlp():
    torch.manual_seed(0)
    model = adapted("adaptformer", start_block=3)
    bottleneck = model.adapter.blocks.get_submodule("text.3")
    bottleneck.up.weight.normal_()
    block = model.backbone.text_encoder.transformer.blocks[2]
    hooks = model.adapter.hooks("text", 3)
    from adapt.backbone import Attend

    x = torch.randn(2, 5, 16)
    h = x + block.attn(block.ln_1(x), block.ln_1(x), Attend(), {})
    down = torch.relu(bottleneck.down(h))
    expected = block(x, Attend()) + 0.1 * bottleneck.up(down)
    torch.testing.assert_close(block(x, Attend(), hooks), expected)
    assert isinstance(bottleneck, Bottleneck)


@torch.no_grad()
def test_st_adapter_moves_information_between_frames_and_spares_the_class_token():
    model = adapted("st_adapter")
    part = model.adapter.blocks.get_submodule("video.2")
    for parameter in part.parameters():
        parameter.normal_()
    x = torch.zeros(1, 17, 32)
    still = part(x)
    x[0, 1 + 2 * 4 + 1] = 1.0  # patch 2, frame 1
    moved = (part(x) != still).any(dim=-1)[0].nonzero().flatten().tolist()
    assert moved == [1 + 2 * 4 + frame for frame in (0, 1, 2)]
    assert not part(x)[:, 0].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mstaa"}, "method is 'mstaa'; choose among msta, adaptformer, lora"),
        ({"branches": "vid"}, "branches is 'vid'; choose among both, text, video"),
        ({"shared_gradients": "mean"}, "shared_gradients is 'mean'; choose among published"),
        ({"lora_targets": ("q", "w")}, "lora_targets is 'w'; choose among q, k, v"),
        ({"lora_targets": ()}, "lora_targets is empty; choose among q, k, v"),
        ({"scale": float("nan")}, "scale is nan; it must be a finite number"),
        ({"lora_alpha": float("inf")}, "lora_alpha is inf; it must be a finite number"),
    ],
)
def test_a_configuration_from_a_file_is_checked_like_flags(changes, message):
    with pytest.raises(UserError, match=message):
        AdapterConfig(**changes)
