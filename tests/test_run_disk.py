"""A workspace that is full, read-only, missing, damaged or of another time."""

import os
import pickle
import sqlite3
import subprocess
import sys

import pytest
from describe_process import ACTIONS, asked
from scripted_server import Answer, good_reply

from describe.cache import ReplyStore
from describe.request import Request

PYTHON = (sys.executable, "-m", "describe")


@pytest.fixture
def described(describe, serve):
    """A finished run of 24 requests: the workspace, and the server it used."""
    describe.classes(*ACTIONS)
    server = serve()
    assert describe("--base-url", server.url).status == 0
    return describe, server


def edit(describe, sql, *values):
    with sqlite3.connect(describe.home / "replies" / "cache.db") as database:
        database.execute(sql, values)
    database.close()


def test_a_full_disk_is_one_line_and_nothing_is_half_written(described, serve):  # failure 3
    describe, server = described
    expected, describe.home = describe.files("sets"), describe.folder / "small"
    # A limit on the size of a file is what a full disk looks like to one process.
    full = ("bash", "-c", 'ulimit -f 256; exec "$@"', "bash", *PYTHON)
    home = {"DESCRIBE_HOME": str(describe.home)}
    ended = describe.fresh("--base-url", server.url, "--concurrency", "4", command=full, **home)
    assert ended.status == 1
    assert ended.err.splitlines()[-1].startswith(
        f"describe: cannot store replies in {describe.home}/replies: "
    )
    assert ended.err.endswith("; what was stored before is safe\n")
    assert "Traceback" not in ended.err
    assert not (describe.home / "sets").exists()
    with ReplyStore(describe.home / "replies") as store:
        stored = len(store.keys())
        assert store.verify() == (stored, [])
    assert 0 < stored < 24
    before = server.count
    assert describe("--base-url", server.url, **home).status == 0
    assert server.count == before + 24 - stored
    assert describe.files("sets") == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"DESCRIBE_HOME": "/dev/null/x"}, "the workspace /dev/null/x: Not a directory"),
        (
            {"DESCRIBE_HOME": "", "XDG_DATA_HOME": "", "HOME": "/dev/null"},
            "the workspace /dev/null/.local/share/describe: Not a directory",
        ),
        (
            {"DESCRIBE_HOME": "", "XDG_DATA_HOME": "/dev/null"},
            "the workspace /dev/null/describe: Not a directory",
        ),
    ],
)
def test_a_home_that_cannot_be_is_one_line(describe, serve, environment, message):  # failure 3
    server = serve()
    ended = describe("--base-url", server.url, "--model", "scripted", **environment)
    assert (ended.status, server.count) == (1, 0)
    assert ended.err == f"describe: cannot make {message}; set DESCRIBE_HOME\n"


def test_a_read_only_home_is_one_line(describe, serve):  # failure 3
    server = serve()
    describe.home.mkdir(mode=0o500)
    command = PYTHON
    if os.geteuid() == 0:  # root may write to every folder, but not to a read-only file system
        mount = 'mount -t tmpfs -o ro none "$DESCRIBE_HOME" && exec "$@"'
        command = ("unshare", "--mount", "bash", "-c", mount, "bash", *PYTHON)
        if subprocess.run(["unshare", "--mount", "true"]).returncode:
            pytest.skip("this root may not mount a read-only file system")
    ended = describe.fresh("--base-url", server.url, "--model", "m", command=command)
    assert (ended.status, server.count) == (1, 0)
    assert ended.err == (
        f"describe: the workspace {describe.home} is read-only; "
        "set DESCRIBE_HOME to another folder\n"
    )


def test_a_set_folder_that_cannot_be_is_named_and_the_replies_are_kept(described):  # failure 3
    describe, server = described
    ended = describe("--base-url", server.url, "--out", "/dev/null/set", "--seed", "1")
    assert (ended.status, server.count) == (1, 48)
    assert ended.err.splitlines()[-1] == "describe: cannot write /dev/null/set: Not a directory"
    assert describe("--base-url", server.url, "--seed", "1").status == 0
    assert server.count == 48


def test_a_store_cut_short_costs_what_was_lost_and_no_more(described):  # failure 4
    describe, server = described
    expected = describe.files("sets")
    path = describe.home / "replies" / "cache.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4 // 4096 * 4096])
    ended = describe("--base-url", server.url)
    assert ended.status == 0
    assert "Traceback" not in ended.err
    assert "warning: the replies in" in ended.err
    assert 24 < server.count < 40
    assert describe.files("sets") == expected
    assert describe("--base-url", server.url).err.strip() == ""


def test_an_entry_cut_short_is_a_miss_and_a_warning(described):  # failure 4
    describe, server = described
    expected = describe.files("sets")
    lost = Request(body=server.requests[5], sample=0).key
    edit(describe, "UPDATE Cache SET value = substr(value, 1, 300) WHERE key = ?", lost)
    ended = describe("--base-url", server.url)
    assert (ended.status, server.count) == (0, 25)
    assert server.requests[24] == server.requests[5]
    assert f"warning: damaged reply {lost}" in ended.err
    assert "Traceback" not in ended.err
    assert describe.files("sets") == expected


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("trapped",))


@pytest.mark.parametrize("column", ["value", "key"])
def test_a_pickle_in_the_store_is_never_loaded(described, column):  # failure 4
    describe, server = described
    lost = Request(body=server.requests[5], sample=0).key
    flag = "mode = 4" if column == "value" else "raw = 0"
    trap = sqlite3.Binary(pickle.dumps(Trap()))
    edit(describe, f"UPDATE Cache SET {column} = ?, {flag} WHERE key = ?", trap, lost)
    ended = describe("--base-url", server.url, "--temperature", "0.1", "--dry-run")
    assert "Traceback" not in ended.err
    assert ended.status == 0
    ended = describe("--base-url", server.url)
    assert (ended.status, server.count) == (0, 25)
    assert "Traceback" not in ended.err
    assert not (describe.folder / "trapped").exists()


def test_replies_of_another_format_are_refused_with_what_to_do(described):  # failure 22
    describe, server = described
    edit(describe, "UPDATE Settings SET value = '0' WHERE key = 'describe_format'")
    ended = describe("--base-url", server.url)
    assert (ended.status, server.count) == (1, 24)
    assert "have format 0, this version reads 1; export them" in ended.err
    assert ended.err.count("\n") == 1


def test_a_ledger_line_cut_short_is_passed_over(describe, serve):  # failures 1, 4
    too_long = Answer(status=400, raw='{"error": {"message": "maximum context length"}}')
    server = serve(
        lambda body, n: too_long if asked(body)[0] == "bowling" else Answer(text=good_reply(body))
    )
    describe("--base-url", server.url)
    ledger = describe.home / "failures.jsonl"
    lines = ledger.read_text().splitlines()
    assert len(lines) == 2
    ledger.write_text(f"{lines[0]}\n{lines[1][:40]}")
    before = server.count
    assert describe("--base-url", server.url).status == 0
    assert server.count == before + 1
    assert ledger.read_text().count("\n") == 2
