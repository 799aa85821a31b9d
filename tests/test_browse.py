"""`python -m describe.browse` from outside: which sets it finds, and the page it writes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browse_world import ROOT, WAIT_S, the_workspace

from describe.browse import BrowseConfig, main
from describe.browse_sets import choose_sets
from describe.dataset import write_version
from describe.rows import Description
from describe.versions import read_version

ROW = Description(
    class_id=0,
    class_name="archery",
    readable_name="archery",
    group="",
    kind="spatial",
    step=0,
    text="A bow is drawn.",
    num_tokens=7,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return the_workspace(tmp_path_factory)


@pytest.fixture
def home(made: Path, workspace: Path) -> Path:
    return Path(shutil.copytree(made, workspace))


def small_set(root: Path, **manifest: Any) -> None:
    write_version(root, [ROW], [], {"dataset": "toy", "classes": {"count": 1}, **manifest})


def data_of(page: str, block: str = "data") -> dict[str, Any]:
    found = re.search(rf'<script type="application/json" id="{block}">(.*?)</script>', page)
    assert found
    return json.loads(found[1])


# --- the command


def test_a_page_in_a_file_holds_the_rows_the_rules_and_the_replies(home, tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["hmdb51", "--html", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"hmdb51: {path} (")
    page = path.read_text(encoding="utf-8")
    data, replies = data_of(page), data_of(page, "replies")
    rows = read_version(home / "sets/hmdb51").rows
    assert data["columns"]["text"][: len(rows)] == [row.text for row in rows]
    assert data["columns"]["rule"].count("shared") == 8
    assert data["rules"]["shared"] == "another class has the same sentence"
    assert [step["count"] for step in data["funnel"]] == [35, 35, len(data["columns"]["text"]), 70]
    assert not data["live"]
    keys = data["columns"]["tables"]["request_key"]
    assert len(keys) == 35
    assert replies["requests"].keys() == set(keys)
    assert "connect-src" not in page


def test_the_same_set_gives_the_same_page(home, tmp_path):
    for name in ("one.html", "two.html"):
        main(["--html", str(tmp_path / name)])
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_classes_that_share_sentences_are_neighbours(home, tmp_path):
    main(["--html", str(tmp_path / "page.html")])
    classes = data_of((tmp_path / "page.html").read_text())["classes"]
    near = {each["name"]: each["near"] for each in classes}
    names = [each["name"] for each in classes]
    assert near["run"][0][:2] == [names.index("walk"), 3]
    assert near["climb"][0][:2] == [names.index("climb stairs"), 1]
    assert all(0 <= cosine <= 1 for each in near.values() for _, _, cosine in each)


def test_a_set_whose_replies_are_elsewhere_is_shown_without_them(home, tmp_path):
    shutil.rmtree(home / "replies")
    assert main(["--html", str(tmp_path / "page.html")]) == 0
    assert data_of((tmp_path / "page.html").read_text(), "replies")["requests"] == {}
    assert not (home / "replies").exists()


def test_a_class_without_a_single_row_is_listed(workspace, tmp_path):
    counts = {"short": {"archery (temporal)": 0, "yoga (spatial)": 0, "yoga (temporal)": 0}}
    small_set(workspace / "sets/toy", counts=counts)
    main(["--html", str(tmp_path / "page.html")])
    classes = data_of((tmp_path / "page.html").read_text())["classes"]
    assert [each["name"] for each in classes] == ["archery", "yoga"]


def test_a_folder_elsewhere_is_a_set(workspace, tmp_path):
    small_set(tmp_path / "elsewhere/toy")
    (found,) = choose_sets(workspace, str(tmp_path / "elsewhere/toy"))
    assert found.name == "toy"


def test_sets_are_described_ones_then_imported_ones(workspace):
    for name in ("sets/b", "sets/a", "published/a"):
        small_set(workspace / name)
    (workspace / "sets/empty").mkdir()
    assert [each.name for each in choose_sets(workspace, None)] == ["a", "b", "published/a"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no description set in .*home; make one with `python -m describe`"),
        (["hmdb51"], "no description set 'hmdb51'; there is none in .*home: make one"),
        (["--port", "70000"], r"--port is 70000; it must be in \[0, 65535\]"),
    ],
)
def test_a_mistake_is_one_line(argv, message, capsys):
    assert main([*argv, "--no-open"]) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(f"describe.browse: {message}.*\n", error), error


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["k400"], "no description set 'k400'; known: hmdb51; or give the folder of a set"),
        (["--version", "v9"], "no version 'v9' in .*hmdb51; known: v1"),
        (["--html", "/"], "cannot write /: it is a folder; name a file in it"),
        (["--html", "/nowhere/page.html"], "cannot write /nowhere/page.html: No such file"),
    ],
)
def test_a_mistake_beside_a_set_is_one_line(argv, message, home, capsys):
    assert main([*argv, "--no-open"]) == 1
    error = capsys.readouterr().err
    assert re.match(f"describe.browse: {message}", error), error
    assert error.count("\n") == 1


def test_a_page_of_several_sets_needs_a_name(workspace, capsys):
    for name in ("a", "b"):
        small_set(workspace / "sets" / name)
    assert main(["--html", "page.html"]) == 1
    assert "there are 2 sets; name one of them: a, b" in capsys.readouterr().err


def test_a_taken_port_is_said(home, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1]), "--no-open"]) == 1
    assert "leave out --port for a free one" in capsys.readouterr().err


def test_ctrl_c_ends_the_server_with_130(home):
    process = subprocess.Popen(
        [sys.executable, "-m", "describe.browse", "--no-open"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert "Ctrl-C" in process.stdout.readline() + process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, err) == (130, "")


def test_the_defaults_open_a_browser_on_a_free_port():
    assert (BrowseConfig().open, BrowseConfig().port) == (True, 0)


def test_a_set_elsewhere_names_its_folder_in_that_command(workspace, tmp_path):
    small_set(tmp_path / "my sets/toy")
    main([str(tmp_path / "my sets/toy"), "--html", str(tmp_path / "page.html")])
    command = data_of((tmp_path / "page.html").read_text())["command"]
    folder = tmp_path / "my sets/toy"
    assert command == f"python -m describe --dataset toy --edits --out '{folder}'"
