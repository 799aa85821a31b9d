"""`adapt.compare`: the same videos, joined by name, or a refusal that says what differs."""

import pytest
from results_maker import MODEL, scores_for, segment_list
from synthetic_runs import CLASSES, add_result, write_run

from adapt import compare
from adapt.compare_pairs import compare_results
from adapt.evaluate_result import summarise
from adapt.results import read_result, write_result
from adapt.video_config import ViewConfig


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def pair(runs, first, second, ours=None, theirs=None):
    """Write two runs with one result each; return the two, read."""
    paths = []
    for name, outcomes, changes in (("a", first, ours), ("b", second, theirs)):
        folder = write_run(runs / name, class_names=(changes or {}).get("class_names", CLASSES))
        paths.append(add_result(folder, outcomes, **(changes or {})))
    return tuple(read_result(path) for path in paths)


def command(runs, *flags):
    return compare.main([str(runs / "a"), str(runs / "b"), *flags])


def test_a_comparison_by_hand(runs):
    first = [True] * 4 + [False] * 8
    second = [False] + [True] * 3 + [True] * 6 + [False] * 2
    found = compare_results(*pair(runs, first, second))
    assert found.videos == 12
    assert (found.first_top1, found.second_top1) == pytest.approx((100 * 4 / 12, 75.0))
    assert (len(found.lost), len(found.gained)) == (1, 6)
    assert found.p == pytest.approx(2 * (1 + 7) / 2**7)  # of 7, at most 1 on one side
    assert found.interval[0] < found.difference < found.interval[1]


def test_the_difference_by_class_and_the_flips(runs):
    found = compare_results(*pair(runs, [True] * 12, [False] + [True] * 11))
    assert found.classes[-1].class_name == "brush_hair"
    assert found.classes[-1].change == -1
    (flip,) = found.lost
    assert (flip.video, flip.class_name, flip.taken_for) == (
        "brush_hair/0.avi", "brush_hair", "cartwheel",
    )  # fmt: skip


def test_videos_are_joined_by_name_whatever_their_order(runs):
    names = [f"{index}.avi" for index in range(12)]
    outcomes = [index % 3 == 0 for index in range(12)]
    # The same videos from the last class to the first: another order of videos and of classes.
    other = {
        "names": names[::-1],
        "class_names": CLASSES[::-1],
        "list_hash": "sha256:reordered",
    }
    found = compare_results(*pair(runs, outcomes, outcomes[::-1], {"names": names}, other))
    assert (len(found.lost), len(found.gained), found.p) == (0, 0, 1.0)


def test_segments_of_one_file_are_compared_one_by_one(tmp_path):
    videos = segment_list(3)
    found = []
    for name, right in (("a", {0, 1, 2}), ("b", {2})):
        result, rows = summarise(scores_for(videos, right), videos, ViewConfig(), MODEL)
        found.append(read_result(write_result(tmp_path / name, result, rows)))
    compared = compare_results(*found)
    assert (compared.videos, compared.first_top1) == (3, 100)
    assert compared.second_top1 == pytest.approx(100 / 3)
    assert [each.video for each in compared.lost] == ["f.mp4@0.0-2.0", "f.mp4@2.0-4.0"]


def test_a_name_that_is_there_twice_is_refused(runs, capsys):
    names = {"names": ["0.avi", "1.avi"] * 6}
    pair(runs, [True] * 12, [True] * 12, names, names)
    assert command(runs) == 1
    assert "a/test has 12 videos under 2 names, first 0.avi" in capsys.readouterr().err


def test_videos_that_one_could_not_read_are_left_out_and_named(runs, capsys):
    names = [f"{index}.avi" for index in range(12)]
    lost = {"names": names[:11], "n_failed": 1, "n_total": 12, "failed": (("11.avi", "cut"),)}
    first, second = pair(runs, [True] * 12, [True] * 11, {"names": names}, lost)
    found = compare_results(first, second)
    assert (found.videos, found.left_out) == (11, ("11.avi",))
    assert command(runs) == 0
    assert "1 videos that only one of the two could read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "paper"}, "no result in both runs"),
        ({"num_clips": 1}, "unlike views: 10x3 in a/test, 1x3 in b/test"),
        ({"average": "cosine"}, "unlike mean over views: probability in a/test, cosine in b/test"),
        ({"precision": "bf16"}, "unlike precision: fp32 in a/test, bf16 in b/test; evaluate one"),
        ({"class_names": (*CLASSES[:-1], "dive")}, "unlike classes: 1 of a/test are not in b/"),
        ({"names": [f"{i}.mp4" for i in range(12)]}, "unlike videos: 12 of a/test"),
        ({"list_name": "val"}, "a has test; "),
    ],
    ids=["protocol", "views", "average", "precision", "classes", "videos", "lists"],
)  # fmt: skip
def test_what_is_not_alike_is_refused_by_name(runs, capsys, changes, message):
    pair(runs, [True] * 12, [True] * 12, None, changes)
    assert command(runs) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_result_of_another_protocol_under_one_name_is_refused(runs):
    first, second = pair(runs, [True] * 12, [True] * 12, None, {"selection": "best-on-test"})
    with pytest.raises(compare.UserError, match="unlike choice of the epoch: last in a/test"):
        compare_results(first, second)


def test_labels_that_differ_are_refused(runs):
    names = [f"{index}.avi" for index in range(12)]
    shifted = names[1:] + names[:1]
    first, second = pair(runs, [True] * 12, [True] * 12, {"names": names}, {"names": shifted})
    with pytest.raises(compare.UserError, match=r"unlike labels: 1\.avi is cartwheel in a/test"):
        compare_results(first, second)


def test_of_several_results_one_must_be_named(runs, capsys):
    pair(runs, [True] * 12, [True] * 12)
    for name in ("a", "b"):
        add_result(runs / name, [True] * 12, list_name="novel")
    assert command(runs) == 1
    assert "give --split with one of: novel, test" in capsys.readouterr().err
    assert command(runs, "--split", "novel") == 0
    assert command(runs, "--split", "base") == 1
    assert "no result base in both runs" in capsys.readouterr().err


def test_another_result_that_is_damaged_is_left_out(runs, capsys):
    pair(runs, [True] * 12, [True] * 12)
    (runs / "a" / "results" / "test.cosine.json").write_text("{")
    assert command(runs, "--split", "test") == 0
    assert "left out: " in capsys.readouterr().err
    assert command(runs) == 1
    assert "test.cosine.json is damaged" in capsys.readouterr().err


def test_what_flatters_a_side_is_said(runs, capsys):
    flattered = {"selection": "best-on-test", "leaks": ("3 videos of 'test' are in 'train' too",)}
    pair(runs, [False] * 12, [True] * 12, {"selection": "best-on-test"}, flattered)
    assert command(runs) == 0
    printed = capsys.readouterr().out
    assert "A: its epoch was chosen on test videos, which flatters" in printed
    assert "B: leakage allowed: 3 videos of 'test' are in 'train' too" in printed
    assert "A: leakage" not in printed


def test_results_that_were_made_alike_are_found_under_other_names(runs, capsys):
    pair(runs, [True] * 12, [True] * 12, {"num_clips": 4}, {"num_clips": 10})
    assert command(runs) == 1
    assert "unlike views: 4x3 in a/test, 10x3 in b/test" in capsys.readouterr().err
    add_result(runs / "a", [False] * 12, num_clips=10, manner=("10x3",))
    for flags in ((), ("--split", "test.10x3")):
        assert command(runs, *flags) == 0
        printed = capsys.readouterr().out
        assert "test.10x3: 12 videos, 6 classes, 10x3 views" in printed
        assert "B - A       +100.00 points" in printed
    add_result(runs / "b", [True] * 12, num_clips=4, manner=("4x3",))
    assert command(runs) == 1
    assert "give --split with one of: test, test.10x3, test.4x3" in capsys.readouterr().err
    assert command(runs, "--split", "test") == 0
    assert "test: 12 videos, 6 classes, 4x3 views" in capsys.readouterr().out


def test_a_run_without_results_says_how_to_get_them(runs, capsys):
    pair(runs, [True] * 12, [True] * 12)
    write_run(runs / "c")
    assert compare.main([str(runs / "a"), str(runs / "c")]) == 1
    assert f"has no results; python -m adapt.evaluate {runs}/c" in capsys.readouterr().err


def test_the_command_says_what_the_test_says(runs, capsys):
    pair(runs, [False] * 60 + [True] * 60, [True] * 120)
    assert command(runs, "--flips", "1") == 0
    printed = capsys.readouterr().out
    assert "B - A       +50.00 points" in printed
    assert "B is better on these videos" in printed
    assert "and 59 more; see --flips" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_a_difference_of_chance_is_called_so(runs, capsys):
    pair(runs, [True, False] * 30, [False, True] * 30)
    assert command(runs) == 0
    assert "p = 1.000: chance alone could make this difference" in capsys.readouterr().out


def test_scores_of_another_evaluation_are_refused(runs, capsys):
    pair(runs, [True] * 12, [True] * 12)
    (runs / "b" / "results" / "test.npz").write_bytes(b"cut")
    assert command(runs) == 1
    assert "evaluate again with --force" in capsys.readouterr().err
