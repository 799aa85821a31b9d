"""Sending, against a scripted server: retries, pauses, breakers, order, memory."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterable

import pytest
from scripted_server import Answer, ScriptedServer, good_reply

from describe.classes import ActionClass
from describe.endpoints import Endpoint
from describe.errors import UserError
from describe.llm import Failure
from describe.pacing import PaceConfig
from describe.prompts import Ask
from describe.request import Reply, Request
from describe.send import SendConfig, Sender, Stopped

FAST = PaceConfig(backoff_s=0.001, max_pause_s=0.05, max_failures=3, give_up_s=5)


class Run:
    """Sends numbered requests and remembers what came of each."""

    def __init__(self, *servers: ScriptedServer, key: str = "", **config) -> None:
        endpoints = [
            Endpoint(base_url=server.url, api_key=key, name=f"server {i}", max_in_flight=None)
            for i, server in enumerate(servers)
        ]
        config.setdefault("pace", FAST)
        is_proven = config.pop("is_proven", False)
        self.on_note: Callable[[], None] = lambda: None
        self.replies: dict[int, str] = {}
        self.failures: dict[int, Failure] = {}
        self.notes: list[str] = []
        self.drawn = 0
        self.most_waiting = 0
        self.on_each: Callable[[], None] = lambda: None
        self.sender = Sender(
            endpoints,
            SendConfig(**config),
            on_reply=self._on_reply,
            on_failure=lambda ask, failure: self.failures.update({ask.sample: failure}),
            on_note=self._on_note,
            is_proven=is_proven,
        )

    def _on_note(self, line: str) -> None:
        self.notes.append(line)
        self.on_note()

    def _on_reply(self, ask: Ask, request: Request, reply: Reply, endpoint: Endpoint) -> None:
        assert ask.sample not in self.replies, "a reply was handed back twice"
        self.replies[ask.sample] = reply.text
        self.on_each()

    def _draw(self, numbers: Iterable[int]):
        for number in numbers:
            self.drawn += 1
            self.most_waiting = max(
                self.most_waiting, self.drawn - len(self.replies) - len(self.failures)
            )
            action = ActionClass(class_id=number, name=str(number), readable=str(number))
            yield (
                Ask(key=str(number), action=action, kind="spatial", sample=number),
                Request(
                    body={
                        "model": "scripted",
                        "messages": [{"role": "user", "content": f"number {number}"}],
                        "seed": 0,
                    },
                    sample=number,
                ),
            )

    def send(self, count: int) -> Stopped | None:
        return asyncio.run(self.sender.run(self._draw(range(count))))


def number_of(body: dict) -> int:
    return int(body["messages"][0]["content"].split()[1])


def good(body: dict) -> Answer:
    return Answer(text=good_reply(body))


def at_first(*bad: Answer):
    """Answer each request with `bad`, one after another, then well."""
    tries: dict[int, int] = {}

    def answer(body: dict, n: int) -> Answer:
        tried = tries[number_of(body)] = tries.get(number_of(body), -1) + 1
        return bad[tried] if tried < len(bad) else good(body)

    return answer


def test_every_request_gets_its_own_reply(serve):
    server = serve()
    run = Run(server)
    assert run.send(300) is None
    assert sorted(run.replies) == list(range(300))
    texts = {number_of(body): good_reply(body) for body in server.requests}
    assert run.replies == texts
    assert server.count == 300


def test_concurrency_is_bounded_and_requests_are_drawn_only_when_there_is_room(serve):
    server = serve()
    run = Run(server, pace=PaceConfig(max_concurrency=20))
    assert run.send(1000) is None
    assert server.peak <= 20
    assert run.most_waiting <= 22


@pytest.mark.parametrize(
    "bad",
    [
        Answer(status=500, raw="oops"),
        Answer(status=502, raw="<html>bad gateway</html>"),
        Answer(raw="<html>hello</html>"),
        Answer(raw='{"error": {"message": "try again"}}'),
        Answer(raw='{"choices": []}'),
        Answer(text=None),
        Answer(text="half a rep", reset=True),
        Answer(raw='{"choices": [{"mess'),
    ],
    ids=["500", "502", "html", "error body", "no choices", "null", "reset", "cut"],
)
def test_a_passing_fault_is_tried_again(serve, bad):
    server = serve(lambda body, n: bad if n % 5 == 1 else good(body))
    run = Run(server, max_attempts=20, max_bad_replies=20)
    assert run.send(40) is None
    assert sorted(run.replies) == list(range(40))
    assert run.failures == {}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(status=400, raw='{"error": {"message": "context length exceeded"}}'), "too_long"),
        (Answer(text="cut", finish_reason="length"), "truncated"),
        (Answer(text="x", finish_reason="content_filter"), "filtered"),
        (Answer(status=422, raw="no"), "bad_request"),
    ],
    ids=["too long", "length", "filtered", "422"],
)
def test_what_a_repeat_would_meet_again_is_reported_and_sent_once(serve, answer, kind):
    server = serve(lambda body, n: answer if number_of(body) == 3 else good(body))
    run = Run(server)
    assert run.send(10) is None
    assert run.failures[3].kind == kind
    assert 3 not in run.replies
    assert sum(number_of(body) == 3 for body in server.requests) == 1
    assert len(run.replies) == 9


def test_attempts_are_bounded(serve):
    server = serve(lambda body, n: Answer(raw="<html>") if number_of(body) == 3 else good(body))
    run = Run(server, max_attempts=4)
    assert run.send(10) is None
    assert run.failures[3].kind == "bad_reply"
    assert sum(number_of(body) == 3 for body in server.requests) == 3  # max_bad_replies


def test_a_server_error_of_one_request_is_tried_as_often_as_allowed(serve):
    server = serve(lambda body, n: Answer(status=500) if number_of(body) == 3 else good(body))
    run = Run(server, max_attempts=4, pace=PaceConfig(max_failures=99, backoff_s=0.001))
    assert run.send(10) is None
    assert run.failures[3].kind == "server_error"
    assert sum(number_of(body) == 3 for body in server.requests) == 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_tried_again_and_never_printed(serve, status):
    raw = '{"error": {"message": "Incorrect API key provided: sk-canary"}}'
    server = serve(lambda body, n: Answer(status=status, raw=raw))
    run = Run(server, key="sk-canary", pace=PaceConfig(start_concurrency=1, max_concurrency=1))
    stopped = run.send(50)
    assert stopped is not None
    assert stopped.why == "refused"
    assert "refused the key" in stopped.message
    assert "OPENAI_API_KEY" in stopped.message
    assert "sk-canary" not in stopped.message + str(run.notes)
    assert server.count == 1


def test_404_names_the_models_there_are_and_the_nearest(serve):
    models = ({"id": "scripted-8b"}, {"id": "other"})
    server = serve(lambda body, n: Answer(status=404, raw="no such model"), models=models)
    stopped = Run(server).send(5)
    assert stopped is not None
    assert "no model 'scripted'; it has: scripted-8b, other; did you mean 'scripted-8b'?" in (
        stopped.message
    )


@pytest.mark.parametrize("retry_after", ["0.01", "Thu, 01 Jan 1970 00:00:00 GMT", None, "99999"])
def test_429_pauses_the_endpoint_and_costs_no_attempt(serve, retry_after):
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    limited = Answer(status=429, raw="slow down", headers=headers)
    server = serve(at_first(*[limited] * 3))
    run = Run(server, max_attempts=1)
    assert run.send(12) is None
    assert sorted(run.replies) == list(range(12))
    assert run.failures == {}


def test_429_from_all_is_no_storm(serve):
    server = serve(lambda body, n: Answer(status=429, raw="no"))
    pace = PaceConfig(backoff_s=0.01, max_pause_s=0.05, give_up_s=0.3, start_concurrency=16)
    stopped = Run(server, pace=pace).send(1000)
    assert stopped is not None
    assert stopped.why == "unreachable"
    assert "429: no" in stopped.message
    assert server.count <= 16 + 40


def test_a_used_up_quota_stops_at_once(serve):
    server = serve(
        lambda body, n: Answer(status=429, raw='{"error": {"code": "insufficient_quota"}}')
    )
    stopped = Run(server, pace=PaceConfig(start_concurrency=1)).send(100)
    assert stopped is not None
    assert "quota is used up" in stopped.message
    assert server.count == 1


def test_a_server_still_loading_is_waited_for(serve):
    loading = Answer(status=503, raw='{"error": {"message": "Loading model"}}')
    server = serve(lambda body, n: loading if n < 20 else good(body))
    run = Run(server, max_attempts=1)
    assert run.send(30) is None
    assert len(run.replies) == 30


def test_a_dead_server_ends_the_run_soon_and_keeps_what_came(serve):
    servers: list[ScriptedServer] = []

    def answer(body: dict, n: int) -> Answer:
        return good(body) if n < 50 else Answer(reset=True)

    servers.append(serve(answer))
    run = Run(*servers)
    stopped = run.send(1000)
    assert stopped is not None
    assert stopped.why == "unreachable"
    assert "3 failures in a row" in stopped.message
    assert len(run.replies) == 50
    assert servers[0].count <= 50 + 2 * 64 + 3  # in flight, and sent before that was noticed


def test_a_refused_connection_is_named(serve):
    server = serve()
    server.stop()
    stopped = Run(server).send(10)
    assert stopped is not None
    assert stopped.why == "unreachable"
    assert server.count == 0


def test_with_two_servers_one_may_die(serve):
    alive = serve()
    dying = serve(lambda body, n: good(body) if n < 5 else Answer(reset=True))
    run = Run(alive, dying, max_attempts=10)
    assert run.send(200) is None
    assert sorted(run.replies) == list(range(200))


@pytest.mark.parametrize("status", [401, 404])
def test_one_endpoint_that_refuses_costs_the_others_nothing(serve, status):
    good_one, refusing = serve(), serve(lambda body, n: Answer(status=status, raw="no"))
    run = Run(good_one, refusing)
    assert run.send(200) is None
    assert sorted(run.replies) == list(range(200))
    assert any("going on without it" in note for note in run.notes)


def test_replies_in_flight_are_kept_when_a_request_is_refused(serve):
    # One 401 among 16 requests that were sent together: the 15 others were paid for.
    refused = threading.Event()

    def answer(body: dict, n: int) -> Answer:
        if number_of(body) == 3:
            return Answer(status=401, raw="no")
        return Answer(text=good_reply(body), wait_for=refused)

    run = Run(serve(answer), drain_s=20, pace=PaceConfig(start_concurrency=16))
    run.on_note = refused.set
    stopped = run.send(100)
    assert stopped is not None
    assert stopped.why == "refused"
    assert len(run.replies) == 15


def test_an_endpoint_that_never_answers_usefully_gets_little_of_the_work(serve):
    good_one, page = serve(), serve(lambda body, n: Answer(raw="<html>hello</html>"))
    run = Run(good_one, page, max_attempts=10, max_bad_replies=10)
    assert run.send(300) is None
    assert sorted(run.replies) == list(range(300))
    assert page.count < 40


def test_a_model_that_has_answered_before_is_not_given_up_for_a_few_bad_requests(serve):
    server = serve(lambda body, n: Answer(text="cut", finish_reason="length"))
    run = Run(server, is_proven=True)
    assert run.send(20) is None
    assert len(run.failures) == 20


def test_two_servers_share_the_work(serve):
    one, other = serve(), serve()
    assert Run(one, other).send(400) is None
    assert min(one.count, other.count) >= 100


def test_a_stalled_reply_times_out_and_is_asked_again(serve):
    never = threading.Event()
    tried: set[int] = set()

    def answer(body: dict, n: int) -> Answer:
        if number_of(body) == 7 and 7 not in tried:
            tried.add(7)
            return Answer(text="late", wait_for=never)
        return good(body)

    run = Run(serve(answer), request_timeout_s=0.3)
    assert run.send(40) is None
    assert len(run.replies) == 40


def test_slow_replies_hold_up_nothing_else(serve):
    # Requests 0, 20, 40, ... are answered only after all the others have been.
    others_done = threading.Event()

    def answer(body: dict, n: int) -> Answer:
        reply = good(body)
        return Answer(text=reply.text, wait_for=others_done if number_of(body) % 20 == 0 else None)

    run = Run(serve(answer))
    run.on_each = lambda: others_done.set() if len(run.replies) == 190 else None
    assert run.send(200) is None
    assert len(run.replies) == 200


def test_when_nothing_works_at_first_the_run_stops_early(serve):
    server = serve(lambda body, n: Answer(status=400, raw="unknown parameter: seed"))
    stopped = Run(server).send(1000)
    assert stopped is not None
    assert stopped.why == "useless"
    assert "unknown parameter: seed" in stopped.message
    assert server.count <= 40


def test_an_interrupt_keeps_what_arrives_and_sends_no_more(serve):
    release = threading.Event()
    server = serve(lambda body, n: Answer(text=good_reply(body), wait_for=release))
    run = Run(server, drain_s=20, pace=PaceConfig(start_concurrency=8))

    def interrupt() -> None:
        while server.in_flight < 8:
            pass
        os.kill(os.getpid(), signal.SIGINT)
        while not run.notes:
            pass
        release.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    stopped = run.send(100)
    thread.join()
    assert stopped == Stopped(why="interrupted", message="interrupted")
    assert len(run.replies) == server.count == 8


def test_a_second_interrupt_waits_for_nothing(serve):
    never = threading.Event()
    server = serve(lambda body, n: Answer(text="x", wait_for=never))
    run = Run(server, drain_s=600, pace=PaceConfig(start_concurrency=8))

    def interrupt() -> None:
        while server.in_flight < 8:
            pass
        os.kill(os.getpid(), signal.SIGINT)
        while not run.notes:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    stopped = run.send(100)
    thread.join()
    assert stopped is not None
    assert stopped.why == "interrupted"
    assert run.replies == {}


def test_a_deadline_ends_the_run(serve):
    never = threading.Event()
    server = serve(lambda body, n: Answer(text="x", wait_for=never) if n > 4 else good(body))
    stopped = Run(server, deadline_s=0.5, drain_s=0).send(100)
    assert stopped is not None
    assert stopped.why == "deadline"
    assert stopped.message == "the deadline has passed"


def test_a_reply_that_cannot_be_stored_stops_the_run(serve):
    run = Run(serve())

    def fail() -> None:
        raise UserError("disk full")

    run.on_each = fail
    with pytest.raises(UserError, match="disk full"):
        run.send(100)
