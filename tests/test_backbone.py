"""ViCLIP: the published layout, the golden outputs, and what is skipped without changing them."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from tiny_viclip import TINY, clips, prompt_tokens, tiny_backbone
from torch import nn

from adapt.backbone import (
    VICLIP_B16,
    VICLIP_L14,
    Attend,
    Attention,
    Block,
    ViCLIP,
    ViCLIPConfig,
)
from adapt.tokens import tokenize
from describe.errors import UserError


@pytest.fixture(scope="module")
def golden(shared):
    with safe_open(shared / "golden" / "viclip_tiny.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        config = ViCLIPConfig(**json.loads(file.metadata()["config"]))
        texts = json.loads(file.metadata()["texts"])
    backbone = ViCLIP(config)
    prefix = "weights/"
    weights = {n.removeprefix(prefix): t.float() for n, t in tensors.items() if prefix in n}
    backbone.load_state_dict(weights, strict=True)
    return backbone.eval(), tensors, texts


@pytest.mark.shared
@pytest.mark.parametrize(
    ("config", "name", "count"),
    [(VICLIP_B16, "b16", 149_603_841), (VICLIP_L14, "l14", 427_590_145)],
)
def test_names_and_shapes_are_the_published_ones(shared, config, name, count):
    expected = json.loads((shared / "golden" / f"viclip_{name}_checkpoint_layout.json").read_text())
    with torch.device("meta"):
        state = ViCLIP(config).state_dict()
    assert {key: list(tensor.shape) for key, tensor in state.items()} == expected
    assert sum(tensor.numel() for tensor in state.values()) == count


@pytest.mark.shared
@torch.no_grad()
def test_golden_embeddings_are_met(golden):
    backbone, tensors, _ = golden
    video = backbone.encode_video(tensors["input/video"])
    text = backbone.encode_text(tensors["input/tokens"].long())
    torch.testing.assert_close(video, tensors["expected/video_embedding"], rtol=0, atol=1e-5)
    torch.testing.assert_close(text, tensors["expected/text_embedding"], rtol=0, atol=1e-5)


@pytest.mark.shared
def test_golden_token_ids_are_met(golden):
    _, tensors, texts = golden
    assert torch.equal(tokenize(texts).ids, tensors["input/tokens"].long())


@torch.no_grad()
def test_text_cut_to_its_longest_end_token_changes_nothing():
    backbone, tokens = tiny_backbone(), prompt_tokens()
    seen = []
    first = backbone.text_encoder.transformer.blocks[0]
    first.register_forward_hook(lambda module, args, out: seen.append(args[0].shape[1]))
    whole = backbone.encode_text(tokens)
    alone = torch.cat([backbone.encode_text(row[None]) for row in tokens])
    torch.testing.assert_close(whole, alone, rtol=1e-5, atol=1e-6)
    assert seen[0] == int(tokens.argmax(dim=-1).max()) + 1 < tokens.shape[1]


@torch.no_grad()
def test_attention_is_torchs_own():
    torch.manual_seed(0)
    ours, theirs = Attention(32, 4), nn.MultiheadAttention(32, 4, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    ours.load_state_dict({**theirs.state_dict(), "in_proj_weight": theirs.in_proj_weight})
    x = torch.randn(2, 7, 32)
    torch.testing.assert_close(ours(x, x, Attend(), {}), theirs(x, x, x)[0])
    causal = torch.ones(7, 7).triu(1).bool()
    expected = theirs(x, x, x, attn_mask=causal)[0]
    torch.testing.assert_close(ours(x, x, Attend(is_causal=True), {}), expected)


@torch.no_grad()
def test_a_block_is_pre_norm_with_quick_gelu():
    torch.manual_seed(0)
    block, x = Block(16, 2), torch.randn(2, 5, 16)
    nn.init.normal_(block.attn.in_proj_weight)
    h = x + block.attn(block.ln_1(x), block.ln_1(x), Attend(), {})
    hidden = block.mlp.c_fc(block.ln_2(h))
    expected = h + block.mlp.c_proj(hidden * torch.sigmoid(1.702 * hidden))
    torch.testing.assert_close(block(x, Attend()), expected)


@torch.no_grad()
def test_the_class_token_alone_comes_out_as_among_all():
    torch.manual_seed(0)
    block, x = Block(16, 2), torch.randn(2, 5, 16)
    nn.init.normal_(block.attn.in_proj_weight)
    torch.testing.assert_close(block(x, Attend(), first_token_only=True), block(x, Attend())[:, :1])


@torch.no_grad()
def test_the_order_of_frames_matters_to_video_and_the_class_token_has_no_time():
    backbone, video = tiny_backbone(), clips()
    assert not torch.allclose(backbone.encode_video(video), backbone.encode_video(video.flip(1)))
    tower = backbone.vision_encoder
    before = tower.embed(video)
    tower.temporal_positional_embedding.data *= 2
    after = tower.embed(video)
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1:], after[:, 1:])


@torch.no_grad()
def test_tokens_run_over_space_first_and_time_inside():
    tower, video = tiny_backbone().vision_encoder, clips(1)
    changed = video.clone()
    changed[0, 2, :, :16, 16:] += 1  # frame 2 of 4, patch 1 of 4
    moved = (tower.embed(video) != tower.embed(changed)).any(dim=-1)[0].nonzero().flatten()
    assert moved.tolist() == [1 + 1 * 4 + 2]


@torch.no_grad()
def test_frames_that_see_themselves_alone_have_no_order():
    backbone, video = tiny_backbone(per_frame_attention=True), clips()
    backbone.vision_encoder.temporal_positional_embedding.zero_()
    torch.testing.assert_close(backbone.encode_video(video), backbone.encode_video(video.flip(1)))


def test_temperature_is_never_below_a_hundredth():
    backbone = tiny_backbone()
    backbone.temp.data.fill_(0.001)
    assert backbone.temperature.item() == pytest.approx(0.01)
    backbone.temp.data.fill_(0.05)
    assert backbone.temperature.item() == pytest.approx(0.05)


@torch.no_grad()
def test_nothing_is_random_in_training_mode():
    backbone, video = tiny_backbone().train(), clips()
    assert torch.equal(backbone.encode_video(video), backbone.encode_video(video))


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(UserError, match="image_size is 225; it must be a multiple of patch_size"):
        ViCLIPConfig(image_size=225)
    with pytest.raises(UserError, match="text_width is 512; .* text_heads, which is 7"):
        ViCLIPConfig(text_heads=7)


def test_a_clip_of_another_shape_is_refused_with_both_shapes():
    with pytest.raises(
        ValueError, match=r"video is \(3, 8, 3, 32, 32\); .* \(B, \*\(4, 3, 32, 32\)"
    ):
        tiny_backbone().encode_video(clips(num_frames=8))


@torch.no_grad()
def test_any_size_runs():
    sizes = dict(image_size=48, patch_size=8, vision_width=24, vision_heads=3, num_frames=2)
    backbone = tiny_backbone(**sizes)
    video = clips(2, image_size=48, num_frames=2)
    assert F.normalize(backbone.encode_video(video), dim=-1).shape == (2, TINY.embed_dim)
