"""The description set: written once, whole or not at all, the same bytes from the same rows."""

import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from describe.dataset import (
    Description,
    Rejected,
    list_versions,
    next_free_name,
    read_rejected,
    read_version,
    write_card,
    write_version,
)
from describe.errors import UserError
from describe.rows import fingerprint

ROOT = Path(__file__).parent.parent
MANIFEST = {
    "dataset": "toy",
    "classes": {"count": 2, "total": 2},
    "model": {"name": "m", "revision": "r"},
    "counts": {"asked": 8},
}


def description(class_id: int = 0, kind: str = "spatial", step: int = 0, **others) -> Description:
    name = ("archery", "yoga")[class_id]
    values = {
        "text": f"A person doing {name}, {kind} {step}.",
        "readable_name": name,
        "group": "base",
        "num_tokens": 9,
        "flags": ("class_name",),
        "repairs": ("numbering",),
        "model": "m",
        "prompt_version": "v1",
        "request_key": f"d1:{class_id}{kind}",
    }
    return Description(
        class_id=class_id, class_name=name, kind=kind, step=step, **{**values, **others}
    )


def rejection(text: str = "Sure!", **others) -> Rejected:
    row = description(text=text)
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return Rejected(**{**values, "rule": "refusal", "detail": "no answer", **others})


KEPT = [
    description(c, kind, step)
    for c in (0, 1)
    for kind in ("spatial", "temporal")
    for step in (0, 1)
]
REJECTED = [rejection()]


def files_in(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def run_python(code: str, *args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# Writes the set of this file's rows in a process of its own.
WRITE = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from test_dataset import KEPT, MANIFEST, REJECTED
from describe.dataset import write_version
from describe.errors import UserError
def write(root):
    try:
        print(write_version(Path(root), KEPT, REJECTED, MANIFEST).name)
    except UserError as error:
        print(error)
"""


def test_what_was_written_is_read(tmp_path):
    written = write_version(tmp_path, KEPT, REJECTED, MANIFEST)
    assert (written.name, written.path, written.created) == ("v1", tmp_path / "v1", True)
    read = read_version(tmp_path)
    assert read.rows == tuple(KEPT)
    assert read_rejected(tmp_path) == tuple(REJECTED)
    assert read.manifest["model"] == {"name": "m", "revision": "r"}
    assert read.manifest["counts"] == {"asked": 8, "kept": 8, "rejected": {"refusal": 1}}
    assert read.fingerprint == fingerprint(KEPT, REJECTED)


def test_rows_of_one_set_in_any_order_give_the_same_bytes(tmp_path):
    write_version(tmp_path / "a", KEPT, REJECTED, MANIFEST)
    write_version(tmp_path / "b", reversed(KEPT), REJECTED, dict(reversed(MANIFEST.items())))
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b")
    assert sorted(files_in(tmp_path / "a")) == [
        "README.md",
        "v1/descriptions.parquet",
        "v1/manifest.json",
        "v1/rejected.parquet",
    ]


def test_the_same_rows_again_change_nothing(tmp_path):
    write_version(tmp_path, KEPT, REJECTED, MANIFEST)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = write_version(tmp_path, KEPT, REJECTED, {**MANIFEST, "libraries": {"pyarrow": "99"}})
    assert (again.name, again.created) == ("v1", False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_other_rows_are_the_next_version_and_the_newest_is_read(tmp_path):
    write_version(tmp_path, KEPT, REJECTED, MANIFEST)
    for count in range(1, 10):
        write_version(
            tmp_path, KEPT[:-count] if count < 8 else KEPT, [rejection(str(count))], MANIFEST
        )
    assert list_versions(tmp_path) == [f"v{number}" for number in range(1, 11)]
    assert read_rejected(tmp_path)[0].text == "9"
    assert write_version(tmp_path, KEPT, REJECTED, MANIFEST).name == "v1"


def test_a_name_that_exists_with_other_rows_is_refused_with_the_next_free_one(tmp_path):
    write_version(tmp_path, KEPT, REJECTED, MANIFEST, "v3")
    before = files_in(tmp_path)
    with pytest.raises(UserError, match=r"v3 exists and holds other rows.*next free name is v4"):
        write_version(tmp_path, KEPT[1:], REJECTED, MANIFEST, "v3")
    assert files_in(tmp_path) == before


def test_a_name_may_be_given_and_given_again(tmp_path):
    assert write_version(tmp_path, KEPT, [], MANIFEST).name == "v1"
    assert write_version(tmp_path, KEPT, [], MANIFEST, "paper").created
    assert not write_version(tmp_path, KEPT, [], MANIFEST, "paper").created
    assert list_versions(tmp_path) == ["v1", "paper"]
    assert next_free_name(tmp_path) == "v2"


def test_a_folder_that_is_no_version_is_not_overwritten(tmp_path):
    (tmp_path / "v1").mkdir()
    with pytest.raises(UserError, match=r"v1 exists and holds no complete version.*v2"):
        write_version(tmp_path, KEPT, [], MANIFEST, "v1")
    assert write_version(tmp_path, KEPT, [], MANIFEST).name == "v2"


@pytest.mark.parametrize("name", ["", "v 1", "v-1", "../v1", ".v1", "v1_rejected", "v1.", "é"])
def test_a_name_that_no_config_can_have_is_refused(name, tmp_path):
    with pytest.raises(UserError, match="cannot be named"):
        write_version(tmp_path / "set", KEPT, [], MANIFEST, name)
    assert not (tmp_path / "set").exists()


def test_a_set_without_sentences_is_refused_and_says_why(tmp_path):
    with pytest.raises(
        UserError, match=r"no sentence was kept \(2 were rejected, most by .*'echo'"
    ):
        write_version(tmp_path, [], [rejection(rule="echo"), rejection(rule="echo")], MANIFEST)
    assert not list(tmp_path.iterdir())


def test_without_rejected_sentences_there_is_no_empty_table(tmp_path):
    write_version(tmp_path, KEPT, [], MANIFEST)  # `datasets` cannot load a split without rows
    assert not (tmp_path / "v1/rejected.parquet").exists()
    assert "v1_rejected" not in (tmp_path / "README.md").read_text()
    assert read_rejected(tmp_path) == ()


@pytest.mark.parametrize("secret", [{"api_key": "k"}, {"endpoints": [{"Authorization": "k"}]}])
def test_a_manifest_that_names_a_secret_is_refused(secret, tmp_path):
    with pytest.raises(ValueError, match="the manifest names a secret"):
        write_version(tmp_path, KEPT, [], {**MANIFEST, "model": secret})
    assert not list(tmp_path.iterdir())


def test_a_class_may_be_called_after_a_secret(tmp_path):
    manifest = {**MANIFEST, "counts": {"short": {"enter a password (spatial)": 1}}}
    assert write_version(tmp_path, KEPT, [], manifest).created


def test_a_folder_is_for_one_dataset(tmp_path):
    write_version(tmp_path, KEPT, [], MANIFEST)
    with pytest.raises(UserError, match=r"holds descriptions of .*, not of 'chess'; a folder is"):
        write_version(tmp_path, KEPT, [], {**MANIFEST, "dataset": "chess"})


# --- whole or not at all


# Forks writers and kills the first before its first change to the disk, the second before its
# second, ... until one gets through.
KILL = """
import os, signal
import pyarrow.parquet
def kill_before(left, root):
    def count(event, args):
        nonlocal left
        changes = event in ("os.mkdir", "os.rename") or (event == "open" and args[1] == "w")
        if changes and root in str(args[0]):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
for number in range(50):
    root = f"{sys.argv[1]}/killed-{number}"
    child = os.fork()
    if child == 0:
        kill_before(number, root)
        write(root)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""


def test_a_run_killed_anywhere_leaves_no_half_version_and_the_next_repairs_it(tmp_path):
    done = run_python(WRITE + KILL, tmp_path)
    assert done.returncode == 0, done.stderr
    write_version(tmp_path / "whole", KEPT, REJECTED, MANIFEST)
    states = set()
    for number in range(8):  # two folders, four files, two renames
        root = tmp_path / f"killed-{number}"
        for name in list_versions(root):
            assert read_version(root, name).rows == tuple(KEPT)
        states.add((len(list_versions(root)), (root / "README.md").exists()))
        write_version(root, KEPT, REJECTED, MANIFEST)
        assert files_in(root) == files_in(tmp_path / "whole")
    assert states == {(0, False), (1, False)}  # killed before and after the version's rename
    assert files_in(tmp_path / "killed-8") == files_in(tmp_path / "whole")  # not killed


def test_a_full_disk_is_one_line_with_the_path_and_nothing_half_written(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
    done = run_python(WRITE + limit + "write(sys.argv[1])", tmp_path / "set")
    assert done.stdout == (
        f"cannot write {tmp_path}/set/.writing-v1/descriptions.parquet: File too large\n"
    )
    assert not list((tmp_path / "set").iterdir())


def test_a_card_that_does_not_fit_the_disk_keeps_the_old_one(tmp_path):
    write_version(tmp_path, KEPT, REJECTED, MANIFEST)
    before = (tmp_path / "README.md").read_bytes()
    (tmp_path / "v1/manifest.json").write_text(  # more to say than 4,000 bytes
        json.dumps({**read_version(tmp_path).manifest, "notes": ["many words " * 20] * 30})
    )
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
    done = run_python(WRITE + limit + "write(sys.argv[1])", tmp_path)
    assert done.stdout == f"cannot write {tmp_path}/.writing-README.md: File too large\n"
    assert (tmp_path / "README.md").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "v1"]


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "set").write_text("")
    with pytest.raises(UserError, match=r"^cannot write .*/set: File exists$"):
        write_version(tmp_path / "set", KEPT, [], MANIFEST)


def test_two_writers_at_once_make_two_versions_and_one_card(tmp_path):
    other = "import test_dataset; test_dataset.KEPT[:] = KEPT[:-1]\n"
    codes = [WRITE + change + "write(sys.argv[1])" for change in ("", other)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for code in codes
    ]
    assert sorted(process.communicate()[0] for process in processes) == ["v1\n", "v2\n"]
    card = (tmp_path / "README.md").read_text()
    assert "config_name: v1\n" in card
    assert "config_name: v2\n" in card


def test_the_card_is_made_again_from_the_manifests(tmp_path):
    write_version(tmp_path, KEPT, REJECTED, MANIFEST)
    card = (tmp_path / "README.md").read_bytes()
    (tmp_path / "README.md").write_text("mine")
    write_card(tmp_path)
    assert (tmp_path / "README.md").read_bytes() == card


# --- reading what is damaged


def test_an_unknown_version_names_those_that_exist(tmp_path):
    write_version(tmp_path, KEPT, [], MANIFEST)
    write_version(tmp_path, KEPT[1:], [], MANIFEST)
    with pytest.raises(UserError, match=r"no version 'v9' in .*; known: v1, v2$"):
        read_version(tmp_path, "v9")


@pytest.mark.parametrize("action", [read_version, read_rejected, write_card])
def test_a_folder_without_a_set_says_how_to_make_one(action, tmp_path):
    with pytest.raises(UserError, match="no description set in .*; make one with `python -m"):
        action(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_table_is_named(tmp_path):
    write_version(tmp_path, KEPT, REJECTED, MANIFEST)
    for name, read in (("descriptions", read_version), ("rejected", read_rejected)):
        path = tmp_path / f"v1/{name}.parquet"
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + b"?")
        with pytest.raises(UserError, match=rf"v1/{name}\.parquet is damaged"):
            read(tmp_path)
        path.unlink()
        with pytest.raises(UserError, match=rf"cannot read .*v1/{name}\.parquet: No such file"):
            read(tmp_path)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "manifest.json is not JSON"),
        ("[]", "manifest.json holds no JSON object"),
        ("{}", "manifest.json has no valid counts"),
        ('"fingerprint"', None),
        ('"format"', None),
    ],
)
def test_a_damaged_manifest_is_named(text, message, tmp_path):
    write_version(tmp_path, KEPT, [], MANIFEST)
    path = tmp_path / "v1/manifest.json"
    if message is None:  # one field is gone
        message = f"manifest.json has no valid {text.strip(chr(34))}"
        text = path.read_text().replace(text, '"gone"')
    path.write_text(text)
    for action in (list_versions, read_version):
        with pytest.raises(UserError, match=message):
            action(tmp_path)
    with pytest.raises(UserError, match=message):
        write_version(tmp_path, KEPT[1:], [], MANIFEST)


def test_a_manifest_of_a_later_format_is_not_guessed_at(tmp_path):
    write_version(tmp_path, KEPT, [], MANIFEST)
    path = tmp_path / "v1/manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(UserError, match="has format 2; this program reads format 1: update it"):
        read_version(tmp_path)


# --- what others do with it

LOAD = """
import json, sys
from datasets import load_dataset
newest = load_dataset(sys.argv[1], split="train")
v1 = load_dataset(sys.argv[1], "v1")["train"]
rejected = load_dataset(sys.argv[1], "v1_rejected")["train"]
print(json.dumps([len(newest), v1[:], rejected[:]]))
"""


def test_datasets_loads_each_config_from_a_fresh_cache_without_a_network(tmp_path):
    write_version(tmp_path / "toy", KEPT, REJECTED, MANIFEST)
    write_version(tmp_path / "toy", KEPT[:-1], [], MANIFEST)
    cache = str(tmp_path / "cache")
    done = run_python(LOAD, tmp_path / "toy", HF_HOME=cache, HF_DATASETS_CACHE=cache)
    assert done.returncode == 0, done.stderr
    num_newest, v1, rejected = json.loads(done.stdout)
    assert num_newest == len(KEPT) - 1  # the newest version is the default
    assert v1["text"] == [row.text for row in KEPT]
    assert v1["flags"] == [["class_name"]] * len(KEPT)
    assert rejected["rule"] == ["refusal"]


def test_importing_the_module_loads_no_heavy_library():
    done = run_python("import sys, describe.dataset; print(*sys.modules)")
    assert not {"pyarrow", "datasets", "yaml", "torch", "numpy"} & set(done.stdout.split())
