"""The reply store: what was paid for is kept, and damage costs no more than what is damaged."""

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from describe.cache import Entry, ReplyStore
from describe.cache_command import main
from describe.errors import UserError
from describe.request import Reply, Request

LABEL = {"class": "archery", "kind": "spatial"}


def request(number: int = 0) -> Request:
    body = {"model": "m", "messages": [{"role": "user", "content": f"archery {number}"}]}
    return Request(body=body, revision="r", sample=number)


def reply(text: str = "an answer") -> Reply:
    return Reply(text=text, model="m", server='{"id":"m"}', prompt_tokens=3, completion_tokens=2)


@pytest.fixture
def folder(workspace: Path) -> Path:
    return workspace / "replies"


def fill(folder: Path, number: int) -> None:
    with ReplyStore(folder) as store:
        for i in range(number):
            store.put(request(i), reply(f"answer {i}"), LABEL)


def count_found(folder: Path, number: int) -> int:
    with ReplyStore(folder) as store:
        return sum(store.get(request(i).key) is not None for i in range(number))


def edit(folder: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(folder / "cache.db") as db:
        db.execute(sql, values)


def test_a_reply_comes_back_whole(folder):
    with ReplyStore(folder) as store:
        store.put(request(), reply(), LABEL)
    with ReplyStore(folder) as store:
        assert store.get(request().key) == reply()
        assert [entry.label for entry in store.entries()] == [LABEL]
        assert request(1).key not in store


def test_every_part_of_a_request_reaches_the_key():
    keys = {
        Request(body={"a": 1}).key,
        Request(body={"a": 2}).key,
        Request(body={"a": 1, "b": None}).key,
        Request(body={"a": 1}, revision="x").key,
        Request(body={"a": 1}, sample=1).key,
    }
    assert len(keys) == 5


def test_the_key_is_a_promise():
    # Stored replies are found by this value: if it changes, everyone pays again.
    same = Request(body={"b": "ü", "a": [1.5]}, revision="r", sample=2)
    assert same.key == "d1:5fc726cc317f9a8e357cd3a31cfce31933343e46700ea63803ce849bf18aeffb"


def test_a_second_reply_to_one_request_keeps_the_first_as_history(folder):
    with ReplyStore(folder) as store:
        for text in ("one", "two", "three"):
            store.put(request(), reply(text), LABEL)
        assert store.get(request().key) == reply("three")
        assert store.keys() == [request().key]
    with sqlite3.connect(folder / "cache.db") as db:
        stored = [row[0] for row in db.execute("SELECT value FROM Cache")]
    assert sorted(json.loads(text)["reply"]["text"] for text in stored) == ["one", "three", "two"]


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("UPDATE Cache SET value = substr(value, 1, length(value) / 2) WHERE key = ?", None),
        ("UPDATE Cache SET value = replace(value, 'answer 1', 'answer X') WHERE key = ?", None),
        ("UPDATE Cache SET value = 'not json' WHERE key = ?", None),
        ("UPDATE Cache SET value = '[]' WHERE key = ?", None),
        ("UPDATE Cache SET value = x'00ff' WHERE key = ?", None),
    ],
)
def test_a_damaged_entry_is_a_miss_and_a_warning(folder, sql, value):
    fill(folder, 3)
    edit(folder, sql, request(1).key)
    with ReplyStore(folder) as store:
        with pytest.warns(UserWarning, match="damaged reply d1:"):
            assert store.get(request(1).key) is None
        assert store.get(request(2).key) == reply("answer 2")
        store.put(request(1), reply("anew"), LABEL)
        assert store.get(request(1).key) == reply("anew")


def test_an_entry_of_another_request_is_not_believed(folder):
    fill(folder, 2)
    with sqlite3.connect(folder / "cache.db") as db:
        text = db.execute("SELECT value FROM Cache WHERE key = ?", [request(0).key]).fetchone()[0]
        db.execute("UPDATE Cache SET value = ? WHERE key = ?", [text, request(1).key])
    with ReplyStore(folder) as store, pytest.warns(UserWarning, match="answers another request"):
        assert store.get(request(1).key) is None


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("trapped",))


@pytest.mark.parametrize("mode", [1, 4])
def test_a_pickle_is_never_loaded(folder, tmp_path, monkeypatch, mode):
    monkeypatch.chdir(tmp_path)
    fill(folder, 1)
    edit(
        folder,
        "UPDATE Cache SET value = ?, mode = ? WHERE key = ?",
        *(pickle.dumps(Trap()), mode, request(0).key),
    )
    with ReplyStore(folder) as store, pytest.warns(UserWarning, match="damaged reply"):
        assert store.get(request(0).key) is None
    assert not Path("trapped").exists()


def test_a_pickled_key_is_never_loaded(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(folder, 1)
    edit(folder, "UPDATE Cache SET key = ?, raw = 0", pickle.dumps(Trap()))
    with ReplyStore(folder) as store:
        with pytest.warns(UserWarning, match="a pickled key in"):
            assert list(store.entries()) == []
        with pytest.warns(UserWarning, match="a pickled key in"):
            assert store.verify() == (0, ["a pickled key: not text"])
    assert not Path("trapped").exists()


def test_a_file_that_is_no_database_is_set_aside(folder):
    fill(folder, 3)
    for name in ("cache.db-wal", "cache.db-shm"):
        (folder / name).unlink(missing_ok=True)
    (folder / "cache.db").write_bytes(b"not a database" * 1000)
    with pytest.warns(UserWarning, match=r"0 could be read .*replies\.damaged-1"):
        store = ReplyStore(folder)
    assert store.get(request(0).key) is None
    assert (folder.with_name("replies.damaged-1") / "cache.db").exists()
    store.close()


def test_of_a_torn_file_all_that_can_be_read_is_kept(folder):
    fill(folder, 200)
    path = folder / "cache.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="damaged"):
        found = count_found(folder, 200)
    with ReplyStore(folder) as store:
        store.put(request(500), reply(), LABEL)
    assert 150 < found < 200
    with ReplyStore(folder) as store:
        assert store.get(request(500).key) == reply()


def test_another_format_is_refused_with_what_to_do(folder):
    fill(folder, 1)
    edit(folder, "UPDATE Settings SET value = '99' WHERE key = 'describe_format'")
    with pytest.raises(UserError, match=r"have format 99, this version reads 1; export them"):
        ReplyStore(folder)


def test_a_full_disk_is_one_line_and_what_was_stored_is_safe(folder):
    # A limit on file size is what a full disk looks like from inside one process.
    fill(folder, 50)
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from describe.cache import ReplyStore\n"
        "from describe.errors import UserError\n"
        "from describe.request import Reply, Request\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = ReplyStore(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**17, 2**17))\n"
        "try:\n"
        "    for i in range(1000):\n"
        "        body = {'messages': [{'content': 'x' * 2000}]}\n"
        "        store.put(Request(body=body, sample=i), Reply(text='y' * 2000), {})\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True
    )
    assert "cannot store replies in" in done.stdout
    assert str(folder) in done.stdout
    assert "Traceback" not in done.stderr
    with ReplyStore(folder) as store:
        assert all(store.get(request(i).key) == reply(f"answer {i}") for i in range(50))
        assert store.verify()[1] == []


def test_two_processes_write_at_once(folder):
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from describe.cache import ReplyStore\nfrom describe.request import Reply, Request\n"
        "with ReplyStore(Path(sys.argv[1])) as store:\n"
        "    for i in range(300):\n"
        "        store.put(Request(body={'p': sys.argv[2], 'i': i}), Reply(text='t'), {})\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", script, str(folder), name], stderr=subprocess.PIPE)
        for name in "ab"
    ]
    assert [run.communicate()[1] for run in runs] == [b"", b""]
    with ReplyStore(folder) as store:
        assert len(store.keys()) == 600


def test_the_command_verifies_exports_and_imports(folder, tmp_path, capsys, monkeypatch):
    fill(folder, 3)
    assert main([]) == 0
    assert "3 sound replies" in capsys.readouterr().out
    assert main(["--export", str(tmp_path / "r.jsonl")]) == 0
    lines = (tmp_path / "r.jsonl").read_text().splitlines()
    assert [Entry.from_json(line).request.key for line in lines] == [
        request(i).key for i in range(3)
    ]
    (tmp_path / "r.jsonl").write_text("\n".join([*lines, lines[0][:50]]))
    monkeypatch.setenv("DESCRIBE_HOME", str(tmp_path / "other"))
    assert main(["--import", str(tmp_path / "r.jsonl")]) == 1
    printed = capsys.readouterr()
    assert "3 replies added, 0 there already, 1 damaged" in printed.out
    assert f"{tmp_path / 'r.jsonl'}:4" in printed.err
    with ReplyStore(tmp_path / "other" / "replies") as store:
        assert store.get(request(2).key) == reply("answer 2")


def test_the_command_names_damage_and_fails(folder, capsys):
    fill(folder, 3)
    edit(folder, "UPDATE Cache SET value = 'x' WHERE key = ?", request(1).key)
    assert main([]) == 1
    printed = capsys.readouterr().out
    assert "2 sound replies" in printed
    assert request(1).key in printed


def test_a_missing_file_to_import_is_one_line(capsys, tmp_path):
    assert main(["--import", str(tmp_path / "none.jsonl")]) == 1
    assert "describe: cannot read" in capsys.readouterr().err
