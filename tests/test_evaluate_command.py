"""`python -m adapt.evaluate` on a trained run: what it takes, keeps, refuses and says."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from results_maker import MODEL, scores_for, video_list
from trained_run import train_in, train_world

import adapt.evaluate
from adapt.evaluate import main
from adapt.evaluate_result import summarise
from adapt.evaluate_table import results_table
from adapt.metrics import harmonic_mean
from adapt.results import read_result, write_result
from adapt.run_folder import open_run
from adapt.tasks import write_list
from adapt.video_config import ViewConfig

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of the run, to be spoilt."""
    return Path(shutil.copytree(trained.run("one"), tmp_path / "one"))


def evaluate(run, *flags):
    return main([str(run), "--device", "cpu", "--workers", "0", *map(str, flags)])


def test_what_training_found_is_found_again(run, capsys):
    before = read_result(run / "results" / "test.json")
    scores = before.scores
    assert evaluate(run, "--force") == 0
    after = read_result(run / "results" / "test.json")
    assert after == before
    assert np.array_equal(after.scores, scores)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == "list videos classes top-1 95% top-5 per class".split()
    assert lines[1].split()[:4] == ["test", "9", "3", f"{before.top1:.2f}"]


@pytest.fixture
def without_videos(trained):
    """The videos are away for the time of a test."""
    away = trained.videos.rename(trained.folder / "away")
    yield
    away.rename(trained.videos)


@pytest.mark.usefixtures("without_videos")
def test_what_was_evaluated_is_not_evaluated_again_and_that_is_said(run, capsys):
    assert evaluate(run) == 0
    assert "test: taken from" in capsys.readouterr().out
    assert evaluate(run, "--force") == 1
    assert "9 of 9 videos of test are not below " in capsys.readouterr().err


def test_other_views_and_precisions_are_kept_beside_the_runs_own(run, capsys):
    own = (run / "results" / "test.json").read_bytes()
    assert evaluate(run, "--views", "2x1", "--precision", "bf16") == 0
    assert "taken from" not in capsys.readouterr().out
    assert (run / "results" / "test.json").read_bytes() == own
    result = read_result(run / "results" / "test.2x1.bf16.json")
    assert (result.num_clips, result.num_crops, result.precision) == (2, 1, "bf16")
    assert result.name == "test.2x1.bf16"
    assert evaluate(run, "--views", "2x1", "--precision", "bf16") == 0
    assert "test: taken from" in capsys.readouterr().out


def test_a_run_is_evaluated_again_in_its_own_precision(trained, capsys):
    train_in(trained, "--epochs", 1, "--precision", "bf16", name="half")
    path = trained.run("half") / "results" / "test.json"
    before = read_result(path)
    assert evaluate(trained.run("half"), "--force") == 0
    assert read_result(path) == before
    assert before.precision == "bf16"
    assert [each.name for each in sorted(path.parent.glob("*.json"))] == ["test.json"]


@pytest.mark.usefixtures("without_videos")
def test_another_average_needs_no_video(run, capsys):
    own = (run / "results" / "test.json").read_bytes()
    assert evaluate(run, "--average", "cosine") == 0
    assert "test: taken from" in capsys.readouterr().out
    result = read_result(run / "results" / "test.cosine.json")
    assert result.average == "cosine"
    assert np.array_equal(result.scores, result.videos.cosines)
    assert (run / "results" / "test.json").read_bytes() == own


def test_a_list_that_was_edited_is_refused(run, capsys):
    manifest = json.loads((run / "run.json").read_text())
    manifest["lists"]["test"]["hash"] = "sha256:0000"
    (run / "run.json").write_text(json.dumps(manifest))
    assert evaluate(run) == 1
    assert "the list 'test' of run one is not the one it was made with" in capsys.readouterr().err


def test_a_backbone_that_was_replaced_is_refused(run, trained, tmp_path, capsys):
    from tiny_viclip import tiny_backbone

    from adapt.checkpoint import save_backbone

    save_backbone(tiny_backbone(seed=5), tmp_path / "other.safetensors")
    manifest = json.loads((run / "run.json").read_text())
    manifest["backbone"]["source"] = str(tmp_path / "other.safetensors")
    (run / "run.json").write_text(json.dumps(manifest))
    assert evaluate(run, "--force") == 1
    assert "was trained on backbone b1:" in capsys.readouterr().err


def test_another_runs_adapter_is_refused(run, trained, capsys):
    train_in(trained, "--dim", 4, "--epochs", 1, name="narrow")
    shutil.copy(trained.run("narrow") / "adapter.safetensors", run / "adapter.safetensors")
    assert evaluate(run) == 1
    err = capsys.readouterr().err
    assert "the adapter of run one has dim 4, and the run says 8; it is another run's file" in err


def test_an_adapter_that_was_trained_on_is_evaluated_again(run, trained, capsys):
    train_in(trained, "--epochs", 1, "--seed", 3, name="other")
    shutil.copy(trained.run("other") / "adapter.safetensors", run / "adapter.safetensors")
    assert evaluate(run) == 0
    assert "test: evaluated again: the adapter is another" in capsys.readouterr().out


def test_a_missing_list_or_run_names_what_is_there(run, capsys):
    assert evaluate(run, "--split", "novel") == 1
    assert "run one has no list 'novel'; it has: train, test" in capsys.readouterr().err
    assert evaluate(run.parent / "two") == 1
    assert f"no run in {run.parent / 'two'}; runs here: {run}" in capsys.readouterr().err


def test_the_papers_protocol_wants_the_best_epoch_or_the_word_last(run, capsys):
    assert evaluate(run, "--protocol", "paper") == 1
    assert "train with --select best-on-test, or say --which last" in capsys.readouterr().err
    assert evaluate(run, "--which", "best") == 1
    assert "run one selected no best epoch" in capsys.readouterr().err


def test_the_papers_protocol_is_labelled_and_kept_apart(trained, capsys):
    train_in(trained, "--epochs", 1, "--select", "best-on-test", name="on-test")
    results = trained.run("on-test") / "results"
    assert evaluate(trained.run("on-test"), "--protocol", "paper") == 0
    out = capsys.readouterr().out
    # Nine videos on eight processes: one has two of them, and a last batch of one is dropped.
    assert "test: the paper's protocol: 7 of 9 videos were dropped" in out
    assert "test: epoch 1 was chosen on these same videos, which flatters" in out
    paper, every = (read_result(results / f"test.best{end}.json") for end in (".paper", ""))
    assert (paper.protocol, paper.selection) == ("paper", "best-on-test")
    assert (paper.n_total, paper.n_evaluated, paper.n_dropped) == (9, 2, 7)
    assert (every.protocol, every.n_evaluated, every.n_dropped) == ("every-video", 9, 0)
    assert set(paper.names) < set(every.names)
    assert not (results / "test.json").exists()


def test_a_list_of_ones_own(run, trained, tmp_path, capsys):
    source = tmp_path / "mine.csv"
    source.write_text(
        "path,class\nfall_down_test_0.mp4,Fall_Down\nmove_along_test_1.mp4,move along\n"
    )
    assert evaluate(run, "--list", source, "--videos", trained.videos) == 0
    result = read_result(run / "results" / "mine.json")
    assert result.names == ("fall_down_test_0.mp4", "move_along_test_1.mp4")
    assert result.class_names == open_run(run).class_names
    classes = tmp_path / "classes.txt"
    classes.write_text("fall down\nmove along\nsomething else\njump\n")
    flags = ["--list", source, "--videos", trained.videos, "--classes", classes]
    assert evaluate(run, *flags) == 1
    path = run / "results" / "mine.json"
    said = f"{path} is of another list; give the file of this one a name of its own, or --force"
    assert said in capsys.readouterr().err
    assert read_result(path) == result
    assert evaluate(run, *flags, "--force") == 0
    assert len(read_result(run / "results" / "mine.json").class_names) == 4


def test_numbers_of_other_classes_are_refused(run, trained, tmp_path, capsys):
    film = next(trained.videos.rglob("fall_down_test_0.mp4"))
    for folder in ("hug", "kick"):
        (tmp_path / "videos" / folder).mkdir(parents=True)
        shutil.copy(film, tmp_path / "videos" / folder / f"{folder}.mp4")
    source = tmp_path / "other.txt"
    source.write_text("hug/hug.mp4 0\nkick/kick.mp4 1\n")
    assert evaluate(run, "--list", source, "--videos", tmp_path / "videos") == 1
    said = "other.txt gives classes by number, and its folders ('hug', 'kick') are none of the 3"
    assert said in capsys.readouterr().err


def test_a_list_with_a_training_video_is_refused_unless_that_is_allowed(
    run, trained, tmp_path, capsys
):
    source = tmp_path / "mine.csv"
    rows = ["fall_down_train_0.mp4,fall down", "fall_down_test_1.mp4,fall down"]
    source.write_text("\n".join(["path,class", *rows]) + "\n")
    flags = ["--list", source, "--videos", trained.videos]
    assert evaluate(run, *flags) == 1
    said = "1 videos of 'mine' are in 'train' too: 'fall_down_train_0.mp4'"
    assert f"{said}; take them out, or pass --allow-leakage" in capsys.readouterr().err
    assert not (run / "results" / "mine.json").exists()
    assert evaluate(run, *flags, "--allow-leakage") == 0
    assert f"mine: leakage allowed: {said}" in capsys.readouterr().out
    assert read_result(run / "results" / "mine.json").leaks == (said,)


def test_a_list_whose_seconds_were_edited_is_another(run, trained, tmp_path, capsys):
    source = tmp_path / "cut.csv"
    flags = ["--list", source, "--videos", trained.videos]
    for start, end, status in ((0, 0.5, 0), (0.5, 1, 1)):
        source.write_text(f"path,class,start,end\nfall_down_test_0.mp4,fall down,{start},{end}\n")
        assert evaluate(run, *flags) == status
    assert "cut.json is of another list" in capsys.readouterr().err
    assert evaluate(run, *flags, "--force") == 0
    result = read_result(run / "results" / "cut.json")
    assert result.names == ("fall_down_test_0.mp4@0.5-1.0",)


def test_a_result_that_does_not_tell_its_segments_apart_is_not_taken(
    run, trained, tmp_path, capsys
):
    rows = [f"fall_down_test_0.mp4,fall down,{start},{start + 0.5}" for start in (0.0, 0.5)]
    source = tmp_path / "cut.csv"
    source.write_text("\n".join(["path,class,start,end", *rows]) + "\n")
    flags = ["--list", source, "--videos", trained.videos]
    assert evaluate(run, *flags) == 0
    path = run / "results" / "cut.json"
    stored = read_result(path)
    write_result(path.parent, stored, replace(stored.videos, names=("fall_down_test_0.mp4",) * 2))
    assert evaluate(run, *flags) == 0
    assert "cut: evaluated again: its videos go by other names" in capsys.readouterr().out
    assert read_result(path) == stored


def zero_shot(run, trained, folder) -> tuple[Path, Path]:
    """Give a run a list of another dataset, then move its videos and those of training."""
    own = open_run(run).read_list("test")
    old = folder / "old" / "other.mp4"
    old.parent.mkdir()
    shutil.copy(own.videos[0].path, old)
    other = replace(own.with_videos([replace(own.videos[0], name=old.name, path=old)]),
                    name="other-1", dataset="other")  # fmt: skip
    write_list(other, run / "lists" / "other-1.csv")
    manifest = json.loads((run / "run.json").read_text())
    manifest["lists"]["other-1"] = {"hash": other.hash, "count": 1, "source": ""}
    (run / "run.json").write_text(json.dumps(manifest))
    config = json.loads((run / "config.json").read_text())
    config["given"]["data"] |= {"task": "zero-shot", "test_datasets": ["other"]}
    (run / "config.json").write_text(json.dumps(config))
    return old.parent, Path(shutil.copytree(trained.videos, folder / "moved"))


def test_videos_moves_the_lists_of_the_training_dataset_alone(run, trained, tmp_path, capsys):
    old, moved = zero_shot(run, trained, tmp_path)
    assert evaluate(run, "--videos", moved, "--force") == 0
    other = Path(old.rename(tmp_path / "elsewhere"))
    assert evaluate(run, "--videos", moved, "--force", "--max-bad-videos", "0") == 1
    capsys.readouterr()
    assert evaluate(run, "--videos", moved, "--test-videos", other, "--force") == 0
    assert evaluate(run, "--split", "other-1", "--videos", other, "--force") == 0
    assert read_result(run / "results" / "other-1.json").n_evaluated == 1


def test_folders_that_fit_no_list_are_refused(run, trained, tmp_path, capsys):
    _, moved = zero_shot(run, trained, tmp_path)
    assert evaluate(run, "--test-videos", moved, moved) == 1
    assert "--test-videos names 2 folders, and run one is tested on 1" in capsys.readouterr().err
    manifest = json.loads((run / "run.json").read_text())
    del manifest["lists"]["test"]
    (run / "run.json").write_text(json.dumps(manifest))
    assert evaluate(run, "--videos", moved) == 1
    assert (
        "no list to evaluate is of 'tiny', whose videos --videos moves" in capsys.readouterr().err
    )


def test_mistakes_in_a_list_of_ones_own_are_named(run, trained, tmp_path, capsys):
    source = tmp_path / "test.csv"
    source.write_text("path,class\nfall_down_test_0.mp4,juggling\n")
    assert evaluate(run, "--list", source, "--videos", trained.videos) == 1
    assert "test.csv, line 2: no class 'juggling'" in capsys.readouterr().err
    source.write_text("path,class\nnowhere.mp4,fall down\n")
    assert evaluate(run, "--list", source, "--videos", trained.videos) == 1
    assert "nowhere.mp4" in capsys.readouterr().err
    source.write_text("path,class\nfall_down_test_0.mp4,fall down\n")
    assert evaluate(run, "--list", source, "--videos", trained.videos) == 0
    assert (run / "results" / "own-test.json").exists()  # not in the place of the run's own


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--list", "x.csv"], "--list needs --videos, the folder that its videos are in"),
        (["--classes", "x.txt"], "--classes belongs to --list"),
        (["--allow-leakage"], "--allow-leakage belongs to --list"),
        (["--clips-per-pass", "0"], "--clips-per-pass is 0; it must be at least 1"),
        (["--views", "4by3"], "views are '4by3'; write clips x crops, such as 4x3"),
    ],
)
def test_flags_that_cannot_be_are_refused(run, capsys, flags, message):
    assert evaluate(run, *flags) == 1
    assert message in capsys.readouterr().err


def test_a_broken_video_is_counted_as_failed_and_named(run, trained, tmp_path, capsys):
    moved = Path(shutil.copytree(trained.videos, tmp_path / "videos"))
    (broken,) = moved.rglob("fall_down_test_1.mp4")
    broken.write_bytes(b"not a video")
    flags = ["--videos", moved, "--force", "--max-bad-videos", "1"]
    assert evaluate(run, *flags) == 0
    result = read_result(run / "results" / "test.json")
    assert (result.n_total, result.n_evaluated, result.n_failed) == (9, 8, 1)
    assert result.failed[0][0] in capsys.readouterr().out


def test_a_video_that_was_mended_is_evaluated(run, trained, tmp_path, capsys):
    moved = Path(shutil.copytree(trained.videos, tmp_path / "videos"))
    (broken,) = moved.rglob("fall_down_test_1.mp4")
    whole = broken.read_bytes()
    broken.write_bytes(b"not a video")
    flags = ["--videos", moved, "--max-bad-videos", "1"]
    assert evaluate(run, *flags, "--force") == 0
    assert evaluate(run, *flags) == 0
    assert "1 could not be read then (not evaluated again; --force does)" in capsys.readouterr().out
    path = run / "results" / "test.json"
    os.utime(path, (1, 1))  # what follows is later, however coarse the clock
    broken.write_bytes(whole)
    assert evaluate(run, *flags) == 0
    assert "could not be read then, and has changed" in capsys.readouterr().out
    assert read_result(path).n_failed == 0


def test_a_video_that_came_back_is_evaluated(run, trained, tmp_path, capsys):
    moved = Path(shutil.copytree(trained.videos, tmp_path / "videos"))
    (gone,) = moved.rglob("fall_down_test_1.mp4")
    stale = tmp_path / "stale.mp4"
    shutil.copy2(gone, stale)
    listed = tmp_path / "mine.csv"
    listed.write_text(
        "path,class\nfall_down_test_0.mp4,fall down\nfall_down_test_1.mp4,fall down\n"
    )
    flags = ["--list", listed, "--videos", moved, "--max-bad-videos", "1"]
    found = adapt.evaluate.read_own_list

    def read_then_lose(*args):
        videos = found(*args)
        gone.unlink(missing_ok=True)  # as a disk that goes away after the list was read
        return videos

    with mock.patch.object(adapt.evaluate, "read_own_list", read_then_lose):
        assert evaluate(run, *flags) == 0
    assert read_result(run / "results" / "mine.json").n_failed == 1
    shutil.copy2(stale, gone)  # with the time that it had
    assert evaluate(run, *flags) == 0
    assert "fall_down_test_1.mp4 was not there then, and is" in capsys.readouterr().out
    assert read_result(run / "results" / "mine.json").n_failed == 0


def test_a_link_to_the_videos_is_the_same_folder(run, trained, tmp_path, capsys):
    moved = Path(shutil.copytree(trained.videos, tmp_path / "videos"))
    link = tmp_path / "link"
    link.symlink_to(trained.videos)
    listed = tmp_path / "mine.csv"
    listed.write_text("path,class\nother/fall_down_train_0.mp4,fall down\n")
    for folder in (trained.videos, moved):
        (folder / "other").mkdir()
        film = next(trained.videos.rglob("fall_down_test_1.mp4"))
        shutil.copy(film, folder / "other" / "fall_down_train_0.mp4")
    try:
        # In the folder of the training videos it is another video of that name; elsewhere it may
        # be a copy, encoded anew.
        assert evaluate(run, "--list", listed, "--videos", link) == 0
        assert evaluate(run, "--list", listed, "--videos", moved, "--force") == 1
        assert "1 videos of 'mine' are in 'train' too" in capsys.readouterr().err
    finally:
        shutil.rmtree(trained.videos / "other")


def test_a_leak_of_the_run_is_in_its_results_and_tables(trained, capsys):
    train, test = (trained.videos / part / "fall down" for part in ("train", "test"))
    copy = Path(shutil.copy(next(train.iterdir()), test / "copy_of_training.mp4"))
    copy = copy.rename(test / next(train.iterdir()).name)
    try:
        train_in(trained, "--epochs", 1, "--allow-leakage", name="leaky")
    finally:
        copy.unlink()
    said = "test: leakage allowed: 1 videos of 'test' are in 'train' too"
    assert said in capsys.readouterr().out
    path = trained.run("leaky") / "results" / "test.json"
    before = read_result(path)
    assert "1 videos of 'test' are in 'train' too" in before.leaks[0]
    assert evaluate(trained.run("leaky")) == 0
    assert said in capsys.readouterr().out
    assert read_result(path).leaks == before.leaks


def test_base_and_novel_have_a_harmonic_mean():
    results = []
    for name, right in (("base", range(12)), ("novel", range(6))):
        videos = video_list(20, name=name)
        scores = scores_for(videos, set(right))
        results.append(summarise(scores, videos, ViewConfig(), MODEL)[0])
    table = results_table(results)
    assert f"harmonic mean of base and novel: {harmonic_mean(60, 30):.2f}" in table
    assert max(map(len, table.splitlines())) <= 80


def test_novel_says_that_base_chose_the_epoch():
    model = replace(MODEL, selection="best-on-test")
    results = []
    for name in ("base", "novel"):
        videos = video_list(6, name=name)
        results.append(summarise(scores_for(videos, {1}), videos, ViewConfig(), model)[0])
    table = results_table(results)
    assert "base: epoch 11 was chosen on these same videos, which flatters" in table
    assert "novel: the epoch was chosen on the test videos of base" in table
    assert "novel: the epoch was chosen on the test" in results_table(results[1:], chosen_on="base")


def test_too_many_bad_videos_are_one_line_in_each_process(run, trained, tmp_path):
    moved = Path(shutil.copytree(trained.videos, tmp_path / "videos"))
    (broken,) = moved.rglob("fall_down_test_1.mp4")
    broken.write_bytes(b"not a video")
    flags = ["--videos", str(moved), "--force", "--max-bad-videos", "0"]
    done = on_two_processes(run, *flags)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("adapt.evaluate: ")]
    # torchrun ends the second as soon as the first has ended, perhaps before it has spoken.
    (line,) = set(lines)
    assert line.startswith("adapt.evaluate: 1 of 9 videos cannot be read")
    assert f'File "{ROOT}/adapt' not in done.stderr


def on_two_processes(run, *flags):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "adapt.evaluate", str(run), "--device", "cpu", "--workers", "0", *flags,
    ]  # fmt: skip
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_two_processes_write_the_same_result(run):  # failure 41
    before = read_result(run / "results" / "test.json")
    names, scores = before.names, before.scores
    done = on_two_processes(run, "--force")
    assert done.returncode == 0, done.stderr
    after = read_result(run / "results" / "test.json")
    assert after.names == names
    assert after.top1 == before.top1
    np.testing.assert_allclose(after.scores, scores, atol=1e-5)
    assert done.stdout.count("per class") == 1  # one of them talks
