"""MSTA against a plain statement of the method, and every saving against no saving."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny_viclip import clips, description_tokens, prompt_tokens, tiny_backbone

from adapt import plain
from adapt.adapted import AdaptedModel
from adapt.adapter_config import BASE_TO_NOVEL, FEW_SHOT, AdapterConfig
from adapt.adapter_file import load_adapter, save_adapter
from adapt.backbone import VICLIP_B16, ViCLIP
from adapt.checkpoint import backbone_hash
from adapt.msta import MSTABlock
from adapt.step import StepConfig, accumulate_gradients
from adapt.temporal_conv import temporal_conv
from describe.errors import UserError

SMALL = AdapterConfig(start_block=2, end_block=3, dim=8, scale=0.1, dropout=0.0)
LABELS = torch.tensor([0, 4, 2])


def adapted(config=SMALL, **changes) -> AdaptedModel:
    backbone = tiny_backbone(**changes)
    torch.manual_seed(3)
    model = AdaptedModel(backbone, config)
    for name, parameter in model.adapter.named_parameters():
        if name.endswith("bias"):  # zero at first, and so easily forgotten
            torch.nn.init.normal_(parameter, std=0.1)
    return model.train()


def gradients(model):
    named = model.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def assert_same(one: dict, other: dict, rtol=1e-4):
    unused = {name for name in one.keys() ^ other.keys() if (one | other)[name].any()}
    assert not unused
    for name in one.keys() & other.keys():
        torch.testing.assert_close(one[name], other[name], rtol=rtol, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FEW_SHOT, 1_744_000),
        (BASE_TO_NOVEL, 8_712_192),
        (replace(FEW_SHOT, end_block=8), 348_800),
        (replace(FEW_SHOT, branches="text"), 5 * (65_664 + 66_048 + 16_512)),
        (replace(FEW_SHOT, branches="video"), 5 * (98_432 + 99_072 + 3_072 + 16_512)),
        (replace(FEW_SHOT, shared="none"), 1_744_000 - 5 * 16_512),
        (replace(FEW_SHOT, temporal=False), 1_744_000 - 5 * 3_072),
        (replace(FEW_SHOT, shared="separate"), 1_744_000 + 5 * 16_512),
    ],
)
def test_parameters_are_counted_as_published(config, expected):
    with torch.device("meta"):
        model = AdaptedModel(ViCLIP(VICLIP_B16), config)
    assert sum(parameter.numel() for parameter in model.trainable_parameters()) == expected


@pytest.mark.parametrize("per_frame", [False, True])
@torch.no_grad()
def test_scale_zero_is_the_backbone(per_frame):
    model = adapted(replace(SMALL, scale=0.0), per_frame_attention=per_frame)
    video, tokens = clips(), prompt_tokens()
    assert torch.equal(model.encode_video(video), model.backbone.encode_video(video))
    encoded = model.encode_prompts(model.prepare_prompts(tokens))
    torch.testing.assert_close(encoded, model.backbone.encode_text(tokens), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_one_adapter_by_hand():
    """Width 2, dim 1, one patch of three frames: small enough to work out on paper."""
    sizes = replace(VICLIP_B16, vision_width=2, vision_heads=1, text_width=4, text_heads=1,
                    num_frames=3)  # fmt: skip
    block = MSTABlock(AdapterConfig(dim=1, scale=0.5, dropout=0.0), sizes)
    block.video_down.weight.copy_(torch.tensor([[1.0, 0.0]]))
    block.video_up.weight.copy_(torch.tensor([[1.0], [10.0]]))
    block.video_temporal.weight.copy_(torch.tensor([[1.0, 2, 3], [0, 1, 0]]).view(2, 1, 3, 1, 1))
    block.shared.linear.weight.fill_(2.0)
    block.shared.linear.bias.fill_(-1.0)
    normed = torch.tensor([[[1.0, 9], [1, 9], [-1, 9], [2, 9]]])  # class token, frames 0 to 2
    # relu(down) is 1 | 1 0 2; S = relu(2 h - 1) is 1 | 1 0 3; up gives (h, 10 h).
    # conv, taps 1 2 3 and 0 1 0: 0+2+0, 1+0+9, 0+6+0 and 1, 0, 3.
    expected = torch.tensor([[[1.0, 10], [3, 11], [10, 0], [9, 33]]]) * 0.5
    out = block.video(torch.zeros(1, 4, 2), torch.zeros(1, 4, 2), normed)
    torch.testing.assert_close(out, expected)


@torch.no_grad()
def test_without_the_temporal_convolution_a_frame_gets_nothing_of_another():
    for temporal in (True, False):
        block = adapted(replace(SMALL, temporal=temporal)).adapter.blocks["2"]
        normed = torch.rand(1, 1 + 4 * 4, 32)  # 4 frames; token 1 + n * T + t
        moved = normed.clone()
        moved[:, 1::4] += 5 * torch.randn(32)  # frame 0 of every patch
        zero = torch.zeros_like(normed)
        changed = (block.video(zero, zero, moved) != block.video(zero, zero, normed)).any(dim=-1)
        assert changed[0, 1::4].all()
        assert changed[0, 2::4].any() == temporal  # frame 1, its neighbour
        assert not changed[0, 3::4].any()


def test_a_temporal_class_token_needs_the_convolution():
    with pytest.raises(UserError, match="needs the temporal convolution"):
        AdapterConfig(temporal=False, class_token="temporal")


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, start_block=1, end_block=2, dim=4)])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("prefix", ["none", "hidden", "output"])
def test_a_step_equals_the_plain_recipe(config, accumulate, prefix):
    model, video = adapted(config), clips()
    sentences = description_tokens()
    loss = plain.step_loss(model, prompt_tokens(), sentences, video, LABELS)
    loss.backward()
    expected = gradients(model)
    model.zero_grad()
    described = [plain._mean_embedding(model, ids, 5).detach() for ids in sentences]
    prompts = model.prepare_prompts(prompt_tokens())
    inputs = video if prefix == "none" else model.video_prefix(
        video, keep_block_output=prefix == "output"
    )  # fmt: skip
    result = accumulate_gradients(
        model, prompts, described, inputs, LABELS, StepConfig(accumulate=accumulate)
    )
    torch.testing.assert_close(result.classification + result.consistency, loss.detach())
    assert_same(gradients(model), expected, rtol=2e-3)


def test_recomputing_blocks_gives_the_same_gradients_with_dropout():
    model = adapted(replace(SMALL, dropout=0.5))
    seen = []
    for recompute in (False, True):
        model.recompute_blocks = recompute
        model.zero_grad()
        torch.manual_seed(7)
        model.encode_video(clips()).square().sum().backward()
        seen.append(gradients(model))
    assert seen[1]
    assert_same(*seen)


def kept_bytes(model, run):
    kept, own = {}, {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        held = run()
    del held
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def test_nothing_below_the_first_adapted_block_is_kept():
    last = adapted(replace(SMALL, start_block=3))
    every = adapted(replace(SMALL, start_block=1))
    deeper = adapted(replace(SMALL, start_block=9, end_block=9), vision_layers=9, text_layers=9)
    kept = [kept_bytes(m, lambda m=m: m.encode_video(clips())) for m in (last, every, deeper)]
    assert kept[0] == kept[2]  # eight frozen blocks below, or two: the same
    assert kept[0] * 4 < kept[1]
    assert last.video_prefix(clips()).hidden.grad_fn is None


def test_recomputing_blocks_keeps_less():
    model = adapted(replace(SMALL, start_block=1))
    plainly = kept_bytes(model, lambda: model.encode_video(clips()))
    model.recompute_blocks = True
    assert kept_bytes(model, lambda: model.encode_video(clips())) * 3 < plainly


def train_a_little(model, steps=3):
    optimizer = torch.optim.AdamW(model.trainable_parameters(), lr=1e-2)
    prompts = model.prepare_prompts(prompt_tokens())
    for _ in range(steps):
        accumulate_gradients(model, prompts, [], clips(), LABELS, StepConfig())
        optimizer.step()
        optimizer.zero_grad()


def test_only_the_adapter_trains_and_the_backbone_keeps_its_hash():
    model = adapted()
    before, hash_before = snapshot(model), backbone_hash(model.backbone)
    train_a_little(model)
    changed = {n for n, t in snapshot(model).items() if not torch.equal(t, before[n])}
    assert changed
    assert all(name.startswith("adapter.") for name in changed)
    assert backbone_hash(model.backbone) == hash_before
    assert all(p.grad is None for p in model.backbone.parameters())


def snapshot(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@torch.no_grad()
def test_dropout_is_in_the_adapters_of_a_training_model_alone():
    model, video = adapted(replace(SMALL, dropout=0.5)), clips()
    assert not torch.equal(model.encode_video(video), model.encode_video(video))
    assert torch.equal(model.backbone.encode_video(video), model.backbone.encode_video(video))
    model.eval()
    assert torch.equal(model.encode_video(video), model.encode_video(video))


def test_gradient_scaling_leaves_the_forward_pass_and_frees_the_adapters_gradient():
    found = {}
    for scaling in (True, False):
        model = adapted(replace(SMALL, start_block=3, scale=0.01, gradient_scaling=scaling))
        out = model.encode_prompts(model.prepare_prompts(prompt_tokens()))
        out.square().sum().backward()
        found[scaling] = out.detach(), gradients(model)
    assert torch.equal(found[True][0], found[False][0])
    for name, grad in found[True][1].items():
        torch.testing.assert_close(grad, found[False][1][name] / 0.01, rtol=1e-4, atol=1e-4)


def test_gradient_scaling_keeps_the_gradient_that_goes_further_down():
    """An adapter below gets what it would get without any scaling, up to its own factor."""
    found = {}
    for scaling in (True, False):
        model = adapted(replace(SMALL, scale=0.01, gradient_scaling=scaling))
        model.encode_video(clips()).square().sum().backward()
        found[scaling] = gradients(model)["adapter.blocks.2.video_down.weight"]
    torch.testing.assert_close(found[True], found[False] / 0.01, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("field", ["class_token", "input_norm", "shared", "branches", "temporal"])
@torch.no_grad()
def test_every_option_changes_what_comes_out(field):
    base = adapted(replace(SMALL, dropout=0.0, start_block=2, end_block=2))
    other = {"class_token": "none", "input_norm": False, "shared": "none", "branches": "text",
             "temporal": False}  # fmt: skip
    model = adapted(replace(base.config, **{field: other[field]}))
    matching = {n: t for n, t in base.state_dict().items() if n in model.state_dict()}
    model.load_state_dict(matching, strict=False)
    assert not torch.allclose(model.encode_video(clips()), base.encode_video(clips()), atol=1e-5)


@pytest.mark.parametrize("class_token", ["spatial", "temporal", "none"])
@pytest.mark.parametrize("per_frame", [False, True])
@torch.no_grad()
def test_the_class_token_alone_is_adapted_as_among_all(class_token, per_frame):
    model = adapted(replace(SMALL, class_token=class_token), per_frame_attention=per_frame)
    block = model.adapter.blocks["3"]
    tokens = 1 + 4 if per_frame else 1 + 4 * 4
    out, x, normed = torch.randn(3, 8, tokens, 32)
    whole = block.video(out, x, normed)
    alone = block.video(out[:, :1], x[:, :1], normed[:, :1])
    torch.testing.assert_close(alone, whole[:, :1])
    assert torch.equal(whole[:, :1], out[:, :1]) == (class_token == "none")


@torch.no_grad()
def test_the_temporal_class_token_gets_the_middle_tap_besides():
    torch.manual_seed(0)
    block = adapted(replace(SMALL, class_token="temporal")).adapter.blocks["2"]
    plain_block = adapted(SMALL).adapter.blocks["2"]
    plain_block.load_state_dict(block.state_dict())
    out, x, normed = torch.randn(3, 2, 17, 32)
    h = F.relu(block.shared.linear(F.relu(block.video_down(normed[:, 0]))))
    middle = block.video_temporal.weight[:, 0, 1, 0, 0]
    extra = h.repeat_interleave(4, dim=-1) * middle + block.video_temporal.bias
    difference = block.video(out, x, normed) - plain_block.video(out, x, normed)
    torch.testing.assert_close(difference[:, 0], 0.1 * extra, rtol=1e-4, atol=1e-5)
    assert not difference[:, 1:].any()


@pytest.mark.parametrize("time_axis", [1, 2])
@pytest.mark.parametrize("kernel", ["auto", "conv2d", "conv3d", "shift"])
def test_every_kernel_is_the_same_convolution(kernel, time_axis):
    torch.manual_seed(0)
    h = torch.randn(2, 5, 3, 4) if time_axis == 2 else torch.randn(2, 3, 5, 4)
    weight, bias = torch.randn(12, 1, 3, 1, 1), torch.randn(12)
    inputs = [x.requires_grad_() for x in (h, weight, bias)]
    out = temporal_conv(*inputs, time_axis=time_axis, kernel=kernel)
    frames = h.unbind(time_axis)
    zero = torch.zeros_like(frames[0])
    rows = []
    for t in range(3):
        window = [frames[s] if 0 <= s < 3 else zero for s in (t - 1, t, t + 1)]
        spread = [x.repeat_interleave(3, dim=-1) * weight[:, 0, k, 0, 0]
                  for k, x in enumerate(window)]  # fmt: skip
        rows.append(sum(spread) + bias)
    expected = torch.stack(rows, dim=time_axis)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    weights = torch.randn_like(out)
    ours = torch.autograd.grad((out * weights).sum(), inputs)
    theirs = torch.autograd.grad((expected * weights).sum(), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_towers_of_other_depths_are_paired_from_their_last_blocks():
    model = adapted(replace(SMALL, start_block=1, end_block=1), vision_layers=5)
    hooked = [index for index in range(5) if model._hooks("video", index).beside_block]
    assert hooked == [2]
    assert [i for i in range(3) if model._hooks("text", i).beside_block] == [0]
    assert model.encode_video(clips()).shape == (3, 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 512}, "dim is 512; the temporal convolution has dim groups, so dim must divide "
                       r"the video width 768 \(and at the text width 512"),
        ({"dim": 768}, "dim is 768, the width of a tower; published adapters of that width have"),
        ({"dim": 512, "branches": "text"}, "dim is 512, the width of a tower"),
        ({"end_block": 13}, "blocks 8-13; this backbone has blocks 1-12"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_backbone_is_refused_in_one_line(changes, message):
    with torch.device("meta"), pytest.raises(UserError, match=message) as error:
        AdaptedModel(ViCLIP(VICLIP_B16), replace(FEW_SHOT, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start_block": 0}, "blocks 0-12; blocks count from 1"),
        ({"start_block": 9, "end_block": 8}, "blocks 9-8; blocks count from 1, first to last"),
        ({"dim": 0}, "dim is 0; it must be at least 1"),
        ({"rank": 0}, "rank is 0; it must be at least 1"),
        ({"dropout": 1.0}, r"dropout is 1.0; it must be in \[0, 1\)"),
        ({"method": "st_adapter", "branches": "text"}, "st_adapter has no text branch"),
        ({"shared": "none", "shared_gradients": "balanced"}, "has no layer that both branches"),
    ],
)
def test_impossible_adapters_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        AdapterConfig(**changes)


def test_an_adapter_is_saved_alone_and_comes_back(tmp_path):
    model = adapted()
    train_a_little(model)
    save_adapter(model, tmp_path / "run" / "adapter.safetensors")
    assert (tmp_path / "run" / "adapter.safetensors").stat().st_size < 20_000
    loaded = load_adapter(tiny_backbone(), tmp_path / "run" / "adapter.safetensors")
    assert loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded.eval().encode_video(clips()), model.eval().encode_video(clips()))


def test_a_fully_trained_backbone_is_saved_with_the_hash_of_its_start(tmp_path):
    model, start = adapted(replace(SMALL, method="full")), backbone_hash(tiny_backbone())
    train_a_little(model)
    save_adapter(model, tmp_path / "full.safetensors", backbone=start)
    loaded = load_adapter(tiny_backbone(), tmp_path / "full.safetensors")
    assert backbone_hash(loaded.backbone) == backbone_hash(model.backbone) != start


def test_an_adapter_of_another_backbone_is_refused(tmp_path):
    save_adapter(adapted(), tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="was trained on backbone b1:.*, and this one is b1:"):
        load_adapter(tiny_backbone(seed=1), tmp_path / "a.safetensors")


def test_a_damaged_adapter_file_is_named(tmp_path):
    from adapt.weight_files import read_weights, write_safetensors

    path = tmp_path / "a.safetensors"
    save_adapter(adapted(), path)
    file = read_weights(path)
    name = "adapter.blocks.2.text_down.weight"
    without = {key: tensor for key, tensor in file.state.items() if key != name}
    cases = [
        (without, dict(file.metadata), rf"has no {name}, expected \[8, 16\]"),
        ({**without, name: torch.zeros(3)}, dict(file.metadata), r"is \[3\], expected \[8, 16\]"),
        ({**file.state, "x": torch.zeros(1)}, dict(file.metadata), "has x, which this adapter"),
        (file.state, {}, "is no adapter file of format msta-adapter-1"),
        (file.state, {**file.metadata, "config": '{"dim": 8}'}, "has an unreadable config"),
    ]
    for state, metadata, message in cases:
        write_safetensors(path, state, metadata)
        with pytest.raises(UserError, match=message):
            load_adapter(tiny_backbone(), path)


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(UserError, match="cannot write .*file/a.safetensors: "):
        save_adapter(adapted(), blocker / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_trained_backbone_is_never_saved_as_its_own_start(tmp_path):
    with pytest.raises(ValueError, match="needs the hash of what it started from"):
        save_adapter(adapted(replace(SMALL, method="full")), tmp_path / "full.safetensors")


def test_loading_a_trained_backbone_leaves_the_given_one_as_it_is(tmp_path):
    model, given = adapted(replace(SMALL, method="full")), tiny_backbone()
    start = backbone_hash(given)
    with torch.no_grad():
        model.backbone.vision_encoder.proj += 1
    save_adapter(model, tmp_path / "full.safetensors", backbone=start)
    for _ in range(2):
        loaded = load_adapter(given, tmp_path / "full.safetensors")
        assert torch.equal(loaded.backbone.vision_encoder.proj, model.backbone.vision_encoder.proj)
        assert backbone_hash(given) == start


def test_an_adapter_with_nan_is_refused(tmp_path):
    model = adapted()
    model.get_parameter("adapter.blocks.2.text_up.weight").data[0, 0] = float("nan")
    save_adapter(model, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"blocks.2.text_up.weight has NaN or infinite values"):
        load_adapter(tiny_backbone(), tmp_path / "a.safetensors")
