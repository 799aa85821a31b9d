"""A whole run, as its user sees it: what it prints, what it leaves, and what it never sends."""

import sys
import threading

import pytest
from describe_process import ACTIONS, Describe, asked
from scripted_server import Answer, ScriptedServer, good_reply

from describe.cache import ReplyStore
from describe.versions import read_rejected, read_version


def rows_of(describe, version=None):
    return read_version(describe.home / "sets" / "actions", version).rows


def test_a_run_says_what_it_did_and_where_the_set_is(describe, serve):
    server = serve()
    ended = describe("--base-url", server.url)
    assert ended.status == 0
    for line in (
        "  classes   3",
        "  model     scripted",
        "  asked     6 (0 of them to top up)",
        "  cached    0",
        "  replied   6",
        "  tokens    600 in, 240 out",
        "  kept      12 of 12 sentences",
        "  rejected  0",
        f"Version v1 written: {describe.home}/sets/actions/v1",
        f'Load it:     load_dataset("{describe.home}/sets/actions", "v1")',
    ):
        assert line in ended.out.splitlines()
    assert "describing: 6/6 replies, 12 kept, 0 rejected" in ended.err
    assert sorted(map(asked, server.requests)) == [
        (name, kind) for name in ACTIONS[:3] for kind in ("spatial", "temporal")
    ]


def test_each_row_leads_back_to_the_reply_it_comes_from(describe, serve):
    describe("--base-url", serve().url)
    rows = rows_of(describe)
    assert [(row.class_id, row.class_name, row.kind, row.step) for row in rows] == [
        (number, name, kind, step)
        for number, name in enumerate(ACTIONS[:3])
        for kind in ("spatial", "temporal")
        for step in (0, 1)
    ]
    with ReplyStore(describe.home / "replies") as store:
        for row in rows:
            entry = store.entry(row.request_key)
            assert asked(entry.request.body) == (row.class_name, row.kind)
            assert row.text in entry.reply.text


def test_run_again_it_sends_nothing_and_changes_no_byte(describe, serve):
    server = serve()
    describe("--base-url", server.url)
    before = describe.files("sets")
    again = describe("--base-url", server.url)
    assert again.status == 0
    assert server.count == 6
    assert "  cached    6" in again.out.splitlines()
    assert f"Version v1 there already, with these very rows: {describe.home}" in again.out
    assert describe.files("sets") == before


def test_the_same_replies_give_the_same_bytes_in_another_workspace(describe, serve, tmp_path):
    server = serve()
    describe("--base-url", server.url)
    before = describe.files("sets")
    describe.home = tmp_path / "other"
    describe("--base-url", server.url, DESCRIBE_HOME=str(describe.home))
    assert server.count == 12
    assert describe.files("sets") == before


@pytest.fixture(scope="module")
def k400(forks, tmp_path_factory):
    """A workspace in which all of k400 is described, and the server that did it."""
    described = Describe(forks, tmp_path_factory.mktemp("k400"))
    server = ScriptedServer()
    options = ("--dataset", "k400", "--base-url", server.url, "--model", "scripted")
    options += ("--concurrency", "12")
    described.ended = described(*options, DESCRIBE_HOME=str(described.home))
    described.options = options
    yield described, server
    server.stop()


def test_k400_is_800_requests_and_never_more_at_once_than_allowed(k400):  # failure 28
    described, server = k400
    assert described.ended.status == 0
    assert server.count == 800
    assert server.peak <= 12
    assert "  kept      1600 of 1600 sentences" in described.ended.out.splitlines()


def test_k400_all_cached_sends_nothing_and_imports_nothing_heavy(k400):
    described, server = k400
    before = described.files("sets")
    ended = described.fresh(
        *described.options,
        command=(sys.executable, "-X", "importtime", "-m", "describe"),
        DESCRIBE_HOME=str(described.home),
    )
    assert ended.status == 0
    assert "  cached    800" in ended.out.splitlines()
    assert server.count == 800
    assert described.files("sets") == before
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.err.split("\n")}
    assert {"diskcache", "jinja2"} <= imported
    assert imported.isdisjoint({"openai", "aiohttp", "datasets", "xllamacpp", "torch", "pandas"})


def test_two_endpoints_share_the_work(describe, serve):
    describe.classes(*ACTIONS)
    both_asked = threading.Event()
    servers = []

    def answer(body, number):
        # Nobody answers before each has been asked: else one could do it all.
        if all(server.count for server in servers):
            both_asked.set()
        return Answer(text=good_reply(body), wait_for=both_asked)

    servers += [serve(answer), serve(answer)]
    ended = describe("--base-url", *[server.url for server in servers], "--model", "scripted")
    assert ended.status == 0
    assert sum(server.count for server in servers) == 24


def test_cache_only_sends_nothing_and_uses_what_there_is(describe, serve):
    server = serve()
    describe.classes(*ACTIONS[:2])
    describe("--base-url", server.url, "--model", "scripted")
    server.stop()
    describe.classes(*ACTIONS[:3])
    ended = describe("--base-url", server.url, "--model", "scripted", "--cache", "only")
    assert ended.status == 0
    assert "  kept      8 of 12 sentences" in ended.out.splitlines()
    assert "Left short: 2 of 6: cycling (spatial) 0/2, cycling (temporal) 0/2" in ended.out


def test_cache_only_with_nothing_stored_says_so(describe):
    ended = describe("--model", "scripted", "--cache", "only")
    assert ended.status == 1
    assert ended.err.startswith("describe: ")
    assert "Traceback" not in ended.err
    assert not (describe.home / "sets" / "actions" / "v1").exists()


def test_cache_refresh_asks_all_again_and_keeps_the_former_replies(describe, serve):
    server = serve()
    describe("--base-url", server.url)
    old = [row.text for row in rows_of(describe)]
    server.answer = lambda body, n: Answer(text=good_reply({**body, "seed": 99}))
    ended = describe("--base-url", server.url, "--cache", "refresh")
    assert (ended.status, server.count) == (0, 12)
    assert "Version v2 written" in ended.out
    assert {row.text for row in rows_of(describe, "v2")}.isdisjoint(old)
    assert [row.text for row in rows_of(describe, "v1")] == old
    database = describe.files("replies")["cache.db"] + describe.files("replies").get(
        "cache.db-wal", b""
    )
    assert all(text.encode() in database for text in old)


def test_a_dry_run_sends_nothing_and_says_what_it_would_cost(describe, serve):
    server = serve()
    price = ("--price", "1000", "2000")
    ended = describe("--base-url", server.url, "--dry-run", *price)
    assert (ended.status, server.count) == (0, 0)
    lines = dict(line.strip().split("  ", 1) for line in ended.out.splitlines() if "  " in line[2:])
    assert lines["requests"].strip() == "6, of which 0 are stored"
    assert lines["to send"].strip() == "6"
    prompt_tokens = int(lines["prompt tokens"].strip().removeprefix("about "))
    reply_tokens = 6 * 160
    assert f"at most {reply_tokens} (--max-tokens 160)" in lines["reply tokens"]
    cost = (prompt_tokens * 1000 + reply_tokens * 2000) / 1e6
    assert f"about {cost:.2f} at most for these requests, at 1000 and 2000" in lines["cost"]
    assert 6 * 10 < prompt_tokens < 6 * 40
    assert "3 x spatial: no reply for this class yet (archery, bowling, cycling)" in ended.out
    assert not (describe.home / "sets").exists()


def test_a_deadline_ends_the_run_and_keeps_what_came(describe, serve):  # failure 6
    stall = threading.Event()
    server = serve(lambda body, n: Answer(text=good_reply(body), wait_for=stall if n > 3 else None))
    arguments = ("--base-url", server.url, "--concurrency", "1")
    run = describe.start(*arguments, "--deadline", "1")
    run.until("waiting up to 5 s for replies under way: 1")
    stall.set()
    ended = run.wait()
    assert (ended.status, server.count) == (1, 5)
    assert "describe: stopped: the deadline has passed" in ended.err
    assert "5 of 6 replies are stored, 5 of them new; run the same command again" in ended.err
    assert describe(*arguments).status == 0
    assert server.count == 6


def test_sentences_are_shown_on_demand_kept_and_rejected(describe, serve):
    bad = '{"sentences": ["I am sorry, I cannot describe that.", "A man in red lifts a long bow."]}'

    def answer(body: dict, n: int) -> Answer:
        is_first = asked(body) == ("archery", "spatial") and body["seed"] == 0
        return Answer(text=bad if is_first else good_reply(body))

    ended = describe("--base-url", serve(answer).url, "--concurrency", "1", "--show", "4")
    assert "4 of the sentences, picked by position:" in ended.out
    assert "archery, spatial (rejected: refusal)" in ended.out
    assert "I am sorry, I cannot describe that." in ended.out
    assert ended.out.count("(kept)") == 3


def test_own_names_folder_and_version_are_used(describe, serve, tmp_path):
    place = tmp_path / "elsewhere"
    ended = describe(
        *("--base-url", serve().url, "--dataset", "mine", "--classes", describe.classes("yoga")),
        *("--out", place, "--version", "first"),
    )
    assert ended.status == 0
    assert sorted(path.name for path in place.iterdir()) == ["README.md", "first"]
    version = read_version(place)
    assert (version.name, version.manifest["dataset"]) == ("first", "mine")
    assert read_rejected(place) == ()
