"""Going on with a run: at the seams between epochs, moved videos, and two starts of one name."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from tiny_training import World, make_world

import adapt.train_session
import adapt.train_setup
from adapt.evaluate import main as evaluate
from adapt.run_folder import open_run
from adapt.train import main
from adapt.train_finish import evaluate_epoch
from adapt.train_manifest import held
from adapt.train_session import Session

# Three epochs of three steps, one of which is selected.
SELECTING = ("--epochs", 3, "--held-out", 0.25, "--select", "held-out")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    world = make_world(tmp_path_factory.mktemp("world"))
    assert main(world.flags(*SELECTING, name="whole")) == 0
    return world


def assert_as_if_never_stopped(world: World, name: str) -> None:
    for event in ("step", "epoch", "evaluation"):
        assert world.metrics(name, event) == world.metrics("whole", event)
        assert world.metrics(name, event)
    found, whole = (open_run(world.run(each)).manifest for each in (name, "whole"))
    for field in ("status", "epochs_done", "best_epoch"):
        assert found[field] == whole[field]
    weights = world.weights("whole")
    assert all(torch.equal(world.weights(name)[key], weights[key]) for key in weights)


def send_at(step: int, monkeypatch) -> None:
    """Have SIGTERM come within a step."""
    note_step = Session.note_step

    def note(session: Session, *args: object) -> None:
        note_step(session, *args)
        if session.state.steps == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Session, "note_step", note)


@pytest.mark.parametrize("epoch", [1, 3])  # the last step of the first, and of the whole run
def test_a_run_stopped_in_the_last_step_of_an_epoch_still_ends_the_epoch(world, epoch, monkeypatch):
    name = f"stopped-{epoch}"
    with monkeypatch.context() as patch:
        send_at(3 * epoch, patch)
        assert main(world.flags(*SELECTING, name=name)) == 143
    assert main(["--resume", str(world.run(name))]) == 0
    assert_as_if_never_stopped(world, name)


def test_a_run_killed_between_a_step_and_its_epochs_end_still_ends_the_epoch(world, monkeypatch):
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "end_epoch", die)
        assert main(world.flags(*SELECTING, "--checkpoint-minutes", 1e-9, name="killed")) == 130
    assert open_run(world.run("killed")).status == "stopped"
    assert main(["--resume", str(world.run("killed"))]) == 0
    assert_as_if_never_stopped(world, "killed")


def test_a_run_stopped_while_an_epoch_is_looked_at_loses_nothing(world, monkeypatch):
    looked = []

    def stop_at_second(*args: object) -> float:
        looked.append(None)
        if len(looked) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate_epoch(*args)

    with monkeypatch.context() as patch:
        patch.setattr(adapt.train_session, "evaluate_epoch", stop_at_second)
        assert main(world.flags(*SELECTING, "--checkpoint-minutes", 60, name="looking")) == 143
    assert len(looked) == 2
    assert len(world.metrics("looking", "epoch")) == 1
    assert main(["--resume", str(world.run("looking"))]) == 0
    assert_as_if_never_stopped(world, "looking")


def test_a_run_stopped_in_its_last_evaluation_takes_what_is_done(world, capsys):
    assert main(world.flags("--epochs", 1, name="evaluated")) == 0
    path = world.run("evaluated") / "results" / "test.json"
    before = path.read_bytes()
    stop(world.run("evaluated"))
    assert main(["--resume", str(world.run("evaluated"))]) == 0
    assert f"test: taken from {path} (not evaluated again)" in capsys.readouterr().out
    assert path.read_bytes() == before
    stop(world.run("evaluated"))
    path.write_bytes(before[:-9])  # damaged: written anew
    assert main(["--resume", str(world.run("evaluated"))]) == 0
    assert path.read_bytes() == before
    assert open_run(world.run("evaluated")).status == "finished"


def test_a_run_does_not_go_on_while_its_videos_are_away(tmp_path, capsys, monkeypatch):
    world = make_world(tmp_path)
    assert main(world.flags("--epochs", 4, name="through")) == 0
    with monkeypatch.context() as patch:
        send_at(4, patch)
        assert main(world.flags("--epochs", 4, name="away")) == 143
    capsys.readouterr()
    away = world.videos.rename(world.folder / "unmounted")
    assert main(["--resume", str(world.run("away"))]) == 1
    said = "12 of 12 videos of train are not below "
    error = capsys.readouterr().err
    assert said in error
    assert ": fall down 4, move along 4, stand still 4; first " in error
    assert "bring the folder back, or say with --videos where it is now" in error
    assert not (world.run("away") / "bad_videos.jsonl").exists()
    assert evaluate([str(world.run("through")), "--force", "--device", "cpu"]) == 1
    assert "6 of 6 videos of test are not below " in capsys.readouterr().err
    away.rename(world.videos)
    assert main(["--resume", str(world.run("away"))]) == 0
    weights = world.weights("through")
    assert all(torch.equal(world.weights("away")[key], weights[key]) for key in weights)
    # Not only are the numbers the same: so are the files.
    one, other = (world.run(each) / "adapter.safetensors" for each in ("through", "away"))
    assert one.read_bytes() == other.read_bytes()


def test_of_two_starts_of_one_name_the_later_changes_nothing(world, monkeypatch, capsys):
    prepare, path = adapt.train_setup.prepare, world.run("twice")

    def start_meanwhile(*args: object) -> object:
        plan = prepare(*args)  # it has seen that the run is new
        monkeypatch.setattr(adapt.train_setup, "prepare", prepare)
        assert main(world.flags("--lr", 0.01, "--epochs", 1, name="twice")) == 0
        return plan

    monkeypatch.setattr(adapt.train_setup, "prepare", start_meanwhile)
    assert main(world.flags("--lr", 0.5, name="twice")) == 1
    assert capsys.readouterr().err.startswith(
        f"adapt.train: {path} exists, made with --epochs 1 where this"
    )
    assert open_run(path).manifest["recipe"]["lr"] == 0.01
    (path / "run.json").unlink()
    with held(path):  # by a process that has not yet written run.json
        assert main(world.flags("--lr", 0.5, name="twice")) == 1
    assert capsys.readouterr().err.startswith(f"adapt.train: another process is training {path}")
    assert not (path / "run.json").exists()


def stop(run: Path) -> None:
    """Have a finished run look as if it had been stopped."""
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "status": "stopped"}))


def test_moved_videos_are_sought_for_their_own_dataset_alone(tmp_path, capsys):
    world, other = make_world(tmp_path / "one", test=0), make_world(tmp_path / "two", train=0)
    flags = ["--task", "zero-shot", "--test-datasets", "toy", "--test-videos", other.videos]
    flags += ["--epochs", 1, "--allow-leakage"]  # the test classes are those of training
    assert main(world.flags(*flags, name="far")) == 0
    run = world.run("far")
    assert ["classes of" in leak for leak in open_run(run).manifest["leaks"]] == [True]

    moved = world.videos.rename(world.folder / "moved")
    stop(run)
    assert main(["--resume", str(run), "--videos", str(moved)]) == 0
    again = other.videos.rename(other.folder / "moved")
    stop(run)
    flags = ["--resume", str(run), "--videos", str(moved), "--test-videos"]
    assert main([*flags, str(moved)]) == 1
    assert f"below {moved}" in capsys.readouterr().err
    assert main([*flags, str(again)]) == 0


def test_what_trains_nothing_selects_nothing(world):
    assert main(world.flags(*SELECTING, "--adapter", "frozen", name="frozen")) == 0
    run = open_run(world.run("frozen"))
    assert (run.config.recipe.select, run.manifest["best_epoch"]) == ("last", None)
    assert run.manifest["leaks"] == []
    assert evaluate(["--device", "cpu", str(run.path)]) == 0
