"""Servers that are slow, busy, loading, dying, strict or wrong: what a run makes of them."""

import json
import re
import threading

import pytest
from describe_process import ACTIONS, asked
from scripted_server import Answer, good_reply

from describe.cache import ReplyStore


def good(body):
    return Answer(text=good_reply(body))


def at_first(*bad):
    """Answer the first requests with `bad`, all later ones well."""
    return lambda body, n: bad[n] if n < len(bad) else good(body)


def stored_texts(describe):
    with ReplyStore(describe.home / "replies") as store:
        return sorted(entry.reply.text for entry in store.entries())


def test_429_is_waited_out_and_costs_nothing(describe, serve):  # failure 6
    waits = [{"Retry-After": "0"}, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, {}]
    server = serve(at_first(*[Answer(status=429, raw="slow down", headers=h) for h in waits]))
    ended = describe("--base-url", server.url)
    assert ended.status == 0
    assert "  kept      12 of 12 sentences" in ended.out.splitlines()
    assert "failed" not in ended.out
    assert server.count == 6 + 3


def test_an_absurd_retry_after_is_cut_and_a_deadline_is_over_all(describe, serve):  # failure 6
    busy = Answer(status=429, raw="slow down", headers={"Retry-After": "999999"})
    server = serve(lambda body, n: busy)
    ended = describe("--base-url", server.url, "--deadline", "1", "--concurrency", "4")
    assert ended.status == 1
    waits = re.findall(r"waiting (\d+) s \(429: slow down\)", ended.err)
    assert [60 <= int(wait) <= 66 for wait in waits] == [True]  # one pause for all, with jitter
    assert "stopped: the deadline has passed" in ended.err
    assert server.count == 4


def test_what_does_not_answer_is_given_up_soon(describe, serve):  # failures 7, 8
    # All at once, because each takes its time: five attempts, with growing pauses.
    describe.classes(*ACTIONS)
    gone = serve()
    gone.stop()
    breaks = serve(lambda body, n: Answer(status=500, raw="CUDA error"))
    resets = serve(lambda body, n: Answer(reset=True))
    dies = serve(lambda body, n: good(body) if n < 9 else Answer(reset=True))
    urls = [gone.url, breaks.url, resets.url, "http://no-such-host.invalid/v1", dies.url]
    runs = [
        describe.start(
            *("--base-url", url, "--model", "scripted", "--concurrency", "4"),
            DESCRIBE_HOME=f"{describe.home}-{number}",
        )
        for number, url in enumerate(urls)
    ]
    ends = [run.wait() for run in runs]
    for ended, reason in zip(
        ends,
        ["Cannot connect", "500: CUDA error", "Server disconnected", "no-such-host", ""],
        strict=True,
    ):
        assert ended.status == 1
        assert "5 failures in a row: " in ended.err
        assert reason in ended.err
        assert "run the same command again: only what is missing is sent" in ended.err
        assert "Traceback" not in ended.err
        assert "Version" not in ended.out
    assert max(breaks.count, resets.count) <= 4 + 4  # no storm
    assert "9 of 24 replies are stored, 9 of them new" in ends[4].err
    dies.answer = lambda body, n: good(body)
    before = dies.count
    again = describe("--base-url", dies.url, DESCRIBE_HOME=f"{describe.home}-4")
    assert again.status == 0
    assert dies.count == before + 15


def test_an_endpoint_that_is_not_there_is_named_before_anything_else(describe, serve):  # failure 7
    server = serve()
    server.stop()
    ended = describe("--base-url", server.url)
    assert ended.status == 1
    assert ended.err.startswith(f"describe: cannot reach {server.url}: ")
    assert ended.err.count("\n") == 1


def test_a_server_still_loading_is_waited_for_with_a_word(describe, serve):  # failure 8
    loading = '{"error": {"message": "Loading model"}}'
    server = serve(at_first(Answer(status=503, raw=loading, headers={"Retry-After": "1"})))
    ended = describe("--base-url", server.url, "--concurrency", "1")
    assert ended.status == 0
    assert "waiting 1 s (503: Loading model)" in ended.err
    assert server.count == 7


def test_a_server_that_loads_for_ever_is_given_up(describe, serve):  # failure 8
    loading = Answer(status=503, raw="Loading model", headers={"Retry-After": "0"})
    server = serve(lambda body, n: loading)
    ended = describe("--base-url", server.url, "--ready-timeout", "0")
    assert ended.status == 1
    assert "no reply for 0 s: 503: Loading model" in ended.err


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_tried_again_and_not_printed(describe, serve, status):  # failure 9
    raw = json.dumps({"error": {"message": "Incorrect API key provided: sk-canary"}})
    server = serve(lambda body, n: Answer(status=status, raw=raw))
    ended = describe("--base-url", server.url, "--concurrency", "1", OPENAI_API_KEY="sk-canary")
    assert (ended.status, server.count) == (1, 1)
    assert f"refused the key ({status}: Incorrect API key provided: [key])" in ended.err
    assert "check OPENAI_API_KEY" in ended.err
    assert "sk-canary" not in ended.out + ended.err


def test_404_names_the_models_and_the_nearest(describe, serve):  # failure 9
    models = ({"id": "llama-8b"}, {"id": "qwen-7b"})
    server = serve(lambda body, n: Answer(status=404, raw="no such model"), models=models)
    ended = describe("--base-url", server.url, "--model", "lama-8b")
    assert ended.status == 1
    assert "has no model 'lama-8b'; it has: llama-8b, qwen-7b; did you mean 'llama-8b'?" in (
        ended.err
    )


def test_with_several_models_one_must_be_chosen(describe, serve):  # failure 9
    server = serve(models=({"id": "llama-8b"}, {"id": "qwen-7b"}))
    ended = describe("--base-url", server.url)
    assert (ended.status, server.count) == (1, 0)
    assert "has 2 models; choose one with --model: llama-8b, qwen-7b" in ended.err


def test_a_prompt_that_is_too_long_is_that_ones_alone(describe, serve):  # failure 9
    too_long = Answer(status=400, raw='{"error": {"message": "maximum context length is 99"}}')
    server = serve(lambda body, n: too_long if asked(body)[0] == "bowling" else good(body))
    ended = describe("--base-url", server.url)
    assert (ended.status, server.count) == (0, 6)
    assert "too_long  2, such as: 400: maximum context length is 99" in ended.out
    assert "Left short: 2 of 6: bowling (spatial) 0/2, bowling (temporal) 0/2" in ended.out
    assert describe("--base-url", server.url).status == 0
    assert server.count == 6


def test_what_failed_for_good_is_asked_again_on_demand(describe, serve):  # failure 9
    cut = Answer(text="A man in a", finish_reason="length")
    server = serve(lambda body, n: cut if asked(body)[0] == "bowling" else good(body))
    arguments = ("--base-url", server.url, "--rounds", "0")
    ended = describe(*arguments)
    assert "truncated  2, such as: cut at max_tokens; raise --max-tokens" in ended.out
    server.answer = lambda body, n: good(body)
    assert "kept      8 of 12" in describe(*arguments).out
    assert server.count == 6
    retried = describe(*arguments, "--retry-failures")
    assert "kept      12 of 12" in retried.out
    assert server.count == 8
    later = describe(*arguments)
    assert "kept      12 of 12" in later.out
    assert server.count == 8


def test_an_answer_without_an_answer_is_asked_again_and_never_stored(describe, serve):  # failure 10
    bad = [
        Answer(raw="<html>Welcome</html>"),
        Answer(raw='{"error": {"message": "overloaded"}}'),
        Answer(raw='{"choices": []}'),
        Answer(text=None),
        Answer(text=""),
        Answer(raw='{"choices": [{"mess'),
    ]
    server = serve(at_first(*bad))
    ended = describe("--base-url", server.url)
    assert ended.status == 0
    assert "  kept      12 of 12 sentences" in ended.out.splitlines()
    assert server.count == 6 + len(bad)
    assert stored_texts(describe) == sorted(good_reply(b) for b in server.requests[len(bad) :])


def test_a_cut_reply_is_not_stored_and_another_sample_is_asked_for(describe, serve):  # failure 10
    cut = Answer(text='{"sentences": ["A man in a red", "', finish_reason="length")
    server = serve(at_first(cut))
    ended = describe("--base-url", server.url, "--concurrency", "1")
    assert ended.status == 0
    assert "  kept      12 of 12 sentences" in ended.out.splitlines()
    assert asked(server.requests[6]) == asked(server.requests[0])
    assert [server.requests[n]["seed"] for n in (0, 6)] == [0, 1]
    assert cut.text not in stored_texts(describe)


def test_a_reply_without_usage_is_a_reply(describe, serve):  # failure 10
    def answer(body, n):
        message = {"content": good_reply(body)}
        return Answer(raw=json.dumps({"choices": [{"message": message}], "model": "m"}))

    ended = describe("--base-url", serve(answer).url)
    assert ended.status == 0
    assert "  tokens    0 in, 0 out" in ended.out.splitlines()
    assert "  kept      12 of 12 sentences" in ended.out.splitlines()


def test_a_stalled_reply_is_asked_again(describe, serve):  # failure 11
    never = threading.Event()
    server = serve(at_first(Answer(text="late", wait_for=never)))
    ended = describe("--base-url", server.url, "--request-timeout", "2")
    assert ended.status == 0
    assert "  kept      12 of 12 sentences" in ended.out.splitlines()
    assert server.count >= 7
    assert "late" not in stored_texts(describe)


def test_a_slow_reply_holds_up_no_other(describe, serve):  # failure 11
    others_done = threading.Event()

    def answer(body, number):
        if number == 23:  # the last request came while the first two were still open
            others_done.set()
        return Answer(text=good_reply(body), wait_for=others_done if number < 2 else None)

    describe.classes(*ACTIONS)
    server = serve(answer)
    ended = describe("--base-url", server.url, "--concurrency", "4")
    assert (ended.status, server.count) == (0, 24)
