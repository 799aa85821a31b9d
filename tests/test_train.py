"""`python -m adapt.train` in this process: what it leaves, what it refuses, what it survives."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_training import ACTIONS, World, make_world, write_descriptions

from adapt.adapted import AdaptedModel
from adapt.checkpoint import backbone_hash
from adapt.constraint import build_constraint
from adapt.evaluate_list import evaluate_list
from adapt.loader import TrainLoader
from adapt.losses import class_logits
from adapt.miniature_descriptions import write_descriptions as write_miniature_descriptions
from adapt.prefix_cache import PrefixCache
from adapt.results import read_result
from adapt.run_folder import open_run
from adapt.schedule import Schedule
from adapt.text import tokenize_classes
from adapt.train import main
from adapt.train_backbone import open_backbone
from adapt.train_manifest import held
from adapt.train_recipe import resolve_adapter
from adapt.train_setup import views_of
from describe.dataset import read_version


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def trained(world: World) -> World:
    """The world, with a run `plain` that was trained without dropout."""
    assert main(world.flags("--dropout", 0, name="plain")) == 0
    return world


def test_a_run_leaves_all_that_one_needs(trained):
    run = open_run(trained.run("plain"))
    assert (run.status, run.manifest["epochs_done"]) == ("finished", 2)
    assert run.class_names == tuple(sorted(ACTIONS))
    assert run.list_names == ("train", "test")
    assert run.manifest["lists"]["test"]["count"] == 6
    assert run.manifest["lists"]["train"]["hash"] == run.read_list("train").hash
    assert run.manifest["descriptions"]["version"] == "v1"
    assert run.manifest["adapter"]["trainable"] == 3096
    assert run.descriptions_report()["summary"]["kept"] == 12
    assert run.config.recipe.epochs == 2
    stored = json.loads((run.path / "config.json").read_text())
    assert stored["resolved"]["recipe"]["weight_decay"] == 1e-3
    assert not list(run.path.rglob("*.part"))


def test_metrics_tell_every_step_and_its_rate(trained):
    steps = trained.metrics("plain", "step")
    assert [each["step"] for each in steps] == [1, 2, 3, 4, 5, 6]
    assert [each["epoch"] for each in steps] == [1, 1, 1, 2, 2, 2]
    rate = Schedule(peak=0.01, num_steps=6, warmup_steps=3).rate
    assert [each["lr"] for each in steps] == [rate(step) for step in range(6)]
    for each in steps:
        assert each["loss"] == pytest.approx(each["classification"] + each["consistency"])
    means = trained.metrics("plain", "epoch")
    for epoch, mean in enumerate(means):
        of_epoch = steps[3 * epoch : 3 * epoch + 3]
        assert mean["loss"] == pytest.approx(np.mean([each["loss"] for each in of_epoch]))


def test_the_weights_are_those_of_a_plain_loop(trained):
    run = open_run(trained.run("plain"))
    videos, config = run.read_list("train"), run.config
    backbone = open_backbone(str(trained.backbone))
    torch.manual_seed(0)
    model = AdaptedModel(backbone, resolve_adapter(config, backbone.config)).train()
    described = build_constraint(backbone, read_version(trained.descriptions), videos.classes)
    tokens = tokenize_classes(videos.readable_names).ids
    optimizer = torch.optim.AdamW(
        model.trainable_parameters(), lr=0.01, betas=(0.9, 0.98), weight_decay=1e-3
    )
    loader = TrainLoader(
        videos, config.clip, config.load, num_frames=4, image_size=32, batch_size=4, seed=0
    )
    step = 0
    for epoch in range(2):
        for batch in loader.epoch(epoch):
            optimizer.param_groups[0]["lr"] = Schedule(peak=0.01, num_steps=6, warmup_steps=3).rate(
                step
            )
            classes = model.encode_prompts(model.prepare_prompts(tokens))
            logits = class_logits(model.encode_video(batch.pixels()), classes)
            loss = F.cross_entropy(logits, batch.labels)
            for mean in described.tensors:
                loss = loss + (1 - F.cosine_similarity(classes, mean)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    assert step == 6
    expected = dict(model.named_parameters())
    found = trained.weights("plain")
    assert len(found) == len(model.trainable_parameters())
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, expected[name].detach(), rtol=2e-3, atol=2e-5)


def test_the_results_are_those_of_the_adapter_on_disk(trained):
    run = open_run(trained.run("plain"))
    result = read_result(run.path / "results" / "test.json")
    assert (result.n_total, result.n_evaluated, result.epoch) == (6, 6, 2)
    assert (result.selection, result.descriptions_fingerprint) == (
        "last", run.manifest["descriptions"]["fingerprint"],
    )  # fmt: skip
    videos = run.read_list("test")
    views = views_of(run.config, "tiny")
    scores = evaluate_list(run.load_model(), videos, views, run.config.load, device="cpu")
    np.testing.assert_array_equal(scores.probabilities, result.scores)


def test_a_dry_run_shows_the_plan_and_writes_nothing(world, capsys):
    assert main(world.flags("--dry-run", name="dry")) == 0
    shown = capsys.readouterr().out
    for words in (
        "train         12 videos of 3 classes", "test          6 videos of 3 classes",
        "views         test 1x1",
        "3,096 parameters train", "v1 of tiny: 12 of 12 descriptions kept",
        "2 epochs of 3 steps, batch 4, lr 0.01", "MiB",
    ):  # fmt: skip
        assert words in shown
    assert not world.run("dry").exists()


def test_a_run_is_never_written_over(trained, capsys):
    before = trained.weights("plain")
    assert main(trained.flags("--dropout", 0, name="plain")) == 1
    path = trained.run("plain")
    assert (
        f"{path} exists, made with the same flags; evaluate it with `python -m adapt.evaluate"
        in (capsys.readouterr().err)
    )
    assert (
        main(
            trained.flags("--lr", 0.05, "--alpha", 2, "--workers", 1, "--dropout", 0, name="plain")
        )
        == 1
    )
    assert (
        f"{path} exists, made with --lr 0.01 where this one has 0.05 and 1 more; give this one a "
        "name of its own, such as --name plain-lr-0.05, or evaluate it with `python -m adapt."
    ) in capsys.readouterr().err
    assert main(["--resume", str(path)]) == 1
    assert f"run {path} has finished; evaluate it with" in capsys.readouterr().err
    assert trained.weights("plain").keys() == before.keys()


def test_one_process_trains_a_run_at_a_time(trained, capsys):
    path = trained.run("plain")
    manifest = (path / "run.json").read_text()
    (path / "run.json").write_text(manifest.replace('"finished"', '"stopped"'))
    with held(path):
        assert main(["--resume", str(path)]) == 1
    (path / "run.json").write_text(manifest)
    assert f"another process is training {path}" in capsys.readouterr().err


def test_a_frozen_backbone_is_evaluated_as_it_is(world, capsys):
    assert main(world.flags("--adapter", "frozen", name="frozen")) == 0
    run = open_run(world.run("frozen"))
    assert run.manifest["adapter"]["trainable"] == 0
    assert run.manifest["descriptions"] is None
    assert run.metrics() == []
    videos = run.read_list("test")
    backbone = open_backbone(str(world.backbone))
    batch = next(iter(TrainLoader(
        videos, _still(run.config.clip), run.config.load, num_frames=4, image_size=32,
        batch_size=6, seed=0,
    ).epoch(0)))  # fmt: skip
    with torch.no_grad():
        classes = backbone.encode_text(tokenize_classes(videos.readable_names).ids)
        logits = class_logits(backbone.encode_video(batch.pixels()), classes, 1.0)
    cosines = read_result(run.path / "results" / "test.json").videos.cosines
    np.testing.assert_allclose(cosines[batch.indices], logits.numpy(), atol=1e-5)


def _still(clip):
    from dataclasses import replace

    return replace(clip, augment=False)


@pytest.mark.parametrize(
    "flags",
    [
        ["--adapter", "msta-text"],
        ["--adapter", "msta-video", "--no-temporal"],
        ["--adapter", "lora", "--rank", 2],
        ["--adapter", "st_adapter"],
        ["--adapter", "full", "--lr", 1e-5],
        ["--shared-gradients", "projected", "--precision", "bf16"],
        ["--descriptions", "none"],
        ["--filter", "text", "--num-descriptions", 1],
        ["--adapter", "msta-separate", "--class-token", "temporal"],
        ["--class-token", "none", "--no-input-norm", "--no-gradient-scaling"],
    ],
)
def test_each_kind_of_run_trains_and_can_be_loaded(flags, world):
    name = "-".join(str(flag).strip("-") for flag in flags)
    assert main(world.flags(*flags, "--epochs", 1, name=name)) == 0
    run = open_run(world.run(name))
    losses = [each["loss"] for each in world.metrics(name, "step")]
    assert len(losses) == 3
    assert all(np.isfinite(losses))
    assert run.load_model().config.method == run.manifest["adapter"]["config"]["method"]
    assert list((run.path / "tensorboard").glob("events*"))


def test_without_tensorboard_a_run_is_a_run_all_the_same(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as where it is not installed
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    assert main(world.flags("--epochs", 1, name="no-board")) == 0
    assert world.metrics("no-board", "step")
    assert not (world.run("no-board") / "tensorboard").exists()
    assert main(world.flags("--epochs", 1, "--no-tensorboard", name="unwanted")) == 0
    assert not (world.run("unwanted") / "tensorboard").exists()


def test_a_folder_for_tensorboard_that_cannot_be_written_is_one_line(world, capsys):
    path = world.run("in-the-way") / "tensorboard"
    path.parent.mkdir(parents=True)
    path.write_text("a file")
    assert main(world.flags("--epochs", 1, name="in-the-way")) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"adapt.train: cannot write {path}: ")
    assert error.count("\n") == 1


def test_a_prefix_that_goes_within_an_epoch_is_one_line(world, capsys, monkeypatch):
    flags = ("--no-augment", "--start-block", 3, "--epochs", 1)
    flags += ("--prefix-cache", world.folder / "going")
    assert main(world.flags(*flags, name="there")) == 0

    def holds_until_asked(cache, key):
        cache._path(key).unlink(missing_ok=True)
        return True

    monkeypatch.setattr(PrefixCache, "holds", holds_until_asked)
    assert main(world.flags(*flags, name="going")) == 1
    assert capsys.readouterr().err == (
        "adapt.train: what --prefix-cache kept of a video has gone; go on with --resume\n"
    )


@pytest.mark.parametrize("flags", [["--accumulate", 3], ["--recompute"]])
def test_saving_memory_changes_nothing_but_rounding(flags, trained):
    name = f"saving{flags[0]}"
    assert main(trained.flags("--dropout", 0, *flags, name=name)) == 0
    for key, tensor in trained.weights(name).items():
        torch.testing.assert_close(tensor, trained.weights("plain")[key], rtol=2e-3, atol=2e-5)


def test_kept_prefixes_change_nothing_but_rounding(world):
    flags = ("--no-augment", "--dropout", 0, "--start-block", 3)
    assert main(world.flags(*flags, name="whole")) == 0
    kept = world.folder / "prefixes"
    assert main(world.flags(*flags, "--prefix-cache", kept, name="kept")) == 0
    assert len(list(kept.rglob("*.safetensors"))) == 12
    for key, tensor in world.weights("kept").items():
        torch.testing.assert_close(tensor, world.weights("whole")[key], rtol=2e-3, atol=2e-5)


def test_a_video_whose_prefix_is_kept_is_not_decoded(tmp_path, capsys):
    world = make_world(tmp_path)
    flags = ("--no-augment", "--dropout", 0, "--start-block", 3, "--epochs", 1)
    flags += ("--prefix-cache", world.folder / "prefixes", "--max-bad-videos", 0)
    assert main(world.flags(*flags, name="first")) == 0
    kept = sorted(world.folder.rglob("prefixes/*/*.safetensors"))
    videos = sorted(world.videos.glob("train/*/*.mp4"))
    contents = {path: path.read_bytes() for path in videos}
    for path in videos:  # the same size and time, and nothing that could be decoded
        stat = path.stat()
        path.write_bytes(bytes(stat.st_size))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert main(world.flags(*flags, name="again")) == 0
    kept[0].write_bytes(kept[0].read_bytes()[:-1])  # cut short: its video is needed
    assert main(world.flags(*flags, name="cut")) == 1
    assert "1 of 12 videos cannot be read" in capsys.readouterr().err
    for path in videos:
        stat = path.stat()
        path.write_bytes(contents[path])
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert main(world.flags(*flags, name="mended")) == 0
    for name in ("again", "mended"):
        for key, tensor in world.weights("first").items():
            torch.testing.assert_close(world.weights(name)[key], tensor, rtol=2e-3, atol=2e-5)


def test_dropout_follows_from_the_seed(world):
    for name, seed in (("once", 5), ("again", 5), ("other", 6)):
        assert main(world.flags("--dropout", 0.3, "--seed", seed, "--epochs", 1, name=name)) == 0
    once, again, other = (world.weights(name) for name in ("once", "again", "other"))
    assert all(torch.equal(once[key], again[key]) for key in once)
    assert not all(torch.equal(once[key], other[key]) for key in once)


def test_an_epoch_cannot_be_held_out_of_nothing(world, capsys):
    assert main(world.flags("--select", "held-out", "--dry-run", name="nothing-held-out")) == 1
    assert (
        "--select held-out needs --held-out, such as 0.1, or data with" in capsys.readouterr().err
    )


@pytest.mark.parametrize(("select", "suffix"), [("held-out", "best"), ("best-on-test", "best")])
def test_a_selected_epoch_is_evaluated_and_said_to_be(select, suffix, world, capsys):
    flags = ["--select", select, "--epochs", 3]
    flags += ["--held-out", 0.25] if select == "held-out" else []
    assert main(world.flags(*flags, name=select)) == 0
    run = open_run(world.run(select))
    seen = world.metrics(select, "evaluation")
    tops = [each["top1"] for each in seen]
    assert len(tops) == 3
    best = tops.index(max(tops)) + 1  # the first of equals
    result = read_result(run.path / "results" / f"test.{suffix}.json")
    assert (result.selection, result.epoch) == (select, best)
    assert run.load_model(which="best") is not None
    assert ("flatters" in capsys.readouterr().out) == (select == "best-on-test")
    if select == "best-on-test":
        assert result.top1 == max(tops)
    else:
        train, held = run.read_list("train"), run.read_list("held_out")
        assert not {each.name for each in train.videos} & {each.name for each in held.videos}


def test_descriptions_in_another_order_are_joined_by_name(trained, tmp_path):
    write_descriptions(tmp_path / "other", sorted(ACTIONS, reverse=True))
    flags = ["--descriptions", tmp_path / "other", "--dropout", 0]
    assert main(trained.flags(*flags, name="reordered")) == 0
    found = trained.weights("reordered")
    assert all(torch.equal(found[key], value) for key, value in trained.weights("plain").items())


def test_the_version_alone_finds_the_dataset_and_the_videos(world, tmp_path, capsys):
    home = Path(str(tmp_path / "home"))
    write_descriptions(home / "sets" / "tiny", list(ACTIONS))
    backbone = ["--backbone", str(world.backbone)]
    alone = ["--descriptions", "v1", *backbone, "--dim", "8", "--dry-run", "--shots", "4"]
    videos = ["--videos", str(world.videos)]
    assert main([*alone, *videos]) == 0
    assert main(alone) == 1  # a dry run leaves nothing behind
    assert "where are the videos of tiny? pass --videos FOLDER once" in capsys.readouterr().err
    frozen = ["--adapter", "frozen", "--dataset", "tiny", "--views", "1x1", *backbone, *videos]
    assert main([*frozen, "--runs", str(tmp_path / "runs")]) == 0
    capsys.readouterr()
    assert main(alone) == 0
    assert "tiny-few-shot-4-msta-v1-seed0" in capsys.readouterr().out


def test_of_several_versions_without_numbers_none_is_the_newest(world, tmp_path, capsys):
    several = tmp_path / "several"
    write_miniature_descriptions(several, "right")
    write_miniature_descriptions(several, "swapped")
    assert main(world.flags("--descriptions", several, "--dry-run", name="several")) == 1
    assert "holds right, swapped, none of them the newest; name one, such as" in (
        capsys.readouterr().err
    )


def test_zero_shot_needs_no_training_videos(world, tmp_path):
    lone = make_world(tmp_path, train=0)
    paths = sorted(lone.videos.glob("test/*/*.mp4"))
    rows = [f"{path.relative_to(lone.videos)},{path.parent.name}" for path in paths]
    (tmp_path / "test.csv").write_text("\n".join(["path,class", *rows]))
    flags = ["--adapter", "frozen", "--test-list", tmp_path / "test.csv"]
    assert main(lone.flags(*flags, name="frozen")) == 0
    assert read_result(lone.run("frozen") / "results" / "test.json").n_evaluated == 6


@pytest.mark.shared
def test_real_clips_train_from_one_end_to_the_other(shared, world):
    lists = [shared / "videos" / f"interaction6_{part}.txt" for part in ("train", "val")]
    flags = [
        "--dataset", "interaction6", "--videos", shared / "videos" / "interaction6",
        "--train-list", lists[0], "--test-list", lists[1], "--task", "supervised",
        "--batch-size", 16, "--epochs", 1, "--workers", 2, "--descriptions", "none",
    ]  # fmt: skip
    assert main(world.flags(*flags, name="real")) == 0
    result = read_result(world.run("real") / "results" / "test.json")
    assert (result.n_total, result.n_evaluated, len(result.class_names)) == (37, 37, 6)
    assert sum(each["videos"] for each in world.metrics("real", "step")) == 83


def test_a_backbone_written_over_does_not_change_what_trains(world, tmp_path):
    path = tmp_path / "backbone.safetensors"
    path.write_bytes(world.backbone.read_bytes())
    backbone = open_backbone(str(path))
    before = backbone_hash(backbone)
    with path.open("r+b") as file:  # in place, as cp does
        file.seek(path.stat().st_size // 2)
        file.write(bytes(1000))
    assert backbone_hash(backbone) == before
    assert backbone_hash(open_backbone(str(path))) != before
