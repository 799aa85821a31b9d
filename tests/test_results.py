"""What an evaluation leaves on disk, and which videos it counts."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from results_maker import MODEL, scores_for, segment_list, video_list

from adapt.evaluate_result import paper_kept, scores_of, summarise
from adapt.results import Result, read_result, result_name, write_result
from adapt.video_config import ViewConfig
from describe.errors import UserError

VIEWS = ViewConfig(num_clips=4, num_crops=3)


def made(num_videos=7, right=frozenset({0, 1, 2, 3}), failed=None, **options):
    videos = video_list(num_videos)
    return summarise(scores_for(videos, set(right), failed), videos, VIEWS, MODEL, **options)


def test_numbers_by_hand():
    # Labels 0 1 2 0 1 2 0; right are videos 0 to 3.
    result, _ = made()
    assert (result.n_total, result.n_evaluated, result.n_failed, result.n_dropped) == (7, 7, 0, 0)
    assert result.top1 == pytest.approx(400 / 7)
    assert result.top5 == 100
    assert [each["n"] for each in result.per_class] == [3, 2, 2]
    assert [each["top1"] for each in result.per_class] == pytest.approx([200 / 3, 50, 50])
    assert result.mean_per_class == pytest.approx(500 / 9)
    assert result.confusion == ((2, 1, 0), (0, 1, 1), (1, 0, 1))
    assert result.top1_interval[0] <= result.top1 <= result.top1_interval[1]
    assert (result.num_clips, result.num_crops, result.num_views) == (4, 3, 12)


def test_a_failed_video_is_counted_as_such_and_in_no_accuracy():
    result, videos = made(failed={2: "no frame", 5: "empty file"})
    assert (result.n_total, result.n_evaluated, result.n_failed) == (7, 5, 2)
    assert result.failed == (("v2", "no frame"), ("v5", "empty file"))
    assert videos.names == ("v0", "v1", "v3", "v4", "v6")
    assert videos.labels.tolist() == [0, 1, 0, 1, 0]
    assert result.top1 == pytest.approx(60)


def test_where_none_can_be_read_there_is_no_number():
    with pytest.raises(
        UserError, match=r"none of the 2 videos of the list 'test' is left .*2 cannot be read"
    ):
        made(2, failed={0: "empty", 1: "empty"})


@pytest.mark.parametrize(("total", "kept"), [(780, 776), (750, 748), (1530, 1524)])
def test_the_papers_protocol_counts_as_many_videos_as_its_logs(total, kept):
    indices = paper_kept(total)
    assert len(indices) == kept
    assert len(set(indices.tolist())) == kept
    assert set(indices.tolist()) <= set(range(total))


def test_the_papers_protocol_is_that_of_its_loaders():
    # A plain loop: process r of 8 takes r, r + 8, ..., and drops an incomplete batch of 2.
    for total in range(40):
        loaded = sum(len(range(rank, total, 8)) // 2 * 2 for rank in range(8))
        assert len(paper_kept(total)) == loaded
    dropped = set(range(780)) - set(paper_kept(780).tolist())
    assert sorted(index % 8 for index in dropped) == [4, 5, 6, 7]  # those with 97 of 780
    assert dropped != set(range(780)) - set(paper_kept(780, seed=1).tolist())


def test_dropped_and_failed_videos_are_told_apart():
    kept = set(paper_kept(30).tolist())
    dropped = sorted(set(range(30)) - kept)
    one_kept = min(kept)
    failed = {dropped[0]: "would have failed", one_kept: "failed"}
    result, _ = made(30, right=range(30), failed=failed, protocol="paper")
    assert result.n_dropped == len(dropped)
    assert result.n_total == result.n_evaluated + result.n_failed + result.n_dropped == 30
    assert result.failed == ((f"v{one_kept}", "failed"),)
    assert result.protocol == "paper"


def test_both_averages_are_kept_and_either_ranks():
    videos = video_list(2)
    scores = scores_for(videos, {0, 1})
    # One view that is very sure outvotes in cosine, not in probability.
    scores = replace(scores, cosines=np.flip(scores.cosines, axis=1))
    by_probability, _ = summarise(scores, videos, VIEWS, MODEL)
    by_cosine, kept = summarise(scores, videos, VIEWS, MODEL, average="cosine")
    assert (by_probability.top1, by_probability.average) == (100, "probability")
    assert (by_cosine.top1, by_cosine.average) == (50, "cosine")
    assert np.array_equal(kept.ranked_by("cosine"), scores.cosines)


def test_a_result_is_read_as_it_was_written(tmp_path):
    result, videos = made(failed={3: "weird \N{SNOWMAN} name"})
    path = write_result(tmp_path / "results", result, videos)
    found = read_result(path)
    assert path.name == "test.json"
    assert replace(found, path=None, scores_sha256="") == result
    assert found.names == videos.names
    assert np.array_equal(found.labels, videos.labels)
    assert np.array_equal(found.scores, videos.probabilities)
    assert found.videos.cosines.dtype == np.float32
    back = scores_of(found, video_list(7))
    assert back.indices.tolist() == [0, 1, 2, 4, 5, 6]
    assert back.failed == ((3, "weird \N{SNOWMAN} name"),)


def test_segments_of_one_file_stay_themselves_where_the_first_failed(tmp_path):
    videos = segment_list(3)
    scores = scores_for(videos, {1, 2}, {0: "hangs"})
    first, rows = summarise(scores, videos, VIEWS, MODEL)
    assert rows.names == ("f.mp4@2.0-4.0", "f.mp4@4.0-6.0")
    assert first.failed == (("f.mp4@0.0-2.0", "hangs"),)
    back = scores_of(read_result(write_result(tmp_path, first, rows)), videos)
    assert back.indices.tolist() == [1, 2]
    assert back.failed == ((0, "hangs"),)
    assert summarise(back, videos, VIEWS, MODEL)[0] == first


def test_files_of_one_name_in_several_class_folders_are_told_apart(tmp_path):
    plain = video_list(3)
    videos = plain.with_videos(replace(video, name="001.mp4") for video in plain.videos)
    first, rows = summarise(scores_for(videos, {1}, {0: "cut"}), videos, VIEWS, MODEL)
    assert rows.names == ("001.mp4 (c1)", "001.mp4 (c2)")
    back = scores_of(read_result(write_result(tmp_path, first, rows)), videos)
    assert (back.indices.tolist(), back.failed) == ([1, 2], ((0, "cut"),))


def test_a_result_from_before_leaks_were_kept_is_read(tmp_path):
    path = write_result(tmp_path, *made())
    record = json.loads(path.read_text())
    del record["leaks"]
    path.write_text(json.dumps(record))
    assert read_result(path).leaks == ()


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        write_result(tmp_path / folder, *made())
    for name in ("test.json", "test.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_scores_load_without_pickle(tmp_path):
    path = write_result(tmp_path, *made())
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["cosines", "labels", "names", "probabilities"]
        assert arrays["names"].tolist() == [f"v{i}" for i in range(7)]


def test_other_choices_have_other_names():
    assert result_name("test") == "test"
    assert result_name("novel", "best-on-test") == "novel.best"
    assert result_name("novel", "held-out", "paper") == "novel.best.paper"
    assert result_name("novel", "held-out", "paper", ("4x3", "bf16")) == "novel.best.4x3.bf16.paper"
    assert result_name("a/../b c") == "a_.._b_c"


def test_a_result_says_all_that_it_must(tmp_path):
    path = write_result(tmp_path, *made())
    record = json.loads(path.read_text())
    assert record["format"] == "adapt-result-1"
    assert set(record) == {"format", *(each.name for each in fields(Result))} - {"path"}


def test_damage_is_found(tmp_path):
    path = write_result(tmp_path, *made())
    text = path.read_text()
    with pytest.raises(UserError, match=r"cannot read .*other.json: No such file"):
        read_result(tmp_path / "other.json")
    path.write_text(text[:100])
    with pytest.raises(UserError, match=r"test.json is damaged .*; evaluate again with --force"):
        read_result(path)
    path.write_text('{"format": "adapt-result-9"}')
    with pytest.raises(UserError, match="no result of format adapt-result-1"):
        read_result(path)
    path.write_text(text.replace('"epoch"', '"epochs"'))
    with pytest.raises(UserError, match="test.json has no epoch"):
        read_result(path)


def test_scores_of_another_evaluation_are_refused(tmp_path):
    path = write_result(tmp_path, *made())
    other, videos = made(right={5})
    other_path = write_result(tmp_path / "other", other, videos)
    scores = path.with_suffix(".npz")
    scores.write_bytes(other_path.with_suffix(".npz").read_bytes())
    with pytest.raises(UserError, match=r"test.npz is not what test.json was made from"):
        _ = read_result(path).scores
    scores.unlink()
    with pytest.raises(UserError, match=r"cannot read .*test.npz"):
        _ = read_result(path).scores


def test_a_full_or_read_only_place_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file.results.test.npz: Not a directory"):
        write_result(tmp_path / "file" / "results", *made())
    assert not list(Path(tmp_path).rglob("*.part"))
