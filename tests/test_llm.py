"""What each kind of HTTP answer is taken for."""

import json

import pytest

from describe.endpoints import Endpoint
from describe.llm import Failure, classify, redact, retry_after_s
from describe.request import Reply


def completion(**changes) -> bytes:
    message = {"role": "assistant", "content": changes.pop("content", '{"sentences": []}')}
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("finish_reason", "stop")}
    return json.dumps({"model": "m", "choices": [choice], **changes}).encode()


def test_a_good_answer_is_a_reply():
    body = completion(content="text", usage={"prompt_tokens": 7, "completion_tokens": 3})
    expected = Reply(text="text", model="m", prompt_tokens=7, completion_tokens=3)
    assert classify(200, {}, body) == expected


def test_a_lone_surrogate_in_a_reply_can_be_stored():
    reply = classify(200, {}, b'{"choices": [{"message": {"content": "a \\ud83d b"}}]}')
    assert isinstance(reply, Reply)
    assert reply.text == "a ? b"
    failure = classify(500, {}, b'{"error": "a \\ud83d b"}')
    assert isinstance(failure, Failure)
    assert failure.detail == "500: a ? b"


def test_an_answer_without_usage_is_still_a_reply():
    reply = classify(200, {}, completion(content="text"))
    assert isinstance(reply, Reply)
    assert reply.completion_tokens is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "detail"),
    [
        (200, b"<html>Welcome</html>", "bad_reply", "no JSON: <html>"),
        (200, b'{"error": {"message": "overloaded"}}', "bad_reply", "without choices: overloaded"),
        (200, b"[]", "bad_reply", "without choices"),
        (200, b'{"choices": []}', "bad_reply", "empty choices"),
        (200, b'{"choices": [null]}', "bad_reply", "empty choices"),
        (200, b'{"choices": [{"message": null}]}', "bad_reply", "no text"),
        (200, completion(content=None), "bad_reply", "no text"),
        (200, completion(content="  \n"), "bad_reply", "no text"),
        (200, completion(finish_reason="length"), "truncated", "--max-tokens"),
        (200, completion(finish_reason="content_filter"), "filtered", "content filter"),
        (400, b'{"error": {"message": "maximum context length is 8"}}', "too_long", "400: maximum"),
        (400, b'{"message": "no such parameter"}', "bad_request", "400: no such parameter"),
        (422, b'{"detail": [{"loc": ["n"]}]}', "bad_request", '422: [{"loc"'),
        (401, b'{"error": "bad key"}', "auth", "401: bad key"),
        (403, b"", "auth", "403"),
        (404, b'{"error": {"message": "no model"}}', "not_found", "404: no model"),
        (429, b'{"error": {"message": "slow down"}}', "rate_limited", "429: slow down"),
        (429, b'{"error": {"message": "no credit", "code": "insufficient_quota"}}', "quota", "no"),
        (429, b"Quota exceeded for requests per minute", "rate_limited", "429: Quota exceeded"),
        (200, b'{"choices": [{"message": "x"}]}', "bad_reply", "no text"),
        (200, b"[" * 100_000, "bad_reply", "no JSON"),
        (500, b"[" * 100_000, "server_error", "500: [[["),
        (503, b'{"error": {"message": "Loading model"}}', "loading", "503: Loading"),
        (503, b"busy", "server_error", "503: busy"),
        (500, b"\xff\xfe", "server_error", "500"),
        (408, b"", "server_error", "408"),
    ],
)
def test_anything_else_is_a_failure_of_its_kind(status, body, kind, detail):
    failure = classify(status, {}, body)
    assert isinstance(failure, Failure)
    assert (failure.kind, detail in failure.detail) == (kind, True), failure


def test_a_failure_is_one_short_line():
    failure = classify(500, {}, b"line\n" * 1000)
    assert isinstance(failure, Failure)
    assert "\n" not in failure.detail
    assert len(failure.detail) <= 310


def test_429_with_a_time_to_wait_is_never_an_empty_account():
    body = b'{"error": {"code": "insufficient_quota"}}'
    failure = classify(429, {"Retry-After": "6"}, body)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retry_after_s) == ("rate_limited", 6.0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(value, expected):
    assert retry_after_s({"Retry-After": value}, now=100.0) == expected


def test_the_key_is_taken_out_of_what_a_server_says():
    endpoint = Endpoint(base_url="http://h/v1", api_key="sk-secret", name="h")
    assert redact(b"Incorrect API key: sk-secret.", endpoint) == b"Incorrect API key: [key]."
    assert "sk-secret" not in repr(endpoint)
