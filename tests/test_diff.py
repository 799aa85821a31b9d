"""`python -m describe.diff`: two versions of a set, word by word."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from browser import open_browser, watched_page

from describe.dataset import Description, Rejected, write_version
from describe.diff import main
from describe.diff_pairs import RuleDiff, compare, likeness, word_changes, words

NAMES = ("archery", "yoga", "zumba")


def row(text: str, class_id: int = 0, kind: str = "spatial", step: int = 0, **more) -> Description:
    values = {"class_name": NAMES[class_id], "readable_name": NAMES[class_id], "group": ""}
    return Description(
        class_id=class_id, kind=kind, step=step, text=text, num_tokens=9, **{**values, **more}
    )


def refused(text: str, rule: str, detail: str = "", **more) -> Rejected:
    plain = row(text, **more)
    values = {field.name: getattr(plain, field.name) for field in fields(plain)}
    return Rejected(**values, rule=rule, detail=detail)


def entries(diff, class_id: int = 0) -> list[tuple]:
    (one,) = [each for each in diff.classes if each.class_id == class_id]
    return [(entry.state, entry.old, entry.new) for entry in one.entries]


OLD = [
    row("A person draws a bow."),
    row("A round target far away.", step=1),
    row("Hands on a mat.", class_id=1),
    row("A stretch on the floor.", class_id=1, step=1),
]
NEW = [
    row("A round target far away."),
    row("A person pulls back a bow.", step=1),
    row("Hands on a mat.", class_id=1),
    row("The arm is lifted high.", class_id=1, step=1),
]
OLD_REFUSED = [refused("The arm is lifted high.", "generic", class_id=1)]
NEW_REFUSED = [refused("A stretch on the floor.", "edited", "not yoga", class_id=1)]


# --- pairing, worked by hand


def test_equal_sentences_are_paired_wherever_they_stand_then_the_most_alike():
    diff = compare(OLD, NEW)
    assert entries(diff) == [
        ("same", "A round target far away.", "A round target far away."),
        ("changed", "A person draws a bow.", "A person pulls back a bow."),
    ]
    assert entries(diff, 1) == [
        ("same", "Hands on a mat.", "Hands on a mat."),
        ("added", None, "The arm is lifted high."),
        ("removed", "A stretch on the floor.", None),
    ]
    assert [each.name for each in diff.changed] == ["yoga", "archery"]


def test_sentences_of_one_request_are_paired_though_others_are_more_alike():
    old = [row("A man in a red shirt.", request_key="d1:a", sample=1), row("A dog.")]
    new = [
        row("A man in a blue shirt.", request_key="d1:b"),
        row("Some red thing.", request_key="d1:a", sample=1),
    ]
    assert entries(compare(old, new)) == [
        ("added", None, "A man in a blue shirt."),
        ("changed", "A man in a red shirt.", "Some red thing."),
        ("removed", "A dog.", None),
    ]


def test_a_sentence_of_another_kind_or_class_is_never_a_partner():
    diff = compare([row("The same.")], [row("The same.", kind="temporal")])
    assert entries(diff) == [("removed", "The same.", None), ("added", None, "The same.")]


def test_the_frame_of_published_sentences_makes_no_two_alike():
    frame = "A video of archery generally involves the following step: {}, which is a sub-step."
    old, new = (frame.format(step) for step in ("drawing the bow", "walking home"))
    assert likeness(old, new) == 0


def test_a_sentence_twice_in_one_version_is_added_once():
    diff = compare([row("A bow.")], [row("A bow."), row("A bow.", step=1)])
    assert [state for state, _, _ in entries(diff)] == ["same", "added"]


def test_the_rules_say_which_way_each_sentence_went():
    diff = compare(OLD, NEW, OLD_REFUSED, NEW_REFUSED)
    assert diff.rules == {
        "edited": RuleDiff(old=0, new=1, newly_rejected=1, newly_kept=0),
        "generic": RuleDiff(old=1, new=0, newly_rejected=0, newly_kept=1),
    }
    (yoga,) = [each for each in diff.classes if each.name == "yoga"]
    assert [(entry.old_rule, entry.new_rule, entry.detail) for entry in yoga.entries] == [
        ("", "", ""),
        ("generic", "", ""),
        ("", "edited", "not yoga"),
    ]


def test_flags_of_kept_sentences_are_counted_by_rule():
    flagged = [row("A [bow].", flags=("brackets",))]
    diff = compare([row("A [bow].")], flagged)
    assert diff.rules == {"brackets": RuleDiff(old_flagged=0, new_flagged=1)}
    assert diff.changed == ()
    assert not diff.is_same
    assert compare(flagged, flagged).is_same


def test_a_changed_sentence_names_the_rules_that_rejected_its_texts():
    old, new = row("A person draws a bow."), row("A person draws her bow.")
    refused_old = [refused(new.text, "generic")]
    refused_new = [refused(old.text, "edited", "untrue")]
    (only,) = compare([old], [new], refused_old, refused_new).classes[0].entries
    assert (only.state, only.old_rule, only.new_rule) == ("changed", "generic", "edited")
    assert only.detail == "untrue"


def test_versions_that_differ_only_in_what_they_rejected_differ():
    assert not compare(OLD, OLD, [], NEW_REFUSED).is_same
    assert compare(OLD, OLD, NEW_REFUSED, NEW_REFUSED).is_same


def test_a_class_of_one_side_only_says_so():
    diff = compare(OLD, [*OLD, row("A dance.", class_id=2)])
    assert [(each.name, each.only) for each in diff.changed] == [("zumba", "new")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a b c", "a x c", [("=", "a "), ("-", "b"), ("+", "x"), ("=", " c")]),
        ("a b", "a b c", [("=", "a b"), ("+", " c")]),
        ("a b c d", "a x y d", [("=", "a "), ("-", "b c"), ("+", "x y"), ("=", " d")]),
        ("Hi there.", "Hi there!", [("=", "Hi there"), ("-", "."), ("+", "!")]),
        ("", "a", [("+", "a")]),
        ("one", "two", [("-", "one"), ("+", "two")]),
    ],
)
def test_word_changes_are_the_fewest_words(old, new, expected):
    assert word_changes(old, new) == expected


@pytest.mark.parametrize("text", ["", "A man's hand — slow!", "  two  spaces\n", "日本語 ok"])
def test_words_and_changes_lose_no_letter(text):
    assert "".join(words(text)) == text
    other = "A man's other hand - slow"
    changes = word_changes(text, other)
    assert "".join(part for sign, part in changes if sign != "+") == text
    assert "".join(part for sign, part in changes if sign != "-") == other


# --- the command


@pytest.fixture
def versions(workspace: Path) -> Path:
    """The set `toy` with v1 and v2, and the imported set `toy` with msta_n2 and msta_n8."""
    for place, names in (("sets", ("v1", "v2")), ("published", ("msta_n2", "msta_n8"))):
        for name, kept, rejected in zip(names, (OLD, NEW), (OLD_REFUSED, NEW_REFUSED), strict=True):
            root = workspace / place / "toy"
            write_version(root, kept, rejected, {"dataset": "toy"}, name)
    return workspace


def test_the_terminal_shows_the_summary_the_rules_and_the_words(versions, capsys):
    assert main(["v1", "v2"]) == 0
    out = capsys.readouterr().out
    for line in (
        "toy v1 -> toy v2",
        "  2 classes in both, 0 only in the old, 0 only in the new",
        "  same              2        0",
        "  changed           1        0",
        "  rejected by    old    new   newly rejected   newly kept",
        "  edited           0      1                1            -",
        "  generic          1      0                -            1",
        "2 of 2 classes differ, those most changed first:",
        "    + The arm is lifted high. (was rejected: generic)",
        "    - A stretch on the floor. (rejected: edited: not yoga)",
        "    ~ A person [-draws-]{+pulls back+} a bow.",
    ):
        assert line in out.splitlines()


def test_the_terminal_counts_flags_in_a_table_of_their_own(workspace, capsys):
    root = workspace / "sets" / "toy"
    write_version(root, [row("A (bow.")], [], {"dataset": "toy"})
    write_version(root, [row("A (bow.", flags=("brackets",))], [], {"dataset": "toy"})
    main(["v1", "v2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["  flagged by     old    new", "  brackets         0      1"]


def test_two_equal_sides_are_called_equal(versions, capsys):
    main(["v1", "v1"])
    assert ": the two are equal\n" in capsys.readouterr().out


def test_everything_fits_eighty_columns(workspace, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    long = "A video about " + " ".join(f"word{number}" for number in range(60)) + "."
    root = workspace / "sets" / "toy"
    write_version(root, [row(long)], OLD_REFUSED, {"dataset": "toy"})
    write_version(root, [row(long.replace("word3", "ward"))], NEW_REFUSED, {"dataset": "toy"})
    main(["v1", "v2"])
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert "[-word3-]{+ward+}" in re.sub(r"\s+", " ", out)


def test_nothing_invisible_reaches_the_terminal(workspace, capsys):
    root = workspace / "sets" / "toy"
    write_version(root, [row("A bow.")], [], {"dataset": "toy"})
    write_version(root, [row("A bow \x1b[31m\u200b.")], [], {"dataset": "toy"})
    main(["v1", "v2"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\u001b" in out
    assert "\\u200b" in out


def test_colour_is_for_terminals_and_never_with_no_color(versions, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    main(["v1", "v2"])
    assert "\x1b[31m[-draws-]\x1b[0m\x1b[32m{+pulls" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["v1", "v2"])
    assert "\x1b" not in capsys.readouterr().out


def test_json_holds_what_the_page_shows(versions, capsys):
    assert main(["v1", "v2", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["old"]["name"], data["new"]["name"]) == ("toy v1", "toy v2")
    assert data["counts"]["added"] == {"spatial": 1, "temporal": 0}
    changed = [e for each in data["classes"] for e in each["entries"] if e["state"] == "changed"]
    assert [["-", "draws"], ["+", "pulls back"]] == changed[0]["words"][1:3]


@pytest.mark.parametrize(
    ("args", "status"),
    [
        (["v1", "v1"], 0),
        (["v1", "v2"], 0),
        (["v1", "v1", "--exit-code"], 0),
        (["v1", "v2", "--exit-code"], 1),
        (["v1", "v9"], 1),
        (["v1", "v9", "--exit-code"], 2),
    ],
)
def test_the_exit_status_tells_only_when_asked(versions, args, status):
    assert main(args) == status


def test_a_number_of_classes_below_none_is_refused(capsys):
    assert main(["v1", "v2", "--show", "-1"]) == 1
    assert "--show is -1; it must be 0 or more" in capsys.readouterr().err


def test_two_sets_without_a_common_class_are_refused(versions, capsys):
    rows = [row("A dance.", class_id=2)]
    write_version(versions / "sets" / "dances", rows, [], {"dataset": "dances"})
    assert main(["toy/v1", "dances/v1"]) == 1
    assert "they have no class in common" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_one_line(versions, capsys):
    assert main(["v1", "v2", "--html", str(versions / "no" / "page.html")]) == 1
    assert re.search(r"describe.diff: cannot write .*page.html: No such", capsys.readouterr().err)


# --- the page, in a browser


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser, workspace):
    """The page of two versions, one sentence of which would like to be a script."""
    evil = "</script><img src=x onerror=alert(1)> A bow."
    root = workspace / "sets" / "toy"
    write_version(root, OLD, OLD_REFUSED, {"dataset": "toy"})
    write_version(root, [*NEW, row(evil, step=2)], NEW_REFUSED, {"dataset": "toy"})
    path = workspace / "page.html"
    assert main(["v1", "v2", "--html", str(path), "--show", "0"]) == 0
    with watched_page(browser, viewport={"width": 1100, "height": 800}) as opened:
        opened.goto(path.as_uri())
        yield opened


def test_the_page_shows_only_what_differs_until_asked_for_all(page):
    assert page.locator("#list li").count() == 4
    assert page.locator("#status").inner_text() == "4 sentences in 2 classes of 2"
    page.get_by_label("Only what differs").uncheck()
    assert page.locator("#list li").count() == 6
    assert page.locator("#list li.same").count() == 2


def test_the_page_marks_changed_words_and_runs_no_sentence(page):
    changed = page.locator("#list li.changed")
    assert changed.locator("del").inner_text().endswith("draws")
    assert changed.locator("ins").inner_text().endswith("pulls back")
    assert "<img src=x onerror=alert(1)>" in page.locator("#list").inner_text()
    assert page.locator("#list img").count() == 0


def test_search_rules_and_kinds_narrow_the_list_and_clearing_widens_it(page):
    page.keyboard.press("/")
    page.keyboard.type("ARM is")
    assert page.locator("#list li").count() == 1
    page.get_by_role("button", name="Clear all filters").click()
    page.get_by_role("button", name="edited").click()
    assert page.locator("#list li").inner_text().endswith("rejected: edited (not yoga)")
    page.get_by_role("button", name="Clear all filters").click()
    page.get_by_label("spatial").uncheck()
    assert page.locator("#nothing").is_visible()


def test_every_word_is_searched_for_wherever_it_stands(page):
    page.get_by_label("Search sentences and classes").fill("lifted ARM")
    assert page.locator("#list li").count() == 1


def test_a_rule_that_let_nothing_in_or_out_cannot_be_chosen(browser, workspace):
    root, path = workspace / "sets" / "toy", workspace / "page.html"
    write_version(root, [row("A (bow.")], [refused("A bow.", "generic")], {"dataset": "toy"})
    flagged = [row("A (bow.", flags=("brackets",))]
    write_version(root, flagged, [refused("A bow.", "generic")], {"dataset": "toy"})
    assert main(["v1", "v2", "--html", str(path)]) == 0
    with watched_page(browser) as page:
        page.goto(path.as_uri())
        for name in ("generic", "brackets"):
            assert page.get_by_role("button", name=name).is_disabled()
        cells = page.locator("#rules tr", has_text="brackets").locator("td").all_inner_texts()
    assert cells[:6] == ["–", "–", "–", "–", "–", "1"]


def test_a_class_can_be_linked_to(page):
    page.locator("article h3 a", has_text="archery").click()
    assert page.url.endswith("#class=archery")
    assert page.evaluate("document.querySelector(':target')?.id") == "class=archery"
