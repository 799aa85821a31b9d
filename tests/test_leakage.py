"""The guards find what must not be known before the test, and nothing else."""

from dataclasses import replace
from pathlib import Path

from adapt.leakage import leaks, shared_classes
from adapt.splits import Video, VideoList, group_of
from describe.classes import ActionClass, load_classes, subset


def make(name: str, *files: Path | str, classes: tuple[str, ...] = ("kick", "hug")) -> VideoList:
    videos = [
        Video(name=str(f), path=Path(f), class_name=classes[0], group=group_of(str(f)))
        for f in files
    ]
    listed = tuple(ActionClass(class_id=i, name=n, readable=n) for i, n in enumerate(classes))
    return VideoList(name=name, dataset="own", classes=listed, videos=tuple(videos))


def test_lists_that_share_nothing_pass():
    assert leaks(make("train", "a.mp4"), None, [make("test", "b.mp4")]) == []


def test_a_name_is_found_in_another_folder_case_and_ending():  # failure 39
    train, test = make("train", "x/Clip_1.avi", "b.avi"), make("test", "y/clip_1.mp4", "c.mp4")
    assert leaks(train, None, [test]) == ["1 videos of 'test' are in 'train' too: 'y/clip_1.mp4'"]


def test_the_count_and_the_first_names_are_said():
    names = [f"clip_{i}.mp4" for i in range(5)]
    (found,) = leaks(make("train", *names), None, [make("test", *names)])
    assert (
        found
        == "5 videos of 'test' are in 'train' too: 'clip_0.mp4', 'clip_1.mp4', 'clip_2.mp4', ..."
    )


def test_a_recording_that_was_cut_for_both_is_found():
    train, test = make("train", "v_Kick_g01_c01.avi"), make("test", "v_Kick_g01_c02.avi")
    (found,) = leaks(train, None, [test])
    assert found == (
        "1 videos of 'test' were cut from the same recordings as videos of 'train': 'v_kick_g01'"
    )


def test_held_out_videos_are_guarded_on_both_sides():
    found = leaks(
        make("train", "a.mp4"), make("held_out", "a.mp4", "b.mp4"), [make("test", "b.mp4")]
    )
    assert found == [
        "1 videos of 'test' are in 'held_out' too: 'b.mp4'",
        "1 videos of 'held_out' are in 'train' too: 'a.mp4'",
    ]


def test_names_that_repeat_mean_nothing_and_files_are_compared(tmp_path):
    files = {}
    for place in ("train/kick", "train/hug", "test/kick"):
        files[place] = tmp_path / place / "001.mp4"
        files[place].parent.mkdir(parents=True)
        files[place].write_bytes(place.encode())
    train = make("train", files["train/kick"], files["train/hug"])
    test = make("test", files["test/kick"])
    assert leaks(train, None, [test]) == []
    files["test/kick"].write_bytes(files["train/hug"].read_bytes())
    (found,) = leaks(train, None, [test])
    assert found.startswith("1 videos of 'test' are in 'train' too")


def test_two_classes_with_one_readable_name_are_found():
    made = make("train", "a.mp4")
    one = replace(made, classes=(made.classes[0], replace(made.classes[1], readable="Kick")))
    assert leaks(one, None, []) == [
        "'kick' and 'hug' of 'train' have one readable name, 'Kick': no text tells them apart"
    ]


def test_classes_are_shared_in_any_spelling():
    train, test = (
        make("train", "a", classes=("Ride-Bike", "eat")),
        make("t", "b", classes=("ride bike", "hug")),
    )
    assert shared_classes(train, test) == ["ride bike"]


def test_kinetics_600_holds_kinetics_400_but_its_zero_shot_classes_do_not():
    k400, k600 = load_classes("k400"), load_classes("k600")
    train = VideoList(name="train", dataset="k400", classes=k400.classes, videos=())
    whole = VideoList(name="k600", dataset="k600", classes=k600.classes, videos=())
    assert len(shared_classes(train, whole)) >= 368  # by exact name alone
    for number in (1, 2, 3):
        drawn = subset(k600, f"zero_shot_{number}").classes
        assert len(drawn) == 160
        assert shared_classes(train, replace(whole, classes=drawn)) == []
