"""What is remembered between runs: folders of videos, and which sets have a version."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapt.settings import find_dataset, find_set, known_videos, remember_videos, videos_folder
from describe.dataset import Description, write_version
from describe.errors import UserError


def test_a_folder_is_remembered_once_and_said_once(tmp_path, workspace):
    line = remember_videos("ucf101", tmp_path)
    assert line == f"videos of ucf101 are in {tmp_path}: remembered in {workspace / 'videos.json'}"
    assert remember_videos("ucf101", tmp_path) is None
    assert videos_folder("ucf101", None) == tmp_path
    assert videos_folder("ucf101", Path("/given")) == Path("/given")
    remember_videos("k400", tmp_path / "k")
    assert known_videos() == {"ucf101": tmp_path, "k400": tmp_path / "k"}


def test_runs_that_end_together_forget_no_folder(tmp_path):
    runs, each = 8, 20
    barrier = threading.Barrier(runs)

    def run(number: int) -> None:
        barrier.wait()
        for i in range(each):
            remember_videos(f"own{number}_{i}", tmp_path)

    with ThreadPoolExecutor(runs) as pool:
        list(pool.map(run, range(runs)))
    assert len(known_videos()) == runs * each


def test_a_folder_that_is_unknown_or_gone_says_what_to_pass(tmp_path):
    with pytest.raises(UserError, match=r"where are the videos of ucf101\? pass --videos FOLDER"):
        videos_folder("ucf101", None)
    remember_videos("ucf101", tmp_path / "gone")
    with pytest.raises(
        UserError, match=r"were in .*gone, which is gone; pass --test-videos FOLDER"
    ):
        videos_folder("ucf101", None, "--test-videos")


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "\x00"])
def test_a_damaged_memory_is_one_line(workspace, text):
    workspace.mkdir()
    (workspace / "videos.json").write_text(text)
    with pytest.raises(UserError, match=r"videos.json.*delete it and pass --videos"):
        known_videos()


def make_set(root: Path, dataset: str, version: str) -> None:
    row = Description(
        class_id=0,
        class_name="kick",
        readable_name="kick",
        group="",
        kind="spatial",
        step=0,
        text=f"A person kicks in {dataset} {version}.",
        num_tokens=8,
    )
    write_version(root, [row], [], {"dataset": dataset}, name=version)


def test_the_dataset_that_has_a_version_is_found(workspace):
    make_set(workspace / "sets" / "ucf101", "ucf101", "v1")
    make_set(workspace / "sets" / "hmdb51", "hmdb51", "v1")
    make_set(workspace / "sets" / "hmdb51", "hmdb51", "v2")
    make_set(workspace / "sets" / "hmdb51_base", "hmdb51", "v2")
    assert find_dataset("v2") == "hmdb51"
    assert find_set("v2") == workspace / "sets" / "hmdb51"
    assert find_set("v1", "ucf101") == workspace / "sets" / "ucf101"
    with pytest.raises(UserError, match="2 datasets have descriptions 'v1': hmdb51, ucf101; say w"):
        find_dataset("v1")
    with pytest.raises(UserError, match=r"no descriptions 'v9' .*hmdb51 has v1, v2; .*ucf101 has"):
        find_set("v9")  # failure 33
    with pytest.raises(UserError, match=r"no descriptions 'v2' of ucf101 in .* \(ucf101 has v1\)"):
        find_set("v2", "ucf101")


@pytest.mark.parametrize("damaged", ["manifest.json", "descriptions.parquet"])
def test_a_damaged_set_is_left_out_unless_it_is_asked_for(workspace, caplog, damaged):
    sets = workspace / "sets"
    make_set(sets / "hmdb51", "hmdb51", "v2")
    make_set(sets / "ucf101", "ucf101", "v2")
    make_set(sets / "ssv2", "ssv2", "v7")
    (sets / "ucf101" / "v2" / damaged).write_bytes(b"x")
    assert find_set("v2", "hmdb51") == sets / "hmdb51"
    (said,) = caplog.messages
    assert said.startswith(str(sets / "ucf101" / "v2" / damaged))
    assert said.endswith("; this set is left out")
    assert find_dataset("v7") == "ssv2"
    with pytest.raises(UserError, match=rf"ucf101/v2/{damaged} .*describe again$"):
        find_set("v2", "ucf101")
    with pytest.raises(UserError, match=rf"ucf101/v2/{damaged} .*or name another dataset with --d"):
        find_dataset("v2")  # it could be the one that is meant


def test_no_set_at_all_is_said():
    with pytest.raises(
        UserError, match=r"no descriptions 'v1' in .*sets \(none at all\); make them"
    ):
        find_dataset("v1")


def test_a_mistyped_dataset_is_told_from_none_at_all(workspace):
    make_set(workspace / "sets" / "hmdb51", "hmdb51", "v2")
    with pytest.raises(
        UserError, match=r"no descriptions 'v2' of hmbd51 in .*hmdb51 has .*; did you mean hmdb51\?"
    ):
        find_set("v2", "hmbd51")
