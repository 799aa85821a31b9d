"""What a model may say, and what of it gets into the set: repaired, topped up, rejected, short."""

import json

import pytest
from describe_process import ACTIONS, asked
from scripted_server import Answer, good_reply, sentence

from describe.versions import read_rejected, read_version

A, B, C = "A man lifts a red box.", "A girl spins a blue rope.", "A cook drops a green pan."


def say(*sentences):
    return json.dumps({"sentences": list(sentences)})


def scripted(replies, otherwise=good_reply):
    """Answer by (class, kind, seed), else by class, else with `otherwise`."""

    def answer(body, number):
        name, kind = asked(body)
        for key in ((name, kind, body["seed"]), (name, kind), name):
            if key in replies:
                return Answer(text=replies[key])
        return Answer(text=otherwise(body))

    return answer


def by_class(rows, kind="spatial"):
    texts = {}
    for row in rows:
        if row.kind == kind:
            texts.setdefault(row.class_name, []).append(row.text)
    return texts


def root_of(describe):
    return describe.home / "sets" / "actions"


FORMS = {
    "fences": ('```json\n{"sentences": ["%s", "%s"]}\n```', "code_fence"),
    "prose": ('Here you go! {"sentences": ["%s", "%s"]} Enjoy.', "prose_around"),
    "trailing comma": ('{"sentences": ["%s", "%s",]}', "trailing_comma"),
    "single quotes": ("{'sentences': ['%s', '%s']}", "single_quotes"),
    "bare list": ('["%s", "%s"]', "bare_list"),
    "python list": ("['%s', '%s']", "single_quotes"),
    "wrapper key": ('{"result": {"descriptions": ["%s", "%s"]}}', "other_key"),
    "duplicate keys": ('{"sentences": ["%s"], "sentences": ["%s"]}', "duplicate_keys"),
    "thinking": ('<think>Hmm, ["x"].</think>{"sentences": ["%s", "%s"]}', "thinking"),
    "nan": ('{"sentences": ["%s", NaN, "%s"]}', "nan"),
    "plain list": ("1. %s\n2. %s", "plain_text"),
    "numbering": ('{"sentences": ["1. %s", "2) %s"]}', "numbering"),
    "brackets": ('{"sentences": ["[%s]", "(%s)"]}', "quotes_or_brackets"),
    "lead-in": ('{"sentences": ["Sure, here are two sentences:", "%s", "%s"]}', "lead_in"),
    "empty strings": ('{"sentences": ["", "%s", " ", "%s"]}', "empty"),
    "one string": ('{"sentences": ["%s %s"]}', "split"),
    "clean": ('{"sentences": ["%s", "%s"]}', None),
}


def test_every_form_of_an_answer_is_read_and_the_repair_is_told(describe, serve):  # failures 12, 14
    describe.classes(*FORMS)
    texts = {name: [sentence(f"{name}{i}") for i in range(2)] for name in FORMS}
    server = serve(
        lambda body, n: Answer(
            text=FORMS[asked(body)[0]][0] % tuple(texts[asked(body)[0]])
            if asked(body)[1] == "spatial"
            else good_reply(body)
        )
    )
    ended = describe("--base-url", server.url)
    assert ended.status == 0
    rows = read_version(root_of(describe)).rows
    assert by_class(rows) == texts
    repairs = {row.class_name: row.repairs for row in rows if row.kind == "spatial"}
    for name, (_, repair) in FORMS.items():
        assert (repair in repairs[name]) if repair else repairs[name] == ()
    assert server.count == 2 * len(FORMS)


def test_a_server_that_ignores_the_schema_is_noticed_and_noted(describe, serve):  # failure 13
    describe.classes(*ACTIONS)
    server = serve(
        lambda body, n: Answer(text="\n".join(json.loads(good_reply(body))["sentences"]))
    )
    ended = describe("--base-url", server.url)
    assert ended.status == 0
    assert ended.err.count("the server ignores response_format") == 1
    assert "0 of the first 8 replies keep to the JSON schema" in ended.err
    version = read_version(root_of(describe))
    assert version.manifest["model"]["honours_response_format"] is False
    assert version.manifest["counts"]["keeping_to_the_schema"] == 0
    assert len(version.rows) == 48


def test_a_server_that_keeps_to_the_schema_is_noted_too(describe, serve):  # failure 13
    server = serve()
    ended = describe("--base-url", server.url)
    assert "response_format" not in ended.err
    version = read_version(root_of(describe))
    assert version.manifest["model"]["honours_response_format"] is True
    assert server.requests[0]["response_format"]["type"] == "json_schema"


def test_too_many_too_few_and_none_come_to_exactly_n(describe, serve):  # failure 14
    describe.classes("too many", "too few", "none", "never")
    server = serve(
        scripted(
            {
                ("too many", "spatial"): say(A, B, C),
                ("too few", "spatial", 0): say(A.replace("red", "pink")),
                ("none", "spatial", 0): say(),
                ("never", "spatial"): say("A boy rolls a white wheel."),
            }
        )
    )
    ended = describe("--base-url", server.url, "--rounds", "2")
    assert ended.status == 0
    texts = by_class(read_version(root_of(describe)).rows)
    assert {name: len(kept) for name, kept in texts.items()} == {
        "too many": 2,
        "too few": 2,
        "none": 2,
        "never": 1,
    }
    assert texts["too many"] == [A, B]
    assert texts["too few"][0] == A.replace("red", "pink")
    surplus = [(row.class_name, row.text) for row in read_rejected(root_of(describe))]
    assert ("too many", C) in surplus
    asks = [(*asked(body), body["seed"]) for body in server.requests]
    assert sorted(ask for ask in asks if ask[2] > 0) == [
        ("never", "spatial", 1),
        ("never", "spatial", 2),
        ("none", "spatial", 1),
        ("too few", "spatial", 1),
    ]
    assert "Left short: 1 of 8: never (spatial) 1/2" in ended.out
    assert "  asked     12 (4 of them to top up)" in ended.out.splitlines()
    assert read_version(root_of(describe)).manifest["counts"]["short"] == {"never (spatial)": 1}


REJECTED = {
    "refusing": ("I'm sorry, but I cannot help with that.", "refusal"),
    "not answering": ("N/A", "no_answer"),
    "echoing": ("Write 2 sentences in the same words as before.", "leaked_instruction"),
    "leaking": ("The output should be in the following format.", "leaked_instruction"),
    "coding": ("def draw(bow): return bow.string;", "markup"),
    "foreign": ("Человек стреляет из лука по мишени.", "wrong_script"),
    "misread": ("A manâ€™s hand draws the string of a bow.", "mojibake"),
    "controlled": ("A man draws \u0007 the string of a bow.", "control_characters"),
    "invisible": ("A man draws\u200b the string of a bow.", "control_characters"),
    "scripting": ("A man <script>alert(1)</script> draws a bow.", "markup"),
}


def test_what_is_no_description_is_rejected_with_a_reason(describe, serve):  # failure 15
    describe.classes(*REJECTED)
    replies = {(name, "spatial"): say(text, sentence(name)) for name, (text, _) in REJECTED.items()}
    ended = describe("--base-url", serve(scripted(replies)).url, "--rounds", "0")
    assert ended.status == 0
    rejected = {row.class_name: row.rule for row in read_rejected(root_of(describe))}
    assert rejected == {name: rule for name, (_, rule) in REJECTED.items()}
    assert by_class(read_version(root_of(describe)).rows) == {
        name: [sentence(name)] for name in REJECTED
    }
    assert "Rejected by rule:" in ended.out
    assert "control_characters  2" in ended.out


def test_a_repeat_in_a_class_is_found_and_topped_up(describe, serve):  # failure 16
    server = serve(scripted({("archery", "spatial", 0): say(A, A.upper())}))
    ended = describe("--base-url", server.url)
    assert "  kept      12 of 12 sentences" in ended.out.splitlines()
    assert [row.rule for row in read_rejected(root_of(describe))][0] == "repeat"
    assert (*asked(server.requests[6]), server.requests[6]["seed"]) == ("archery", "spatial", 1)
    assert "confuse" not in server.requests[6]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [((A, B), (A, C), "shared"), ((A, B), (A, B), "identical_list")],
)
def test_classes_that_collide_are_asked_again_by_name(  # failure 16
    describe, serve, first, second, rule
):
    server = serve(
        scripted({("archery", "spatial", 0): say(*first), ("cycling", "spatial", 0): say(*second)})
    )
    assert describe("--base-url", server.url, "--rounds", "0").status == 0
    rejected = read_rejected(root_of(describe))
    assert {(row.class_name, row.detail) for row in rejected if row.rule == rule} == {
        ("archery", "cycling"),
        ("cycling", "archery"),
    }
    ended = describe("--base-url", server.url)
    assert ended.status == 0
    assert "  kept      12 of 12 sentences" in ended.out.splitlines()
    again = {asked(body): body["messages"][-1]["content"] for body in server.requests[6:]}
    assert set(again) == {("archery", "spatial"), ("cycling", "spatial")}
    assert "Do not confuse it with: cycling." in again["archery", "spatial"]
    assert "Do not confuse it with: archery." in again["cycling", "spatial"]


def test_a_class_of_which_nothing_is_kept_stays_short_and_is_named(describe, serve):  # failure 23
    server = serve(scripted({"bowling": say("I cannot describe that.", "N/A")}))
    ended = describe("--base-url", server.url, "--rounds", "2")
    assert ended.status == 0
    rows = read_version(root_of(describe)).rows
    assert {row.class_name for row in rows} == {"archery", "cycling"}
    assert {row.class_id for row in rows} == {0, 2}
    assert "Left short: 2 of 6: bowling (spatial) 0/2, bowling (temporal) 0/2" in ended.out
    assert "nothing is filled in" in ended.out
    assert "bowling" in (root_of(describe) / "README.md").read_text()
    assert server.count == 6 + 2 * 2


def test_when_nothing_at_all_is_kept_there_is_no_version(describe, serve):  # failure 23
    server = serve(lambda body, n: Answer(text=say("I cannot describe that.", "N/A")))
    ended = describe("--base-url", server.url, "--rounds", "1")
    assert (ended.status, server.count) == (1, 12)
    assert ended.err.splitlines()[-1].startswith("describe: no sentence was kept (24 were rejected")
    assert not list(root_of(describe).glob("v*"))


def test_what_a_model_and_a_list_say_is_escaped_in_the_card(describe, serve):  # failure 29
    names = ["<script>alert(1)</script>", "a | b", "[x](javascript:alert)", "w" * 150]
    describe.classes(*names)
    nasty = [
        "A man <img src=x onerror=alert(1)> draws a bow.",
        "A man draws a | bow of *wood* and _string_.",
    ]
    server = serve(scripted({(names[0], "spatial"): say(*nasty)}))
    ended = describe("--base-url", server.url, "--show", "20", "--rounds", "1")
    assert ended.status == 0
    card = (root_of(describe) / "README.md").read_text()
    prompts = card.index("```")
    outside = card[:prompts]
    for evil in ("<script", "<img", "](javascript", "w" * 120):
        assert evil not in outside
    rows = [*read_version(root_of(describe)).rows, *read_rejected(root_of(describe))]
    assert {text for row in rows for text in [row.text] if row.text in nasty} == set(nasty)
