"""Ways to break a card: each has a line that names the fault, and --write-card mends it."""

import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from describe.dataset import Description, Rejected, write_version
from describe.validate import main, validate

Break = Callable[[Path], object]

ROWS = [
    Description(
        class_id=class_id,
        class_name=name,
        readable_name=name,
        group="",
        kind=kind,
        step=0,
        text=f"A person doing {name}, {kind}.",
        num_tokens=9,
    )
    for class_id, name in enumerate(("archery", "yoga"))
    for kind in ("spatial", "temporal")
]


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of two versions; the first has a rejected sentence."""
    root = tmp_path_factory.mktemp("sound") / "toy"
    values = {field.name: getattr(ROWS[0], field.name) for field in fields(Description)}
    write_version(root, ROWS, [Rejected(**values, rule="refusal")], {"dataset": "toy"})
    write_version(root, ROWS, [], {"dataset": "toy"})
    return root


@pytest.fixture
def root(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "toy"))


def replaced(old: str, new: str) -> Break:
    """Replace the first `old` in the card. Version 2 stands first, then 1, then its rejected."""

    def change(root: Path) -> None:
        card = root / "README.md"
        text = card.read_text()
        assert old in text
        card.write_text(text.replace(old, new, 1))

    return change


def both(*changes: Break) -> Break:
    return lambda root: [change(root) for change in changes]


def written(name: str, data: bytes) -> Break:
    return lambda root: (root / name).write_bytes(data)


V1_FILE = "path: v1/descriptions.parquet\n"
V1_SPLIT = f"  - split: train\n    {V1_FILE}"
V1_NAME = "config_name: v1\n"
DEFAULT = "  default: true\n"
MOVED_DEFAULT = both(replaced(DEFAULT, ""), replaced(V1_FILE, V1_FILE + DEFAULT))
CSV = "    path:\n    - v1/rejected.parquet\n    - v1/more.txt"

BROKEN = {
    "no card": (lambda root: (root / "README.md").unlink(), "is missing; write it anew with"),
    "another encoding": (written("README.md", b"---\n\xff"), r"is not UTF-8 \(byte 4\)"),
    "a heading before the YAML": (replaced("---\n", "# Toy\n---\n"), "does not begin with '---'"),
    "an empty line first": (replaced("---\n", "\n---\n"), "does not begin with '---'; the YAML"),
    "YAML never closed": (replaced("\n---\n", "\n"), "its YAML has no closing '---' line"),
    "a bad indent": (replaced("  default:", " default:"), "its YAML cannot be read at line 7"),
    "a control character": (replaced("- en", "- \x07"), "its YAML cannot be read: .*#x0007"),
    "a list": (written("README.md", b"---\n- a\n---\n"), "its YAML holds no keys"),
    "a key twice": (replaced("license:", "configs: []\nlicense:"), "the key 'configs' twice"),
    "viewer off": (replaced("license:", "viewer: false\nlicense:"), "'viewer: false' switches"),
    "no configs": (replaced("configs:", "config:"), "its YAML has no list 'configs'"),
    "a config without a name": (replaced(V1_NAME, "name: v1\n"), "config 2 has no 'config_name'"),
    "a number for a name": (replaced(V1_NAME, "config_name: 1\n"), "config 2 .* that is text"),
    "a bad config name": (replaced(V1_NAME, "config_name: v-1\n"), "'v-1' is no config name"),
    "a config twice": (replaced("name: v1_rejected", "name: v1"), "two configs are named 'v1'"),
    "no default": (replaced(DEFAULT, ""), "no config is the default; give the newest version"),
    "two defaults": (replaced(V1_FILE, V1_FILE + DEFAULT), r"2 configs .* default \(v2, v1\)"),
    "an old default": (MOVED_DEFAULT, "the default is 'v1', and the newest 'v2'"),
    "no path": (replaced(V1_SPLIT, "  - split: train\n"), "config 'v1' has no data_files with a"),
    "a bad split name": (replaced("split: train", "split: a-b"), "'v2' has the split name 'a-b'"),
    "a reserved split": (replaced("split: train", "split: all"), "split 'all', a reserved word"),
    "a split twice": (replaced(V1_SPLIT, V1_SPLIT * 2), "'v1' has the split 'train' twice"),
    "no such file": (replaced("path: v1/d", "path: v1/x"), "'v1' names 'v1/xes.*does not exist"),
    "a parent folder": (replaced("path: v1/", "path: ../v1/"), r"names '\.\./v1.*outside the set"),
    "an absolute path": (replaced("path: v1/", "path: /v1/"), "names '/v1/.*outside the set"),
    "another format": (
        both(written("v1/more.txt", b"a"), replaced("    path: v1/rejected.parquet", CSV)),
        "config 'v1_rejected' names 'v1/more.txt', which is not parquet; a set has one format",
    ),
    "another file": (replaced(V1_FILE, "path: v2/*.parquet\n"), "'v1' should name v1/desc"),
    "no such version": (replaced(V1_NAME, "config_name: v7\n"), "config 'v7' is no version of"),
    "a version forgotten": (replaced(f"- {V1_NAME}  data_files:\n{V1_SPLIT}", ""), "no config v1;"),
    "a stale count": (replaced("num_examples: 4", "num_examples: 9"), "says 9 rows for 'v2' of 4"),
    "a stale table": (replaced("| 4 | 1 |", "| 9 | 1 |"), "line of its table for 'v1' is stale"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_to_break_a_card_has_a_line_that_names_the_fault(name, root):
    break_it, message = BROKEN[name]
    break_it(root)
    faults = validate(root, load=False)
    assert re.search(f"^README\\.md: .*{message}|^README\\.md: {message}", faults[0])
    assert len(faults) <= 2  # what follows from a fault does not bury it


@pytest.mark.parametrize("name", sorted(set(BROKEN) - {"another format"}))
def test_the_card_written_anew_is_sound(name, root, capsys):
    BROKEN[name][0](root)
    assert main([str(root), "--no-load", "--write-card"]) == 0
    assert capsys.readouterr().out.startswith("ok: ")


def test_there_are_many_ways_and_each_has_its_own_message():
    assert len({message for _, message in BROKEN.values()}) == len(BROKEN)
