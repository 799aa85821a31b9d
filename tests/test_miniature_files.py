"""The command writes videos that both decoders and the list readers take."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adapt.miniature import main
from adapt.miniature_classes import load_actions
from adapt.miniature_files import SIZE, draw_videos, frame_times
from adapt.split_lists import read_rows
from describe.dataset import list_versions, read_version

ROOT = Path(__file__).parent.parent
SMALL = ["--train-per-class", "2", "--test-per-class", "1"]


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "adapt.miniature", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    out = tmp_path_factory.mktemp("miniature") / "out"
    done = command(out, *SMALL, "--seed", "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"72 videos of 24 actions in {out}\n"
    return out


def with_pyav(path):
    import av

    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def with_decord(path):
    import decord

    reader = decord.VideoReader(str(path), num_threads=1)
    return reader.get_batch(range(len(reader))).asnumpy()


def test_lists_name_every_video_and_its_class(world):
    classes = [each.action.name for each in load_actions()]
    for part, count in (("train", 2), ("test", 1)):
        rows = read_rows(world / f"{part}.csv")
        assert [row.class_name for row in rows] == [n for n in classes for _ in range(count)]
        assert {row.name for row in rows} == {
            path.relative_to(world).as_posix() for path in (world / part).rglob("*.mp4")
        }


def test_both_decoders_see_what_was_drawn(world):
    for each in load_actions()[::8]:
        drawn = draw_videos(each, "train", 2, 5, times=frame_times(16))
        for number, video in enumerate(drawn):
            path = world / "train" / each.action.name / f"{number:04d}.mp4"
            decoded = with_pyav(path)
            assert decoded.shape == video.shape == (16, SIZE, SIZE, 3)
            assert np.abs(decoded.astype(int) - video).mean() < 3
            np.testing.assert_array_equal(decoded, with_decord(path))


def test_the_same_flags_write_the_same_bytes(world, tmp_path):
    again, other = tmp_path / "again", tmp_path / "other"
    assert command(again, *SMALL, "--seed", "5").returncode == 0
    assert command(other, *SMALL, "--seed", "6").returncode == 0
    assert hashes(again) == hashes(world)
    assert not set(hashes(other).values()) & set(hashes(world).values())


def hashes(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.mp4"))
    }


def test_descriptions_lie_beside_the_videos(world):
    assert set(list_versions(world / "descriptions")) == {
        "right", "swapped", "generic", "unrelated"
    }  # fmt: skip
    assert len(read_version(world / "descriptions", "right").rows) == 24 * 2 * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train-per-class", "0"], "--train-per-class is 0; it must be at least 1"),
        (["--num-frames", "4"], "--num-frames is 4; it must be at least 8, the frames of a clip"),
    ],
)
def test_impossible_flags_are_refused_in_one_line(arguments, message, tmp_path, capsys):
    assert main([str(tmp_path / "out"), *arguments]) == 1
    assert capsys.readouterr().err == f"adapt.miniature: {message}\n"
    assert not (tmp_path / "out").exists()


def test_a_folder_with_videos_is_left_alone(world, capsys):
    before = hashes(world)
    assert main([str(world)]) == 1
    assert "has videos already; give another folder, or delete it" in capsys.readouterr().err
    assert hashes(world) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file" / "out")]) == 1
    assert f"cannot write {tmp_path / 'file'}" in capsys.readouterr().err
