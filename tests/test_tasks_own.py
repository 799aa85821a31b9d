"""Tasks from outside: a person's own folder, and the command."""

import subprocess
import sys
from pathlib import Path

import pytest
from fake_videos import make_own, touch, write

from adapt.data_config import DataConfig
from adapt.tasks import main, make_task, read_list
from describe.errors import UserError


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A person's own folder of class folders, without any list."""
    return make_own(tmp_path)


def error_of(capsys, *argv: object) -> str:
    """Run the command, which must fail, and return its one line."""
    assert main([str(each) for each in argv]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_class_folders_without_a_list_are_divided_and_it_is_said(own):
    task = make_task(DataConfig(videos=own, shots=4), seed=7)
    (test,) = task.evaluations
    assert task.train.dataset == "mine"
    assert task.train.class_names == ("bow", "hug", "kick")
    assert test.counts() == dict.fromkeys(("bow", "hug", "kick"), 2)
    assert any("one video in five of each class is, drawn by a fixed seed" in n for n in task.notes)
    other = make_task(DataConfig(videos=own, shots=4), seed=8)
    assert other.evaluations[0].hash == test.hash, "all runs must test on the same videos"
    assert other.train.hash != task.train.hash


def test_folders_that_say_what_they_are_for_are_understood(tmp_path):
    counts = {"train": 4, "val": 2, "test": 3}
    names = [f"{p}/{c}/{p}_{c}_{i}.mp4" for p, n in counts.items() for c in "xy" for i in range(n)]
    config = DataConfig(videos=touch(tmp_path / "v", names), task="supervised")
    task = make_task(config, seed=0)
    assert task.held_out is not None
    lists = (task.train, task.held_out, *task.evaluations)
    assert [(each.name, len(each)) for each in lists] == [
        ("train", 8),
        ("held_out", 4),
        ("test", 6),
    ]


def test_a_folder_of_datasets_is_said_to_be_one_too_high(tmp_path):
    def names(inner: str) -> list[str]:
        return [f"{c}/{inner.format(i % 2)}{c}{i}.mp4" for c in ("one", "two") for i in range(8)]

    config = DataConfig(videos=touch(tmp_path / "sets", names("class {}/")), shots=4)
    hint = "if those are the classes, --videos is one folder too high"
    assert any(hint in note for note in make_task(config, seed=0).notes)
    # One folder in each class, or files beside the folders: a person's own order, and no hint.
    for place, inner in (("flat", ""), ("deep", "clips/")):
        config = DataConfig(videos=touch(tmp_path / place, names(inner)), shots=4)
        assert not any(hint in note for note in make_task(config, seed=0).notes)


def test_a_validation_folder_is_the_test_where_there_is_no_other(tmp_path):
    names = [
        f"{part}/{c}/{part}_{c}_{i}.mp4" for part in ("train", "val") for c in "xy" for i in (1, 2)
    ]
    config = DataConfig(videos=touch(tmp_path / "v", names), task="supervised")
    task = make_task(config, seed=0)
    assert (len(task.train), len(task.evaluations[0]), task.held_out) == (4, 4, None)


@pytest.mark.parametrize("has_split", [True, False])
def test_one_csv_of_everything_is_used_or_divided(own, has_split):
    rows = [f"{path.relative_to(own)},{path.parent.name}" for path in sorted(own.rglob("*.mp4"))]
    rows = [f"{row},{'test' if '_9' in row else 'train'}" if has_split else row for row in rows]
    write(own / "videos.csv", "path,class,split" if has_split else "path,class", *rows)
    task = make_task(DataConfig(videos=own, task="supervised"), seed=0)
    assert len(task.train) + len(task.evaluations[0]) == 30
    assert len(task.evaluations[0]) == (3 if has_split else 6)


def test_rows_marked_train_stay_so_where_the_rest_is_divided(own):
    rows = []
    for path in sorted(own.rglob("*.mp4")):
        # Two of each class are marked; a third is of the recording that one of them is of.
        marked, group = path.stem[-2:] in ("_0", "_1"), path.stem[-2:] in ("_1", "_2")
        name = path.relative_to(own)
        group = f"tape {path.parent.name}" if group else ""
        rows.append(f"{name},{path.parent.name},{'train' if marked else ''},{group}")
    write(own / "videos.csv", "path,class,split,group", *rows)
    task = make_task(DataConfig(videos=own, task="supervised"), seed=0)
    (test,) = task.evaluations
    assert test.counts() == dict.fromkeys(("bow", "hug", "kick"), 1)  # a fifth of 7
    trained = {Path(video.name).stem[-2:] for video in task.train.videos}
    assert len(task.train) == 27
    assert {"_0", "_1", "_2"} <= trained
    assert any("(27 training, 3 test); the 6 that are marked train stay" in n for n in task.notes)


def test_a_table_that_marks_all_as_train_leaves_nothing_to_test(own):
    rows = [f"{p.relative_to(own)},{p.parent.name},train" for p in sorted(own.rglob("*.mp4"))]
    write(own / "videos.csv", "path,class,split", *rows)
    with pytest.raises(
        UserError, match=r"all videos of mine are marked as train; mark some as test, or pass --te"
    ):
        make_task(DataConfig(videos=own, task="supervised"), seed=0)


def test_rows_without_a_split_beside_marked_ones_are_counted(own):
    marks = {"_9": "test", "_8": ""}
    rows = [
        f"{p.relative_to(own)},{p.parent.name},{marks.get(p.stem[-2:], 'train')}"
        for p in sorted(own.rglob("*.mp4"))
    ]
    write(own / "videos.csv", "path,class,split", *rows)
    task = make_task(DataConfig(videos=own, task="supervised"), seed=0)
    assert (len(task.train), len(task.evaluations[0])) == (24, 3)
    assert "videos.csv: 3 rows have no split and are left out" in task.notes


def test_lists_inside_the_videos_folder_are_found_and_beside_it_are_not(own):
    rows = {"train": range(6), "test": range(6, 8)}
    for part, numbers in rows.items():
        lines = [f"{c}/clip_{c}_{i}.mp4,{c}" for c in ("kick", "hug", "bow") for i in numbers]
        write(own.parent / f"{part}.csv", "path,class", *lines)
    config = DataConfig(videos=own, task="supervised")
    assert len(make_task(config, seed=0).train) == 24  # divided: the lists are somewhere else
    for part in rows:
        (own.parent / f"{part}.csv").rename(own / f"{part}.csv")
    task = make_task(config, seed=0)
    assert (len(task.train), len(task.evaluations[0])) == (18, 6)


def test_base_and_novel_halves_of_an_own_dataset_are_by_a_fixed_seed(tmp_path):
    names = [f"{c}/{c}_{i}.mp4" for c in "abcdef" for i in range(5)]
    videos = touch(tmp_path / "v", names)
    config = DataConfig(videos=videos, task="base-to-novel", shots=2)
    halves = [[e.class_names for e in make_task(config, seed=s).evaluations] for s in (1, 2)]
    assert halves[0] == halves[1]
    assert sorted(halves[0][0] + halves[0][1]) == list("abcdef")
    assert len(halves[0][0]) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["clip_kick_1.mp4,kick"], "mine (train) has 1 class; there is nothing to tell apart"),
        (["clip_kick_1.mp4,kick", "clip_hug_1.mp4 3 4"], "line 2: "),
    ],
)
def test_lists_that_make_no_task_are_one_line(own, tmp_path, capsys, lines, message):  # failure 40
    path = write(tmp_path / "own.txt", *lines)
    said = error_of(capsys, "--videos", own, "--train-list", path, "--test-list", path)
    assert message in said


def test_an_empty_test_list_is_one_line(own, tmp_path, capsys):  # failure 40
    path = write(tmp_path / "test.txt", "")
    said = error_of(capsys, "--videos", own, "--test-list", path, "--shots", 2)
    assert f"{path} lists no video" in said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"annotations": Path("gone")}, "no annotations gone; give a folder of lists, or one file"),
        ({"task": "base-to-novel"}, "mine has 3 classes; base-to-novel needs 4, two for each half"),
        ({"held_out": 0.5, "shots": 1}, "--held-out 0.5: no class of train has two videos"),
    ],
)
def test_what_an_own_folder_cannot_give_is_one_line(own, given, message):
    with pytest.raises(UserError, match=message):
        make_task(DataConfig(videos=own, **given), seed=0)


def test_a_training_list_alone_does_not_say_what_is_tested(own, tmp_path):
    path = write(tmp_path / "x.txt", "clip_kick_1.mp4,kick", "clip_hug_1.mp4,hug")
    with pytest.raises(
        UserError, match=r"nothing says what mine is tested on; pass --test-list bes"
    ):
        make_task(DataConfig(videos=own, train_list=path), seed=0)


def test_a_class_without_a_training_video_is_named(own, tmp_path):  # failure 40
    path = write(tmp_path / "x.txt", "clip_kick_1.mp4,kick", "clip_hug_1.mp4,hug")
    test = write(tmp_path / "y.txt", "clip_bow_2.mp4,bow")
    classes = write(tmp_path / "classes.txt", "kick", "hug", "bow")
    config = DataConfig(
        videos=own, task="supervised", classes=classes, train_list=path, test_list=test
    )
    with pytest.raises(
        UserError, match=r"1 of 3 classes of mine have no training video, first 'bow'"
    ):
        make_task(config, seed=0)


def test_folders_that_are_no_class_are_left_out_and_counted(own, tmp_path):
    classes = write(tmp_path / "classes.txt", "Kick", "hug")
    task = make_task(DataConfig(videos=own, classes=classes, shots=2), seed=0)
    assert task.train.class_names == ("Kick", "hug")
    assert "1 folders (10 videos) are no class of mine and are left out: bow" in task.notes


def test_videos_in_no_class_folder_need_a_list(tmp_path):
    videos = touch(tmp_path / "flat", ["a.mp4", "b.mp4"])
    with pytest.raises(UserError, match=r"nothing names the classes of flat: no class folder in"):
        make_task(DataConfig(videos=videos), seed=0)
    classes = write(tmp_path / "classes.txt", "kick", "hug")
    with pytest.raises(UserError, match=r"no list and no class folder in .*flat; put videos into"):
        make_task(DataConfig(videos=videos, classes=classes), seed=0)


def test_a_list_that_a_run_kept_can_be_trained_on_again(own, tmp_path):
    first = make_task(DataConfig(videos=own, shots=3), seed=0)
    assert main(["--videos", str(own), "--shots", "3", "--write", str(tmp_path)]) == 0
    config = DataConfig(
        videos=own, shots=3, train_list=tmp_path / "train.csv", test_list=tmp_path / "test.csv"
    )
    again = make_task(config, seed=9)
    assert (again.train.hash, again.evaluations[0].hash) == (
        first.train.hash,
        first.evaluations[0].hash,
    )


def test_the_command_shows_the_lists_and_keeps_them(own, tmp_path):
    command = [sys.executable, "-m", "adapt.tasks", "--videos", str(own), "--shots", "3"]
    done = subprocess.run(
        [*command, "--write", str(tmp_path / "lists")], capture_output=True, text=True, check=True
    )
    assert "train: 9 videos of 3 classes of mine, 3 of each" in done.stdout
    assert "videos of each class: bow 3, hug 3, kick 3" in done.stdout
    train = read_list(tmp_path / "lists" / "train.csv")
    assert train.hash in done.stdout
    assert read_list(tmp_path / "lists" / "test.csv").counts() == {"bow": 2, "hug": 2, "kick": 2}
    assert train == make_task(DataConfig(videos=own, shots=3), seed=0).train


def test_a_name_with_control_characters_does_not_steer_the_terminal(tmp_path, capsys):
    names = [f"{c}/{c}\x1b[31m_{i}.mp4" for c in ("a", "b") for i in range(5)]
    assert main(["--videos", str(touch(tmp_path / "v", names)), "--shots", "1"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\u001b[31m" in out
