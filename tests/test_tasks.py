"""Tasks from outside: benchmarks as people have them on disk, and the lists that come of it."""

import json
from pathlib import Path

import pytest
from fake_videos import UCF, make_ucf, touch, ucf_names, write

from adapt.data_config import DataConfig
from adapt.tasks import make_task
from describe.classes import load_classes, subset
from describe.errors import UserError

HMDB = load_classes("hmdb51").names


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    """UCF-101 as it unpacks: class folders, and the official lists beside them."""
    return make_ucf(tmp_path)


def zero_shot(tmp_path: Path, **given) -> DataConfig:
    k400 = touch(
        tmp_path / "k400",
        [f"train/{n}/k4_{i}.mp4" for i, n in enumerate(load_classes("k400").names)],
    )
    return DataConfig(
        **{
            "dataset": "k400",
            "videos": k400,
            "task": "zero-shot",
            "allow_unofficial": True,
            **given,
        }
    )


def test_ucf101_as_it_unpacks(ucf):
    task = make_task(DataConfig(dataset="ucf101", videos=ucf, shots=4), seed=1)
    assert task.train.counts() == dict.fromkeys(UCF, 4)
    (test,) = task.evaluations
    assert (test.name, test.dataset, test.source) == ("test", "ucf101", "testlist01.txt")
    assert test.counts() == dict.fromkeys(UCF, 4)
    assert test.class_names == UCF
    for video in (*task.train.videos, *test.videos):
        assert video.path.is_file()
        assert video.class_name in video.path.name
    assert "4 of each class of trainlist01.txt, seed 1" in task.notes[0]


def test_the_same_seed_gives_the_same_lists_wherever_the_folder_is(ucf, tmp_path):
    before = make_task(DataConfig(dataset="ucf101", videos=ucf, shots=2), seed=3)
    (tmp_path / "moved").mkdir()
    ucf.rename(tmp_path / "moved" / "videos")
    lists = tmp_path / "ucfTrainTestlist"
    config = DataConfig(
        dataset="ucf101", videos=tmp_path / "moved" / "videos", annotations=lists, shots=2
    )
    after = make_task(config, seed=3)
    assert after.train.hash == before.train.hash
    assert after.evaluations[0].hash == before.evaluations[0].hash
    assert make_task(config, seed=4).train.hash != before.train.hash
    sampled = DataConfig(**{**vars(config), "sample_seed": 3})
    assert make_task(sampled, seed=4).train.hash == before.train.hash


def test_base_to_novel_trains_on_base_and_tests_on_both(ucf):
    config = DataConfig(dataset="ucf101", videos=ucf, task="base-to-novel", shots=2, held_out=0.5)
    task = make_task(config, seed=1)
    base, novel = (subset(load_classes("ucf101"), half).names for half in ("base", "novel"))
    assert [each.name for each in task.evaluations] == ["base", "novel"]
    assert task.train.class_names == task.evaluations[0].class_names == base
    assert task.evaluations[1].class_names == novel
    assert {video.class_name for video in task.train.videos} <= set(base)
    assert task.held_out is not None
    assert len(task.train) + len(task.held_out) == 51 * 2


def test_hmdb51_official_lists_are_read_whole(tmp_path):
    for name in HMDB:
        under = name.replace(" ", "_")
        marks = {1: "train", 2: "test", 0: "none"}
        files = {f"{under}_{word}_{i}.avi": mark for mark, word in marks.items() for i in (1, 2)}
        touch(tmp_path / "hmdb51" / under, files)
        rows = [f"{file} {mark} " for file, mark in files.items()]
        write(tmp_path / "testTrainMulti_7030_splits" / f"{under}_test_split1.txt", *rows)
    config = DataConfig(dataset="hmdb51", videos=tmp_path / "hmdb51", shots=2)
    task = make_task(config, seed=0)
    assert task.train.counts() == task.evaluations[0].counts() == dict.fromkeys(HMDB, 2)
    assert all("_train_" in video.name for video in task.train.videos)
    assert all("_test_" in video.name for video in task.evaluations[0].videos)
    (tmp_path / "testTrainMulti_7030_splits" / "wave_test_split1.txt").unlink()
    with pytest.raises(UserError, match=r"1 of 51 classes have no list beside .* first 'wave'"):
        make_task(config, seed=0)


def test_kinetics_is_found_flat_or_in_class_folders_cut_or_not(tmp_path):
    names = load_classes("k400").names
    header = "label,youtube_id,time_start,time_end,split"
    ids = {part: [f"{part}{i:07d}" for i in range(400)] for part in ("trai", "vali")}
    for part, file in (("trai", "train"), ("vali", "validate")):
        rows = [f'"{n}",{i},3,13,{file}' for n, i in zip(names, ids[part], strict=True)]
        write(tmp_path / "k400" / "annotations" / f"{file}.csv", header, *rows)
    touch(tmp_path / "k400" / "val", [f"{i}_000003_000013.mp4" for i in ids["vali"]])
    folders = [f"train/{n}/{i}.mp4" for n, i in zip(names, ids["trai"], strict=True)]
    touch(tmp_path / "k400", folders)
    config = DataConfig(dataset="k400", videos=tmp_path / "k400", task="supervised")
    task = make_task(config, seed=0)
    assert task.train.counts() == task.evaluations[0].counts() == dict.fromkeys(names, 1)
    assert {video.start_seconds for video in task.train.videos} == {None}
    assert any("400 files are named without times" in note for note in task.notes)
    uncut = make_task(DataConfig(**{**vars(config), "uncut": True}), seed=0)
    assert {(v.start_seconds, v.end_seconds) for v in uncut.train.videos} == {(3.0, 13.0)}
    assert {video.start_seconds for video in uncut.evaluations[0].videos} == {None}


def test_kinetics_in_train_and_val_folders_needs_no_list(tmp_path):
    names = load_classes("k400").names
    parts = ("train", "val", "test")
    files = [f"{part}/{name}/{part}_{i}.mp4" for part in parts for i, name in enumerate(names)]
    config = DataConfig(dataset="k400", videos=touch(tmp_path / "k400", files), task="supervised")
    task = make_task(config, seed=0)
    assert (len(task.train), task.evaluations[0].source) == (400, "val folders")


def test_something_something_as_it_unpacks(tmp_path):
    names = load_classes("ssv2").names
    for part, first in (("train", 1), ("validation", 1001)):
        items = [
            {
                "id": str(first + i),
                "label": "x",
                "template": name.replace("something", "[something]"),
            }
            for i, name in enumerate(names)
        ]
        write(tmp_path / "labels" / f"something-something-v2-{part}.json", json.dumps(items))
    numbers = [*range(1, 1 + len(names)), *range(1001, 1001 + len(names))]
    videos = touch(tmp_path / "20bn-something-something-v2", [f"{n}.webm" for n in numbers])
    task = make_task(DataConfig(dataset="ssv2", videos=videos, shots=1), seed=0)
    assert task.train.labels == task.evaluations[0].labels == tuple(range(174))
    assert task.train.videos[5].class_name == names[5]


def test_zero_shot_tests_three_official_splits(ucf, tmp_path):
    lists = tmp_path / "ucfTrainTestlist"
    for number in (2, 3):
        (lists / f"testlist0{number}.txt").write_bytes((lists / "testlist01.txt").read_bytes())
    config = zero_shot(tmp_path, test_datasets=("ucf101",), test_videos=(ucf,))
    task = make_task(config, seed=0)
    assert [each.name for each in task.evaluations] == ["ucf101-1", "ucf101-2", "ucf101-3"]
    assert len(task.train) == 400
    assert any("have a name of a training class" in note for note in task.notes)
    (lists / "testlist03.txt").unlink()
    assert any("ucf101: no list of split 3" in note for note in make_task(config, seed=0).notes)


def test_kinetics_600_is_three_draws_of_160_unknown_classes(tmp_path):
    names = load_classes("k600").names
    k600 = touch(tmp_path / "k600", [f"{n}/k6_{i}.mp4" for i, n in enumerate(names)])
    config = zero_shot(tmp_path, test_datasets=("k600",), test_videos=(k600,))
    task = make_task(config, seed=0)
    assert [(e.name, len(e)) for e in task.evaluations] == [(f"k600-{i}", 160) for i in (1, 2, 3)]
    assert not task.leaks
    whole = write(
        tmp_path / "all.csv", "path,class", *(f'k6_{i}.mp4,"{n}"' for i, n in enumerate(names))
    )
    with pytest.raises(UserError, match=r"\d{3} classes of 'k600' are classes of 'train' too: 'a"):
        make_task(DataConfig(**{**vars(config), "test_list": whole}), seed=0)  # failure 39


@pytest.mark.parametrize(("file", "part"), [("test", "test"), ("validate", "validate")])
def test_kinetics_600_by_its_official_list(tmp_path, file, part):
    names = load_classes("k600").names
    rows = [f'"{name}",k6_{i:08},3,13,{part}' for i, name in enumerate(names)]
    write(tmp_path / "k600" / f"{file}.csv", "label,youtube_id,time_start,time_end,split", *rows)
    unknown = {n for i in (1, 2, 3) for n in subset(load_classes("k600"), f"zero_shot_{i}").names}
    files = [f"k6_{i:08}_000003_000013.mp4" for i, n in enumerate(names) if n in unknown]
    k600 = touch(tmp_path / "k600" / "videos", files).parent
    task = make_task(zero_shot(tmp_path, test_datasets=("k600",), test_videos=(k600,)), seed=0)
    assert [(e.name, len(e), e.source) for e in task.evaluations] == [
        (f"k600-{i}", 160, f"{file}.csv") for i in (1, 2, 3)
    ]


def test_of_a_kinetics_600_list_with_all_parts_the_test_part_is_tested(tmp_path):
    names = load_classes("k600").names
    rows = [
        f'"{name}",{part[:3]}{i:08},3,13,{part}'
        for i, name in enumerate(names)
        for part in ("train", "validate", "test")
    ]
    write(tmp_path / "k600" / "test.csv", "label,youtube_id,time_start,time_end,split", *rows)
    k600 = touch(tmp_path / "k600", [f"tes{i:08}_000003_000013.mp4" for i in range(len(names))])
    task = make_task(zero_shot(tmp_path, test_datasets=("k600",), test_videos=(k600,)), seed=0)
    assert [len(each) for each in task.evaluations] == [160, 160, 160]


def test_nothing_needs_to_be_there_to_train_on_where_nothing_is_trained(ucf, tmp_path):
    (tmp_path / "ucfTrainTestlist" / "trainlist01.txt").unlink()
    config = DataConfig(dataset="ucf101", videos=ucf)
    task = make_task(config, seed=0, need_train=False)
    assert (len(task.train), task.train.class_names, len(task.evaluations[0])) == (0, UCF, 404)
    with pytest.raises(UserError, match=r"no training list of ucf101 in or beside"):
        make_task(config, seed=0)


@pytest.mark.parametrize(
    ("given", "dataset", "count"),
    [(None, "ucf101", 101), ("k400", "k400", 400), ("ucf101", "ucf101", 101), ("own", "own", 101)],
)
def test_zero_shot_without_training_is_of_the_dataset_that_is_named(ucf, given, dataset, count):
    config = DataConfig(
        dataset=given, task="zero-shot", test_datasets=("ucf101",), test_videos=(ucf,)
    )
    task = make_task(config, seed=0, need_train=False)
    assert (task.train.dataset, len(task.train), len(task.train.classes)) == (dataset, 0, count)
    (test,) = task.evaluations
    assert (test.dataset, len(test)) == ("ucf101", 404)


def test_own_classes_are_those_of_a_zero_shot_run_without_training(ucf, tmp_path):
    config = DataConfig(
        classes=write(tmp_path / "mine.txt", "kick", "hug"),
        task="zero-shot",
        test_datasets=("ucf101",),
        test_videos=(ucf,),
    )
    task = make_task(config, seed=0, need_train=False)
    assert task.train.class_names == ("kick", "hug")
    assert len(task.evaluations[0].classes) == 101


def test_public_shots_are_used_where_there_is_nothing_to_draw_from(ucf, tmp_path):
    lists = tmp_path / "ucfTrainTestlist"
    (lists / "trainlist01.txt").unlink()
    rows = [f"{each} {i}" for i, name in enumerate(UCF) for each in ucf_names(name, range(9, 10))]
    write(lists / "train1_few_shot_2.txt", *rows)
    config = DataConfig(dataset="ucf101", videos=ucf, shots=2)
    task = make_task(config, seed=0)
    assert task.train.source == "train1_few_shot_2.txt"
    assert any("the public train1_few_shot_2.txt is used" in note for note in task.notes)
    full = [f"{name}/{each}" for name in UCF for each in ucf_names(name, range(8, 13))]
    write(lists / "trainlist01.txt", *full)
    both = make_task(config, seed=0)
    assert both.train.source == "2 of each class of trainlist01.txt, seed 0"
    assert any("train1_few_shot_2.txt is there too; --shot-list public" in n for n in both.notes)
    (lists / "trainlist01.txt").unlink()
    with pytest.raises(UserError, match=r"public few-shot lists are there for --shots 2"):
        make_task(DataConfig(**{**vars(config), "shots": 4}), seed=0)
    with pytest.raises(UserError, match=r"--shot-list public: no train1_few_shot_8.txt in or besi"):
        make_task(DataConfig(**{**vars(config), "shots": 8, "shot_list": "public"}), seed=0)


def test_the_folder_is_remembered_after_a_run_that_found_all(ucf, workspace):
    config = DataConfig(dataset="ucf101", videos=ucf, shots=2)
    assert any(
        f"remembered in {workspace / 'videos.json'}" in n for n in make_task(config, seed=0).notes
    )
    again = make_task(DataConfig(dataset="ucf101", shots=2), seed=0)
    assert len(again.train) == 202
    assert not any("remembered" in note for note in again.notes)


@pytest.mark.parametrize(
    ("flags", "meant"),
    [
        ({"dataset": "UCF-101"}, "ucf101"),
        ({"dataset": "ufc101"}, "ucf101"),
        ({"task": "zero-shot", "dataset": "k400", "test_datasets": ("hmbd51",)}, "hmdb51"),
    ],
)
def test_a_mistyped_dataset_does_not_become_ones_own(flags, meant):
    with pytest.raises(UserError, match=f"no dataset .*; did you mean {meant}\\?"):
        DataConfig(**flags)


@pytest.mark.parametrize("name", ["ucf101", "mini", "my_actions", "my_ucf101", "interaction6"])
def test_names_of_ones_own_are_free(name):
    assert DataConfig(dataset=name).dataset == name
