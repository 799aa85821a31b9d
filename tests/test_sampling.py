"""Draws: the same for the same seed wherever the files lie, nested, and never through a group."""

from collections import Counter
from pathlib import Path

import pytest

from adapt.sampling import divide, few_shot, hold_out
from adapt.splits import Video, VideoList, group_of
from describe.classes import ActionClass
from describe.errors import UserError

NAMES = ("Archery", "Biking", "Bowling")


def make(folder: str = "/data", *, groups: int = 5, clips: int = 4, prefix: str = "") -> VideoList:
    """Three classes of `groups` recordings of `clips` clips each, as UCF-101 names them."""
    names = [
        f"{prefix}v_{name}_g{g:02}_c{c:02}.avi"
        for name in NAMES
        for g in range(1, groups + 1)
        for c in range(1, clips + 1)
    ]
    videos = [
        Video(
            name=name,
            path=Path(folder) / name,
            class_name=name.removeprefix(prefix).split("_")[1],
            group=group_of(name),
        )
        for name in names
    ]
    classes = tuple(ActionClass(class_id=i, name=n, readable=n) for i, n in enumerate(NAMES))
    return VideoList(name="train", dataset="own", classes=classes, videos=tuple(videos))


def stems(videos: VideoList) -> list[str]:
    return [video.stem for video in videos.videos]


def test_each_class_gives_exactly_so_many():
    drawn = few_shot(make(), 4, seed=1)
    assert drawn.counts() == dict.fromkeys(NAMES, 4)
    assert len(set(stems(drawn))) == 12


def test_the_draw_depends_on_the_seed_and_on_nothing_else():
    drawn = stems(few_shot(make(), 4, seed=1))
    assert stems(few_shot(make("/else", prefix="train/Some/"), 4, seed=1)) == drawn
    shuffled = make()
    shuffled = shuffled.with_videos(reversed(shuffled.videos))
    assert sorted(stems(few_shot(shuffled, 4, seed=1))) == sorted(drawn)
    without_bowling = make()
    kept = [v for v in without_bowling.videos if v.class_name != "Bowling" or v.stem in drawn]
    assert stems(few_shot(without_bowling.with_videos(kept), 4, seed=1)) == drawn
    others = {tuple(stems(few_shot(make(), 4, seed=seed))) for seed in range(20)}
    assert len(others) == 20


def test_lists_are_nested_in_the_number_of_shots_unless_asked_otherwise():
    nested = [set(stems(few_shot(make(), shots, seed=3))) for shots in (2, 4, 8, 16)]
    assert nested[0] < nested[1] < nested[2] < nested[3]
    apart = [set(stems(few_shot(make(), k, seed=3, nested=False))) for k in (2, 4, 8)]
    assert not apart[0] <= apart[1] or not apart[1] <= apart[2]


def test_every_video_is_drawn_about_equally_often():
    # 600 draws of 4 of 20: 120 each, and a standard deviation of 9.8.
    drawn = Counter(s for seed in range(600) for s in stems(few_shot(make(), 4, seed=seed)))
    assert len(drawn) == 60
    assert 120 - 5 * 9.8 < min(drawn.values())
    assert max(drawn.values()) < 120 + 5 * 9.8


def test_a_list_of_so_many_shots_is_taken_as_it_is():
    made = few_shot(make(), 4, seed=1)
    assert few_shot(made, 4, seed=2) is made


def test_fewer_videos_than_shots_is_one_line_with_the_class():  # failure 40
    short = make().with_videos(v for v in make().videos if v.stem != "v_biking_g01_c01")
    with pytest.raises(
        UserError, match=r"--shots 20, but 1 of 3 classes of own have .*'Biking' has 19; pass --sh"
    ):
        few_shot(short, 20, seed=0)


def test_held_out_videos_come_of_whole_groups_of_every_class():
    train, aside = hold_out(make(), 0.3, seed=5)
    assert sorted(stems(train) + stems(aside)) == sorted(stems(make()))
    assert not {v.group for v in train.videos} & {v.group for v in aside.videos}
    assert aside.counts() == dict.fromkeys(NAMES, 4)  # at most 6 of 20, and groups are of 4
    assert aside.name == "held_out"
    assert stems(hold_out(make("/else"), 0.3, seed=5)[1]) == stems(aside)
    others = {tuple(stems(hold_out(make(), 0.3, seed=seed)[1])) for seed in range(20)}
    assert len(others) > 10


def test_clips_of_one_film_are_not_parted_by_what_is_held_out():
    names = [
        f"film_{film}_kick_f_cm_np1_ba_med_{clip}.avi" for film in range(10) for clip in range(3)
    ]
    videos = [Video(name=name, path=Path(name), class_name="Archery") for name in names]
    train, aside = hold_out(make().with_videos(videos), 0.2, seed=0)
    films = [{video.stem.split("_kick")[0] for video in each.videos} for each in (train, aside)]
    assert len(films[1]) == 2
    assert not films[0] & films[1]


def test_names_that_repeat_in_every_class_are_no_group():
    videos = [
        Video(name=f"{c}/{i:04}.mp4", path=Path(f"{c}/{i:04}.mp4"), class_name=c)
        for c in NAMES
        for i in range(10)
    ]
    train, aside = hold_out(make().with_videos(videos), 0.2, seed=0)
    assert train.counts() == dict.fromkeys(NAMES, 8)
    assert aside.counts() == dict.fromkeys(NAMES, 2)


def test_every_class_keeps_something_to_train_on():
    train, aside = hold_out(make(groups=2, clips=1), 0.9, seed=0)
    assert train.counts() == aside.counts() == dict.fromkeys(NAMES, 1)


def test_a_large_recording_is_not_taken_for_a_small_share():
    sizes = {"big": 40, "small": 5, "little": 5}
    videos = [
        Video(name=f"{group}_{i}.mp4", path=Path(f"{group}_{i}.mp4"), class_name=c, group=c + group)
        for c in NAMES
        for group, size in sizes.items()
        for i in range(size)
    ]
    for seed in range(20):
        _, aside = hold_out(make().with_videos(videos), 0.2, seed=seed)
        assert aside.counts() == dict.fromkeys(NAMES, 10)
        # Where no recording is small enough, the smallest is taken.
        _, aside = hold_out(make().with_videos(videos), 0.02, seed=seed)
        assert aside.counts() == dict.fromkeys(NAMES, 5)


def test_names_that_repeat_within_a_class_are_drawn_one_by_one():
    videos = [
        Video(name=f"{c}/s{s}/take{i}.mp4", path=Path(f"{c}/s{s}/take{i}.mp4"), class_name=c)
        for c in NAMES
        for s in range(10)
        for i in range(10)
    ]
    listed = make().with_videos(videos)
    drawn = few_shot(listed, 16, seed=0)
    takes = {v.stem for v in drawn.videos if v.class_name == "Biking"}
    assert len(takes) > 4
    moved = [Video(name=f"train/{v.name}", path=v.path, class_name=v.class_name) for v in videos]
    again = few_shot(listed.with_videos(moved), 16, seed=0)
    assert [v.name.removeprefix("train/") for v in again.videos] == [v.name for v in drawn.videos]
    assert len({v.stem for v in hold_out(listed, 0.2, seed=0)[1].videos}) > 4


def test_nothing_can_be_held_out_of_one_recording_a_class():
    with pytest.raises(UserError, match=r"--held-out 0.5: no class of train has two videos of dif"):
        hold_out(make(groups=1), 0.5, seed=0)


def test_a_division_takes_one_in_five_of_each_class_in_whole_groups():
    videos = make(groups=25, clips=2).videos
    train, test = divide(videos, lambda v: v.class_name, lambda v: v.name)
    assert Counter(v.class_name for v in test) == dict.fromkeys(NAMES, 10)
    assert not {v.group for v in train} & {v.group for v in test}
    elsewhere = make("/else", groups=25, clips=2, prefix="a/").videos
    again = divide(elsewhere, lambda v: v.class_name, lambda v: v.name)[1]
    assert [v.stem for v in again] == [v.stem for v in test]
