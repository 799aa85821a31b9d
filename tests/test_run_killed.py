"""Killed, interrupted, twice at once: what was paid for is kept, and the set is the same."""

import random
import signal
import socket
import sys
import threading

import pytest
from describe_process import ACTIONS, asked
from scripted_server import Answer, good_reply

from describe import validate
from describe.cache import ReplyStore
from describe.request import Request

ONE_GOOD_ONE_BAD = '{"sentences": ["A cook in a red coat drops a pan.", "I cannot describe it."]}'


def answer_of(body):
    """Some replies are poor, so that the run has top-up rounds too."""
    is_poor = asked(body)[0].endswith("4") and body["seed"] < 2
    return Answer(text=ONE_GOOD_ONE_BAD if is_poor else good_reply(body))


def key_of(body):
    return Request(body=body, sample=body["seed"]).key


def stored_keys(describe):
    with ReplyStore(describe.home / "replies") as store:
        sound, faults = store.verify()
        assert faults == []
        return set(store.keys())


def whole_set(describe, server, *options):
    """The files of a set that was made without an interruption, in a workspace of its own."""
    home, describe.home = describe.home, describe.folder / "whole"
    describe("--base-url", server.url, *options, DESCRIBE_HOME=str(describe.home))
    files = describe.files("sets")
    describe.home = home
    return files


def test_killed_at_20_moments_it_sends_only_what_is_missing(describe, serve):  # failure 1
    describe.classes(*(f"{name} {i}" for i in range(3, 5) for name in ACTIONS))
    whole = serve(lambda body, n: answer_of(body))
    expected = whole_set(describe, whole)
    moments = random.Random(20)
    paid_again = []
    stored = set()
    received = []
    alive = threading.Event()
    run = None
    left = 0

    def answer(body, number):
        nonlocal left
        received.append(key_of(body))
        paid_again.extend(stored & {received[-1]})
        left -= 1
        if left == 0:
            assert alive.wait(60)
            run.signal(signal.SIGKILL)
        return answer_of(body)

    server = serve(answer)
    for number in range(20):
        alive.clear()
        left = moments.randrange(1, 11)
        run = describe.start("--base-url", server.url, "--concurrency", (1, 4)[number % 2])
        alive.set()
        assert run.wait().status == -signal.SIGKILL
        stored |= stored_keys(describe)
    left = 0
    assert describe("--base-url", server.url).status == 0
    assert paid_again == []
    assert set(received) == {key_of(body) for body in whole.requests}
    assert len(received) - len(set(received)) <= 10 * 1 + 10 * 4  # what was in flight
    assert describe.files("sets") == expected


DIE_BEFORE_A_RENAME = """
import os, signal, sys
from describe.__main__ import main
def watch(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
main(sys.argv[2:])
"""


@pytest.mark.parametrize("place", ["actions/v1", "README.md"])
def test_killed_while_writing_it_leaves_no_half_version(describe, serve, place):  # failures 1, 24
    server = serve()
    expected = whole_set(describe, server)
    command = (sys.executable, "-c", DIE_BEFORE_A_RENAME, place)
    assert describe.fresh("--base-url", server.url, command=command).status == -signal.SIGKILL
    root = describe.home / "sets" / "actions"
    visible = sorted(path.name for path in root.iterdir() if path.name[0] != ".")
    assert visible == ([] if place == "actions/v1" else ["v1"])
    assert describe("--base-url", server.url).status == 0
    assert server.count == 12
    assert describe.files("sets") == expected


def test_a_stale_count_in_the_card_is_named(describe, serve, capsys):  # failure 24
    describe("--base-url", serve().url)
    root = describe.home / "sets" / "actions"
    card = root / "README.md"
    card.write_text(card.read_text().replace("num_examples: 12", "num_examples: 13"))
    assert validate.main([str(root), "--no-load"]) == 1
    assert "README.md: says 13 rows for 'v1' of 12" in capsys.readouterr().out


def test_ctrl_c_sends_no_more_and_keeps_what_arrives(describe, serve):  # failure 2
    under_way, release = threading.Event(), threading.Event()

    def answer(body, number):
        if number == 5:
            under_way.set()
        return Answer(text=good_reply(body), wait_for=release if number > 1 else None)

    server = serve(answer)
    describe.classes(*ACTIONS)
    run = describe.start("--base-url", server.url, "--concurrency", "4")
    assert under_way.wait(60)
    run.signal(signal.SIGINT)
    run.until("waiting up to 5 s for replies under way: 4")
    release.set()
    ended = run.wait()
    assert (ended.status, server.count) == (130, 6)
    assert "describe: stopped: interrupted" in ended.err
    assert "6 of 24 replies are stored, 6 of them new; run the same command again" in ended.err
    assert "Traceback" not in ended.err
    assert not (describe.home / "sets").exists()
    assert describe("--base-url", server.url).status == 0
    assert server.count == 24
    assert describe.files("sets") == whole_set(describe, serve())


def test_ctrl_c_twice_ends_at_once_and_damages_nothing(describe, serve):  # failure 2
    under_way, never = threading.Event(), threading.Event()

    def answer(body, number):
        if number == 5:
            under_way.set()
        return Answer(text=good_reply(body), wait_for=never if number > 1 else None)

    server = serve(answer)
    describe.classes(*ACTIONS)
    run = describe.start("--base-url", server.url, "--concurrency", "4")
    assert under_way.wait(60)
    run.signal(signal.SIGINT)
    run.until("waiting up to 5 s for replies under way: 4")
    run.signal(signal.SIGINT)
    ended = run.wait()
    assert ended.status == 130
    assert "2 of 24 replies are stored" in ended.err
    assert "Traceback" not in ended.err
    assert len(stored_keys(describe)) == 2
    server.answer = lambda body, n: answer_of(body)
    assert describe("--base-url", server.url).status == 0
    assert server.count == 6 + 22


def test_ctrl_c_before_anything_is_sent_is_one_line(describe):  # failure 2
    with socket.create_server(("127.0.0.1", 0)) as silent:
        run = describe.start("--base-url", f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        connection, _ = silent.accept()  # it asks for the models, and waits
        run.signal(signal.SIGINT)
        ended = run.wait()
        connection.close()
    assert ended.status == 130
    assert ended.err == "describe: interrupted; run the same command again to go on\n"


def test_two_runs_at_once_pay_once(describe, serve):  # failure 5
    describe.classes(*ACTIONS)
    first_is_busy, second_is_done = threading.Event(), threading.Event()

    def answer(body, number):
        # The first run gets 8 replies; then 4 are in flight until the second has ended.
        if number == 11:
            first_is_busy.set()
        held = second_is_done if 8 <= number < 12 else None
        return Answer(text=good_reply(body), wait_for=held)

    server = serve(answer)
    first = describe.start("--base-url", server.url, "--concurrency", "4")
    assert first_is_busy.wait(60)
    second = describe("--base-url", server.url)
    second_is_done.set()
    first = first.wait()
    assert [first.status, second.status] == [0, 0]
    assert "locked" not in first.err + second.err
    sent = [key_of(body) for body in server.requests]
    twice = {key for key in sent if sent.count(key) > 1}
    assert twice == set(sent[8:12])
    assert len(sent) == 24 + 4
    assert "  cached    12" in first.out.splitlines()
    assert "Version v1 written" in second.out
    assert "Version v1 there already" in first.out


def test_a_run_that_is_started_twice_together_writes_one_version(describe, serve):  # failure 5
    describe.classes(*ACTIONS)
    server = serve()
    runs = [describe.start("--base-url", server.url) for _ in range(2)]
    ends = [run.wait() for run in runs]
    assert [ended.status for ended in ends] == [0, 0]
    assert "locked" not in ends[0].err + ends[1].err
    sent = [key_of(body) for body in server.requests]
    assert all(sent.count(key) <= 2 for key in sent)
    assert len(stored_keys(describe)) == 24
    assert describe.files("sets") == whole_set(describe, serve())
