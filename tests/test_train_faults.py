"""What can go wrong with a training run: each a line, and nothing lost."""

import resource

import pytest
import torch
from tiny_training import World, make_world, write_descriptions

from adapt.adapted import AdaptedModel
from adapt.run_folder import open_run
from adapt.train import main


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def test_a_loss_that_is_not_finite_moves_nothing_and_stops_the_run(world, capsys):  # failure 38
    flags = ["--lr", 1e30, "--max-bad-steps", 2, "--epochs", 5, "--warmup-epochs", 0]
    assert main(world.flags(*flags, name="burst")) == 1
    error = capsys.readouterr().err
    assert "was not finite in 2 steps in a row; the last had " in error
    assert error.count("\n") == 1
    skips = world.metrics("burst", "skip")
    assert len(skips) == 2
    assert [skips[1]["step"] - skips[0]["step"], len(skips[1]["videos"])] == [1, 4]
    assert all(name in error for name in skips[1]["videos"])
    assert open_run(world.run("burst")).status == "stopped"


def test_an_epoch_whose_steps_all_moved_nothing_has_no_loss(world):
    flags = ["--lr", 1e30, "--max-bad-steps", 7, "--epochs", 3, "--warmup-epochs", 0]
    assert main(world.flags(*flags, name="nothing")) == 1
    epochs = world.metrics("nothing", "epoch")
    assert epochs[1]["loss"] is None
    assert epochs[1]["skipped"] > 2


def test_no_memory_before_training_is_one_line(world, monkeypatch, capsys):  # failure 42
    def refuse(model, device):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(torch.nn.Module, "to", refuse)
    assert main(world.flags(name="full")) == 1
    assert capsys.readouterr().err == (
        "adapt.train: no memory left on cpu; end what else runs there, or take another --device\n"
    )
    assert not world.run("full").exists()


def test_fp16_that_overflows_is_no_fault(world):
    # The first scale is 65536; cosines over 0.002 overflow with it.
    flags = ["--precision", "fp16", "--temperature", 0.002, "--max-bad-steps", 1, "--epochs", 4]
    assert main(world.flags(*flags, name="half")) == 0
    assert world.metrics("half", "overflow")
    assert world.metrics("half", "skip") == []
    assert world.metrics("half", "step")


def test_out_of_memory_says_what_may_fit_and_it_does(world, monkeypatch, capsys):  # failure 42
    encode = AdaptedModel.encode_video

    def encode_two(model, video):
        if len(video) > 2 and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return encode(model, video)

    monkeypatch.setattr(AdaptedModel, "encode_video", encode_two)
    assert main(world.flags(name="large")) == 1
    error = capsys.readouterr().err
    assert error == "adapt.train: out of memory with 4 clips at once on cpu; 2 may fit: " \
        "--accumulate 2\n"  # fmt: skip
    assert main(["--resume", str(world.run("large")), "--accumulate", "2"]) == 0
    assert open_run(world.run("large")).status == "finished"


def test_a_video_that_cannot_be_read_leaves_its_batch_smaller(tmp_path, capsys):  # failure 30
    world = make_world(tmp_path)
    bad = next((world.videos / "train" / "fall down").iterdir())
    bad.write_bytes(b"")
    assert main(world.flags("--max-bad-videos", 1, name="bad")) == 0
    run = open_run(world.run("bad"))
    assert [each["name"] for each in run.bad_videos()] == [f"train/fall down/{bad.name}"]
    assert sum(each["videos"] for each in world.metrics("bad", "step")[:3]) == 11
    assert f"left out train/fall down/{bad.name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--descriptions", "v9"], "no descriptions 'v9'"),  # failure 33
        (["--descriptions", "no/where"], "no description set in no/where"),
        (["--backbone", "no/where.pth"], "no weights at no/where.pth"),
        (["--device", "wheel"], "--device is 'wheel'; take cpu, cuda or cuda:1"),
        (["--device", "cuda:7"], "--device cuda:7: this torch sees no CUDA device"),
        (["--end-block", 9], "blocks 1-9; this backbone has blocks 1-3"),
        (["--dim", 32], "dim is 32"),
        (["--num-frames", 3, "--backbone", "miniature"], "the miniature backbone sees 8 frames"),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_is_written(flags, message, world, capsys):
    assert main(world.flags(*flags, name="wrong")) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not world.run("wrong").exists()


def test_descriptions_of_other_classes_are_an_error_before_training(world, tmp_path, capsys):
    write_descriptions(tmp_path / "other", ["stand still", "fall down"])
    assert main(world.flags("--descriptions", tmp_path / "other", name="wrong")) == 1
    assert "no spatial description for 1 of 3 classes, first 'move along'" in (
        capsys.readouterr().err
    )


def test_a_runs_folder_that_cannot_be_written_is_one_line(world, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([*world.flags(name="x"), "--runs", str(tmp_path / "file")]) == 1
    error = capsys.readouterr().err
    assert f"cannot write {tmp_path}/file/x" in error
    assert error.count("\n") == 1


def test_a_full_disk_is_one_line_and_the_old_checkpoint_stays(world, capsys):  # failure 37
    flags = ["--checkpoint-minutes", 1e-9, "--epochs", 4]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert main(world.flags(*flags, name="roomy")) == 0
    size = (world.run("roomy") / "checkpoint.safetensors").stat().st_size
    # The first checkpoint has no room: files of the start are smaller.
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, before[1]))
    try:
        status = main(world.flags(*flags, name="full"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    path = world.run("full") / "checkpoint.safetensors"
    assert capsys.readouterr().err == f"adapt.train: cannot write {path}: File too large\n"
    assert not path.exists()
    assert main(["--resume", str(world.run("full"))]) == 0
    full, roomy = world.weights("full"), world.weights("roomy")
    assert all(torch.equal(full[key], roomy[key]) for key in roomy)
