"""The file of edits: what is stored is read back, and what is damaged is named or left out."""

import fcntl
import json
import multiprocessing
import threading
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from describe.edits import Edit, append_edit, edits_path, read_edits
from describe.errors import UserError

EDIT = Edit(
    edited_at="2026-01-02T03:04:05Z",
    dataset="toy",
    version="v1",
    class_name="yoga",
    kind="spatial",
    text="A person on a mat.",
    action="reject",
    reason="too vague",
    author="ada",
)


def test_edits_are_read_in_the_order_they_were_made():
    assert read_edits("toy") == []
    second = replace(
        EDIT, action="rewrite", new_text="A person bends — “so” — on a mat.", reason=""
    )
    append_edit("toy", EDIT)
    append_edit("toy", second)
    assert read_edits("toy") == [EDIT, second]
    assert edits_path("toy").read_text().count("\n") == 2


def test_an_edit_holds_the_sentence_letter_for_letter():
    odd = replace(EDIT, text='Line\none\r "two" \u2028 </script> \u200b 👩‍🚀')
    append_edit("toy", odd)
    assert read_edits("toy") == [odd]


def append_many(number: int) -> None:
    for _ in range(50):
        append_edit("toy", replace(EDIT, author=str(number)))


def test_several_writers_at_once_lose_nothing_and_mix_nothing():
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    authors = [edit.author for edit in read_edits("toy")]
    assert sorted(authors) == sorted("0123" * 50)


def test_a_writer_waits_for_another_one():
    append_edit("toy", EDIT)
    path = edits_path("toy")
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        writer = threading.Thread(target=append_edit, args=("toy", EDIT))
        writer.start()
        inode = f":{path.stat().st_ino} "
        while writer.is_alive() and not any(
            "->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()
        ):
            pass
        assert writer.is_alive()
        assert len(read_edits("toy")) == 1
    writer.join()
    assert len(read_edits("toy")) == 2


def test_a_last_line_that_was_cut_is_left_out_with_a_warning_and_the_next_edit_follows():
    append_edit("toy", EDIT)
    append_edit("toy", EDIT)
    path = edits_path("toy")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match="last line was cut short"):
        assert read_edits("toy") == [EDIT]
    append_edit("toy", replace(EDIT, author="eve"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [edit.author for edit in read_edits("toy")] == ["ada", "eve"]


def test_a_last_line_without_its_end_is_whole_all_the_same():
    append_edit("toy", EDIT)
    path = edits_path("toy")
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert read_edits("toy") == [EDIT]
    append_edit("toy", EDIT)
    assert read_edits("toy") == [EDIT, EDIT]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": "praise"}, r"line 2: no edit 'praise'; known: keep, reject, rewrite, undo"),
        ({"kind": "tactile"}, r"line 2: no kind 'tactile'; known: spatial, temporal"),
        ({"mood": "good"}, r"line 2: an edit has no field 'mood'; update this program"),
        ({"text": 7}, r"line 2: the text of an edit is 7; it must be text"),
        ({"text": ""}, r"line 2: an edit names the class and the sentence"),
        ({"new_text": "New."}, r"line 2: an edit that says reject has no new text"),
        ({"action": "rewrite"}, r"line 2: a rewritten sentence is one line of words"),
        ({"action": "rewrite", "new_text": "a\nb"}, r"line 2: a rewritten sentence is one line"),
        ({"action": "rewrite", "new_text": "x" * 601}, r"line 2: .* has 601 characters; at most"),
        ({"reason": "x" * 201}, r"line 2: the reason has 201 characters; at most 200"),
        ({"reason": "\ud800"}, r"line 2: the reason of an edit is not valid Unicode"),
        ({"dataset": "other"}, r"line 2: an edit of 'other' in the file of 'toy'; move the line"),
    ],
)
def test_a_line_that_is_no_edit_is_named_by_its_number(change, message):
    append_edit("toy", EDIT)
    with edits_path("toy").open("a") as file:
        file.write(json.dumps(asdict(EDIT) | change) + "\n")
    append_edit("toy", EDIT)
    with pytest.raises(UserError, match=message):
        read_edits("toy")


def test_a_line_without_a_field_is_named():
    data = asdict(EDIT)
    del data["class_name"]
    edits_path("toy").parent.mkdir(parents=True)
    edits_path("toy").write_text(json.dumps(data) + "\n")
    with pytest.raises(UserError, match="line 1: an edit without 'class_name'"):
        read_edits("toy")


def test_a_damaged_line_in_the_middle_is_refused_by_number():
    for _ in range(3):
        append_edit("toy", EDIT)
    path = edits_path("toy")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:30] + b"\n" + lines[2])
    with pytest.raises(UserError, match=r"line 2: no JSON object; mend or remove the line"):
        read_edits("toy")


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a/b", "a\0b"])
def test_a_dataset_whose_name_no_file_can_have_is_refused(name):
    with pytest.raises(UserError, match="a dataset cannot be named"):
        edits_path(name)


def test_a_place_that_cannot_be_written_is_named_in_one_line(workspace):
    workspace.mkdir()
    (workspace / "edits").write_text("a file in the way")
    with pytest.raises(UserError, match=r"cannot write .*edits.*: File exists"):
        append_edit("toy", EDIT)


def test_a_file_that_cannot_be_read_is_named_in_one_line():
    edits_path("toy").mkdir(parents=True)
    with pytest.raises(UserError, match=r"cannot read .*toy.jsonl: Is a directory"):
        read_edits("toy")


def test_an_edit_in_the_wrong_file_is_the_callers_mistake():
    with pytest.raises(ValueError, match="does not belong to 'other'"):
        append_edit("other", EDIT)
