"""What a side of a comparison means: a version, a set or a folder."""

from pathlib import Path

import pytest

from describe.dataset import Description, write_version
from describe.diff_sides import find_version
from describe.errors import UserError


def row(text: str) -> Description:
    about = {"class_name": "archery", "readable_name": "archery", "group": "", "kind": "spatial"}
    return Description(class_id=0, step=0, text=text, num_tokens=9, **about)


OLD = [row("A person draws a bow.")]
NEW = [row("A person pulls back a bow.")]


@pytest.fixture
def versions(workspace: Path) -> Path:
    """The set `toy` with v1 and v2, and the imported set `toy` with msta_n2 and msta_n8."""
    for place, names in (("sets", ("v1", "v2")), ("published", ("msta_n2", "msta_n8"))):
        for name, kept in zip(names, (OLD, NEW), strict=True):
            write_version(workspace / place / "toy", kept, [], {"dataset": "toy"}, name)
    return workspace


@pytest.mark.parametrize(
    ("side", "place"),
    [
        ("v2", "sets/toy/v2"),
        ("toy/v1", "sets/toy/v1"),
        ("toy", "sets/toy/v2"),
        ("msta_n8", "published/toy/msta_n8"),
        ("published/toy/msta_n2", "published/toy/msta_n2"),
        ("published/toy", "published/toy/msta_n8"),
        ("{home}/sets/toy/v1", "sets/toy/v1"),
        ("{home}/sets/toy", "sets/toy/v2"),
    ],
)
def test_a_side_may_be_a_version_a_set_or_a_folder(versions, side, place):
    dataset = None if "/" in side else "toy"
    root, name = find_version(side.format(home=versions), None if side == "toy" else dataset)
    assert (root / name).resolve() == (versions / place).resolve()


def test_the_beginning_of_one_versions_name_is_enough(versions):
    write_version(versions / "published" / "toy", OLD[:1], [], {"dataset": "toy"}, "ost_n8")
    assert find_version("ost", "toy")[1] == "ost_n8"
    with pytest.raises(UserError, match=r"'msta' may mean published/toy/msta_n2, published/toy/ms"):
        find_version("msta", "toy")


def test_a_side_that_means_nothing_names_what_there_is(versions):
    with pytest.raises(UserError, match=r"no version 'v9' of 'toy'; known: v1, v2, msta_n2, msta"):
        find_version("v9", "toy")
    write_version(versions / "sets" / "other", OLD, [], {"dataset": "other"})
    with pytest.raises(UserError, match=r"of which set is 'v1'\? give --dataset: other, toy"):
        find_version("v1")


def test_a_version_that_a_set_lacks_names_those_it_has(versions):
    with pytest.raises(UserError, match=r"no version 'v7' of 'toy'; known: v1, v2, msta_n2, msta"):
        find_version("toy/v7")
    with pytest.raises(UserError, match=r"no version 'v1' of 'published/toy'; known: msta_n2, ms"):
        find_version("published/toy/v1")


def test_the_name_of_a_set_means_the_set_though_another_is_given(versions):
    write_version(versions / "sets" / "other", OLD, [], {"dataset": "other"})
    root, name = find_version("other", "toy")
    assert (root.name, name) == ("other", "v1")


def test_without_any_set_one_line_says_how_to_make_one(workspace):
    with pytest.raises(UserError, match="no description set in the workspace; make one with"):
        find_version("v1")
