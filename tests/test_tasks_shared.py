"""The public lists and real folders, through the readers: counts, classes, and the known traps."""

import csv
from functools import cache
from pathlib import Path

import pytest
from fake_videos import touch

from adapt.data_config import DataConfig
from adapt.split_index import VideoIndex
from adapt.split_labels import ClassNames, with_classes
from adapt.split_lists import read_rows
from adapt.split_rows import Row
from adapt.tasks import make_task
from describe.classes import load_classes
from describe.errors import UserError

pytestmark = pytest.mark.shared

FOLDERS = {
    "hmdb51": "hmdb_splits",
    "k400": "k400_splits",
    "ssv2": "ssv2_splits",
    "ucf101": "ucf_splits",
}
LABELS = {"hmdb51": "hmdb_51", "k400": "kinetics_400", "ssv2": "ssv2_174", "ucf101": "ucf_101"}
SWAPPED = {"kick", "kick ball", "sword", "sword exercise"}

# Dataset, list below splits/, what it counts in, videos, classes.
LISTS = [
    *(("hmdb51", f"hmdb_splits/train1_few_shot_{k}.txt", "all", 51 * k, 51) for k in (2, 4, 8, 16)),
    *(
        ("ucf101", f"ucf_splits/train1_few_shot_{k}.txt", "all", 101 * k, 101)
        for k in (2, 4, 8, 16)
    ),
    *(("ssv2", f"ssv2_splits/train1_few_shot_{k}.txt", "all", 174 * k, 174) for k in (2, 4, 8, 16)),
    *(("hmdb51", f"hmdb_splits/val{s}.txt", "all", 1530, 51) for s in (1, 2, 3)),
    *(
        ("ucf101", f"ucf_splits/val{s}.txt", "all", n, 101)
        for s, n in ((1, 3783), (2, 3734), (3, 3696))
    ),
    ("ssv2", "ssv2_splits/validation.txt", "all", 24777, 174),
    ("k400", "k400_splits/val.txt", "all", 19877, 400),
    ("k400", "k400_splits/train_tiny.txt", "all", 60000, 400),
    *(
        ("k600", f"k600_splits/ZS_split{s}_K600_eval.txt", f"zero_shot_{s}", n, 160)
        for s, n in ((1, 14084), (2, 13978), (3, 14136))
    ),
    *(
        (d, f"base2novel_splits/{FOLDERS[d]}/{name}.txt", half, n, k)
        for d, name, half, n, k in (
            ("hmdb51", "base_train", "base", 1820, 26),
            ("hmdb51", "base_val", "base", 780, 26),
            ("hmdb51", "novel_val", "novel", 750, 25),
            ("ucf101", "base_train", "base", 5385, 51),
            ("ucf101", "base_val", "base", 2088, 51),
            ("ucf101", "novel_val", "novel", 1695, 50),
            ("ssv2", "base_train", "base", 125937, 87),
            ("ssv2", "base_val", "base", 17562, 87),
            ("ssv2", "novel_val", "novel", 7215, 87),
            ("k400", "base_val", "base", 9944, 200),
            ("k400", "novel_val", "novel", 9933, 200),
            *(
                (d, f"fs_base_s{s}_train", "base", 16 * k, k)
                for d, k in (("hmdb51", 26), ("ucf101", 51), ("ssv2", 87), ("k400", 200))
                for s in (1, 2, 3)
            ),
        )
    ),
]


@cache
def read(path: Path) -> tuple[Row, ...]:
    return tuple(read_rows(path))


def assign(path: Path, dataset: str) -> tuple[list[Row], list[str]]:
    return with_classes(read(path), ClassNames(load_classes(dataset)), file=path)


def public_labels(shared: Path, dataset: str, counted: str) -> list[str]:
    """Names by label, from the public file of the same task: the independent truth."""
    if counted.startswith("zero_shot"):
        name = f"ZS_split{counted[-1]}_K600.csv"
    elif counted == "all":
        name = "ssv2_labels.csv" if dataset == "ssv2" else f"{LABELS[dataset]}_labels.csv"
    else:
        name = f"{LABELS[dataset]}_{counted}_labels.csv"
    with (shared / "labels" / name).open(encoding="utf-8", newline="") as file:
        return [row["name"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(("dataset", "file", "counted", "videos", "classes"), LISTS)
def test_every_public_list_has_its_videos_and_classes(
    shared, dataset, file, counted, videos, classes
):
    path = shared / "splits" / file
    rows, notes = assign(path, dataset)
    assert (len(rows), len({row.class_name for row in rows})) == (videos, classes)
    listed = load_classes(dataset)
    names = [listed.find(name).name for name in public_labels(shared, dataset, counted)]
    for before, after in zip(read(path), rows, strict=True):
        expected = names[before.label]
        assert expected == after.class_name or {expected, after.class_name} <= SWAPPED
    if counted != "all":
        assert any(f"among the {counted} classes" in note for note in notes)


def test_the_public_hmdb51_lists_swap_two_pairs_and_the_names_are_followed(shared):
    rows, notes = assign(shared / "splits/hmdb_splits/val1.txt", "hmdb51")
    swapped = [row for row in rows if row.class_name in SWAPPED]
    assert len(swapped) == 4 * 30
    for row in swapped:
        assert f"_{row.class_name.replace(' ', '_')}_" in row.name.casefold()
    assert any("4 labels (120 videos) name another class" in note for note in notes)


def stems(path: Path) -> set[str]:
    return {Path(line.rsplit(" ", 1)[0]).stem for line in path.read_text().splitlines()}


def fake(shared: Path, folder: Path, *lists: str) -> Path:
    return touch(folder, {row.name for file in lists for row in read(shared / "splits" / file)})


@pytest.mark.parametrize(("split", "overlap"), [(2, 627), (3, 623)])
def test_16_shots_of_split_1_are_found_in_test_splits_2_and_3(shared, tmp_path, split, overlap):
    # failure 39; the overlap, 627 and 623, was counted by hand from the bare names
    shots, test = "ucf_splits/train1_few_shot_16.txt", f"ucf_splits/val{split}.txt"
    assert len(stems(shared / "splits" / shots) & stems(shared / "splits" / test)) == overlap
    videos = fake(shared, tmp_path / "ucf", shots, test)
    config = DataConfig(
        dataset="ucf101",
        videos=videos,
        annotations=shared / "splits",
        split=split,
        shot_list="public",
    )
    with pytest.raises(
        UserError, match=rf"{overlap} videos of 'test' are in 'train' too: 'v_Apply"
    ):
        make_task(config, seed=0)


def test_the_public_base_lists_of_three_seeds_make_the_task(shared, tmp_path):
    half = "base2novel_splits/hmdb_splits"
    lists = [f"{half}/{name}.txt" for name in ("base_train", "base_val", "novel_val")]
    videos = fake(shared, tmp_path / "hmdb", *lists)
    config = DataConfig(
        dataset="hmdb51",
        videos=videos,
        annotations=shared / "splits",
        task="base-to-novel",
        shot_list="public",
    )
    tasks = [make_task(config, seed=seed) for seed in (1, 2, 3)]
    assert len({task.train.hash for task in tasks}) == 3
    for seed, task in enumerate(tasks, start=1):
        assert [len(each) for each in (task.train, *task.evaluations)] == [416, 780, 750]
        public = shared / "splits" / half / f"fs_base_s{seed}_train.txt"
        assert {Path(video.name).stem for video in task.train.videos} == stems(public)
    # The halves of official split 1 are the public base and novel tests.
    base, novel = tasks[0].evaluations
    for found, name in ((base, "base_val"), (novel, "novel_val")):
        assert {Path(v.name).stem for v in found.videos} == stems(
            shared / "splits" / half / f"{name}.txt"
        )
    with pytest.raises(UserError, match="are for seeds 1, 2 and 3, not 16 shots and seed 0; pass"):
        make_task(config, seed=0)


def test_zero_shot_on_kinetics_600_by_the_public_lists(shared, tmp_path):
    lists = [f"k600_splits/ZS_split{number}_K600_eval.txt" for number in (1, 2, 3)]
    some = {row.name for file in lists for row in read(shared / "splits" / file)[::40]}
    config = DataConfig(
        task="zero-shot",
        test_datasets=("k600",),
        test_videos=(touch(tmp_path / "k600", some),),
        annotations=shared / "splits",
        allow_missing=True,
    )
    task = make_task(config, seed=0, need_train=False)
    for each, count in zip(task.evaluations, (14084, 13978, 14136), strict=True):
        assert len(each) + sum(task.missing[each.name].values()) == count
        assert len(each) >= count // 40
        assert len(each.classes) == 160


def test_interaction6_by_its_own_lists(shared):
    videos = shared / "videos"
    config = DataConfig(
        videos=videos / "interaction6",
        task="supervised",
        train_list=videos / "interaction6_train.txt",
        test_list=videos / "interaction6_val.txt",
    )
    task = make_task(config, seed=0)
    (test,) = task.evaluations
    assert (len(task.train), len(test)) == (83, 37)
    assert test.class_names == ("handshake", "hug", "kick", "point", "punch", "push")
    for listed, video, label in zip(read(config.test_list), test.videos, test.labels, strict=True):
        assert (listed.label, listed.name) == (label, video.name)
        assert video.path.parent.name == video.class_name


@pytest.mark.parametrize(("dataset", "count"), [("ucf101", 20), ("hmdb51", 4), ("k400", 7)])
def test_real_class_folders_are_evaluated_against_official_classes(shared, dataset, count):
    folder = shared / "videos" / dataset
    config = DataConfig(
        task="zero-shot", test_datasets=(dataset,), test_videos=(folder,), allow_unofficial=True
    )
    (test,) = make_task(config, seed=0, need_train=False).evaluations
    assert len(test) == len(VideoIndex(folder).names) == count
    assert test.class_names == load_classes(dataset).names
    for video in test.videos:
        assert load_classes(dataset).find(video.path.parent.name).name == video.class_name
