"""`adapt.report`: leaks, lists of one's own, other splits, zero-shot of nothing trained."""

import json
import os
import subprocess
import sys

import pytest
from synthetic_runs import accuracy, add_result, change_json, write_descriptions, write_run

from adapt import report
from adapt.report_details import run_details
from adapt.report_groups import group_runs
from adapt.report_notes import left_out
from adapt.report_runs import as_flag, read_runs
from adapt.report_table import make_sections

LEAK = "3 videos of 'test' are in 'train' too: 'a', 'b', 'c'"


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def few_shot(folder, share=0.5, *, data=None, leaks=(), **options):
    """Write a finished few-shot run of HMDB-51 with its result."""
    write_run(folder, **options)
    change_json(folder / "run.json", leaks=list(leaks))
    given = json.loads((folder / "config.json").read_text())["given"]
    given["data"] |= data or {}
    change_json(folder / "config.json", given=given)
    add_result(folder, accuracy(share, 1530))
    return folder


def zero_shot(folder, dataset, **options):
    write_run(folder, dataset=dataset, task="zero-shot", **options)
    for number in (1, 2, 3):
        add_result(folder, accuracy(0.5, 1530), list_name=f"hmdb51-{number}")
    return folder


def sections_of(folder):
    return make_sections(group_runs(read_runs([folder])))


def only_section(folder):
    (section,) = sections_of(folder)
    return section


def paper_labels(section):
    return [row.label for row in section.rows if row.is_paper]


def test_runs_with_a_leak_are_marked_and_never_averaged_with_honest_ones(runs):
    few_shot(runs / "leaky", 0.99, seed=0, leaks=[LEAK])
    for seed in (1, 2):
        few_shot(runs / f"s{seed}", seed=seed)
    section = only_section(runs)
    honest, leaky, _ = section.rows
    assert (honest.seeds, honest.cells[0].value, honest.caution) == ("2", "50.00", "")
    assert "leakage allowed" in leaky.label
    assert leaky.caution == "not comparable with other rows or the paper"
    assert f"leaky: leakage allowed: {LEAK}" in section.notes


def test_one_more_list_that_leaks_has_a_row_of_its_own(runs):
    folder = few_shot(runs / "a")
    add_result(folder, accuracy(0.9, 60), list_name="mine", leaks=(LEAK,))
    section = only_section(runs)
    honest, leaky, paper = section.rows
    assert [cell.value for cell in honest.cells] == ["50.00", ""]
    assert [cell.value for cell in leaky.cells] == ["", "90.00"]
    assert (honest.caution, bool(leaky.caution), paper.is_paper) == ("", True, True)
    assert f"a, mine: leakage allowed: {LEAK}" in section.notes


def test_a_leaky_run_alone_has_no_paper_beside_it(runs):
    few_shot(runs / "leaky", 0.99, leaks=[LEAK])
    assert paper_labels(only_section(runs)) == []


def test_a_run_from_before_leaks_were_written_down_has_none(runs):
    folder = few_shot(runs / "old")
    manifest = json.loads((folder / "run.json").read_text())
    del manifest["leaks"]
    (folder / "run.json").write_text(json.dumps(manifest))
    assert [row.caution for row in only_section(runs).rows] == ["", ""]


def test_one_more_list_for_one_seed_keeps_the_seeds_together(runs):
    for seed in (0, 1):
        few_shot(runs / f"s{seed}", seed=seed)
    add_result(runs / "s0", accuracy(0.8, 60), list_name="mine", num_clips=1)
    section = only_section(runs)
    row, _ = section.rows
    assert section.columns == ("top-1", "mine")
    assert (row.seeds, [cell.value for cell in row.cells]) == ("2", ["50.00", "80.00"])
    assert "mine: of s0 alone, 1 of 2 runs" in section.notes


@pytest.mark.parametrize("other", [{"list_hash": "sha256:other"}, {"num_clips": 1}])
def test_one_name_for_two_lists_is_averaged_over_neither(runs, other):
    for seed, changes in enumerate(({}, other)):
        folder = few_shot(runs / f"s{seed}", seed=seed)
        add_result(folder, accuracy(0.8, 60), list_name="mine", **changes)
    section = only_section(runs)
    assert section.columns == ("top-1",)
    note = "mine: not the same videos or views in s0 and s1; left out of the table"
    assert note in section.notes


def test_runs_without_results_of_their_own_lists_are_told_apart_by_the_others(runs):
    for seed in (0, 1):
        folder = write_run(runs / f"s{seed}", seed=seed)
        add_result(folder, accuracy(0.8, 60), list_name="mine", list_hash=f"sha256:{seed}")
    assert [row.seeds for row in only_section(runs).rows] == ["1", "1"]


@pytest.mark.parametrize("names", [("cam-1", "cam-2"), ("test", "val")])
def test_lists_of_a_persons_own_are_no_official_splits(runs, names):
    folder = write_run(runs / "a")
    for name, share in zip(names, (0.25, 0.75), strict=True):
        add_result(folder, accuracy(share, 60), list_name=name)
    (row,) = [row for row in only_section(runs).rows if not row.is_paper]
    assert [cell.value for cell in row.cells] == ["25.00", "75.00"]


def test_seeds_with_a_training_list_each_share_a_row(runs):
    for seed in range(3):
        few_shot(runs / f"s{seed}", seed=seed, data={"train_list": f"lists/seed{seed}.csv"})
    assert [row.seeds for row in only_section(runs).rows if not row.is_paper] == ["3"]


def test_a_training_list_of_ones_own_is_no_seed_of_the_official_one(runs):
    few_shot(runs / "drawn", seed=0, data={"train_list": None})
    few_shot(runs / "own", seed=1, data={"train_list": "big.csv"})
    assert [row.seeds for row in only_section(runs).rows if not row.is_paper] == ["1", "1"]


def test_the_paper_is_left_out_beside_another_split(runs):
    few_shot(runs / "a", data={"split": 2})
    section = only_section(runs)
    assert paper_labels(section) == []
    assert "they are of split 1, and this is split 2" in section.notes[0]


def test_zero_shot_of_nothing_trained_stands_beside_what_took_the_same_tests(runs):
    zero_shot(runs / "adapted", "k400")
    zero_shot(runs / "mine", "mine")
    zero_shot(runs / "nothing", "hmdb51", adapter="frozen", descriptions=None)
    shown = {section.title: [row.label for row in section.rows] for section in sections_of(runs)}
    assert shown == {
        "k400, zero-shot": [
            "frozen", "msta; descriptions v2; filter text", "paper: ViCLIP, frozen", "paper: MSTA"
        ],
        "mine, zero-shot": [
            "frozen", "msta; descriptions v2; filter text", "paper: ViCLIP, frozen"
        ],
    }  # fmt: skip
    assert report.main([str(runs)]) == 0
    assert "<p>3 runs</p>" in (runs / "report.html").read_text()  # in two tables, and one run


def test_a_frozen_backbone_stands_beside_every_number_of_shots(runs):
    few_shot(runs / "nothing", adapter="frozen", descriptions=None)
    few_shot(runs / "four", shots=4)
    few_shot(runs / "sixteen", shots=16)
    titles = {each.title: [row.label for row in each.rows] for each in sections_of(runs)}
    assert titles["hmdb51, few-shot, 4 shots"][0] == "frozen"
    assert titles["hmdb51, few-shot, 16 shots"][0] == "frozen"
    assert len(titles) == 2


@pytest.mark.parametrize("dataset", ["k400", "hmdb51"])
def test_zero_shot_of_nothing_trained_needs_no_other_run(runs, dataset):
    zero_shot(runs / "nothing", dataset, adapter="frozen", descriptions=None)
    section = only_section(runs)
    assert section.title == "zero-shot, nothing trained"
    assert paper_labels(section) == ["paper: ViCLIP, frozen"]


def test_zero_shot_on_other_videos_stands_alone(runs):
    zero_shot(runs / "adapted", "k400")
    folder = write_run(runs / "nothing", dataset="k400", task="zero-shot", adapter="frozen")
    add_result(folder, accuracy(0.5, 120), list_name="hmdb51-1", list_hash="sha256:other")
    titles = [section.title for section in sections_of(runs)]
    assert titles == ["k400, zero-shot", "zero-shot, nothing trained"]


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("epochs", "3", "--epochs 3"), ("clip augment", "false", "--no-augment"),
        ("data nested", "true", "--nested"), ("filter num_descriptions", "4",
        "--num-descriptions 4"), ("class_token", "none", "--class-token none"),
        ("list test", "sha256:1", "list test sha256:1"), ("backbone", "b1:0", "backbone b1:0"),
        ("own training list", "true", "own training list true"), ("temperature", "null",
        "--temperature None"), ("betas", "[0.9, 0.98]", "--betas 0.9 0.98"),
        ("precision", "bf16", "--precision bf16"),
    ],
)  # fmt: skip
def test_what_rows_differ_in_is_said_in_flags(name, value, flag):
    assert as_flag(name, value) == flag


def test_a_repeat_with_other_numbers_says_so(runs):
    created = ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
    for name, share, when in zip(("old", "new"), (0.5, 0.75), created, strict=True):
        folder = write_run(runs / name, created=when, train_hash="sha256:one")
        add_result(folder, accuracy(share, 12))
    add_result(runs / "old", accuracy(0.5, 12), list_name="mine", list_hash="sha256:mine")
    (group,) = group_runs(read_runs([runs]))
    assert group.columns["top-1"].mean == 75
    (note,) = [note for note in group.notes if "repeats" in note]
    assert "old repeats new: the same seed 0 and the same training list; it is counted once" in note
    assert "though its numbers differ (test 50.00, counted 75.00)" in note
    assert "its results on mine are not shown" in note


def test_training_videos_that_could_not_be_read_are_counted(runs):
    folder = few_shot(runs / "one")
    lines = [json.dumps({"name": f"{i}.avi", "reason": "cut", "when": ""}) for i in range(3)]
    (folder / "bad_videos.jsonl").write_text("\n".join(lines) + "\n")
    (group,) = group_runs(read_runs([runs]))
    assert "one: 3 of 816 training videos could not be read" in group.notes


def test_evaluating_the_training_list_parts_no_seeds(runs):
    for seed in (0, 1, 2):
        add_result(write_run(runs / f"s{seed}", seed=seed), [True] * 12)
        add_result(
            runs / f"s{seed}", [True] * 12, list_name="train", list_hash=f"sha256:train{seed}"
        )
    (group,) = group_runs(read_runs([runs]))
    assert (len(group.records), list(group.columns)) == (3, ["top-1"])


def test_a_frozen_backbone_has_no_seeds(runs):
    for seed in (0, 1, 2):
        few_shot(runs / f"s{seed}", adapter="frozen", descriptions=None, seed=seed)
    (group,) = group_runs(read_runs([runs]))
    stat = group.columns["top-1"]
    assert (len(group.records), stat.std) == (1, None)
    assert stat.interval == group.results[0][0].top1_interval
    assert sum("repeats" in note and "nothing is trained" in note for note in group.notes) == 2
    add_result(runs / "s0", accuracy(0.25, 12), list_name="mine", list_hash="sha256:mine")
    (group,) = group_runs(read_runs([runs]))
    (note,) = [note for note in group.notes if note.startswith("s0 repeats")]
    assert note.endswith("it is counted once; its results on mine are not shown")


def test_a_run_that_was_evaluated_on_training_videos_alone_is_named(runs):
    add_result(write_run(runs / "one"), [True] * 12, list_name="train")
    records = read_runs([runs])
    assert group_runs(records) == []
    assert left_out(records) == [f"one: not evaluated; python -m adapt.evaluate {runs}/one"]


def test_seeds_that_agree_to_the_digit_have_no_interval(runs):
    for seed in (0, 1):
        add_result(
            write_run(runs / f"s{seed}", seed=seed), [True] * 6 + [False] * 6,
            adapter_hash=f"a1:{seed}",
        )  # fmt: skip
    (group,) = group_runs(read_runs([runs]))
    assert (group.columns["top-1"].std, group.columns["top-1"].interval) == (0, None)


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        ({"hmdb51-1": 1530}, "they are means over 3 splits of hmdb51, and here are 1"),
        ({f"ucf101-{n}": 3783 for n in (1, 2, 3)}, "its list 'ucf101-2' has 3734 videos, and this"),
    ],
)
def test_the_paper_is_left_out_beside_other_zero_shot_tests(runs, lists, said):
    folder = write_run(
        runs / "zs", dataset="k400", task="zero-shot", adapter="frozen", descriptions=None
    )
    for name, count in lists.items():
        add_result(folder, accuracy(0.5, count), list_name=name)
    section = only_section(runs)
    assert paper_labels(section) == []
    assert any(said in note for note in section.notes)


def test_one_short_list_hides_the_paper_from_its_own_row_alone(runs):
    few_shot(runs / "whole")
    few_shot(runs / "short", adapter="lora", descriptions=None)
    for path in (runs / "short" / "results").iterdir():
        path.unlink()
    add_result(runs / "short", accuracy(0.5, 1200), list_hash="sha256:short")
    assert paper_labels(only_section(runs)) == ["paper: MSTA"]


def test_other_views_are_a_row_of_their_own(runs):
    for seed in (0, 1):
        add_result(write_run(runs / f"s{seed}", seed=seed), [True] * 6 + [False] * 6)
    add_result(runs / "s0", [True] * 12, num_clips=4, manner=("4x3",))
    usual, other = group_runs(read_runs([runs]))
    assert (usual.columns["top-1"].mean, len(usual.records)) == (50.0, 2)
    assert (other.columns["top-1"].mean, len(other.records)) == (100.0, 1)
    assert other.label.endswith("4x3 views")


def test_a_list_with_missing_videos_is_marked_and_stands_apart(runs):
    add_result(write_run(runs / "whole"), [True] * 12)
    add_result(write_run(runs / "part", seed=1), [True] * 12)
    change_json(runs / "part" / "run.json", missing={"test": {"clap": 3, "chew": 2}})
    whole, part = group_runs(read_runs([runs]))
    assert (whole.is_comparable, part.is_comparable) == (True, False)
    assert "videos missing" in part.label
    assert "part, test: 5 videos were missing, and --allow-missing went on without them" in (
        part.notes
    )
    assert not whole.notes


def test_missing_training_videos_are_noted(runs):
    add_result(write_run(runs / "one"), [True] * 12)
    change_json(runs / "one" / "run.json", missing={"train": {"clap": 3}})
    (group,) = group_runs(read_runs([runs]))
    assert group.is_comparable
    assert any("one, train: 3 videos were missing" in note for note in group.notes)


def test_no_row_of_the_paper_is_empty(runs):
    folder = write_run(runs / "a", dataset="k400", task="zero-shot")
    add_result(folder, accuracy(0.5, 120), list_name="mine")
    assert paper_labels(only_section(runs)) == []


def test_a_sentence_kept_for_want_of_a_better_is_not_said_to_be_left_out(runs):
    folder = few_shot(runs / "a")
    write_descriptions(folder)
    path = folder / "descriptions.json"
    kept = json.loads(path.read_text())
    dropped = kept["classes"][0]["sentences"][1]  # one of six
    dropped |= {"kept": True, "weight": 1.0}
    path.write_text(json.dumps(kept))
    (record,) = read_runs([runs])
    shown = run_details(record).descriptions
    assert dict(shown.facts)["left out or given less weight"] == "5 other class"
    assert dropped["text"] not in [each["text"] for each in shown.dropped]


def test_a_reader_who_stops_early_is_no_failure(runs):
    few_shot(runs / "a")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "adapt.report", str(runs)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert (runs / "report.html").is_file()
