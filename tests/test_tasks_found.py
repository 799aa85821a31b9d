"""Which file a list means, which list is meant, and which classes: no silent second best."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fake_videos import make_own, make_ucf, touch, write

from adapt.data_config import DataConfig
from adapt.split_index import VideoIndex
from adapt.tasks import main, make_task, read_list, write_list
from describe.errors import UserError


def paths_of(videos, root: Path) -> list[str]:
    return [video.path.relative_to(root).as_posix() for video in videos.videos]


def test_a_missing_video_is_not_replaced_from_another_folder(tmp_path):  # failures 30, 32
    names = [f"{part}/{c}/{i:04}.mp4" for part in ("train", "test") for c in "xy" for i in range(3)]
    folder = touch(tmp_path / "v", names)
    for part in ("train", "test"):
        rows = [f"{name},{name.split('/')[1]}" for name in names if name.startswith(part)]
        write(folder / f"{part}.csv", "path,class", *rows)
    (folder / "test/x/0001.mp4").unlink()
    config = DataConfig(videos=folder, dataset="own", task="supervised")
    with pytest.raises(UserError, match=r"1 of 6 videos of own \(test\) are not below .*: x 1; "):
        make_task(config, seed=0)


def test_a_video_in_test_is_never_one_of_train(tmp_path):
    names = [f"{part}/{c}/{i:04}.mp4" for part in ("train", "test") for c in "xy" for i in range(3)]
    folder = touch(tmp_path / "v", [name for name in names if not name.startswith("train/x/")])
    for part in ("train", "test"):
        rows = [f"{name},{name.split('/')[1]}" for name in names if name.startswith(part)]
        write(folder / f"{part}.csv", "path,class", *rows)
    config = DataConfig(videos=folder, dataset="own", task="supervised")
    with pytest.raises(UserError, match=r"3 of 6 videos of own \(train\) are not below .*: x 3; "):
        make_task(config, seed=0)


def test_the_command_counts_every_class_also_where_too_few_are_left(tmp_path, capsys):
    ucf = make_ucf(tmp_path)
    for name in ("Archery", "Bowling", "Diving", "Punch", "Rafting"):
        for path in (ucf / name).glob("*_g[01][890]_*"):
            path.unlink()
    flags = ["--dataset", "ucf101", "--videos", str(ucf), "--shots", "10"]
    assert main(flags) == 1
    said = capsys.readouterr()
    line = "missing in train: 30 videos: Archery 6, Bowling 6, Diving 6, Punch 6, Rafting 6"
    assert said.out.splitlines() == [line]
    assert "30 of 1010 videos of ucf101 (train)" in said.err
    assert "python -m adapt.tasks" not in said.err


def test_numbers_are_the_folders_that_their_files_are_in(tmp_path):
    folder = touch(tmp_path / "v", [f"deep/{c}/{c}{i}.mp4" for c in ("kick", "bow") for i in "012"])
    touch(tmp_path / "v", ["else/x.mp4"])
    for part, numbers in (("train", "01"), ("test", "2")):
        rows = [f"deep/{c}/{c}{i}.mp4 {k}" for k, c in enumerate(("kick", "bow")) for i in numbers]
        write(tmp_path / f"{part}.txt", *rows)
    config = DataConfig(
        videos=folder, train_list=tmp_path / "train.txt", test_list=tmp_path / "test.txt", shots=2
    )
    task = make_task(config, seed=0)
    assert task.train.class_names == ("kick", "bow")  # in the order of their numbers
    assert task.evaluations[0].labels == (0, 1)


def test_folders_of_other_classes_are_said_to_be_that(tmp_path):
    own = make_own(tmp_path)
    config = DataConfig(dataset="miniature", videos=own, shots=2)
    said = (
        r"3 folders in .*mine \('bow', 'hug', 'kick'\), and none is one of the 24 classes of mini"
    )
    with pytest.raises(UserError, match=said):
        make_task(config, seed=0)


def test_too_few_shots_say_which_folders_were_left_out(tmp_path):
    own = make_own(tmp_path)
    classes = write(tmp_path / "classes.txt", "kick", "hugging", "bow")
    with pytest.raises(UserError, match=r"'hugging' has 0; .*1 folders \(10 videos\) are no class"):
        make_task(DataConfig(videos=own, classes=classes, shots=4), seed=0)


def test_of_another_person_is_another_video(tmp_path):
    folder = touch(tmp_path / "v", ["s1/b0.mp4", "s2/a0.mp4", "s2/b1.mp4"])
    rows = ["s1/a0.mp4,open", "s1/b0.mp4,close"]
    config = DataConfig(
        videos=folder, dataset="own", task="supervised",
        train_list=write(tmp_path / "train.csv", "path,class", *rows),
        test_list=write(tmp_path / "test.csv", "path,class", "s2/a0.mp4,open", "s2/b1.mp4,close"),
    )  # fmt: skip
    with pytest.raises(UserError, match=r"1 of 2 videos of own \(train\) .* open 1; first 's1/a0"):
        make_task(config, seed=0)


def test_folders_that_are_nowhere_do_not_hinder(tmp_path):
    folder = touch(tmp_path / "v", ["a.mp4", "deep/down/b.mp4", "Kick Ball/c.avi", "w/x/y/d.mp4"])
    index = VideoIndex(folder)
    for listed, found in (
        ("kick/a.avi", "a.mp4"), ("kick/b.mp4", "deep/down/b.mp4"),
        ("all/kick_ball/c.mp4", "Kick Ball/c.avi"), ("w/d.mp4", "w/x/y/d.mp4"),
    ):  # fmt: skip
        assert index.find(listed) == folder / found
    assert index.find("deep/a.mp4") == folder / "a.mp4"  # the path below `deep`
    assert index.find("kick/deep/down/c.avi") is None
    assert index.find("w/c.avi") is None


def test_a_list_of_videos_that_were_moved_never_takes_another_class(tmp_path):
    for c in ("kick", "hug"):
        for i in range(6):
            write(tmp_path / "v" / c / f"{i:04}.mp4", f"{c} {i}")
    task = make_task(DataConfig(videos=tmp_path / "v", shots=2), seed=0)
    (test,) = task.evaluations
    write_list(test, tmp_path / "test.csv")
    moved = tmp_path / "moved"
    os.rename(tmp_path / "v", moved)
    assert paths_of(read_list(tmp_path / "test.csv", moved), moved) == [
        video.path.relative_to(tmp_path / "v").as_posix() for video in test.videos
    ]
    gone = next(video for video in test.videos if video.class_name == "kick")
    (moved / gone.path.relative_to(tmp_path / "v")).unlink()
    with pytest.raises(UserError, match=rf"1 of {len(test)} videos of test.csv are .*: kick 1; "):
        read_list(tmp_path / "test.csv", moved)


def test_two_videos_of_a_list_that_are_one_file_now_are_refused(tmp_path):
    names = [f"{c}/{c}_{i}.mp4" for c in ("kick", "hug") for i in range(5)]
    task = make_task(DataConfig(videos=touch(tmp_path / "v", names), shots=2), seed=0)
    kicks = [video for video in task.train.videos if video.class_name == "kick"]
    kept = [
        replace(video, name=f"{place}/one.mp4") for place, video in zip("ab", kicks, strict=True)
    ]
    write_list(task.train.with_videos(kept), tmp_path / "train.csv")
    moved = touch(tmp_path / "moved", ["one.mp4"])
    with pytest.raises(UserError, match=r"'b/one.mp4' and 'a/one.mp4' are one file: .*one.mp4"):
        read_list(tmp_path / "train.csv", moved)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"class_id"', '"class_no"'),
        ('"name": "test"', '"nom": "test"'),
        (",hug,", ",hugs,"),
        (",kick,", ',"kick,'),
        (".mp4,kick,1,,", ".mp4,kick,1,soon,"),
    ],
)
def test_a_kept_list_that_was_damaged_is_one_line(tmp_path, old, new):
    folder = touch(tmp_path / "v", [f"{c}/{c}{i}.mp4" for c in ("kick", "hug") for i in range(5)])
    path = tmp_path / "test.csv"
    write_list(make_task(DataConfig(videos=folder, shots=2), seed=0).evaluations[0], path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=r"test.csv (is damaged|is not as it was written)"):
        read_list(path)


def test_two_videos_of_one_name_and_other_contents_are_two_in_a_persons_own_folder(tmp_path):
    folder = tmp_path / "v"
    for part in ("train", "test"):
        for c in ("kick", "hug"):
            for i in range(3):
                write(folder / part / c / f"{c}_{i}.mp4", f"{part} {c} {i}")
    config = DataConfig(videos=folder, task="supervised")
    assert len(make_task(config, seed=0).evaluations[0]) == 6
    copied = folder / "train/kick/kick_0.mp4"
    copied.write_bytes((folder / "test/kick/kick_0.mp4").read_bytes())
    with pytest.raises(UserError, match="1 videos of 'test' are in 'train' too: .*kick_0.mp4"):
        make_task(config, seed=0)


def test_one_name_is_one_video_where_lists_are_official(tmp_path):
    ucf = make_ucf(tmp_path)
    listed = tmp_path / "ucfTrainTestlist"
    test = (listed / "testlist01.txt").read_text().splitlines()
    name = test[0].split("/")[1]
    copy = ucf / "again" / test[0].split("/")[0] / f"{Path(name).stem}.mp4"
    write(copy, "encoded anew")
    with (listed / "trainlist01.txt").open("a") as file:
        file.write(f"again/{test[0].replace('.avi', '.mp4')} 1\n")
    config = DataConfig(dataset="ucf101", videos=ucf, task="supervised")
    with pytest.raises(UserError, match=rf"1 videos of 'test' are in 'train' too: .*{name}"):
        make_task(config, seed=0)


@pytest.mark.parametrize("table", ["videos.csv", "train.csv"])
def test_classes_are_those_of_the_lists_that_are_found(tmp_path, table):
    folder = touch(tmp_path / "v", [f"flat/a{i}.mp4" for i in range(8)])
    rows = [f"a{i}.mp4,{'open door' if i % 2 else 'close door'},{'train' if i < 4 else 'test'}"
            for i in range(8)]  # fmt: skip
    if table == "videos.csv":
        write(folder / table, "path,class,split", *rows)
    else:
        write(folder / "train.csv", "path,class,split", *rows[:4])
        # Another spelling of a class is that class.
        write(folder / "test.csv", "path,class,split", *[r.replace(" d", "_d") for r in rows[4:]])
    task = make_task(DataConfig(videos=folder, shots=2), seed=0)
    assert task.train.class_names == ("close door", "open door")
    assert task.evaluations[0].counts() == {"close door": 2, "open door": 2}


def test_a_training_list_that_is_found_is_not_passed_over(tmp_path):
    own = make_own(tmp_path)
    rows = [f"{c}/clip_{c}_{i}.mp4,{c}" for c in ("kick", "hug", "bow") for i in range(4)]
    write(own / "train.csv", "path,class", *rows)
    said = "nothing says what mine is tested on; pass --test-list beside the training list train"
    with pytest.raises(UserError, match=said):
        make_task(DataConfig(videos=own, shots=2), seed=0)


def test_lists_that_are_given_are_not_mixed_with_those_that_lie_there(tmp_path):
    own = make_own(tmp_path)
    for part, numbers in (("train", range(8)), ("test", range(8, 10))):
        rows = {c: [f"{c}/clip_{c}_{i}.mp4,{c}" for i in numbers] for c in ("kick", "hug", "bow")}
        write(own / f"{part}.csv", "path,class", *sum(rows.values(), []))
        write(tmp_path / f"{part}.csv", "path,class", *rows["kick"], *rows["hug"])
    lists = {f"{part}_list": tmp_path / f"{part}.csv" for part in ("train", "test")}
    task = make_task(DataConfig(videos=own, shots=2, **lists), seed=0)
    assert task.train.class_names == ("hug", "kick")


def test_classes_that_differ_in_a_mark_are_two(tmp_path):
    names = [f"{c}/{i}_{c}.mp4" for c in ("1.5", "15", "zoo") for i in range(5)]
    with pytest.raises(UserError, match="'1.5' and '15' of 'train' have one readable name"):
        make_task(DataConfig(videos=touch(tmp_path / "v", names), shots=2), seed=0)


def test_of_folders_in_one_another_the_outer_is_the_class(tmp_path):
    names = [
        f"{c}/{cam}/{c}{i}.mp4" for c, cam in (("run", "c1"), ("walk", "c2")) for i in range(3)
    ]
    rows = [f"{name} {int(name.startswith('walk'))}" for name in names]
    config = DataConfig(
        videos=touch(tmp_path / "v", names), dataset="own", shots=1,
        train_list=write(tmp_path / "a.txt", *rows[:2], *rows[3:5]),
        test_list=write(tmp_path / "b.txt", rows[2], rows[5]),
    )  # fmt: skip
    assert make_task(config, seed=0).train.class_names == ("run", "walk")


def test_replacements_of_kinetics_are_found(tmp_path):
    names = ["train/abseiling/a.mp4", "replacement_for_corrupted_k400/b.mp4"]
    index = VideoIndex(touch(tmp_path / "v", names))
    assert index.find("abseiling/b.mp4") == index.folder / names[1]


def test_a_name_beside_a_number_is_what_counts(tmp_path):
    folder = touch(tmp_path / "v", [f"flat/a{i}.mp4" for i in range(4)])
    rows = [f"a{i}.mp4,{i % 2},{('open', 'close')[i % 2]}" for i in range(4)]
    task = make_task(
        DataConfig(
            videos=folder, dataset="own", task="supervised",
            classes=write(tmp_path / "classes.txt", "close", "open"),
            train_list=write(tmp_path / "a.csv", "path,label,label_name", *rows[:2]),
            test_list=write(tmp_path / "b.csv", "path,label,label_name", *rows[2:]),
        ),
        seed=0,
    )  # fmt: skip
    assert [(v.name, v.class_name) for v in task.train.videos] == [
        ("a0.mp4", "open"), ("a1.mp4", "close"),
    ]  # fmt: skip


def test_annotations_come_before_all_else_and_what_they_lack_is_said(tmp_path):
    ucf = make_ucf(tmp_path)
    whole = (tmp_path / "ucfTrainTestlist/trainlist01.txt").read_text().splitlines()
    lines = [line for line in whole if "_g08_" in line or "_g09_" in line]
    write(tmp_path / "mylists" / "train1.txt", *lines)
    config = DataConfig(
        dataset="ucf101", videos=ucf, task="supervised", annotations=tmp_path / "mylists"
    )
    task = make_task(config, seed=0)
    assert (task.train.source, len(task.train)) == ("train1.txt", 101 * 4)
    said = f"testlist01.txt is from {tmp_path}/ucfTrainTestlist: --annotations has no such list"
    assert said in task.notes


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("kinetics400", "k400"), ("kinetics-400", "k400"), ("kinetics", "k400"),
        ("Kinetics_600", "k600"), ("hmdb", "hmdb51"), ("ucf", "ucf101"), ("UCF-101", "ucf101"),
        ("sthv2", "ssv2"), ("something-something-v2", "ssv2"),
    ],
)  # fmt: skip
def test_a_public_dataset_by_another_name_does_not_become_ones_own(tmp_path, name, meant):
    with pytest.raises(UserError, match=f"no dataset '{name}'; did you mean {meant}"):
        DataConfig(dataset=name)
    folder = touch(tmp_path / name, [f"{c}/{c}{i}.mp4" for c in "xy" for i in range(5)])
    with pytest.raises(UserError, match=f"is called like {meant}; pass --dataset {meant} for its"):
        make_task(DataConfig(videos=folder, shots=1), seed=0)
    assert make_task(DataConfig(videos=folder, dataset="mine", shots=1), seed=0).train


@pytest.mark.parametrize(
    ("train", "test"),
    [("train_videos", "test_videos"), ("Training", "Test_set"), ("videos_train", "videos_val"),
     ("train_256", "val_256")],
)  # fmt: skip
def test_folders_that_say_what_they_are_for_in_other_words(tmp_path, train, test):
    names = [f"{p}/{c}/{p}_{c}_{i}.mp4" for p in (train, test) for c in "xy" for i in range(2)]
    task = make_task(DataConfig(videos=touch(tmp_path / "v", names), task="supervised"), seed=0)
    assert task.train.class_names == ("x", "y")
    assert [len(task.train), len(task.evaluations[0])] == [4, 4]


def test_a_class_that_speaks_of_a_test_is_a_class(tmp_path):
    names = [f"{c}/{c}_{i}.mp4" for c in ("test drive", "train ride") for i in range(5)]
    task = make_task(DataConfig(videos=touch(tmp_path / "v", names), shots=1), seed=0)
    assert task.train.class_names == ("test drive", "train ride")


def test_links_that_lead_nowhere_are_missing_and_counted(tmp_path):  # failure 32
    own = make_own(tmp_path)
    (own / "kick/clip_kick_0.mp4").unlink()
    (own / "kick/clip_kick_0.mp4").symlink_to(tmp_path / "unmounted" / "clip.mp4")
    (own / "hug/circle.mp4").symlink_to(own / "hug/circle.mp4")
    task = make_task(DataConfig(videos=own, shots=2), seed=0)
    assert any("2 links below" in note and "lead nowhere" in note for note in task.notes)
    every = [*task.train.videos, *task.evaluations[0].videos]
    assert all(video.path.exists() for video in every)


def test_videos_in_no_class_folder_are_counted(tmp_path):
    own = make_own(tmp_path)
    touch(own, ["stray.mp4", "other.mp4"])
    task = make_task(DataConfig(videos=own, shots=2), seed=0)
    assert "2 videos are in no class folder and are left out" in task.notes


def test_a_list_that_cannot_be_read_is_one_line(tmp_path, capsys, monkeypatch):
    own = make_own(tmp_path)
    listed = write(own / "test.csv", "path,class")
    opened = Path.open

    def refuse(path, *args, **options):
        if path == listed:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    assert main(["--videos", str(own), "--shots", "2"]) == 1
    assert capsys.readouterr().err == f"adapt.tasks: cannot read {listed}: Permission denied\n"


@pytest.mark.parametrize(
    ("line", "named"),
    [("a.mp4 exercise 1", "exercise 1"), ("b c.avi,stage 2 of 3", "stage 2 of 3")],
)
def test_a_class_may_end_in_a_number(tmp_path, line, named):
    from adapt.split_lists import line_row

    row = line_row(line, "x, line 1")
    assert (row.class_name, row.label) == (named, None)


def test_a_part_that_ends_before_it_starts_is_refused_with_its_line(tmp_path):
    from adapt.split_lists import read_rows

    path = write(tmp_path / "videos.csv", "path,class,start,end", "a.mp4,x,0,2", "b.mp4,y,3,1.5")
    with pytest.raises(UserError, match="line 3: ends at 1.5 s, before it starts at 3 s"):
        read_rows(path)
