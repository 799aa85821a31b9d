"""Tasks from outside: what is missing, what leaks, and what was asked for wrongly."""

from pathlib import Path

import pytest
from fake_videos import UCF, make_ucf, touch, ucf_names, write

from adapt.data_config import DataConfig
from adapt.tasks import main, make_task
from describe.classes import protocol_order
from describe.errors import UserError


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    """UCF-101 as it unpacks: class folders, and the official lists beside them."""
    return make_ucf(tmp_path)


def error_of(capsys, *argv: object) -> str:
    """Run the command, which must fail, and return its one line."""
    assert main([str(each) for each in argv]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_missing_videos_are_counted_by_class_before_anything_else(ucf, capsys, workspace):
    for name in ucf_names("Archery", range(8, 13))[:3]:
        (ucf / "Archery" / name).unlink()
    (ucf / "Biking" / "v_Biking_g08_c01.avi").unlink()
    said = error_of(capsys, "--dataset", "ucf101", "--videos", ucf, "--shots", 4)  # failure 32
    assert "4 of 1010 videos of ucf101 (train) are not below" in said
    assert "Archery 3, Biking 1; first 'Archery/v_Archery_g08_c01.avi'" in said
    assert not (workspace / "videos.json").exists()
    config = DataConfig(dataset="ucf101", videos=ucf, shots=4, allow_missing=True)
    task = make_task(config, seed=0)
    assert task.missing == {"train": {"Archery": 3, "Biking": 1}}
    assert any(note.startswith("missing: 4 of 1010 videos") for note in task.notes)
    assert task.train.counts() == dict.fromkeys(UCF, 4)


def test_a_folder_without_any_of_the_videos_is_said(ucf, tmp_path, capsys):
    empty = touch(tmp_path / "empty", ["a.mp4"])
    annotations = tmp_path / "ucfTrainTestlist"
    said = error_of(capsys, "--dataset", "ucf101", "--videos", empty, "--annotations", annotations)
    assert "1010 of 1010 videos of ucf101 (train) are not below" in said


def test_too_few_videos_for_the_shots_are_one_line(ucf, capsys):  # failure 40
    said = error_of(capsys, "--dataset", "ucf101", "--videos", ucf, "--shots", 16)
    assert "--shots 16, but 101 of 101 classes of ucf101 have fewer training videos" in said
    assert "pass --shots 10" in said


def test_a_dataset_with_official_lists_is_not_divided_unasked(ucf, tmp_path, capsys):
    (tmp_path / "ucfTrainTestlist").rename(tmp_path / "elsewhere")
    said = error_of(capsys, "--dataset", "ucf101", "--videos", ucf, "--shots", 2)
    assert "no official lists of ucf101 in or beside" in said
    assert "--annotations FOLDER, or --allow-unofficial" in said
    config = DataConfig(dataset="ucf101", videos=ucf, shots=2, allow_unofficial=True)
    (test,) = make_task(config, seed=0).evaluations
    assert test.counts() == dict.fromkeys(UCF, 2)  # a fifth of 14 is 3, and groups are of 2


def test_test_videos_in_the_training_list_stop_the_run(ucf, tmp_path, capsys):  # failure 39
    listed = [
        f"{name}/{each} {i}" for i, name in enumerate(UCF) for each in ucf_names(name, range(1, 2))
    ]
    path = write(tmp_path / "mine.txt", *listed)
    flags = ["--dataset", "ucf101", "--videos", ucf, "--shots", "2", "--train-list", path]
    said = error_of(capsys, *flags)
    assert "202 videos of 'test' are in 'train' too: " in said
    assert "--allow-leakage" in said
    assert main([*map(str, flags), "--allow-leakage"]) == 0
    assert "note: leakage allowed: 202 videos" in capsys.readouterr().out


def test_novel_videos_in_base_training_stop_the_run(ucf, tmp_path):  # failure 39
    order = UCF
    novel = protocol_order("ucf101", "novel")[0]
    rows = [
        f"{name}/{each} {order.index(name)}"
        for name in UCF
        for each in ucf_names(name, range(8, 9))
    ]
    path = write(tmp_path / "mine.txt", *rows)
    config = DataConfig(
        dataset="ucf101", videos=ucf, task="base-to-novel", shots=2, train_list=path
    )
    with pytest.raises(UserError, match=r"100 training videos are of 50 novel classes, first .*v_"):
        make_task(config, seed=0)
    allowed = make_task(DataConfig(**{**vars(config), "allow_leakage": True}), seed=0)
    assert novel in allowed.train.class_names
    assert any("50 classes of 'novel' are classes of 'train' too" in leak for leak in allowed.leaks)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shots": 0}, "--shots is 0; it must be at least 1"),
        ({"split": 0}, "--split is 0; it must be 1, 2 or 3"),
        ({"split": 4}, "--split is 4; it must be 1, 2 or 3"),
        ({"dataset": "../x"}, r"'../x' cannot name a dataset; use letters"),
        ({"held_out": 1.0}, r"--held-out is 1.0; it must be in \[0, 1\)"),
        ({"test_datasets": ("k600",)}, "--test-datasets belongs to --task zero-shot, not to few-"),
        (
            {"task": "zero-shot", "test_datasets": ("k600",), "test_videos": (Path(), Path())},
            "--test-videos names 2 folders for 1 --test-datasets",
        ),
        ({"task": "zero-shot", "test_datasets": ("a", "a")}, "--test-datasets names a twice"),
    ],
)
def test_values_that_no_data_could_fit_are_refused_at_once(given, message):
    with pytest.raises(UserError, match=message):
        DataConfig(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"which videos\? pass --dataset NAME and --videos FOLDER"),
        ({"dataset": "ucf101"}, r"where are the videos of ucf101\? pass --videos FOLDER once"),
        ({"task": "zero-shot"}, "--task zero-shot needs --test-datasets, such as"),
        (
            {"task": "zero-shot", "dataset": "a", "test_datasets": ("a",)},
            "--test-datasets names a, which is trained on; name others",
        ),
        (
            {"task": "zero-shot", "test_datasets": ("a", "b"), "test_list": Path("x")},
            "--test-list is one list; name one dataset",
        ),
    ],
)
def test_what_was_not_said_is_asked_for(given, message):
    with pytest.raises(UserError, match=message):
        make_task(DataConfig(**given), seed=0)


def test_two_lists_of_one_name_are_refused_unless_they_are_the_same(ucf, tmp_path):
    first = tmp_path / "ucfTrainTestlist" / "testlist01.txt"
    other = write(tmp_path / "lists" / "testlist01.txt", "Archery/v_Archery_g01_c01.avi")
    config = DataConfig(dataset="ucf101", videos=ucf, shots=2)
    with pytest.raises(UserError, match=r"two different lists: .* and .*; name the right one with"):
        make_task(config, seed=0)
    other.write_bytes(first.read_bytes())
    assert len(make_task(config, seed=0).evaluations[0]) == 404


def test_a_list_of_another_dataset_is_passed_over(ucf, tmp_path):
    lists = (tmp_path / "ucfTrainTestlist").rename(tmp_path / "splits")
    write(lists / "hmdb_splits" / "testlist01.txt", "nothing of ours 0")
    assert len(make_task(DataConfig(dataset="ucf101", videos=ucf, shots=2), seed=0).train) == 202


def test_an_unreadable_line_of_hmdb51_is_named(tmp_path):
    videos = touch(tmp_path / "hmdb51", ["wave/a.avi"])
    write(tmp_path / "splits" / "wave_test_split1.txt", "a.avi 1", "b.avi 3")
    with pytest.raises(
        UserError, match=r"wave_test_split1.txt, line 2: 'b.avi 3' is not a name and"
    ):
        make_task(DataConfig(dataset="hmdb51", videos=videos), seed=0)


def test_nothing_below_the_videos_is_written(ucf):
    before = sorted((path, path.stat().st_mtime_ns) for path in ucf.parent.rglob("*"))
    assert main(["--dataset", "ucf101", "--videos", str(ucf), "--shots", "2"]) == 0
    after = sorted(
        (p, p.stat().st_mtime_ns) for p in ucf.parent.rglob("*") if "home" not in p.parts
    )
    assert after == before
