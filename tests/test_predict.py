"""`python -m adapt.predict`: the actions in a person's own videos."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_training import ACTIONS, write_video
from trained_run import train_world

import adapt.predict
from adapt.evaluate_list import stream_scores
from adapt.predict import main
from adapt.results import read_result


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def mine(tmp_path) -> Path:
    """A person's own folder: videos, a broken one, and other files."""
    folder = tmp_path / "my clips"
    write_video(folder / "b.mp4", "fall down", 500)
    write_video(folder / "deeper" / "a.MP4", "stand still", 501)
    (folder / "notes.txt").write_text("not a video")
    return folder


def predict(world, *arguments, device=True):
    flags = ["--device", "cpu", "--workers", "0"] if device else []
    return main([str(world.run("one")), *map(str, arguments), *flags])


def test_a_folder_is_searched_and_each_video_has_its_likeliest_actions(trained, mine, capsys):
    assert predict(trained, mine, "--top", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{mine}/b.mp4"
    assert lines[3] == f"{mine}/deeper/a.MP4"
    assert len(lines) == 6
    shares = [float(line.split("%")[0]) for line in (lines[1], lines[2])]
    assert shares[0] >= shares[1]


def test_it_names_what_the_evaluation_named(trained, capsys):
    result = read_result(trained.run("one") / "results" / "test.json")
    videos = [trained.videos / name for name in result.names]
    paths = [path if path.is_file() else next(trained.videos.rglob(path.name)) for path in videos]
    assert predict(trained, *paths, "--json", "--top", "3") == 0
    found = json.loads(capsys.readouterr().out)["videos"]
    assert [each["path"] for each in found] == [str(path) for path in paths]
    for each, scores in zip(found, result.scores, strict=True):
        by_name = {action["name"]: action["probability"] for action in each["actions"]}
        expected = dict(zip(result.readable_names, scores.tolist(), strict=True))
        assert by_name == pytest.approx(expected, abs=1e-5)
        assert sum(by_name.values()) == pytest.approx(1, abs=1e-5)


def test_other_actions_can_be_chosen_among(trained, mine, capsys):
    (mine / "classes.txt").write_text("pour water\nopen a door\n")
    for classes in (" pour water; open  a door;;Open a door", str(mine / "classes.txt")):
        assert predict(trained, mine / "b.mp4", "--classes", classes, "--json") == 0
        (video,) = json.loads(capsys.readouterr().out)["videos"]
        assert {action["name"] for action in video["actions"]} == {"pour water", "open a door"}


def test_broken_videos_are_named_and_left_out(trained, mine, capsys):
    (mine / "broken.mp4").write_bytes(b"\0" * 100)
    assert predict(trained, mine, mine / "gone.mp4", "--views", "2x1") == 1
    out, err = capsys.readouterr()
    assert out.count("%") == 6  # the two good ones, three actions each
    assert f"adapt.predict: left out {mine}/broken.mp4: " in err
    assert f"adapt.predict: left out {mine}/gone.mp4: no such file" in err
    assert predict(trained, mine / "broken.mp4", "--json") == 1
    out, _ = capsys.readouterr()
    (video,) = json.loads(out)["videos"]
    assert video["actions"] == []
    assert video["error"]


def test_names_of_files_do_not_steer_the_terminal(trained, mine, capsys):
    shutil.copy(mine / "b.mp4", mine / "\x1b[31mred.mp4")
    assert predict(trained, mine) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_folder_without_videos_is_one_line(trained, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert predict(trained, tmp_path / "empty") == 1
    assert "adapt.predict: no video in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give a video, or a folder with videos"),
        (["x.mp4", "--top", "0"], "--top is 0; it must be at least 1"),
        (["x.mp4", "--classes", " ; "], "--classes names no action; give at least two"),
        (["x.mp4", "--classes", "pour, open"], "--classes names only 'pour, open'; give at least"),
        (["x.mp4", "--classes", "gone.txt"], "--classes names only 'gone.txt'; give at least two"),
    ],
)
def test_a_command_that_asks_for_nothing_is_refused(trained, capsys, flags, message):
    assert predict(trained, *flags) == 1
    assert message in capsys.readouterr().err


def test_each_video_is_printed_as_it_is_done(trained, mine, capsys, monkeypatch):
    def one_then_stop(*arguments, **options):
        for count, each in enumerate(stream_scores(*arguments, **options)):
            if count == 1:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(adapt.predict, "stream_scores", one_then_stop)
    assert predict(trained, mine, "--views", "8x3") == 130
    assert capsys.readouterr().out.count("%") == 3
    assert predict(trained, mine, "--views", "8x3", "--json") == 130
    assert len(json.loads(capsys.readouterr().out)["videos"]) == 1


def test_official_names_stand_beside_readable_ones(trained, mine, capsys):
    assert predict(trained, mine, "--json") == 0
    (first, *_) = json.loads(capsys.readouterr().out)["videos"]
    assert {each["class"] for each in first["actions"]} <= set(ACTIONS)


def test_a_run_that_has_not_finished_says_so(trained, mine, capsys, tmp_path):
    run = Path(shutil.copytree(trained.run("one"), tmp_path / "half"))
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "status": "stopped"}))
    assert main([str(run), str(mine), "--device", "cpu", "--workers", "0"]) == 0
    assert "run half has not finished (stopped)" in capsys.readouterr().err
