"""`python -m describe --edits` as its user runs it, over a set that a run made."""

import json
from dataclasses import replace

import pytest

from describe.config import Config
from describe.edits import Edit, append_edit, edits_path
from describe.errors import UserError
from describe.validate import validate
from describe.versions import read_rejected, read_version

ARGS = ("--dataset", "actions", "--prompts", "v1", "--edits")


@pytest.fixture
def made(describe, serve):
    """A set `actions` with version v1, and the function that edits its first sentences."""
    server = serve()
    describe("--base-url", server.url)
    root = describe.home / "sets" / "actions"
    rows = read_version(root).rows

    def edit(number: int, action: str, **more: str) -> Edit:
        row = rows[number]
        done = Edit(
            edited_at="2026-01-02T03:04:05Z",
            dataset="actions",
            version="v1",
            class_name=row.class_name,
            kind=row.kind,
            text=row.text,
            action=action,
            **more,
        )
        append_edit("actions", done)
        return done

    return root, rows, edit, server


def test_edits_become_a_new_version_that_is_valid_and_the_newest(describe, made):
    root, rows, edit, server = made
    edit(0, "reject", reason="untrue")
    edit(2, "rewrite", new_text="An arm pulls a string back to the ear.")
    before = describe.files("sets/actions/v1")
    ended = describe(*ARGS)
    assert ended.status == 0, ended.err
    for line in ("  in force   2", "  rejected   1", "  rewritten  1"):
        assert line in ended.out.splitlines()
    assert f"Version v2 written: {root}/v2" in ended.out
    version = read_version(root)
    assert (version.name, len(version.rows)) == ("v2", len(rows) - 1)
    assert "An arm pulls a string back to the ear." in [row.text for row in version.rows]
    (gone,) = read_rejected(root, "v2")
    assert (gone.text, gone.rule, gone.detail) == (rows[0].text, "edited", "untrue")
    assert version.manifest["edits"]["base"] == "v1"
    assert version.manifest["edits"]["count"] == 2
    assert version.manifest["counts"]["short"] == {"archery (spatial)": 1}
    assert validate(root, load=False) == []
    assert describe.files("sets/actions/v1") == before
    assert server.count == 6


def test_what_edits_drop_and_leave_short_is_named(describe, made):
    _, rows, edit, _ = made
    edit(0, "rewrite", new_text=rows[1].text)
    ended = describe(*ARGS, "--dry-run")
    assert "1 dropped, because an edit made another sentence say the same:" in ended.out
    assert f'  archery (spatial): "{rows[1].text[:59]}' in ended.out
    assert "1 left short: archery (spatial) 1 of 2" in ended.out


def test_a_dry_run_says_what_edits_would_do_and_writes_nothing(describe, made):
    root, rows, edit, _ = made
    edit(0, "reject")
    before = describe.files()
    ended = describe(*ARGS, "--dry-run")
    assert "  rejected   1" in ended.out.splitlines()
    assert "Nothing was written (--dry-run)." in ended.out
    assert describe.files() == before


def test_the_same_edits_give_the_same_bytes_and_no_second_version(describe, made):
    root, rows, edit, _ = made
    done = edit(0, "reject", reason="r")
    describe(*ARGS)
    first = describe.files("sets/actions")
    again = describe(*ARGS)
    assert "Version v2 there already, with these very rows" in again.out
    assert describe.files("sets/actions") == first
    # Taken back and made again, by somebody else, later: the same edits are in force.
    append_edit("actions", replace(done, action="keep", reason=""))
    append_edit("actions", replace(done, author="eve", edited_at="2027-01-01T00:00:00Z"))
    for path in sorted((root / "v2").iterdir()):
        path.unlink()
    (root / "v2").rmdir()
    describe(*ARGS)
    assert describe.files("sets/actions") == first


def test_an_edit_is_undone_by_another_and_the_newest_version_shows_it(describe, made):
    root, rows, edit, _ = made
    edit(0, "reject")
    describe(*ARGS)
    edit(0, "keep")
    describe(*ARGS)
    version = read_version(root)
    assert version.name == "v3"
    assert version.rows == rows


def test_an_undone_edit_brings_back_the_rows_of_the_run(describe, made):
    root, rows, edit, _ = made
    edit(0, "reject")
    describe(*ARGS)
    edit(0, "undo")
    ended = describe(*ARGS)
    assert "  edits      2, of which 2 overruled or undone since" in ended.out.splitlines()
    version = read_version(root)
    assert (version.name, version.rows) == ("v3", rows)
    assert version.manifest["edits"]["count"] == 0
    assert validate(root, load=False) == []


def test_edits_survive_a_run_that_asks_for_more(describe, made):
    root, rows, edit, server = made
    edit(0, "reject", reason="untrue")
    edit(2, "rewrite", new_text="An arm pulls a string back to the ear.")
    describe(*ARGS)
    ended = describe("--base-url", server.url, "--num-descriptions", "4")
    assert "Edits of actions are stored; they make the next version of this one:" in ended.out
    assert "python -m describe --dataset actions --edits" in ended.out
    assert "edits" not in read_version(root).manifest
    describe(*ARGS)
    version = read_version(root)
    texts = [row.text for row in version.rows]
    assert version.manifest["edits"]["base"] == "v3"
    assert rows[0].text not in texts
    assert "An arm pulls a string back to the ear." in texts
    assert len(texts) > len(rows)
    assert validate(root, load=False) == []


def test_edits_that_match_nothing_are_counted_and_named(describe, made):
    root, rows, edit, _ = made
    edit(0, "reject")
    done = edit(1, "keep")
    append_edit("actions", replace(done, text="A sentence of no run."))
    append_edit("actions", replace(done, class_name="Archery\x1b[31m"))
    ended = describe(*ARGS)
    assert "2 edits did nothing here" in ended.out
    assert 'archery (spatial), no such sentence: "A sentence of no run."' in ended.out
    assert "\x1b" not in ended.out


def test_a_set_elsewhere_is_edited_with_out(describe, made):
    root, rows, edit, server = made
    edit(0, "reject")
    elsewhere = describe.folder / "elsewhere"
    ended = describe("--base-url", server.url, "--out", elsewhere)
    assert f"python -m describe --dataset actions --out {elsewhere} --edits" in ended.out
    describe(*ARGS, "--out", elsewhere)
    assert len(read_version(elsewhere).rows) == len(rows) - 1


def test_without_edits_or_without_a_set_one_line_says_so(describe, made):
    ended = describe(*ARGS)
    assert ended.status == 1
    assert ended.err == (
        f"describe: no edits of actions in {edits_path('actions')}; make some in the browser: "
        "python -m describe.browse\n"
    )
    ended = describe("--dataset", "unknown", *ARGS[2:])
    assert ended.status == 1
    assert "describe: no description set in" in ended.err


def test_rejecting_every_sentence_writes_no_version(describe, made):
    root, rows, edit, _ = made
    for number in range(len(rows)):
        edit(number, "reject")
    ended = describe(*ARGS)
    assert ended.status == 1
    assert "no sentence was kept" in ended.err
    assert read_version(root).name == "v1"


def test_a_damaged_file_of_edits_stops_before_anything_is_written(describe, made):
    root, rows, edit, _ = made
    edit(0, "reject")
    with edits_path("actions").open("a") as file:
        file.write(json.dumps({"action": "praise"}) + "\n")
    ended = describe(*ARGS)
    assert ended.status == 1
    assert "line 2: an edit without" in ended.err
    assert read_version(root).name == "v1"


def test_flags_that_edits_cannot_use_are_refused():
    with pytest.raises(UserError, match="--edits sends nothing and takes no --base-url"):
        Config(dataset="toy", edits=True, base_url=("http://localhost:1",))
