"""A whole step: gradients of the shared layer, precision, parts, compilation, kept prefixes."""

import logging
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tiny_viclip import clips, prompt_tokens, tiny_backbone

from adapt.adapted import AdaptedModel, Prefix
from adapt.adapter_config import AdapterConfig
from adapt.gradient_arms import train
from adapt.gradient_demo import main
from adapt.gradients import combine
from adapt.prefix_cache import PrefixCache
from adapt.step import StepConfig, accumulate_gradients
from describe.errors import UserError

SMALL = AdapterConfig(start_block=2, end_block=3, dim=8, scale=0.1, dropout=0.0)
LABELS = torch.tensor([0, 4, 2])
SHARED = "adapter.blocks.2.shared.linear.weight"


def adapted(config=SMALL, **changes) -> AdaptedModel:
    backbone = tiny_backbone(**changes)
    torch.manual_seed(3)
    return AdaptedModel(backbone, config).train()


def step(model, config=None, **options):
    described = F.normalize(torch.randn(5, 16, generator=torch.Generator().manual_seed(5)), dim=-1)
    prompts = model.prepare_prompts(prompt_tokens())
    videos = options.pop("videos", None)
    videos = clips() if videos is None else videos
    labels = options.pop("labels", LABELS)
    return accumulate_gradients(
        model, prompts, [described], videos, labels, config or StepConfig(), **options
    )


def gradients(model):
    named = model.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def test_separated_gradients_add_up_to_the_published_one():
    together, apart = adapted(), adapted()
    apart.separate_shared_gradients()
    step(together)
    reports = step(apart).shared_gradients
    assert sorted(reports) == [2, 3]
    for name, grad in gradients(together).items():
        torch.testing.assert_close(gradients(apart)[name], grad, rtol=1e-4, atol=1e-6)


def test_a_detached_branch_gives_the_shared_layer_nothing_and_keeps_its_own():
    whole, only_text = adapted(), adapted(replace(SMALL, shared_gradients="detach_video"))
    only_video = adapted(replace(SMALL, shared_gradients="detach_text"))
    for model in (whole, only_text, only_video):
        step(model)
    total, text, video = (gradients(model) for model in (whole, only_text, only_video))
    torch.testing.assert_close(text[SHARED] + video[SHARED], total[SHARED], rtol=1e-4, atol=1e-6)
    assert text[SHARED].any()
    assert video[SHARED].any()
    for name in total.keys() - {n for n in total if ".shared." in n}:
        torch.testing.assert_close(text[name], total[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("mode", ["balanced", "projected"])
def test_parts_of_a_batch_do_not_change_what_is_merged(mode):
    found = []
    for accumulate in (1, 3):
        model = adapted(replace(SMALL, shared_gradients=mode))
        step(model, StepConfig(accumulate=accumulate))
        found.append(gradients(model))
    for name, grad in found[0].items():
        torch.testing.assert_close(found[1][name], grad, rtol=1e-3, atol=1e-5)


def test_two_gradients_brought_together_by_hand():
    text, video = torch.tensor([4.0, 0.0]), torch.tensor([-3.0, 3.0])
    assert combine(text, video, "published").tolist() == [1.0, 3.0]
    assert combine(text, video, "detach_text").tolist() == [-3.0, 3.0]
    assert combine(text, video, "detach_video").tolist() == [4.0, 0.0]
    # text loses -12/18 video: (2, 2); video loses -12/16 text: (0, 3)
    torch.testing.assert_close(combine(text, video, "projected"), torch.tensor([2.0, 5.0]))
    balanced = combine(text, torch.tensor([0.0, 2.0]), "balanced")
    torch.testing.assert_close(balanced, torch.tensor([3.0, 3.0]))


def test_gradients_that_agree_or_are_zero_are_added():
    text, video, zero = torch.tensor([1.0, 1.0]), torch.tensor([2.0, 0.0]), torch.zeros(2)
    assert torch.equal(combine(text, video, "projected"), text + video)
    assert torch.equal(combine(text, zero, "balanced"), text)
    assert torch.equal(combine(zero, zero, "projected"), zero)


def test_the_optimizer_moves_what_both_branches_use():
    model = adapted(replace(SMALL, shared_gradients="balanced"))
    optimizer = torch.optim.SGD(model.trainable_parameters(), lr=0.1)
    before = model.get_parameter(SHARED).detach().clone()
    for _ in range(2):
        step(model)
        expected = model.get_parameter(SHARED).detach() - 0.1 * model.get_parameter(SHARED).grad
        optimizer.step()
        optimizer.zero_grad()
        torch.testing.assert_close(model.get_parameter(SHARED).detach(), expected)
    assert not torch.equal(model.get_parameter(SHARED), before)


def test_reduce_sees_every_gradient_before_it_is_merged():
    model, halved = (adapted(replace(SMALL, shared_gradients="balanced")) for _ in range(2))
    step(model)

    def halve(tensors):
        for tensor in tensors:
            tensor /= 2

    step(halved, reduce=halve)
    expected = gradients(model)
    assert expected
    for name, grad in gradients(halved).items():
        torch.testing.assert_close(grad, expected[name] / 2, rtol=1e-4, atol=1e-6)


def test_each_way_does_to_norms_and_angle_what_it_says():
    rows = {mode: train(mode, steps=2, seed=0) for mode in
            ("published", "balanced", "projected", "detach_text", "detach_video")}  # fmt: skip
    published, balanced = rows["published"], rows["balanced"]
    assert published.text_norm > 0
    assert published.video_norm > 0
    assert balanced.applied_to_text == pytest.approx(balanced.applied_to_video, abs=1e-4)
    assert rows["projected"].applied_to_text >= -1e-6
    assert rows["projected"].applied_to_video >= -1e-6
    assert rows["detach_text"].applied_to_video == pytest.approx(1, abs=1e-5)
    assert rows["detach_video"].applied_norm == pytest.approx(rows["detach_video"].text_norm)


def test_the_demonstration_prints_one_line_for_each_way(capsys):
    assert main(["--steps", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    ways = ["published", "balanced", "projected", "detach_text", "detach_video"]
    assert [line.split()[0] for line in lines[2:]] == ways
    assert main(["--steps", "0"]) == 1
    assert capsys.readouterr().err == "adapt.gradient_demo: --steps is 0; it must be at least 1\n"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_stays_near_float32_and_keeps_parameters_in_it(precision):
    exact, cast = adapted(), adapted()
    expected = step(exact)
    result = step(cast, StepConfig(precision=precision))
    assert {p.dtype for p in cast.parameters()} == {torch.float32}
    torch.testing.assert_close(
        result.video_embeddings.float(), expected.video_embeddings, rtol=0.1, atol=0.05
    )
    down = "adapter.blocks.2.video_down.weight"
    pair = gradients(exact)[down].flatten(), gradients(cast)[down].flatten()
    assert pair[1].dtype == torch.float32
    assert F.cosine_similarity(*pair, dim=0) > 0.95


def test_a_scaler_multiplies_every_gradient():
    plain, scaled = adapted(), adapted()
    step(plain)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    step(scaled, scaler=scaler)
    for name, grad in gradients(plain).items():
        torch.testing.assert_close(gradients(scaled)[name], 8 * grad, rtol=1e-4, atol=1e-5)


def test_without_alpha_or_descriptions_there_is_no_consistency_loss():
    assert step(adapted(), StepConfig(alpha=0.0)).consistency == 0
    model = adapted()
    prompts = model.prepare_prompts(prompt_tokens())
    result = accumulate_gradients(model, prompts, [], clips(), LABELS, StepConfig())
    assert result.consistency == 0


def test_the_checkpoints_own_temperature_is_an_option():
    model = adapted()
    model.backbone.temp.data.fill_(0.05)
    own = step(model, StepConfig(temperature=None)).classification
    torch.testing.assert_close(own, step(model, StepConfig(temperature=0.05)).classification)


def test_compiled_blocks_give_the_same_gradients():
    one_block = replace(SMALL, start_block=1, end_block=1)
    plain, compiled = (adapted(one_block, vision_layers=1, text_layers=1) for _ in range(2))
    compiled.compile_blocks(backend="aot_eager")
    step(plain)
    step(compiled)
    for name, grad in gradients(plain).items():
        torch.testing.assert_close(gradients(compiled)[name], grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("per_frame", [False, True])
def test_parts_of_a_prefix_are_parts_of_its_videos(per_frame):
    found = []
    for accumulate in (1, 3):
        model = adapted(per_frame_attention=per_frame)
        prefix = model.video_prefix(clips(), keep_block_output=True)
        step(model, StepConfig(accumulate=accumulate), videos=prefix)
        found.append(gradients(model))
    for name, grad in found[0].items():
        torch.testing.assert_close(found[1][name], grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", ["msta", "lora", "st_adapter", "adaptformer", "frozen"])
@pytest.mark.parametrize("keep_block_output", [False, True])
@torch.no_grad()
def test_kept_prefixes_change_nothing_and_are_computed_once(tmp_path, method, keep_block_output):
    model = adapted(replace(SMALL, method=method)).eval()
    cache = PrefixCache(tmp_path, model, keep_block_output)
    video, loads = clips(), []

    def load(missing):
        loads.append(list(missing))
        return video[missing]

    first = cache.fetch(["a", "b"], lambda missing: load(missing))
    again = cache.fetch(["b", "c", "a"], lambda missing: video[[2]] if missing == [1] else None)
    assert loads == [[0, 1]]
    expected = model.encode_video(video)
    torch.testing.assert_close(model.encode_video_prefix(first), expected[:2])
    torch.testing.assert_close(model.encode_video_prefix(again), expected[[1, 2, 0]])


@torch.no_grad()
def test_a_damaged_prefix_is_computed_again_and_another_backbone_finds_nothing(tmp_path, caplog):
    model, video = adapted().eval(), clips()
    cache = PrefixCache(tmp_path, model)
    cache.fetch(["a"], lambda missing: video[missing])
    file = next(tmp_path.rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:100])
    loads = []

    def load(missing):
        loads.append(missing)
        return video[missing]

    with caplog.at_level(logging.WARNING):
        fetched = cache.fetch(["a"], load)
    assert "damaged or cut short" in caplog.text
    assert loads == [[0]]
    assert isinstance(fetched, Prefix)
    backbone = tiny_backbone(seed=1)
    PrefixCache(tmp_path, AdaptedModel(backbone, SMALL)).fetch(["a"], load)
    PrefixCache(tmp_path, adapted(replace(SMALL, start_block=3))).fetch(["a"], load)
    assert loads == [[0], [0], [0]]


def test_full_fine_tuning_has_no_prefix_to_keep(tmp_path):
    with pytest.raises(UserError, match="has no frozen prefix to keep"):
        PrefixCache(tmp_path, adapted(replace(SMALL, method="full")))


@torch.no_grad()
def test_prefixes_of_another_precision_are_kept_apart(tmp_path):
    model, video, loads = adapted().eval(), clips(), []
    cache = PrefixCache(tmp_path, model)

    def load(missing):
        loads.append(missing)
        return video[missing]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        cache.fetch(["a"], load)
        cache.fetch(["a"], load)
    cache.fetch(["a"], load)
    assert loads == [[0], [0]]


@pytest.mark.parametrize("mode", ["published", "balanced"])
def test_gradients_of_two_batches_add_up(mode):
    model = adapted(replace(SMALL, shared_gradients=mode))
    step(model)
    once = gradients(model)
    step(model)
    for name, grad in gradients(model).items():
        torch.testing.assert_close(grad, 2 * once[name], rtol=1e-4, atol=1e-6, msg=name)


def test_an_empty_batch_still_has_the_consistency_loss():
    model = adapted()
    result = step(model, videos=clips()[:0], labels=LABELS[:0])
    assert result.classification == 0
    assert result.consistency > 0
    assert result.video_embeddings.shape == (0, 16)
    found = gradients(model)
    assert any(name.endswith("text_up.weight") and grad.any() for name, grad in found.items())
    assert not any("video_up" in name for name in found)


@pytest.mark.parametrize("mode", ["published", "balanced"])
def test_every_process_reduces_the_same_tensors_whatever_its_batch(mode):
    """Rank 0 has a batch and all of its weight, rank 1 has none: both end as rank 0 would alone."""
    config = replace(SMALL, shared_gradients=mode)
    alone = adapted(config)
    step(alone)
    sent, models = [], [adapted(config) for _ in range(2)]
    step(models[0], reduce=lambda tensors: sent.extend(each.clone() for each in tensors))

    def receive(tensors):
        assert [each.shape for each in tensors] == [each.shape for each in sent]
        for tensor, other in zip(tensors, sent, strict=True):
            tensor.copy_(other)

    step(models[1], videos=clips()[:0], labels=LABELS[:0], reduce=receive)
    for model in models:
        found, expected = gradients(model), gradients(alone)
        assert found.keys() == expected.keys()
        for name, grad in found.items():
            torch.testing.assert_close(grad, expected[name])


def test_a_scaler_does_not_change_what_is_reported():
    config = replace(SMALL, shared_gradients="balanced")
    plain_report = step(adapted(config)).shared_gradients
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaled_report = step(adapted(config), scaler=scaler).shared_gradients
    for block, report in plain_report.items():
        assert scaled_report[block].text_norm == pytest.approx(report.text_norm, rel=1e-3)
        assert scaled_report[block].cosine == pytest.approx(report.cosine, abs=1e-3)
