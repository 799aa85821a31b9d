"""The server behind the page: who may read, who may write, and what is stored."""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browse_world import ROOT, WAIT_S, browsing, serving, the_workspace

from describe.browse_data import render_version
from describe.browse_sets import choose_sets
from describe.browse_store import store_edit
from describe.dataset import write_version
from describe.edits import read_edits
from describe.errors import UserError
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
SENTENCE = "A lighter flame touches the end of a cigarette in cupped hands."
EDIT = {
    "set": "hmdb51",
    "version": "v1",
    "class_name": "smoke",
    "kind": "spatial",
    "text": SENTENCE,
    "action": "reject",
    "reason": "too close",
}


TOY_EDIT = {
    "version": "v1",
    "class_name": "archery",
    "kind": "spatial",
    "text": ROW.text,
    "action": "reject",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return the_workspace(tmp_path_factory)


@pytest.fixture
def home(made: Path, workspace: Path) -> Path:
    return Path(shutil.copytree(made, workspace))


def small_set(root: Path, **manifest: Any) -> None:
    write_version(root, [ROW], [], {"dataset": "toy", "classes": {"count": 1}, **manifest})


class Client:
    """Sends requests to a running server, with whatever headers."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.port = parts.port or 0
        self.token = parts.fragment.removeprefix("token=")
        self.origin = f"http://127.0.0.1:{self.port}"

    def __call__(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, str, Mapping[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, dict(answer.getheaders())

    def edit(self, data: object, **headers: str) -> tuple[int, str]:
        """Post an edit as a page does; `headers` replace what that would send."""
        usual = {
            "Origin": self.origin,
            "X_Describe_Token": self.token,
            "Content_Type": "application/json",
        }
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        status, text, _ = self("POST", "/edits", body, **(usual | headers))
        return status, text


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    with serving(home) as address:
        yield Client(address)


def data_of(page: str, block: str = "data") -> dict[str, Any]:
    found = re.search(rf'<script type="application/json" id="{block}">(.*?)</script>', page)
    assert found
    return json.loads(found[1])


def test_the_printed_address_opens_the_set_and_may_write(home):
    with browsing(home, "hmdb51") as address:
        client = Client(address)
        path = urlsplit(address).path
        assert client("GET", path)[0] == 200
        assert client.edit(EDIT)[0] == 200


def test_a_page_is_served_to_this_machine(client):
    status, page, headers = client("GET", "/set/hmdb51/v1")
    assert status == 200
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert "Access-Control-Allow-Origin" not in headers
    assert data_of(page)["live"]
    assert client.token not in page


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::1].evil.io"])
def test_a_request_for_another_host_is_refused(host, client):
    status, text, _ = client("GET", "/set/hmdb51/v1", Host=host)
    assert (status, text) == (403, "this server is 127.0.0.1 and nothing else\n")


def test_a_forwarded_port_works(client):
    assert client("GET", "/set/hmdb51/-", Host="localhost:9999")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/set/hmdb51/../../etc/passwd/v1", "/etc/passwd", "/set/", "/set/hmdb51", "//evil", "/edits"],
)
def test_nothing_but_pages_is_served(path, client):
    status, text, _ = client("GET", path)
    assert status == 404
    assert "begin at /" in text


def test_a_version_that_is_not_there_is_one_line(client):
    status, text, headers = client("GET", "/set/hmdb51/v9")
    assert status == 409
    assert headers["Content-Type"].startswith("text/plain")
    assert re.fullmatch("no version 'v9' in .*; known: v1\n", text)


def test_a_damaged_set_does_not_hide_the_others(home):
    small_set(home / "sets/toy")
    (home / "sets/toy/v1/manifest.json").write_text("{")
    with serving(home) as address:
        client = Client(address)
        status, page, _ = client("GET", "/")
        good, bad = data_of(page)["sets"]
        assert (status, good["fault"], bad["versions"]) == (200, "", [])
        assert "is not JSON" in bad["fault"]
        assert client("GET", "/set/toy/-")[0] == 409


# --- who may write


def test_an_edit_is_appended_with_who_and_when(client, home):
    status, text = client.edit(EDIT)
    assert status == 200
    (edit,) = read_edits("hmdb51")
    assert json.loads(text)["edits"][0]["reason"] == edit.reason == "too close"
    assert (edit.text, edit.action, edit.version) == (SENTENCE, "reject", "v1")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+\+00:00", edit.edited_at)
    assert client.edit({**EDIT, "action": "keep"})[0] == 200
    assert [each.action for each in read_edits("hmdb51")] == ["reject", "keep"]


def test_a_poor_rewrite_is_stored_and_doubted(client):
    new = {**EDIT, "action": "rewrite", "new_text": "I cannot help with that."}
    status, text = client.edit(new)
    assert status == 200
    assert json.loads(text)["doubt"]
    good = {**EDIT, "action": "rewrite", "new_text": "A flame lights a cigarette in two hands."}
    assert json.loads(client.edit(good)[1])["doubt"] == ""


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Origin": "http://evil.example"}, "comes from a page of this server"),
        ({"Origin": "null"}, "comes from a page of this server"),
        ({"Origin": "http://127.0.0.1:1"}, "comes from a page of this server"),
        ({"X_Describe_Token": ""}, "another run of the server"),
        ({"X_Describe_Token": "é"}, "another run of the server"),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, "nothing else"),
    ],
)
def test_an_edit_from_elsewhere_is_refused(headers, message, client):
    status, text = client.edit(EDIT, **headers)
    assert status == 403
    assert message in text
    assert read_edits("hmdb51") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "Nobody said this."}, "v1 has no such sentence; open the page again"),
        ({"class_name": "yoga"}, "v1 has no such sentence"),
        ({"action": "delete"}, "no edit 'delete'; known: keep, reject, rewrite, undo"),
        ({"action": "rewrite", "new_text": " "}, "a rewritten sentence is one line of words"),
        ({"reason": "w" * 201}, "the reason has 201 characters; at most 200"),
        ({"text": 5}, "must be text"),
        ({"author": "root"}, "an edit has no field 'author'"),
        ({"version": "v9"}, "no version 'v9'"),
    ],
)
def test_an_impossible_edit_is_one_line(change, message, client):
    status, text = client.edit({**EDIT, **change})
    assert status == 409
    assert message in text
    assert text.count("\n") == 1
    assert read_edits("hmdb51") == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"[]", {}, 400),
        (b"{", {}, 400),
        (b"[" * 60_000, {}, 400),
        (b" " * 70_000, {}, 413),
        (b"{}", {"Content_Type": "text/plain"}, 415),
        (b"{}", {}, 404),
    ],
)
def test_a_body_that_is_no_edit_is_refused(body, headers, status, client):
    assert client.edit(body, **headers)[0] == status


def test_a_published_set_is_not_edited(workspace):
    small_set(workspace / "published/toy", source={"paper": "A paper"})
    small_set(workspace / "sets/toy")
    store_edit(choose_sets(workspace, "toy")[0], TOY_EDIT)
    with serving(workspace) as address:
        client = Client(address)
        page = client("GET", "/set/published/toy/v1")[1]
        assert data_of(page)["read_only"].startswith("This set was imported")
        assert data_of(page)["edits"] == []
        given = {"set": "published/toy", "class_name": "archery", "text": ROW.text}
        status, text = client.edit({**EDIT, **given})
    assert (status, "imported from a publication" in text) == (409, True)


def test_a_page_shows_a_version_written_while_the_server_runs(client, home):
    row = read_version(home / "sets/hmdb51").rows[0]
    write_version(home / "sets/hmdb51", [row], [], {"dataset": "hmdb51"})
    page = client("GET", "/set/hmdb51/-")[1]
    assert [each["name"] for each in data_of(page)["versions"]] == ["v2", "v1"]
    assert len(data_of(page)["columns"]["text"]) == 1


def test_the_command_that_makes_a_version_of_the_edits_is_shown_and_works(client, home):
    client.edit(EDIT)
    command = data_of(client("GET", "/set/hmdb51/v1")[1])["command"]
    assert command == "python -m describe --dataset hmdb51 --edits"
    done = subprocess.run(
        [sys.executable, *command.split()[1:]],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert SENTENCE not in [row.text for row in read_version(home / "sets/hmdb51", "v2").rows]


def test_a_folder_that_cannot_be_written_is_said(workspace, monkeypatch):
    small_set(workspace / "sets/toy")
    (folder,) = choose_sets(workspace, "toy")
    monkeypatch.setattr("describe.browse_data.os.access", lambda *_: False)
    with pytest.raises(UserError, match="The folder of this set is read-only"):
        store_edit(folder, {"version": "v1"})


# --- what the rules and other windows have to say


def test_a_rewrite_that_repeats_its_class_is_doubted(client):
    other = "A grey cloud drifts away from the lips of a man on a balcony."
    status, text = client.edit({**EDIT, "action": "rewrite", "new_text": other})
    assert status == 200
    assert json.loads(text)["doubt"] == "an earlier sentence of its class says the same"


def test_a_rewrite_is_doubted_by_the_limits_of_its_version(workspace):
    small_set(workspace / "sets/toy", rules={"config": {"min_words": 5}})
    (folder,) = choose_sets(workspace, "toy")
    edit = {**TOY_EDIT, "action": "rewrite", "new_text": "A bow bends."}
    assert store_edit(folder, edit)["doubt"] == "it has too few words"


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\u202e", "\u2066"])
def test_a_rewrite_holds_no_control_characters(character, client):
    new = {**EDIT, "action": "rewrite", "new_text": f"A flame {character}lights it."}
    status, text = client.edit(new)
    assert status == 409
    assert f"no control characters; remove U+{ord(character):04X}" in text
    assert read_edits("hmdb51") == []


def test_an_edit_does_not_overrule_one_that_its_page_has_not_seen(client):
    answer = json.loads(client.edit({**EDIT, "known_edits": 0})[1])
    assert answer["known_edits"] == 1
    status, text = client.edit({**EDIT, "action": "keep", "known_edits": 0})
    assert status == 409
    assert "edited elsewhere since this page was opened (reject)" in text
    other = {**EDIT, "text": "A grey cloud drifts away from the lips of a man on a balcony."}
    status, text = client.edit({**other, "known_edits": 0})
    assert status == 200
    assert [edit["text"] for edit in json.loads(text)["edits"]] == [SENTENCE, other["text"]]
    assert client.edit({**EDIT, "action": "keep", "known_edits": 2})[0] == 200


def test_an_undo_leaves_a_sentence_without_edits(client, home):
    client.edit({**EDIT, "action": "rewrite", "new_text": "A flame lights a cigarette."})
    status, text = client.edit({**EDIT, "action": "undo", "reason": ""})
    assert (status, json.loads(text)["edits"], json.loads(text)["doubt"]) == (200, [], "")
    assert data_of(client("GET", "/set/hmdb51/v1")[1])["edits"] == []


def test_the_page_of_a_published_set_in_a_file_promises_no_editing(workspace):
    small_set(workspace / "published/toy", source={"paper": "A paper"})
    (folder,) = choose_sets(workspace, "published/toy")
    page = render_version(folder, workspace)
    assert data_of(page)["read_only"].startswith("This set was imported")
