"""The Batch API as a second way: requests out as a file, replies in as a file."""

import json
import random

import pytest
from describe_process import ACTIONS
from scripted_server import good_reply

from describe.versions import read_version


def results(requests, *, error=None, unknown=False, seed=3):
    """Answer a batch as a service does: in any order, and each line on its own."""
    lines = []
    for request in requests:
        message = {"role": "assistant", "content": good_reply(request["body"])}
        body = {"model": "scripted", "choices": [{"message": message, "finish_reason": "stop"}]}
        response = {"status_code": 200, "body": body}
        line = {"custom_id": request["custom_id"], "response": response, "error": None}
        if request["custom_id"] == error:
            line |= {"response": None, "error": {"code": "batch_expired", "message": "too late"}}
        lines.append(line)
    if unknown:
        lines.append({**lines[0], "custom_id": "d1:" + "0" * 64})
    if seed is not None:
        random.Random(seed).shuffle(lines)
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def batch(describe):
    """An exported batch of six requests: its file and its lines."""
    path = describe.folder / "batch.jsonl"
    ended = describe("--model", "scripted", "--export-batch", path, OPENAI_API_KEY="unused")
    assert ended.status == 0
    assert f"Batch written: {path}" in ended.out
    assert "--import-batch RESULTS in place of --export-batch" in ended.out
    return path, [json.loads(line) for line in path.read_text().splitlines()]


def test_a_batch_is_the_requests_that_are_missing(batch):
    _, requests = batch
    assert len({request["custom_id"] for request in requests}) == 6
    for request in requests:
        assert (request["method"], request["url"]) == ("POST", "/v1/chat/completions")
        assert request["body"]["model"] == "scripted"
        assert request["body"]["response_format"]["type"] == "json_schema"


def test_a_batch_makes_the_set_that_sending_makes(describe, batch, serve):
    (describe.folder / "results.jsonl").write_text(results(batch[1]))
    ended = describe("--model", "scripted", "--import-batch", describe.folder / "results.jsonl")
    assert ended.status == 0
    assert "  replied   6" in ended.out.splitlines()
    from_batch = read_version(describe.home / "sets" / "actions").rows
    server = serve()
    again = describe("--base-url", server.url, "--model", "scripted")
    assert (again.status, server.count) == (0, 0)
    assert "Version v1 there already" in again.out
    sent = describe(
        *("--base-url", server.url, "--model", "scripted"),
        DESCRIBE_HOME=str(describe.folder / "other"),
    )
    assert (sent.status, server.count) == (0, 6)
    assert read_version(describe.folder / "other" / "sets" / "actions").rows == from_batch


def test_of_an_imperfect_batch_all_that_is_there_is_kept(describe, batch, serve):
    lost = batch[1][4]["custom_id"]
    path = describe.folder / "results.jsonl"
    path.write_text(results(batch[1], error=lost, unknown=True))
    ended = describe("--model", "scripted", "--import-batch", path, "--rounds", "0")
    assert ended.status == 0
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["cached", "0"] in rows
    assert ["replied", "5"] in rows
    assert ["failed", "1"] in rows
    assert "  unmatched  1 batch replies belong to no request of this run" in ended.out.splitlines()
    assert "the batch reports: " in ended.out
    assert "too late" in ended.out
    assert "Left short: 1 of 6" in ended.out
    server = serve()
    assert describe("--base-url", server.url, "--model", "scripted").status == 0
    assert server.requests == [batch[1][4]["body"]]


def test_of_a_result_file_cut_short_all_but_the_last_line_is_kept(describe, batch, serve):
    path = describe.folder / "results.jsonl"
    text = results(batch[1])
    path.write_text(text[: text.rindex("choices")])
    ended = describe("--model", "scripted", "--import-batch", path)
    assert ended.status == 0
    assert f"warning: {path}:6: not a result of a batch" in ended.err
    assert "  replied   5" in ended.out.splitlines()
    server = serve()
    assert describe("--base-url", server.url, "--model", "scripted").status == 0
    assert server.count == 1


def test_a_batch_replaces_no_stored_reply(describe, batch, serve):
    assert describe("--base-url", serve().url, "--model", "scripted").status == 0
    before = describe.files("sets")
    other = [{**each, "body": {**each["body"], "seed": 9}} for each in batch[1]]
    path = describe.folder / "results.jsonl"
    path.write_text(results(other))
    ended = describe("--model", "scripted", "--import-batch", path)
    assert ended.status == 0
    assert "  cached    6" in ended.out.splitlines()
    assert describe.files("sets") == before


def test_a_second_batch_holds_only_what_is_still_missing(describe, batch):
    path = describe.folder / "results.jsonl"
    path.write_text(results(batch[1]))
    describe("--model", "scripted", "--import-batch", path)
    describe.classes(*ACTIONS[:4])
    second = describe.folder / "second.jsonl"
    assert describe("--model", "scripted", "--export-batch", second).status == 0
    assert len(second.read_text().splitlines()) == 2


def test_with_nothing_missing_no_batch_is_written(describe, serve):
    server = serve()
    describe("--base-url", server.url)
    path = describe.folder / "batch.jsonl"
    ended = describe("--base-url", server.url, "--export-batch", path)
    assert (ended.status, server.count) == (0, 6)
    assert not path.exists()


def test_a_batch_tops_up_by_another_batch(describe, batch):
    poor = json.dumps({"sentences": ["I cannot describe that.", "N/A"]})
    lines = results(batch[1], seed=None).splitlines()
    first = json.loads(lines[0])
    first["response"]["body"]["choices"][0]["message"]["content"] = poor
    path = describe.folder / "results.jsonl"
    path.write_text("\n".join([json.dumps(first), *lines[1:]]))
    ended = describe("--model", "scripted", "--import-batch", path)
    assert "Left short: 1 of 6: archery (spatial) 0/2" in ended.out
    more = describe.folder / "more.jsonl"
    assert describe("--model", "scripted", "--export-batch", more).status == 0
    (request,) = [json.loads(line) for line in more.read_text().splitlines()]
    assert request["body"]["seed"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [("{}\n", ":1: not a"), ("[1]\n", ":1: not a"), ("\n\nhello\n", ":3: not a")],
)
def test_a_file_that_is_no_batch_is_named_by_line(describe, text, message):
    path = describe.folder / "results.jsonl"
    path.write_text(text)
    ended = describe("--model", "scripted", "--import-batch", path)
    assert ended.status == 1
    warning, error = ended.err.splitlines()
    assert f"warning: {path}{message}" in warning
    assert error == f"describe: {path} is no result file of a batch: none of its 1 lines is one"


def test_a_batch_file_that_is_not_there_is_named(describe):
    ended = describe("--model", "scripted", "--import-batch", "/dev/null/results.jsonl")
    assert ended.status == 1
    assert "describe: cannot read the batch file /dev/null/results.jsonl" in ended.err
    ended = describe("--model", "scripted", "--export-batch", "/dev/null/batch.jsonl")
    assert ended.status == 1
    assert "describe: cannot write /dev/null" in ended.err
