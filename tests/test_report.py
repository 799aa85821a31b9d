"""`adapt.report`: which runs share a row, what a row says, and what is said beside it."""

import math

import pytest
from synthetic_runs import B16, accuracy, add_result, change_json, write_run

from adapt import report
from adapt.report_classes import group_changes, worst_mistakes
from adapt.report_groups import group_runs, t_interval
from adapt.report_runs import read_runs
from adapt.report_table import make_sections, markdown
from adapt.results import read_result


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def evaluated(folder, share=0.5, count=1530, result=None, **options):
    """Write a finished run with one result."""
    write_run(folder, **options)
    add_result(folder, accuracy(share, count), **(result or {}))
    return folder


def groups_of(folder):
    return group_runs(read_runs([folder]))


def only_section(folder):
    (section,) = make_sections(groups_of(folder))
    return section


def test_a_row_is_the_mean_and_the_sample_deviation_over_seeds(runs):
    for seed, right in enumerate((60, 66, 72)):
        evaluated(runs / f"s{seed}", right / 120, 120, seed=seed)
    (group,) = groups_of(runs)
    stat = group.columns["top-1"]
    assert stat.mean == pytest.approx(55.0)
    assert stat.std == pytest.approx(5.0)  # of 50, 55, 60
    assert (stat.count, stat.over) == (3, "seeds")
    half = 4.303 * 5 / math.sqrt(3)
    assert stat.interval == pytest.approx((55 - half, 55 + half))


def test_one_run_keeps_its_interval_over_videos(runs):
    path = evaluated(runs / "a")
    (record,) = read_runs([path])
    (group,) = group_runs([record])
    assert group.columns["top-1"].interval == record.results[0].top1_interval
    assert group.columns["top-1"].std is None


def test_the_harmonic_mean_is_of_the_seed_means(runs):
    for seed, (base, novel) in enumerate(((0.9, 0.3), (0.5, 0.7))):
        folder = write_run(runs / f"s{seed}", task="base-to-novel", seed=seed)
        add_result(folder, accuracy(base, 120), list_name="base")
        add_result(folder, accuracy(novel, 120), list_name="novel")
    (group,) = groups_of(runs)
    assert group.columns["HM"].mean == pytest.approx(2 * 70 * 50 / 120)  # not the mean of 45, 58.3


def test_official_splits_share_a_column(runs):
    folder = write_run(runs / "zs", dataset="k400", task="zero-shot")
    for split, share in enumerate((0.5, 0.6, 0.7), 1):
        add_result(folder, accuracy(share, 120), list_name=f"hmdb51-{split}", dataset="hmdb51")
    (group,) = groups_of(runs)
    stat = group.columns["hmdb51"]
    assert (round(stat.mean, 6), round(stat.std, 6)) == (60, 10)
    assert (stat.count, stat.over) == (3, "splits")


@pytest.mark.parametrize(
    "changes",
    [
        {"adapter": "lora"},
        {"descriptions": None},
        {"descriptions": "v3"},
        {"filter_name": "none"},
        {"lr": 2e-3},
        {"dataset": "ucf101"},
        {"shots": 8},
        {"held_out": 0.1},
        {"backbone": {**B16, "num_frames": 16}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_not_the_seed_parts_runs(runs, changes):
    evaluated(runs / "a", seed=0)
    evaluated(runs / "b", seed=1, **changes)
    if "backbone" in changes:  # another backbone has another hash
        backbone = {"source": "x", "hash": "b1:1", "config": changes["backbone"]}
        change_json(runs / "b" / "run.json", backbone=backbone)
    assert len(groups_of(runs)) == 2


@pytest.mark.parametrize(
    "result",
    [
        {"protocol": "paper", "n_dropped": 6},
        {"selection": "best-on-test"},
        {"selection": "held-out"},
        {"average": "cosine"},
        {"num_clips": 1},
        {"list_hash": "sha256:other"},
    ],
    ids=lambda result: next(iter(result)),
)
def test_results_made_otherwise_are_never_averaged_together(runs, result):
    evaluated(runs / "a", seed=0)
    evaluated(runs / "b", seed=1, result=result)
    assert [len(group.records) for group in groups_of(runs)] == [1, 1]


def test_rows_of_one_name_say_what_they_differ_in(runs):
    evaluated(runs / "a", lr=1e-3)
    evaluated(runs / "b", lr=2e-3)
    assert sorted(group.variant for group in groups_of(runs)) == ["--lr 0.001", "--lr 0.002"]


@pytest.mark.parametrize(
    ("result", "label"),
    [
        ({"selection": "best-on-test"}, "epoch chosen on the test videos"),
        ({"protocol": "paper", "n_dropped": 6}, "paper's protocol"),
    ],
)
def test_flattering_results_stand_below_and_are_labelled(runs, result, label):
    evaluated(runs / "a", 0.9, seed=0, result=result)
    evaluated(runs / "b", 0.5, seed=1)
    rows = only_section(runs).rows
    assert [bool(row.caution) for row in rows[:2]] == [False, True]
    assert label in rows[1].label


def test_one_list_and_one_seed_three_times_is_one_draw(runs):
    for number in range(3):
        evaluated(runs / f"r{number}", 0.5, created=f"2026-01-0{number + 1}", train_hash="sha256:x")
    (group,) = groups_of(runs)
    assert [record.name for record in group.records] == ["r2"]  # the newest
    assert "r0 repeats r2: the same seed 0" in group.notes[0]


def test_seeds_on_one_training_list_are_called_out(runs):
    for seed in range(2):
        evaluated(runs / f"s{seed}", seed=seed, train_hash="sha256:x")
    (group,) = groups_of(runs)
    assert group.columns["top-1"].count == 2
    assert any("one and the same list" in note for note in group.notes)


def test_one_seed_on_two_lists_is_called_out(runs):
    for name in ("a", "b"):
        evaluated(runs / name, train_hash=f"sha256:{name}")
    (group,) = groups_of(runs)
    assert any("a, b: the same seed 0" in note for note in group.notes)


def test_one_adapter_under_two_seeds_is_called_out(runs):
    for seed in range(2):
        evaluated(runs / f"s{seed}", seed=seed, result={"adapter_hash": "sha256:same"})
    (group,) = groups_of(runs)
    assert any("the same to the last bit" in note for note in group.notes)


def test_failed_videos_are_counted(runs):
    failed = {"n_total": 1532, "n_failed": 2, "failed": (("a.avi", "cut"), ("b.avi", "empty"))}
    evaluated(runs / "a", result=failed)
    notes = " ".join(only_section(runs).notes)
    assert "2 of 1532 videos could not be read; accuracies are over 1530" in notes


def test_a_result_from_before_the_last_epoch_is_called_out(runs):
    evaluated(runs / "a", result={"epoch": 30})
    assert any("was evaluated after epoch 30" in note for note in only_section(runs).notes)


def test_descriptions_of_no_weight_are_no_descriptions(runs):
    folder = evaluated(runs / "a")
    recipe = {"epochs": 50, "seed": 0, "alpha": 0.0}
    change_json(folder / "run.json", recipe=recipe)
    assert groups_of(runs)[0].label == "msta"
    assert paper_labels(runs) == []  # a few-shot row without descriptions is not in the paper


def test_unfinished_and_unevaluated_runs_are_listed_and_not_averaged(runs, capsys):
    evaluated(runs / "done")
    evaluated(runs / "cut", status="stopped", epochs_done=7, seed=1)
    write_run(runs / "fresh", seed=2)
    assert [len(group.records) for group in groups_of(runs)] == [1]
    assert report.main([str(runs), "--no-page"]) == 0
    printed = capsys.readouterr().out
    resume = f"go on with python -m adapt.train --resume {runs}/cut"
    assert f"- cut: stopped, 7 of 50 epochs; {resume}" in printed
    assert f"- fresh: not evaluated; python -m adapt.evaluate {runs}/fresh" in printed


def paper_labels(folder):
    return [row.label for row in only_section(folder).rows if row.is_paper]


def test_the_paper_stands_beside_its_own_kind(runs):
    evaluated(runs / "a", 0.7)
    evaluated(runs / "b", 0.4, adapter="st_adapter", descriptions=None)
    section = only_section(runs)
    (paper,) = [row for row in section.rows if row.is_paper]
    assert paper.label == "paper: MSTA"
    assert [cell.value for cell in paper.cells] == ["70.4"]  # HMDB-51, 16 shots


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"shots": 3}, 1530),
        ({"dataset": "miniature"}, 1530),
        ({"backbone": {**B16, "vision_width": 96}}, 1530),
    ],
    ids=["shots", "dataset", "backbone"],
)
def test_the_paper_is_silent_on_other_settings(runs, options, count):
    evaluated(runs / "a", 0.7, count, **options)
    assert paper_labels(runs) == []


def test_the_paper_is_left_out_beside_a_shorter_test_list(runs):
    evaluated(runs / "a", 0.7, 1524)
    assert paper_labels(runs) == []
    assert "has 1530 videos, and this one 1524" in only_section(runs).notes[0]


def test_base_and_novel_of_the_paper_have_their_harmonic_mean(runs):
    folder = write_run(runs / "a", task="base-to-novel", descriptions=None)
    add_result(folder, accuracy(0.7, 780), list_name="base")
    add_result(folder, accuracy(0.5, 750), list_name="novel")
    (paper,) = [row for row in only_section(runs).rows if row.is_paper]
    assert paper.label == "paper: MSTA, no descriptions"
    assert [cell.value for cell in paper.cells] == ["77.2", "57.5", "65.9"]


def test_the_terminal_table_fits_80_columns(runs, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for seed in range(3):
        folder = write_run(runs / f"a-rather-long-name-{seed}", task="base-to-novel", seed=seed)
        add_result(folder, accuracy(0.7 + seed / 50, 780), list_name="base")
        add_result(folder, accuracy(0.5 + seed / 50, 750), list_name="novel")
    assert report.main([str(runs), "--no-page"]) == 0
    printed = capsys.readouterr().out
    assert "72.01 ±1.99" in printed  # 546, 562 and 577 of 780
    assert max(map(len, printed.splitlines())) <= 80


def test_markdown_holds_the_same_numbers_and_no_markup_of_others(runs, tmp_path):
    evaluated(runs / "a", 0.7, dataset="my|data<b>")
    records = read_runs([runs])
    text = markdown(make_sections(group_runs(records)), ["x: `code` [link](http://a)"])
    assert "my&#124;data&#60;b&#62;" in text
    assert "[link]" not in text
    assert "| msta; descriptions v2; filter text | 1 | 70.00 [" in text


def test_files_go_where_they_are_asked_to(runs, tmp_path, capsys):
    evaluated(runs / "a")
    assert report.main([str(runs / "a"), "--markdown", str(tmp_path / "t.md")]) == 0
    assert (runs / "report.html").is_file()
    assert "# Runs" in (tmp_path / "t.md").read_text()
    assert f"page: {runs}/report.html" in capsys.readouterr().out


def test_one_run_named_twice_is_one_run(runs):
    evaluated(runs / "a")
    assert len(read_runs([runs, runs / "a", runs / "." / "a"])) == 1


def test_a_path_without_runs_is_one_line(tmp_path, capsys):
    assert report.main([str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("adapt.report: no folder ")
    (tmp_path / "empty").mkdir()
    assert report.main([str(tmp_path / "empty")]) == 1
    assert "no run in" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["run.json", "config.json", "results/test.json"])
def test_a_damaged_file_is_one_line_that_names_it(runs, capsys, name):
    folder = evaluated(runs / "a")
    (folder / name).write_text('{"format": ')
    assert report.main([str(runs)]) == 1
    assert str(folder / name) in capsys.readouterr().err


def test_a_manifest_of_something_else_is_one_line(runs, capsys):
    folder = evaluated(runs / "a")
    (folder / "run.json").write_text('{"format": "adapt-run-1", "dataset": "x", "task": "y"}')
    assert report.main([str(runs)]) == 1
    assert "run.json has no 'seed'" in capsys.readouterr().err


def test_runs_of_several_folders_need_a_place_for_the_page(tmp_path, capsys):
    evaluated(tmp_path / "x" / "a")
    evaluated(tmp_path / "y" / "b")
    paths = [str(tmp_path / "x"), str(tmp_path / "y")]
    assert report.main(paths) == 1
    assert "say where the page goes with --html" in capsys.readouterr().err
    assert report.main([*paths, "--html", str(tmp_path / "page.html")]) == 0


def test_a_page_and_no_page_is_refused(capsys):
    assert report.main(["x", "--html", "p.html", "--no-page"]) == 1
    assert "not both" in capsys.readouterr().err


def test_student_t_by_hand():
    low, high = t_interval([1.0, 3.0])  # mean 2, deviation sqrt 2, so 12.706 * 1
    assert (low, high) == (0.0, pytest.approx(14.706))  # no accuracy is below 0
    assert t_interval([5.0]) is None


def test_the_change_by_class_is_of_the_means_over_seeds(runs):
    # Videos go round the six classes, so the first of 12 is one of two of its class.
    outcomes = {"a": [True] * 12, "b": [False] + [True] * 11}
    for name, outcome in outcomes.items():
        for seed in range(2):
            folder = write_run(runs / f"{name}{seed}", seed=seed, adapter=f"msta-{name}")
            add_result(folder, outcome if seed == 0 else [True] * 12)
    (change,) = group_changes(groups_of(runs))
    (moved,) = change.classes
    assert (moved.class_name, moved.before, moved.after) == ("brush_hair", 100, 75)
    assert change.equal == 5


def test_two_seeds_alone_are_compared_with_each_other(runs):
    for seed in range(2):
        evaluated(runs / f"s{seed}", 0.5 + seed / 4, 120, seed=seed)
    (change,) = group_changes(groups_of(runs))
    assert (change.before, change.after) == ("s0", "s1")


def test_groups_tested_on_other_lists_are_not_compared_by_class(runs):
    evaluated(runs / "a")
    evaluated(runs / "b", adapter="lora", result={"list_hash": "sha256:other"})
    assert group_changes(groups_of(runs)) == []


def test_mistakes_are_ordered_by_their_share_of_the_class(runs):
    folder = write_run(runs / "a")
    # Class 0 has three videos and one mistake, class 1 two and one.
    path = add_result(folder, [True] * 6 + [False, False] + [True] * 5)
    worst = worst_mistakes(read_result(path), 5)
    shown = [(each.actual, each.shown, each.count, each.total) for each in worst]
    assert shown == [("cartwheel", "catch", 1, 2), ("brush_hair", "cartwheel", 1, 3)]
