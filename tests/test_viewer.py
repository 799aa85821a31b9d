"""What the Hub's viewer would show: its limits, worked by hand, and our own sets under them."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from describe.dataset import Description, Rejected, write_version
from describe.published import main as import_published
from describe.rows import MAX_ROW_BYTES, row_bytes
from describe.versions import list_versions, read_rejected, read_version
from describe.viewer import FIRST_ROWS_MAX_BYTES, column, first_rows, main, view

TEXT = {"text": {"dtype": "string", "_type": "Value"}}


def rows_of(size: int, number: int) -> list[dict[str, str]]:
    """Return rows whose JSON, as the viewer counts it, has `size` bytes each (index 10 to 99)."""
    around = len('{"row_idx":10,"row":{"text":""},"truncated_cells":[]},')
    return [{"text": "x" * (size - around)} for _ in range(number)]


def test_a_page_holds_a_hundred_rows_of_just_under_two_kilobytes():
    page = first_rows(rows_of(1_990, 150), TEXT)
    assert (page.shown, page.cut, page.fits) == (100, (), True)
    page = first_rows(rows_of(2_500, 150), TEXT)
    assert (page.shown, page.cut, page.fits) == (79, (), True)  # 80 * 2,500 leave no room around


def test_ten_rows_are_always_shown_with_the_last_cells_cut():
    page = first_rows(rows_of(30_000, 50), TEXT)
    assert (page.shown, page.cut, page.fits) == (10, ("text",), True)
    assert page.num_bytes < FIRST_ROWS_MAX_BYTES


def test_rows_of_very_many_columns_do_not_fit_even_when_cut():
    names = [f"column_{number}" for number in range(900)]
    page = first_rows([dict.fromkeys(names, "x" * 90)] * 10, dict.fromkeys(names, {"d": "s"}))
    assert not page.fits
    assert not first_rows([], dict.fromkeys(map(str, range(1_001)), {})).fits


def test_a_byte_is_counted_and_not_a_letter():
    plain = first_rows([{"text": "e" * 100}], TEXT).num_bytes
    assert first_rows([{"text": "é" * 100}], TEXT).num_bytes == plain + 100


@pytest.mark.parametrize(
    ("different", "rows", "kind"),
    [
        (21, 100, "string_text"),
        (20, 100, "string_label"),
        (200, 1_000, "string_label"),
        (201, 1_000, "string_text"),
        (1_000, 10_000, "string_label"),
        (1_001, 10_000, "string_text"),
        (10, 11, "string_label"),
        (11, 11, "string_text"),
    ],
)
def test_few_values_are_categories(different, rows, kind):
    values = [str(number % different) for number in range(rows)]
    assert column("any", values).kind == kind
    assert column("any", values).num_values == different


# --- our own sets


def row(class_id: int, kind: str, step: int, text: str) -> Description:
    return Description(
        class_id=class_id,
        class_name=f"class {class_id}",
        readable_name=f"class {class_id}",
        group="",
        kind=kind,
        step=step,
        text=text,
        num_tokens=9,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set of 60 classes, 16 sentences each, in two versions, and rejected rows of any length."""
    kept = [
        row(class_id, kind, step, f"Sentence {class_id} {kind} {step}.")
        for class_id in range(60)
        for kind in ("spatial", "temporal")
        for step in range(8)
    ]
    long = row(0, "spatial", 0, "endless " * 5_000)
    values = {field.name: getattr(long, field.name) for field in fields(long)}
    refused = [Rejected(**values, rule="too_long", detail="x" * 400)] * 200
    folder = tmp_path / "toy"
    write_version(folder, kept, refused, {"dataset": "toy"})
    write_version(folder, kept[:-1], [], {"dataset": "toy"})
    return folder


def test_the_newest_version_is_what_the_viewer_opens_with_and_stands_first(root):
    assert [(each.name, each.is_default) for each in view(root)] == [
        ("v2", True),
        ("v1", False),
        ("v1_rejected", False),
    ]


def test_classes_and_kinds_are_categories_and_sentences_are_text(root):
    kinds = {each.name: each.kind for each in view(root)[0].columns}
    assert kinds["class_name"] == kinds["kind"] == kinds["model"] == "string_label"
    assert kinds["text"] == "string_text"
    assert kinds["flags"] == kinds["repairs"] == "list"
    assert kinds["class_id"] == kinds["step"] == "int"


def test_rejected_rows_of_any_length_are_shown_whole(root):
    assert max(map(row_bytes, read_rejected(root, "v1"))) <= MAX_ROW_BYTES
    rejected = view(root)[2].first_rows
    assert rejected.fits
    assert rejected.cut == ()
    assert rejected.shown >= 95


def test_the_command_says_it_in_lines(root, capsys):
    assert main([str(root)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "v2 (the viewer opens with it): 959 rows, 100 on the first page"
    assert out[1].startswith(
        "  categories: class_name (60), readable_name (60), group (1), kind (2)"
    )
    assert out[2] == "  text: text (959)"


def test_a_class_that_no_filter_can_name_is_named(tmp_path, capsys):
    odd = replace(row(0, "spatial", 0, "A sentence."), class_name="a;b")
    write_version(tmp_path / "odd", [odd], [], {"dataset": "odd"})
    assert main([str(tmp_path / "odd")]) == 0
    assert "no filter can name (';', '--' or '/*' in them): a;b" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("breaking", "message"),
    [
        (lambda root: (root / "README.md").unlink(), "README.md: is missing"),
        (
            lambda root: (root / "v1" / "descriptions.parquet").write_bytes(b"PAR1"),
            "the files of config 'v1' cannot be read",
        ),
        (
            lambda root: (root / "v1" / "descriptions.parquet").unlink(),
            "config 'v1' names no file of",
        ),
    ],
)
def test_a_broken_set_is_one_line(root, capsys, breaking, message):
    breaking(root)
    assert main([str(root)]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"describe.viewer: {message}")
    assert err.count("\n") == 1


@pytest.mark.shared
def test_published_sets_are_shown_whole_with_their_classes_as_categories(shared, tmp_path):
    files = sorted((shared / "descriptions" / "msta").glob("[28]_[st]_description_k400.json"))
    assert import_published([*map(str, files), "--out", str(tmp_path)]) == 0
    root = tmp_path / "k400"
    assert list_versions(root) == ["msta_n2", "msta_n8"]
    views = view(root)
    for each in views:
        assert each.first_rows.shown == 100
        assert each.first_rows.cut == ()
        kinds = {c.name: c.kind for c in each.columns}
        assert kinds["kind"] == kinds["model"] == "string_label"
        assert kinds["text"] == "string_text"
    by_name = {each.name: {c.name: c.kind for c in each.columns} for each in views}
    assert by_name["msta_n8"]["class_name"] == "string_label"
    # 400 names in 1,600 rows are more than a fifth: with two sentences each, names are text.
    assert by_name["msta_n2"]["class_name"] == "string_text"
    assert max(map(row_bytes, read_version(root).rows)) < MAX_ROW_BYTES
