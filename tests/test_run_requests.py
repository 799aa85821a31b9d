"""What is asked: templates and lists that are refused, and exactly what a change asks again."""

import shutil

import pytest
from describe_process import ACTIONS, PROMPT, Describe, asked
from scripted_server import Answer, ScriptedServer, good_reply

from describe.versions import read_version


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("About\n{{ clas_name }}", "spatial.jinja:2: 'clas_name' is undefined"),
        ("{{ class_name }}\n{% if %}", "spatial.jinja:2: Expected an expression"),
        ("{% for i in range(10**9) %}x{% endfor %}", "spatial.jinja:1: powers are not allowed"),
        ("{% for i in range(1000000000) %}x{% endfor %}", "spatial.jinja:1: Range too big"),
        ("\n\n{{ ''.__class__ }}", "spatial.jinja:3: access to attribute '__class__'"),
        ('{% include "../../etc/passwd" %}', "spatial.jinja:1: no template '../../etc/passwd'"),
    ],
)
def test_a_bad_template_is_named_by_line_before_anything_is_sent(  # failure 17
    describe, serve, template, message
):
    (describe.prompts / "spatial.jinja").write_text(template)
    server = serve()
    ended = describe("--base-url", server.url)
    assert (ended.status, server.count) == (1, 0)
    assert ended.err.startswith(f"describe: {describe.prompts}/{message}")
    assert ended.err.count("\n") == 1


def test_a_list_keeps_its_names_and_its_order_however_it_is_written(describe, serve):  # failure 18
    names = ['"slap", hard', "push/pull (left)", "tai chi 太極", "d'accord", "Über-Sprung"]
    path = describe.folder / "own.csv"
    quoted = "\r\n".join('"{}"'.format(name.replace('"', '""')) for name in ["name", *names])
    path.write_bytes(b"\xef\xbb\xbf" + quoted.encode() + b"\r\n\r\n")
    server = serve()
    ended = describe("--base-url", server.url, "--classes", path)
    assert ended.status == 0
    rows = read_version(describe.home / "sets" / "own").rows
    assert {row.class_id: row.class_name for row in rows} == dict(enumerate(names))
    assert {asked(body)[0] for body in server.requests} == set(names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("archery\n\nyoga\nArchery\n", "'archery' (line 1) and 'Archery' (line 4)"),
        ("", "actions.txt"),
        ("\n \n", "actions.txt"),
    ],
)
def test_a_bad_list_is_one_line_and_nothing_is_sent(describe, serve, text, message):  # failure 18
    describe.classes()
    (describe.folder / "actions.txt").write_text(text)
    server = serve()
    ended = describe("--base-url", server.url)
    assert (ended.status, server.count) == (1, 0)
    assert message in ended.err
    assert ended.err.count("\n") == 1


SPATIAL_PROMPT = f"=== system ===\nYou see videos.\n=== user ===\n{PROMPT}"
TEMPORAL_PROMPT = f"=== system ===\n{{% include 'style.jinja' %}}\n=== user ===\n{PROMPT}"


@pytest.fixture(scope="module")
def described(forks, tmp_path_factory):
    """A workspace in which three classes are described, with a template that includes another."""
    folder = tmp_path_factory.mktemp("described")
    run = Describe(forks, folder)
    (run.prompts / "style.jinja").write_text("Be brief.")
    (run.prompts / "spatial.jinja").write_text(SPATIAL_PROMPT)
    (run.prompts / "temporal.jinja").write_text(TEMPORAL_PROMPT)
    server = ScriptedServer()
    ended = run("--base-url", server.url, "--model", "scripted", DESCRIBE_HOME=str(run.home))
    assert (ended.status, server.count) == (0, 6)
    server.stop()
    return folder


def put(name, text):
    return lambda describe: (describe.prompts / name).write_text(text)


def nothing(describe):
    pass


BOTH, SPATIAL, TEMPORAL = ["spatial", "temporal"], ["spatial"], ["temporal"]
CHANGES = {
    "nothing": (nothing, [], [], ""),
    "a space": (
        put("spatial.jinja", SPATIAL_PROMPT.replace(" sen", "  sen")),
        *([], SPATIAL, "body.messages[1].content"),
    ),
    "an include": (put("style.jinja", "Be exact."), [], TEMPORAL, "body.messages[0].content"),
    "the system prompt": (
        put("spatial.jinja", SPATIAL_PROMPT.replace("videos", "films")),
        *([], SPATIAL, "body.messages[0].content"),
    ),
    "no system prompt": (put("spatial.jinja", PROMPT), [], SPATIAL, "changed body.messages ("),
    "model": (nothing, ["--model", "other"], BOTH, "body.model"),
    "revision": (nothing, ["--revision", "abc"], BOTH, "revision"),
    "temperature": (nothing, ["--temperature", "0.5"], BOTH, "body.temperature"),
    "top_p": (nothing, ["--top-p", "0.5"], BOTH, "body.top_p"),
    "seed": (nothing, ["--seed", "5"], BOTH, "body.seed"),
    "max_tokens": (nothing, ["--max-tokens", "99"], BOTH, "body.max_tokens"),
    "schema": (nothing, ["--structured-output", "json_object"], BOTH, "body.response_format"),
    "extra": (nothing, ["--extra-body", '{"top_k": 4}'], BOTH, "body.top_k"),
    "rules": (nothing, ["--max-words", "30", "--class-name", "flag"], [], ""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_asks_exactly_what_it_affects_and_says_why(  # failure 19
    described, describe, serve, tmp_path, name
):
    change, flags, kinds, field = CHANGES[name]
    for folder in ("home", "prompts"):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
        shutil.copytree(described / folder, tmp_path / folder)
    change(describe)
    server = serve()
    arguments = ["--base-url", server.url, "--model", "scripted", *flags]
    plan = describe(*arguments, "--dry-run")
    assert (plan.status, server.count) == (0, 0)
    for kind in kinds:
        reasons = [line for line in plan.out.splitlines() if f"3 x {kind}: changed " in line]
        assert len(reasons) == 1
        assert field in reasons[0]
        assert "(archery, bowling, cycling)" in reasons[0]
    assert plan.out.count(" x ") == len(kinds)
    assert describe(*arguments).status == 0
    assert sorted(map(asked, server.requests)) == [
        (action, kind) for action in ACTIONS[:3] for kind in kinds
    ]


def test_a_replaced_model_behind_the_same_name_is_warned_of(describe, serve):  # failure 20
    server = serve(models=({"id": "scripted", "root": "llama-8b", "created": 1},))
    describe("--base-url", server.url)
    describe.classes(*ACTIONS[:4])
    server.models = ({"id": "scripted", "root": "llama-8b", "created": 2},)
    assert "warning" not in describe("--base-url", server.url).err
    describe.classes(*ACTIONS[:5])
    server.models = ({"id": "scripted", "root": "qwen-7b", "created": 2},)
    ended = describe("--base-url", server.url)
    assert ended.status == 0
    assert "describes the model 'scripted' otherwise than when the stored replies" in ended.err
    assert server.count == 10


def test_a_server_that_moved_costs_nothing(describe, serve):  # failure 20
    old, new = serve(), serve()
    describe("--base-url", old.url)
    before = describe.files("sets")
    assert describe("--base-url", new.url).status == 0
    assert (old.count, new.count) == (6, 0)
    assert describe.files("sets") == before


def test_a_larger_n_asks_the_new_samples_only(describe, serve):  # failure 21
    server = serve()
    describe("--base-url", server.url)
    first = [row.text for row in read_version(describe.home / "sets" / "actions").rows]
    ended = describe("--base-url", server.url, "--num-descriptions", "4")
    assert "  kept      24 of 24 sentences" in ended.out.splitlines()
    assert server.count == 12
    assert [body["seed"] for body in server.requests] == [0] * 6 + [1] * 6
    texts = {row.text for row in read_version(describe.home / "sets" / "actions").rows}
    assert set(first) < texts
    assert describe("--base-url", server.url).status == 0  # and back again
    assert server.count == 12


def test_a_new_class_asks_its_own_requests_only(describe, serve):  # failure 21
    server = serve()
    describe("--base-url", server.url)
    describe.classes("abseiling", *ACTIONS[:3])
    assert describe("--base-url", server.url).status == 0
    assert sorted(map(asked, server.requests[6:])) == [
        ("abseiling", "spatial"),
        ("abseiling", "temporal"),
    ]


def test_a_subset_first_and_then_all_asks_only_the_rest(describe, serve):  # failure 21
    server = serve()
    ended = describe("--base-url", server.url, "--subset", "cycling; Archery")
    assert "  classes   2" in ended.out.splitlines()
    rows = read_version(describe.home / "sets" / "actions_part").rows
    assert {(row.class_id, row.class_name) for row in rows} == {(0, "archery"), (2, "cycling")}
    assert "Version v1 written" in describe("--base-url", server.url).out
    assert {asked(body)[0] for body in server.requests[4:]} == {"bowling"}
    assert server.count == 6


def test_classes_with_one_prompt_share_a_request(describe, serve):  # failure 22
    describe.classes("brush_hair", "brush hair", "yoga")
    server = serve()
    ended = describe("--base-url", server.url, "--rounds", "0")
    assert (ended.status, server.count) == (0, 4)
    assert "  asked     4 (0 of them to top up)" in ended.out.splitlines()
    assert "brush hair (spatial) 0/2" in ended.out  # one list for two classes tells none apart


def test_a_version_that_exists_with_other_rows_is_refused(describe, serve):  # failure 23
    server = serve()
    describe("--base-url", server.url)
    before = describe.files("sets")
    server.answer = lambda body, n: Answer(text=good_reply({**body, "seed": 77}))
    ended = describe("--base-url", server.url, "--cache", "refresh", "--version", "v1")
    assert ended.status == 1
    assert (
        f"{describe.home}/sets/actions/v1 exists and holds other rows, and a version never "
        "changes; the next free name is v2"
    ) in ended.err
    assert describe.files("sets") == before
    again = describe("--base-url", server.url, "--version", "v2")
    assert again.status == 0
    assert server.count == 12
