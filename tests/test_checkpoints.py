"""Loading backbones: every form they come in, and one line for every way they can be wrong."""

import contextlib
import json
import logging
import os
import pickle
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from tiny_viclip import TINY, clips, prompt_tokens, tiny_backbone

from adapt.backbone import ViCLIP
from adapt.checkpoint import (
    SPATIAL,
    TEMPORAL,
    backbone_hash,
    fit_spatial,
    fit_temporal,
    infer_config,
    load_backbone,
    save_backbone,
)
from adapt.weight_files import read_weights, write_safetensors
from describe.errors import UserError

# Heads cannot be read from shapes; these sizes have heads of 64 channels, as published ones have.
INFERABLE = dict(vision_width=64, vision_heads=1, text_width=64, text_heads=1)


@pytest.fixture
def published():
    return tiny_backbone(**INFERABLE)


@torch.no_grad()
def same(one: ViCLIP, other: ViCLIP) -> bool:
    return torch.equal(one.encode_video(clips()), other.encode_video(clips())) and torch.equal(
        one.encode_text(prompt_tokens()), other.encode_text(prompt_tokens())
    )


def test_a_pth_file_is_read(published, tmp_path):
    path = tmp_path / "ViCLIP.pth"
    torch.save({"model": published.state_dict()}, path)
    assert same(load_backbone(path), published)


def test_safetensors_alone_and_in_a_folder_are_read(published, tmp_path):
    save_file(published.state_dict(), tmp_path / "model.safetensors")
    assert same(load_backbone(tmp_path / "model.safetensors"), published)
    assert same(load_backbone(str(tmp_path)), published)


def test_half_precision_weights_become_float32(published, tmp_path):
    path = tmp_path / "half.safetensors"
    save_file({name: tensor.half() for name, tensor in published.state_dict().items()}, path)
    assert {tensor.dtype for tensor in load_backbone(path).state_dict().values()} == {torch.float32}


def test_a_saved_backbone_comes_back_with_its_own_sizes(tmp_path):
    backbone = tiny_backbone()  # heads of 16 and 8 channels: only the stored sizes know them
    save_backbone(backbone, tmp_path / "deep" / "tiny.safetensors")
    loaded = load_backbone(tmp_path / "deep" / "tiny.safetensors")
    assert loaded.config == TINY
    assert same(loaded, backbone)
    assert backbone_hash(loaded) == backbone_hash(backbone)


@pytest.mark.shared
def test_the_sizes_of_published_files_are_read_from_their_shapes(shared):
    from adapt.backbone import VICLIP_B16, VICLIP_L14

    for name, expected in (("b16", VICLIP_B16), ("l14", VICLIP_L14)):
        path = shared / "golden" / f"viclip_{name}_checkpoint_layout.json"
        shapes = json.loads(path.read_text()).items()
        state = {key: torch.empty(shape, device="meta") for key, shape in shapes}
        assert infer_config(state, path) == expected


def fill_hub_cache(cache, name, state, config=None):
    """Lay a model into an empty hub cache, as a download leaves it."""
    folder = cache / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    save_file(state, snapshot / "model.safetensors")
    if config:
        (snapshot / "config.json").write_text(json.dumps(config))


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    cache = tmp_path / "hf"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return cache


def test_a_hub_name_is_read_from_the_hubs_cache(published, hub_cache):
    fill_hub_cache(hub_cache, "OpenGVLab/ViCLIP-B-16-hf", published.state_dict())
    assert same(load_backbone("OpenGVLab/ViCLIP-B-16-hf"), published)


def test_offline_without_the_model_is_one_line(hub_cache):
    with pytest.raises(
        UserError, match="cannot load OpenGVLab/ViCLIP-L-14-hf: the hub cannot"
    ) as e:
        load_backbone("OpenGVLab/ViCLIP-L-14-hf")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("source", ["nowhere.pth", "./a/b", "too/many/parts", "a/b.safetensors"])
def test_a_path_that_is_not_there_is_named(source):
    with pytest.raises(UserError, match=f"no weights at {source}; give a file, a folder, or a hub"):
        load_backbone(source)


def test_a_folder_with_several_weight_files_names_them(published, tmp_path):
    for name in ("a.pth", "b.pth"):
        torch.save({"model": published.state_dict()}, tmp_path / name)
    with pytest.raises(UserError, match="must hold one weight file; found: a.pth, b.pth"):
        load_backbone(tmp_path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch):  # failure 35
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Bomb()}, "bomb.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Bomb()))
    for name in ("bomb.pth", "bare.pth"):
        with pytest.raises(UserError, match=f"{name} is not plain tensors: it names code to run"):
            load_backbone(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_a_truncated_file_is_refused(published, tmp_path, suffix, keep):  # failure 35
    path = tmp_path / f"cut.{suffix}"
    if suffix == "pth":
        torch.save({"model": published.state_dict()}, path)
    else:
        save_file(published.state_dict(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="cut.* (is damaged|is not plain tensors)") as error:
        load_backbone(path)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_no_damage_ends_in_a_traceback(tmp_path):
    path, order = tmp_path / "damaged.pth", random.Random(0)
    for zipped in (True, False):
        state = {"model": {"a": torch.zeros(3, 4), "b": torch.ones(2)}}
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
        whole = path.read_bytes()
        for _ in range(150):
            damaged = bytearray(whole)
            for _ in range(order.choice([1, 10, 50])):
                damaged[order.randrange(len(damaged))] = order.randrange(256)
            path.write_bytes(damaged)
            with contextlib.suppress(UserError):
                read_weights(path)


def test_a_file_that_may_not_be_read_is_named(published, tmp_path, monkeypatch):
    path = tmp_path / "closed.pth"
    torch.save({"model": published.state_dict()}, path)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="cannot read .*closed.pth; check its permissions"):
        load_backbone(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    torch.save(["no", "weights"], tmp_path / "list.pth")
    with pytest.raises(UserError, match="list.pth holds no weights"):
        load_backbone(tmp_path / "list.pth")
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="is no ViCLIP checkpoint: it has no vision_encoder.conv1"):
        load_backbone(tmp_path / "model.safetensors")


def test_the_first_mismatch_is_named_with_both_shapes(published, tmp_path):  # failure 35
    path = tmp_path / "model.safetensors"
    save_file(published.state_dict(), path)
    wanted = replace(published.config, embed_dim=24)
    with pytest.raises(UserError, match=r"vision_encoder.proj is \[64, 16\], expected \[64, 24\]"):
        load_backbone(path, wanted)
    with pytest.raises(UserError, match=r"resblocks.3.* expected \["):
        load_backbone(path, replace(published.config, vision_layers=4))
    with pytest.raises(UserError, match=r"text_encoder.transformer.resblocks.2.* has not"):
        load_backbone(path, replace(published.config, text_layers=2))


def test_a_stored_config_that_is_no_config_is_refused(published, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(published.state_dict(), path, {"config": '{"depth": 3}'})
    with pytest.raises(UserError, match="has an unreadable config"):
        load_backbone(path)


def test_frames_are_cut_padded_or_interpolated_and_said(caplog):
    embedding = torch.arange(8.0).view(1, 4, 2)  # frames (0 1) (2 3) (4 5) (6 7)
    with caplog.at_level(logging.WARNING):
        cut = fit_temporal(embedding, 2, "pad")
        padded = fit_temporal(embedding, 6, "pad")
        halved = fit_temporal(embedding, 2, "interpolate")
    assert torch.equal(cut, embedding[:, :2])
    assert torch.equal(padded[:, :4], embedding)
    assert not padded[:, 4:].any()
    assert torch.equal(halved, torch.tensor([[[1.0, 2.0], [5.0, 6.0]]]))
    assert [record.message for record in caplog.records] == [
        "temporal embedding cut from 4 to 2 frames",
        "temporal embedding padded with zeros from 4 to 6 frames",
        "temporal embedding interpolated from 4 to 2 frames",
    ]


def test_space_is_interpolated_and_the_class_position_kept(caplog):
    constant = torch.cat([torch.full((1, 3), 9.0), torch.full((4, 3), 2.0)])
    with caplog.at_level(logging.WARNING):
        fitted = fit_spatial(constant, 5)
    torch.testing.assert_close(fitted, torch.cat([constant[:1], constant[1:2].expand(25, 3)]))
    assert "positional embedding interpolated from 2x2 to 5x5 patches" in caplog.text


def test_another_clip_runs_and_the_rest_is_untouched(published, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(published.state_dict(), path)
    loaded = load_backbone(path, num_frames=6, image_size=48, temporal="interpolate")
    assert loaded.encode_video(clips(2, num_frames=6, image_size=48)).shape == (2, 16)
    changed = {name for name, tensor in loaded.state_dict().items()
               if not torch.equal(tensor, published.state_dict()[name])}  # fmt: skip
    assert changed == {SPATIAL, TEMPORAL}


def test_the_hash_covers_every_weight_and_the_sizes():
    backbone = tiny_backbone()
    before = backbone_hash(backbone)
    assert before == backbone_hash(tiny_backbone())
    assert before != backbone_hash(tiny_backbone(vision_heads=4))
    for name in ("temp", "text_encoder.transformer.resblocks.1.mlp.c_fc.bias"):
        parameter = backbone.get_parameter(name)
        kept = parameter.detach().clone()
        parameter.data.view(-1)[0] += 1e-3
        assert backbone_hash(backbone) != before
        parameter.data.copy_(kept)
    assert backbone_hash(backbone) == before


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A small CLIP of transformers' own, saved by it."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    shared = dict(intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, hidden_size=32)
    config = CLIPConfig(
        projection_dim=16,
        vision_config=dict(shared, image_size=32, patch_size=16, projection_dim=16),
        text_config=dict(
            shared, vocab_size=49408, max_position_embeddings=20, projection_dim=16, eos_token_id=2
        ),
    )
    model = CLIPModel(config).eval()
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    return model, folder


@torch.no_grad()
def test_clip_loads_as_a_second_family_with_equal_embeddings(clip):
    model, folder = clip
    backbone = load_backbone(folder, num_frames=1, per_frame_attention=True)
    video = clips(3, num_frames=1)
    images = model.get_image_features(pixel_values=video[:, 0])
    texts = model.get_text_features(input_ids=prompt_tokens()[:, :20])
    torch.testing.assert_close(backbone.encode_video(video), pooled(images), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        backbone.encode_text(prompt_tokens()[:, :20]), pooled(texts), rtol=1e-4, atol=1e-5
    )
    assert backbone.temp.item() == pytest.approx(1 / model.logit_scale.exp().item())


def pooled(output):
    """Newer transformers wrap the features."""
    return output if isinstance(output, torch.Tensor) else output.pooler_output


@torch.no_grad()
def test_clip_frames_are_averaged_or_seen_jointly_without_order(clip):
    model, folder = clip
    video = clips(2, num_frames=8)
    averaged = load_backbone(folder, per_frame_attention=True)
    images = pooled(model.get_image_features(pixel_values=video.flatten(0, 1)))
    expected = images.view(2, 8, -1).mean(dim=1)
    torch.testing.assert_close(averaged.encode_video(video), expected, rtol=1e-4, atol=1e-5)
    joint = load_backbone(folder)
    assert joint.config.num_frames == 8
    assert not joint.vision_encoder.temporal_positional_embedding.any()
    torch.testing.assert_close(joint.encode_video(video), joint.encode_video(video.flip(1)))


def test_a_clip_checkpoint_without_a_tensor_names_it(clip, tmp_path):
    from safetensors.torch import load_file

    state = load_file(clip[1] / "model.safetensors")
    del state["vision_model.post_layernorm.bias"]
    save_file(state, tmp_path / "model.safetensors")
    shutil.copy(clip[1] / "config.json", tmp_path)
    with pytest.raises(UserError, match="CLIP checkpoint has no vision_model.post_layernorm.bias"):
        load_backbone(tmp_path)


def test_a_damaged_config_beside_the_weights_is_named(clip, tmp_path):
    shutil.copy(clip[1] / "model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="config.json is not JSON"):
        load_backbone(tmp_path)


@pytest.mark.parametrize("tower", ["vision_config", "text_config"])
@pytest.mark.parametrize(("name", "value"), [("hidden_act", "gelu"), ("layer_norm_eps", 1e-6)])
def test_a_clip_that_computes_otherwise_is_refused(clip, tmp_path, tower, name, value):
    shutil.copy(clip[1] / "model.safetensors", tmp_path)
    config = json.loads((clip[1] / "config.json").read_text())
    config[tower][name] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=f"{tower} has {name} {value!r}; only"):
        load_backbone(tmp_path)


@pytest.mark.parametrize(
    "name", ["text_model.embeddings.token_embedding.weight", "visual_projection.weight"]
)
def test_a_clip_checkpoint_without_a_size_names_the_tensor(clip, tmp_path, name):
    from safetensors.torch import load_file

    state = load_file(clip[1] / "model.safetensors")
    del state[name]
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=f"CLIP checkpoint has no {name}"):
        load_backbone(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("patch_size", 0), ("vision_heads", 0), ("vision_layers", 3.0), ("num_frames", "8")],
)
def test_stored_sizes_that_are_none_are_refused(published, tmp_path, field, value):
    path = tmp_path / "model.safetensors"
    config = {**vars(published.config), field: value}
    save_file(published.state_dict(), path, {"config": json.dumps(config)})
    with pytest.raises(UserError, match=f"{field} is {value!r}; it must be a whole number"):
        load_backbone(path)


def test_a_stored_number_of_blocks_is_checked_before_any_is_made(published, tmp_path):
    path = tmp_path / "model.safetensors"
    config = {**vars(published.config), "vision_layers": 10**9}
    save_file(published.state_dict(), path, {"config": json.dumps(config)})
    with pytest.raises(UserError, match=r"has no vision_encoder.transformer.resblocks.3.*expected"):
        load_backbone(path)


@pytest.mark.parametrize("changes", [{"num_frames": 0}, {"num_frames": -1}, {"image_size": -32}])
def test_impossible_clips_are_refused(published, tmp_path, changes):
    save_backbone(published, tmp_path / "model.safetensors")
    name, value = next(iter(changes.items()))
    with pytest.raises(UserError, match=f"{name} is {value}; it must be a whole number above 0"):
        load_backbone(tmp_path, **changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(published, tmp_path, value):
    published.vision_encoder.proj.data[0, 0] = value
    save_backbone(published, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"vision_encoder.proj has NaN or infinite values"):
        load_backbone(tmp_path)


def test_weights_that_are_whole_numbers_are_refused(published, tmp_path):
    state = {name: tensor.to(torch.int8) for name, tensor in published.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"dtype torch.int8; expected floats"):
        load_backbone(tmp_path)


@pytest.mark.parametrize("wrap", ["model", "module", "state_dict", "prefix"])
def test_what_training_code_puts_around_weights_is_taken_off(published, tmp_path, wrap):
    state = published.state_dict()
    if wrap == "prefix":
        torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "a.pth")
    else:
        torch.save({wrap: state, "epoch": 3}, tmp_path / "a.pth")
    assert same(load_backbone(tmp_path / "a.pth"), published)


def test_what_holds_no_weights_says_what_it_holds(tmp_path):
    torch.save({"epoch": 3, "optimizer": {}}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="holds no weights; .*found 'epoch', 'optimizer'"):
        load_backbone(tmp_path / "a.pth")


def test_safetensors_under_another_name_are_read(published, tmp_path):
    save_file(published.state_dict(), tmp_path / "viclip.pth")
    assert same(load_backbone(tmp_path / "viclip.pth"), published)


@pytest.mark.parametrize("source", ["x" * 5000, "a\0b"])
def test_a_source_that_is_no_path_is_one_line(source):
    with pytest.raises(UserError, match="cannot read|no weights at"):
        load_backbone(source)


@pytest.mark.parametrize("source", ["my models/x y", "a--b/..c", "weights/viclip"])
def test_a_source_that_could_be_a_hub_name_says_that_there_is_no_folder(source, hub_cache):
    with pytest.raises(UserError, match="here is no such file or folder"):
        load_backbone(source)


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path, state = tmp_path / "a.safetensors", {"a": torch.zeros(1000)}
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(write_safetensors, path, state, {}) for _ in range(100)]
    assert [each.result() for each in done] == [None] * 100
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]
