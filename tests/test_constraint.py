"""A description set joined to classes, filtered, and averaged by the frozen text tower."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_viclip import CLASS_NAMES, tiny_backbone

from adapt.checkpoint import save_backbone
from adapt.constraint import build_constraint
from adapt.quality import main
from adapt.quality_config import FilterConfig
from adapt.text import embed_descriptions, embed_texts
from adapt.tokens import tokenize
from describe.classes import ActionClass
from describe.dataset import Description, DescriptionSet, read_version, write_version
from describe.errors import UserError
from describe.tokens import num_clip_tokens

CLASSES = tuple(
    ActionClass(class_id=label, name=name.replace(" ", "_"), readable=name)
    for label, name in enumerate(CLASS_NAMES)
)
LONG = "word " * 40


def rows(count=2, kinds=("spatial", "temporal"), classes=CLASSES):
    frames = {"spatial": "someone who does {}, seen {}", "temporal": "first {}, then {} again"}
    made = []
    for each in classes:
        for kind in kinds:
            for step in range(count):
                text = frames[kind].format(each.readable, "near far above below".split()[step])
                made.append(a_row(each, kind, step, text))
    return made


def a_row(each, kind, step, text, flags=()):
    return Description(
        class_id=each.class_id, class_name=each.name, readable_name=each.readable, group="",
        kind=kind, step=step, text=text, num_tokens=num_clip_tokens(text), flags=flags,
    )  # fmt: skip


def a_set(made) -> DescriptionSet:
    manifest = {"dataset": "toy", "fingerprint": "s1:abc"}
    return DescriptionSet(name="v2", path=Path("sets/v2"), rows=tuple(made), manifest=manifest)


def texts_by_class(made, kind):
    return {
        each.name: [row.text for row in made if (row.class_name, row.kind) == (each.name, kind)]
        for each in CLASSES
    }


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone().requires_grad_(False).eval()


def test_without_a_filter_it_is_the_mean_of_all_descriptions(backbone):
    made = rows()
    constraint = build_constraint(backbone, a_set(made), CLASSES)
    names = [each.name for each in CLASSES]
    for kind, means in (("spatial", constraint.spatial), ("temporal", constraint.temporal)):
        expected = embed_descriptions(backbone, texts_by_class(made, kind), names)
        torch.testing.assert_close(means, expected)
    assert [each.requires_grad for each in constraint.tensors] == [False, False]


def test_rows_are_joined_by_name_in_whatever_order_and_number(backbone):  # failure 33
    made = rows()
    expected = build_constraint(backbone, a_set(made), CLASSES)
    renumbered = [replace(row, class_id=90 - row.class_id) for row in reversed(made)]
    found = build_constraint(backbone, a_set(renumbered), CLASSES)
    torch.testing.assert_close(found.spatial, expected.spatial)
    backwards = build_constraint(backbone, a_set(made), CLASSES[::-1])
    torch.testing.assert_close(backwards.temporal, expected.temporal.flip(0))


def test_a_set_for_other_classes_is_an_error_that_names_the_first(backbone):  # failure 33
    message = (
        r"version v2 of toy has no spatial description for 2 of 5 classes, first 'climb_stairs'; "
        "describe them, choose a version made for these classes$"
    )
    with pytest.raises(UserError, match=message):
        build_constraint(backbone, a_set(rows(classes=(*CLASSES[:1], *CLASSES[3:]))), CLASSES)
    spatial_only = a_set(rows(kinds=("spatial",)))
    advice = "no temporal description for 5 of 5 classes, .* or pass --description-kinds spatial$"
    with pytest.raises(UserError, match=advice):
        build_constraint(backbone, spatial_only, CLASSES)
    options = FilterConfig(description_kinds="spatial")
    constraint = build_constraint(backbone, spatial_only, CLASSES, options)
    assert constraint.temporal is None
    assert len(constraint.tensors) == 1


def test_classes_that_are_not_asked_for_are_left_out_and_counted(backbone):
    whole = build_constraint(backbone, a_set(rows()), CLASSES)
    part = build_constraint(backbone, a_set(rows()), CLASSES[1:3])
    torch.testing.assert_close(part.spatial, whole.spatial[1:3])
    assert part.report["summary"]["ignored_classes"] == 3
    assert [each["class_name"] for each in part.report["classes"]] == ["climb_stairs", "climb"]


def test_classes_may_have_different_numbers_of_descriptions(backbone):  # failure 33
    made = [row for row in rows(3) if row.class_name != "climb" or row.step == 1]
    constraint = build_constraint(backbone, a_set(made), CLASSES)
    only = tokenize([texts_by_class(made, "spatial")["climb"][0]]).ids
    expected = F.normalize(embed_texts(backbone, only), dim=-1)[0]
    torch.testing.assert_close(constraint.spatial[2], expected)


def test_weights_make_a_weighted_mean(backbone):
    made = rows(3)
    config = FilterConfig(filter="text", filter_mode="weight", min_margin=0.2)
    constraint = build_constraint(backbone, a_set(made), CLASSES, config)
    weights = {
        each["class_name"]: [s["weight"] for s in each["sentences"] if s["kind"] == "temporal"]
        for each in constraint.report["classes"]
    }
    assert len({weight for each in weights.values() for weight in each}) > 3
    names = [each.name for each in CLASSES]
    described = texts_by_class(made, "temporal")
    expected = embed_descriptions(backbone, described, names, weights=weights)
    torch.testing.assert_close(constraint.temporal, expected, atol=1e-5, rtol=0)


def test_what_is_dropped_has_no_part_in_the_mean(backbone):
    flagged = [replace(row, flags=("non_visual",)) if row.step == 0 else row for row in rows()]
    constraint = build_constraint(backbone, a_set(flagged), CLASSES, FilterConfig(filter="rules"))
    kept = [row for row in flagged if row.step == 1]
    expected = build_constraint(backbone, a_set(kept), CLASSES)
    torch.testing.assert_close(constraint.spatial, expected.spatial)
    summary = constraint.report["summary"]
    assert (summary["sentences"], summary["kept"], summary["dropped"]) == (20, 10, 10)
    assert summary["reasons"] == {"flagged": 10}


def test_a_description_over_the_limit_is_listed_and_never_cut_in_silence(backbone, caplog):
    made = rows()  # failure 34
    made[3] = a_row(CLASSES[0], "temporal", 1, LONG)
    with caplog.at_level(logging.WARNING):
        report = build_constraint(backbone, a_set(made), CLASSES).report
    assert report["summary"]["over_budget"] == 1
    assert report["summary"]["kinds"]["temporal"]["over_budget"] == 1
    (cut,) = [s for each in report["classes"] for s in each["sentences"] if s["cut"]]
    assert (cut["text"], cut["num_tokens"], cut["kept"]) == (LONG, 42, True)
    assert "1 of 20 texts have more than 32 tokens and lose their end" in caplog.text


def test_the_same_set_gives_the_same_report_and_it_is_json(backbone):
    config = FilterConfig(filter="text")
    first = build_constraint(backbone, a_set(rows()), CLASSES, config).report
    second = build_constraint(tiny_backbone().eval(), a_set(rows()), CLASSES, config).report
    assert json.dumps(first) == json.dumps(second)
    assert first["filter"]["filter"] == "text"
    assert (first["dataset"], first["version"], first["fingerprint"]) == ("toy", "v2", "s1:abc")


def test_the_median_of_an_even_number_of_margins_lies_between_the_middle_two(backbone):
    config = FilterConfig(filter="text")
    report = build_constraint(backbone, a_set(rows()), CLASSES, config).report
    margins = sorted(each["margin"] for c in report["classes"] for each in c["sentences"])
    assert len(margins) == 20
    expected = (margins[9] + margins[10]) / 2
    assert report["summary"]["median_margin"] == pytest.approx(expected, abs=2e-6)
    assert margins[9] < expected - 2e-6


@pytest.fixture
def written(tmp_path, backbone):
    """A set on disk, and a backbone."""
    made = rows(3)
    made[0] = replace(made[0], text="word " * 40, num_tokens=42, flags=("over_budget",))
    made[4] = replace(made[4], text="someone who does \x1b[31mbrush teeth, seen near")
    write_version(tmp_path / "set", made, [], {"dataset": "toy"})
    save_backbone(backbone, tmp_path / "b.safetensors")
    return tmp_path


def test_the_command_shows_the_worst_first(written, capsys):
    path = written / "report.json"
    flags = ["--min-margin", "0.5", "--worst", "2", "--output", str(path), "--device", "cpu"]
    assert main([str(written / "set"), "--backbone", str(written / "b.safetensors"), *flags]) == 0
    out = capsys.readouterr().out
    report = json.loads(path.read_text())
    summary = report["summary"]
    assert f"toy v1: {summary['kept']} of 30 descriptions kept; " in out
    assert "1 over 32 tokens lose their end" in out
    assert "\x1b" not in out
    margins = {
        each["class_name"]: sum(s["margin"] for s in each["sentences"]) / 6
        for each in report["classes"]
    }
    worst = min(margins, key=margins.get)
    table = out[out.index("Classes whose sentences are nearest") :].splitlines()
    assert table[1].split() == [f"{margins[worst]:.2f}", *table[1].split()[1:4], worst]
    doubted = [s for each in report["classes"] for s in each["sentences"] if s["reason"]]
    assert doubted
    assert min(doubted, key=lambda s: s["margin"])["why"] in out


def test_the_command_takes_one_version_and_other_filters(written, capsys):
    arguments = ["--backbone", str(written / "b.safetensors"), "--filter", "rules"]
    assert main([str(written / "set" / "v1"), *arguments, "--device", "cpu"]) == 0
    assert "29 of 30 descriptions kept; 1 flagged by a rule" in capsys.readouterr().out
    assert read_version(written / "set").name == "v1"


def test_the_command_names_what_is_wrong(written, capsys):
    assert main([str(written / "nothing"), "--backbone", "x.pth"]) == 1
    assert "adapt.quality: no description set in" in capsys.readouterr().err
    assert main([str(written / "set"), "--backbone", str(written / "b.pth")]) == 1
    assert "adapt.quality: no weights at" in capsys.readouterr().err
    assert main([str(written / "set"), "--worst", "-1"]) == 1
    assert "--worst is -1; it must be at least 0" in capsys.readouterr().err
