"""Runs that are killed, stopped, or shared by processes: the same weights as without."""

import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import Process, World, free_port, make_world
from unread import run_unread

from adapt.loader import epoch_order, video_key
from adapt.results import read_result
from adapt.run_folder import open_run
from adapt.train import main
from adapt.train_manifest import held
from adapt.weight_files import read_weights

# Six epochs of three steps, with dropout; a checkpoint after every step.
LONG = ("--epochs", 6, "--dropout", 0.2)
OFTEN = ("--checkpoint-minutes", 1e-9)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    world = make_world(tmp_path_factory.mktemp("world"))
    assert main(world.flags(*LONG, name="whole")) == 0
    return world


def assert_as_if_never_stopped(world: World, name: str) -> None:
    whole, found = (
        read_weights(world.run(each) / "adapter.safetensors") for each in ("whole", name)
    )
    assert found.state.keys() == whole.state.keys()
    assert all(torch.equal(found.state[key], whole.state[key]) for key in whole.state)
    for event in ("step", "epoch"):
        assert world.metrics(name, event) == world.metrics("whole", event)
    one, other = (
        read_result(world.run(each) / "results" / "test.json") for each in ("whole", name)
    )
    np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize(
    ("kill_at", "flags", "workers"),
    [
        # Before the first checkpoint; in the midst of an epoch, with another number of workers.
        (2, ("--checkpoint-minutes", 60, "--workers", 0), 1),
        (8, (*OFTEN, "--workers", 2), 0),
    ],
)
def test_a_run_killed_at_any_step_ends_with_the_same_weights(
    world, tmp_path, kill_at, flags, workers
):
    name = f"killed-{kill_at}"  # failure 36
    process = Process(*world.flags(*LONG, *flags, name=name), folder=tmp_path)
    process.until_step(world.run(name) / "metrics.jsonl", kill_at)
    assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
    with (world.run(name) / "metrics.jsonl").open("ab") as file:
        file.write(b'{"event": "step", "st')  # a line that the kill cut short
    assert open_run(world.run(name)).status == "training"
    assert main(["--resume", str(world.run(name)), "--workers", str(workers)]) == 0
    assert_as_if_never_stopped(world, name)


def test_sigterm_saves_and_says_how_to_go_on(world, tmp_path):  # failure 37
    flags = world.flags(*LONG, "--checkpoint-minutes", 60, name="stopped")
    process = Process(*flags, folder=tmp_path, fresh=True)
    path = world.run("stopped")
    process.until_step(path / "metrics.jsonl", 4)
    status, _, err = process.end(signal.SIGTERM)
    assert status == 143
    assert f"saved after SIGTERM; go on with `python -m adapt.train --resume {path}`" in err
    assert "Traceback" not in err
    run = open_run(path)
    assert run.status == "stopped"
    done = len(world.metrics("stopped", "step"))
    assert 4 <= done < 18
    assert run.manifest["epochs_done"] == done // 3
    assert main(["--resume", str(path)]) == 0
    assert world.metrics("stopped", "step")[done]["step"] == done + 1
    assert_as_if_never_stopped(world, "stopped")


def test_ctrl_c_exits_130(world, tmp_path):
    flags = world.flags(*LONG, "--workers", 1, name="interrupted")
    process = Process(*flags, folder=tmp_path)
    process.until_step(world.run("interrupted") / "metrics.jsonl", 1)
    status, _, err = process.end(signal.SIGINT)
    assert status == 130
    assert "saved after SIGINT" in err
    assert "Traceback" not in err


def two_processes(
    world: World, flags: Sequence[object], folder: Path, name: str = "two"
) -> list[Process]:
    """Start two processes of one run, as torchrun does."""
    port, processes = free_port(), []
    for rank in range(2):
        (folder / str(rank)).mkdir()
        processes.append(
            Process(
                *world.flags(*flags, name=name),
                folder=folder / str(rank),
                RANK=rank,
                LOCAL_RANK=rank,
                WORLD_SIZE=2,
                MASTER_ADDR="127.0.0.1",
                MASTER_PORT=port,
            )  # fmt: skip
        )
    return processes


def test_two_processes_train_the_same_weights_as_one(world, tmp_path):  # failure 41
    flags = ("--epochs", 2, "--dropout", 0, "--shared-gradients", "balanced", "--batch-size", 4)
    bad = next((world.videos / "train" / "fall down").iterdir())
    kept = bad.read_bytes()
    try:
        # One process of the two has a video less in some step of each epoch.
        bad.write_bytes(b"")
        flags += ("--max-bad-videos", 1)
        assert main(world.flags(*flags, name="alone")) == 0
        first, second = (process.end() for process in two_processes(world, flags, tmp_path))
    finally:
        bad.write_bytes(kept)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert "adapter       msta" in first[1]
    assert second[1] == ""
    alone, two = (
        read_weights(world.run(n) / "adapter.safetensors").state for n in ("alone", "two")
    )
    for key, tensor in alone.items():
        torch.testing.assert_close(two[key], tensor, rtol=5e-3, atol=5e-5)
    for one, other in zip(
        world.metrics("alone", "step"), world.metrics("two", "step"), strict=True
    ):
        assert (one["videos"], one["lr"]) == (other["videos"], other["lr"])
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
    result = read_result(world.run("two") / "results" / "test.json")
    assert (result.n_total, result.n_evaluated) == (6, 6)
    np.testing.assert_allclose(
        result.scores, read_result(world.run("alone") / "results" / "test.json").scores, atol=1e-3
    )


def test_an_error_of_one_process_is_one_line_in_all(world, tmp_path):
    videos = open_run(world.run("whole")).read_list("train").videos
    order = epoch_order([video_key(video) for video in videos], seed=0, epoch=0)
    bad = videos[order[5]].path  # of the second step, in the part of the second process
    kept = bad.read_bytes()
    try:
        bad.write_bytes(b"")
        found = [
            process.end()
            for process in two_processes(world, ("--max-bad-videos", 0), tmp_path, "bad")
        ]
    finally:
        bad.write_bytes(kept)
    for status, _, err in found:
        assert status == 1
        assert err.startswith("adapt.train: 1 of 12 videos cannot be read")
        assert err.count("\n") == 1
    assert found[0][2] == found[1][2]
    assert open_run(world.run("bad")).status == "stopped"


def test_a_process_that_is_gone_is_one_line_in_the_other(world, tmp_path):
    first, second = two_processes(world, ("--epochs", 200), tmp_path, "gone")
    first.until_step(world.run("gone") / "metrics.jsonl", 2)
    assert first.end(signal.SIGKILL)[0] == -signal.SIGKILL
    status, _, err = second.end()
    assert (status, err) == (
        1, "adapt.train: another process has ended; what it said is the reason, and if it said "
        "nothing it was killed, perhaps for want of memory\n"
    )  # fmt: skip


def test_a_run_whose_output_nobody_reads_is_trained_to_its_end(world):
    status, err = run_unread("adapt.train", *world.flags("--epochs", 1, name="unread"))
    assert (status, err) == (0, "")
    assert open_run(world.run("unread")).status == "finished"


def test_a_run_that_another_process_trains_is_one_line_in_all(world, tmp_path):
    path = world.run("taken")
    path.mkdir()
    with held(path):
        found = [process.end() for process in two_processes(world, (), tmp_path, "taken")]
    line = f"adapt.train: another process is training {path}; wait for it, or stop it\n"
    assert [(status, err) for status, _, err in found] == [(1, line), (1, line)]
