"""What a run would send and cost, and how a request differs from a stored one."""

from describe.cache import ReplyStore
from describe.estimate import differences, estimate, flat, reason_lines, reasons
from describe.request import Reply, Request


def request(content: str = "describe archery", *, role: str = "user", **body) -> Request:
    messages = [{"role": role, "content": content}]
    return Request(body={"model": "m", "messages": messages, "max_tokens": 100, **body})


def test_an_estimate_is_counted_by_hand():
    found = estimate([request("a man runs"), request("a man runs")])
    assert found.num_requests == 2
    assert found.prompt_tokens == 2 * (3 + 6)  # three CLIP tokens, six of the chat template
    assert found.max_reply_tokens == 200
    assert found.cost((1.0, 10.0)) == (18 * 1 + 200 * 10) / 1e6


def test_nested_data_is_one_flat_mapping():
    assert flat({"a": [1, {"b": 2}], "c": {}}) == {"a[0]": 1, "a[1].b": 2}


def test_each_differing_field_is_a_line():
    stored = request(temperature=0.7, top_p=1)
    wanted = request(temperature=0.8, seed=1)
    assert differences(stored, wanted) == [
        "body.seed: now 1, was absent",
        "body.temperature: 0.7 -> 0.8",
        "body.top_p: was 1, now absent",
    ]


def test_a_long_text_is_shown_where_it_changed():
    (line,) = differences(request("x" * 500 + "left" * 20), request("x" * 500 + "right" * 20))
    assert line.startswith("body.messages[0].content: at character 500: ")
    assert len(line) < 150


def test_a_prompt_of_other_turns_is_one_line():
    wanted = Request(body={**request().body, "messages": [{"role": "user", "content": "b"}] * 5})
    (line,) = differences(request(), wanted)
    assert line.startswith("body.messages: 1 messages, now 5; the prompt ")


def test_the_nearest_stored_request_of_the_same_class_and_kind_gives_the_reason(workspace):
    with ReplyStore(workspace / "replies") as store:
        for body in ({"temperature": 0.7, "seed": 9}, {"temperature": 0.7}):
            store.put(request(**body), Reply(text="x"), {"class": "archery", "kind": "spatial"})
        found = reasons(
            store,
            [
                ("archery", "spatial", request(temperature=0.8)),
                ("archery", "temporal", request()),
                ("yoga", "temporal", request()),
            ],
        )
    assert found == [
        ("temporal: no reply for this class yet", ["archery", "yoga"]),
        ("spatial: changed body.temperature", ["archery"]),
    ]
    assert reason_lines(found)[1] == "1 x spatial: changed body.temperature (archery)"
