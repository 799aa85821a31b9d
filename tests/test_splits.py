"""Lists of videos: labels, hashes, and the file that a run keeps of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from fake_videos import touch

from adapt.splits import Video, VideoList, group_of, stem
from adapt.tasks import read_list, write_list
from describe.classes import ActionClass
from describe.errors import UserError

KICK = ActionClass(class_id=4, name="kick", readable="kick someone", group="base")
HUG = ActionClass(class_id=7, name="hug, tight", readable='a "tight" hug')


def make(folder: Path) -> VideoList:
    names = ["hug/b c.mp4", "kick/a,\u00e9.mp4", 'kick/it "is".mp4', "kick/udc\udcff.mp4"]
    touch(folder, names)
    videos = [
        Video(name=name, path=folder / name, class_name="hug, tight" if i == 0 else "kick")
        for i, name in enumerate(names)
    ]
    videos[1] = replace(videos[1], start_seconds=1 / 3, end_seconds=2.5, group="g1")
    return VideoList(
        name="test", dataset="own", classes=(KICK, HUG), videos=tuple(videos), source="own.csv"
    )


def test_a_label_is_the_place_of_the_class_in_this_list(tmp_path):
    made = make(tmp_path)
    assert made.labels == (1, 0, 0, 0)
    assert made.class_names == ("kick", "hug, tight")
    assert made.readable_names == ("kick someone", 'a "tight" hug')
    assert made.counts() == {"kick": 3, "hug, tight": 1}
    assert len(made) == 4


def test_the_hash_is_of_names_and_labels_and_not_of_the_folder(tmp_path):
    made = make(tmp_path / "here")
    assert made.hash == make(tmp_path / "there").hash
    assert made.hash == made.with_videos(made.videos, name="other", source="else").hash
    first = made.videos[0]
    changed = [
        made.with_videos(reversed(made.videos)),
        made.with_videos(made.videos[1:]),
        made.with_videos([replace(first, name="x"), *made.videos[1:]]),
        made.with_videos([replace(first, class_name="kick"), *made.videos[1:]]),
        replace(made, classes=(HUG, KICK)),
        replace(made, classes=(KICK, HUG, replace(KICK, name="bow"))),
    ]
    assert len({made.hash, *(each.hash for each in changed)}) == 7


def test_the_hash_is_of_the_seconds_too(tmp_path):
    made = make(tmp_path)
    _, timed, *_ = made.videos
    changed = [
        replace(timed, start_seconds=0.5),
        replace(timed, end_seconds=2.0),
        replace(timed, start_seconds=None),
        replace(timed, end_seconds=None),
        replace(timed, start_seconds=None, end_seconds=None),
    ]
    hashes = {made.with_videos([made.videos[0], each]).hash for each in (timed, *changed)}
    assert len(hashes) == 6


def test_the_hash_is_a_promise():
    # Results are compared by it: if it changes, nothing measured before can be compared.
    # printf '[["kick"],[["a.mp4",0]]]' | sha256sum
    video = Video(name="a.mp4", path=Path("a.mp4"), class_name="kick")
    made = VideoList(name="test", dataset="own", classes=(KICK,), videos=(video,))
    assert made.hash == "sha256:25328b465522c29c37ff3a01b5023a6a9309224ebc18879135690e9613adfbcb"


def test_a_list_is_read_back_as_it_was_written(tmp_path):
    made = make(tmp_path / "videos")
    write_list(made, tmp_path / "lists" / "test.csv")
    read = read_list(tmp_path / "lists" / "test.csv")
    assert read == made
    assert read.hash == made.hash
    assert [path.name for path in (tmp_path / "lists").iterdir()] == ["test.csv"]


def test_a_list_finds_videos_that_were_moved(tmp_path):
    made = make(tmp_path / "videos")
    write_list(made, tmp_path / "test.csv")
    (tmp_path / "videos").rename(tmp_path / "moved")
    read = read_list(tmp_path / "test.csv", tmp_path / "moved")
    assert read.hash == made.hash
    assert all(video.path.exists() for video in read.videos)
    (tmp_path / "moved" / "hug" / "b c.mp4").unlink()
    with pytest.raises(
        UserError,
        match=r"1 of 4 videos of test.csv are not below .*moved: hug, tight 1; first 'hug/b c.mp4'",
    ):
        read_list(tmp_path / "test.csv", tmp_path / "moved")


def test_an_empty_list_is_kept_too(tmp_path):
    made = make(tmp_path / "videos").with_videos([])
    write_list(made, tmp_path / "test.csv")
    assert read_list(tmp_path / "test.csv") == made


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hug/b c.mp4", "hug/b d.mp4", "is not as it was written"),
        ("adapt-list-1", "adapt-list-0", r"line 1: not a list of format adapt-list-1"),
        ("path,file,class", "file,path,class", r"line 2: not the columns path,file,class"),
        (",1,,,\n", ",1\n", r"line 3: 4 fields of 7"),
    ],
)
def test_a_list_that_was_edited_is_refused(tmp_path, old, new, message):
    path = tmp_path / "test.csv"
    write_list(make(tmp_path / "videos"), path)
    data = path.read_bytes().decode("utf-8", "surrogateescape")
    assert old in data
    path.write_bytes(data.replace(old, new, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=message):
        read_list(path)


def test_a_list_that_cannot_be_kept_leaves_nothing_behind(tmp_path):
    (tmp_path / "lists").touch()
    with pytest.raises(UserError, match=r"cannot write .*lists/test.csv: "):
        write_list(make(tmp_path / "videos"), tmp_path / "lists" / "test.csv")
    with pytest.raises(UserError, match=r"no list .*gone.csv"):
        read_list(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("name", "bare", "group"),
    [
        ("Archery/v_Archery_g07_c03.avi", "v_Archery_g07_c03", "v_archery_g07"),
        ("val/0wR5jVB-WPk_000417_000427.mp4", "0wR5jVB-WPk_000417_000427", "0wR5jVB-WPk"),
        ("a.b.c", "a.b.c", ""),
        ("74225.webm", "74225", ""),
        ("x/Clip.MKV", "Clip", ""),
    ],
)
def test_a_name_tells_the_bare_name_and_the_recording(name, bare, group):
    assert (stem(name), group_of(name)) == (bare, group)
