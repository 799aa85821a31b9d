"""A file is found wherever it lies below the folder; where two answer to a name, neither is."""

import os

import pytest
from fake_videos import touch

from adapt.split_index import VideoIndex
from adapt.split_locate import locate
from adapt.split_rows import Row
from describe.classes import ActionClass, ClassList
from describe.errors import UserError

CLASSES = ClassList(
    dataset="own",
    classes=tuple(
        ActionClass(class_id=i, name=name, readable=name) for i, name in enumerate(["kick", "hug"])
    ),
)


@pytest.mark.parametrize(
    ("on_disk", "listed"),
    [
        ("Archery/v_a.avi", "Archery/v_a.avi"),
        ("Archery/v_a.avi", "v_a.avi"),
        ("v_a.avi", "Archery/v_a.avi"),
        ("Archery/v_a.mp4", "v_a.avi"),
        ("brush_hair/x.avi", "brush hair/x.avi"),
        ("train/abseiling/0wR5jVB-WPk_000417_000427.mp4", "0wR5jVB-WPk_000417_000427"),
        ("kick/a.mp4", "interaction6/kick/a.mp4"),
        ("A.MP4", "a.mp4"),
        ("cafe\u0301.mp4", "caf\u00e9.mp4"),  # NFD, as macOS writes it
        ("a.b.c.webm", "a.b.c"),
    ],
)
def test_a_file_is_found_by_what_it_is_called(tmp_path, on_disk, listed):
    index = VideoIndex(touch(tmp_path, [on_disk, "other.mp4"]))
    assert index.find(listed) == tmp_path / on_disk


def test_ids_that_differ_in_case_are_two(tmp_path):
    index = VideoIndex(touch(tmp_path, ["x/AbC.mp4", "y/aBc.mp4"]))
    assert index.find("aBc.mp4") == tmp_path / "y/aBc.mp4"
    with pytest.raises(UserError, match=r"'abc.mp4' may be 'x/AbC.mp4' or 'y/aBc.mp4'"):
        index.find("abc.mp4")


@pytest.mark.parametrize("names", [["a.mp4", "a.webm"], ["x/a.avi", "y/a.avi"]])
def test_two_files_that_answer_to_one_name_are_both_named(tmp_path, names):
    index = VideoIndex(touch(tmp_path, names))
    with pytest.raises(UserError, match=f"{names[0]!r} or {names[1]!r}"):
        index.find("a")


def test_of_two_files_the_one_that_is_more_alike_is_taken(tmp_path):
    index = VideoIndex(touch(tmp_path, ["s1/a.mp4", "s1/a.avi", "s2/a.avi"]))
    assert index.find("old/s1/a.avi") == tmp_path / "s1/a.avi"


def test_hidden_files_other_files_and_circles_of_links_are_passed_over(tmp_path):
    touch(tmp_path, ["kick/a.mp4", "kick/.b.mp4", ".cache/c.mp4", "list.txt"])
    os.symlink(tmp_path, tmp_path / "kick" / "again")
    assert VideoIndex(tmp_path).names == ["kick/a.mp4"]


def test_links_to_folders_are_followed(tmp_path):
    touch(tmp_path / "far", ["a.mp4"])
    (tmp_path / "near").mkdir()
    os.symlink(tmp_path / "far", tmp_path / "near" / "kick")
    assert VideoIndex(tmp_path / "near").names == ["kick/a.mp4"]


def test_no_folder_and_no_video_are_said(tmp_path):
    with pytest.raises(UserError, match="no folder .*gone; give the videos' folder with --videos"):
        VideoIndex(tmp_path / "gone")
    with pytest.raises(UserError, match=r"no video below .*; endings looked for: \.3g2, \.3gp"):
        VideoIndex(tmp_path)


def row(name: str, class_name: str, **given) -> Row:
    return Row(name=name, place=f"line of {name}", class_name=class_name, **given)


def test_a_missing_video_is_never_replaced_by_one_of_another_class(tmp_path):
    index = VideoIndex(touch(tmp_path, ["hug/001.mp4", "kick/002.mp4"]))
    found = locate([row("kick/001.mp4", "kick"), row("kick/002.mp4", "kick")], index, CLASSES)
    assert [video.name for video in found.videos] == ["kick/002.mp4"]
    assert [each.name for each in found.missing] == ["kick/001.mp4"]


def test_two_rows_that_are_one_file_are_refused(tmp_path):
    index = VideoIndex(touch(tmp_path, ["001.mp4"]))
    rows = [row("kick/001.mp4", "kick"), row("hug/001.mp4", "hug")]
    with pytest.raises(UserError, match=r"'hug/001.mp4' .* and 'kick/001.mp4' .* are one file"):
        locate(rows, index, CLASSES)


def test_times_count_only_in_a_file_that_was_not_cut(tmp_path):
    index = VideoIndex(touch(tmp_path, ["id1_000003_000013.mp4", "id2.mp4"]))
    rows = [
        row(f"{i}_000003_000013", "kick", other_names=(i,), start_seconds=3.0, end_seconds=13.0)
        for i in ("id1", "id2")
    ]
    cut = locate(rows, index, CLASSES)
    assert [video.start_seconds for video in cut.videos] == [None, None]
    assert cut.untimed == 1
    whole = locate(rows, index, CLASSES, uncut=True)
    assert [(v.start_seconds, v.end_seconds) for v in whole.videos] == [(None, None), (3.0, 13.0)]
    assert whole.untimed == 0
