"""Written-in descriptions, and that each spoilt variant is spoilt in its own way alone."""

import pytest

from adapt.miniature_classes import load_actions
from adapt.miniature_descriptions import VARIANTS, describe_actions, write_descriptions
from describe.dataset import read_version
from describe.tokens import CONTEXT_LENGTH
from describe.validate import validate


def test_every_variant_has_four_sentences_of_each_kind_for_each_class():
    for variant in VARIANTS:
        described = describe_actions(variant)
        assert list(described) == [each.action.name for each in load_actions()]
        for kinds in described.values():
            assert {kind: len(texts) for kind, texts in kinds.items()} == {
                "spatial": 4,
                "temporal": 4,
            }


def test_right_temporal_descriptions_name_the_shape_and_tell_all_classes_apart():
    described = describe_actions("right")
    for each in load_actions():
        assert all(each.shape in text for text in described[each.action.name]["temporal"])
    assert len({tuple(kinds["temporal"]) for kinds in described.values()}) == 24


def test_swapped_descriptions_are_those_of_a_class_of_other_parts_in_the_same_half():
    right, swapped = describe_actions("right"), describe_actions("swapped")
    by_text = {tuple(right[a.action.name]["temporal"]): a for a in load_actions()}
    givers = [by_text[tuple(swapped[a.action.name]["temporal"])] for a in load_actions()]
    assert len(set(givers)) == 24
    for taker, giver in zip(load_actions(), givers, strict=True):
        assert taker.shape != giver.shape
        assert taker.motion != giver.motion
        assert taker.action.group == giver.action.group
        assert right[giver.action.name] == swapped[taker.action.name]


@pytest.mark.parametrize("variant", ["generic", "unrelated"])
def test_generic_and_unrelated_descriptions_are_the_same_for_all_classes(variant):
    described = list(describe_actions(variant).values())
    assert all(kinds == described[0] for kinds in described)


def test_written_versions_are_valid_description_sets(tmp_path):
    for variant in VARIANTS:
        assert write_descriptions(tmp_path, variant).name == variant
    assert validate(tmp_path, load=False) == []
    rows = read_version(tmp_path, "swapped").rows
    assert {row.class_name for row in rows} == {a.action.name for a in load_actions()}
    assert max(row.num_tokens for row in rows) <= CONTEXT_LENGTH
    swapped = describe_actions("swapped")
    for row in rows:
        assert row.text == swapped[row.class_name][row.kind][row.step]


def test_writing_twice_changes_nothing(tmp_path):
    assert write_descriptions(tmp_path).created
    assert not write_descriptions(tmp_path).created
