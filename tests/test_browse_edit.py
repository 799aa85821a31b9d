"""Editing in a real browser, and the other places where a page is found: versions, sets, a file."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from browse_world import browsing, serving, the_workspace
from browser import open_browser, watched_page
from playwright.sync_api import Browser, Locator, Page, expect

from describe.browse import main
from describe.dataset import write_version
from describe.edit_apply import apply_edits
from describe.edits import Edit, append_edit, read_edits
from describe.rows import Description, Rejected
from describe.versions import read_rejected, read_version

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
STAIRS = "One hand rests on the metal railing of a narrow staircase."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return the_workspace(tmp_path_factory)


@pytest.fixture(scope="module")
def browser(made: Path) -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@contextmanager
def editing(browser: Browser, home: Path) -> Iterator[Page]:
    """Open a page whose edits go to `home`."""
    with serving(home, "hmdb51") as address, watched_page(browser, viewport=DESK) as page:
        page.goto(address)
        yield page


@pytest.fixture
def home(made: Path, workspace: Path) -> Path:
    return Path(shutil.copytree(made, workspace))


def sentence(page: Page, text: str) -> Locator:
    return page.locator("#list").get_by_role("link", name=text, exact=True)


def test_a_sentence_is_rejected_rewritten_and_taken_back(browser, home):
    with editing(browser, home) as page:
        sentence(page, STAIRS).click()
        page.get_by_role("button", name="Reject", exact=True).click()
        page.get_by_label("Reason").fill("any staircase")
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_have_text("Saved.")
        expect(page.locator("#verdict")).to_contain_text("Rejected by a person")
        expect(page.locator("#drawer .history")).to_contain_text("reject: any staircase")
        page.keyboard.press("Escape")
        banner = page.locator("#banner")
        expect(banner).to_contain_text("1 edited sentence on top of v1")
        expect(banner.locator("code")).to_have_text("python -m describe --dataset hmdb51 --edits")
        item = page.locator("li.is-rejected", has_text=STAIRS)
        expect(item.locator(".chip.edit")).to_have_text("edited: rejected")
        chip = item.locator(".chip.edit").bounding_box()
        assert chip
        assert chip["height"] < 30
        expect(page.locator("#states label", has_text="Edited")).to_have_text("Edited1")
        page.locator("#states").get_by_label("Edited").check()
        assert page.locator("#status").inner_text() == "1 of 12 classes, 1 sentence"

        sentence(page, STAIRS).click()
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#verdict")).to_have_text("Kept")
        expect(page.locator("#undo")).to_have_count(0)
        page.get_by_role("button", name="Rewrite").click()
        page.get_by_label("New sentence").fill("A hand  grips the\nrailing.")
        page.get_by_role("button", name="Rewrite it").click()
        expect(page.locator("#drawer-title")).to_have_text("A hand grips the railing.")
        expect(page.locator("#verdict")).to_have_text("Rewritten by a person")
        page.reload()
        expect(page.locator("#drawer-title")).to_have_text("A hand grips the railing.")
        stored = [(edit.action, edit.new_text, edit.reason) for edit in read_edits("hmdb51")]
    assert stored == [
        ("reject", "", "any staircase"),
        ("undo", "", ""),
        ("rewrite", "A hand grips the railing.", ""),
    ]


def test_a_rejected_sentence_is_kept_by_hand(browser, home):
    with editing(browser, home) as page:
        text = "It is a joyful activity that builds confidence."
        sentence(page, text).click()
        page.get_by_role("button", name="Keep", exact=True).click()
        page.get_by_role("button", name="Keep it").click()
        expect(page.locator("#verdict")).to_contain_text("Kept by a person")
        assert [edit.action for edit in read_edits("hmdb51")] == ["keep"]
        expect(page.locator("#undo")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#undo")).to_have_count(0)
        assert [edit.action for edit in read_edits("hmdb51")] == ["keep", "undo"]
        expect(page.locator("#banner")).to_be_hidden()


def test_a_doubt_of_the_rules_is_said_and_the_edit_stands(browser, home):
    with editing(browser, home) as page:
        sentence(page, STAIRS).click()
        page.get_by_role("button", name="Rewrite").click()
        page.get_by_label("New sentence").fill("Stairs.")
        page.get_by_role("button", name="Rewrite it").click()
        expect(page.locator("#said")).to_have_text(
            "Saved. A rule would reject it: it has too few words."
        )
        assert len(read_edits("hmdb51")) == 1


def test_an_edit_that_nobody_takes_is_said_to_be_lost(browser, home):
    with serving(home, "hmdb51") as address, browser.new_context() as context:
        page = context.new_page()
        page.goto(address.partition("#")[0])  # without the token
        sentence(page, STAIRS).click()
        page.get_by_role("button", name="Reject", exact=True).click()
        page.get_by_role("button", name="Reject it").click()
        expect(page.locator("#said")).to_contain_text("Not saved: this page belongs to another")
    assert read_edits("hmdb51") == []


def test_a_server_that_is_gone_is_said_to_be(browser, home):
    with browser.new_context() as context:
        page = context.new_page()
        with browsing(home, "hmdb51") as address:
            page.goto(address)
        sentence(page, STAIRS).click()
        page.get_by_role("button", name="Reject", exact=True).click()
        page.get_by_role("button", name="Reject it").click()
        expect(page.locator("#said")).to_contain_text("the server does not answer; start it again")


def _slot(row: Description) -> tuple[str, str]:
    return row.class_name, row.kind


def test_the_page_and_the_command_agree_on_what_edits_do(browser, home):
    # Chains of edits are followed twice, here in the page and there in Python.
    rows = {row.text: row for row in read_version(home / "sets/hmdb51").rows}
    texts = list(rows)
    script = [
        (texts[0], "reject", ""),
        (texts[1], "rewrite", "A first new sentence is here."),
        ("A first new sentence is here.", "rewrite", "A second new sentence is here."),
        (texts[2], "rewrite", "A third new sentence is here."),
        ("A third new sentence is here.", "reject", ""),
        (texts[3], "rewrite", "A fourth new sentence is here."),
        (texts[3], "keep", ""),
    ]
    root = home / "sets/hmdb51"
    # Class by class: a sentence that others fill in for, and one that becomes another's repeat.
    surplus = next(row for row in read_rejected(root) if row.rule == "surplus")
    full = [row for row in rows.values() if (row.class_name, row.kind) == _slot(surplus)]
    golf = [row.text for row in rows.values() if _slot(row) == ("golf", "spatial")]
    script += [(full[0].text, "reject", ""), (golf[0], "rewrite", golf[1])]
    owner = {text: rows[text] for text, _, _ in script if text in rows}
    owner |= {new: owner[text] for text, action, new in script[1:2]}
    owner |= {script[3][2]: rows[texts[2]]}
    for number, (text, action, new) in enumerate(script):
        row = owner[text]
        append_edit(
            "hmdb51",
            Edit(
                edited_at=f"2026-01-01T00:00:0{number}Z",
                dataset="hmdb51",
                version="v1",
                class_name=row.class_name,
                kind=row.kind,
                text=text,
                action=action,
                new_text=new,
            ),
        )
    applied = apply_edits(
        read_version(root).rows, read_rejected(root), read_edits("hmdb51"), wanted=3
    )
    with editing(browser, home) as page:
        shown = page.evaluate(
            "rows.filter((row) => row.kept).map((row) => [row.owner.name, row.kind, row.now])"
        )
    assert applied.done["promoted"] == 1
    kept = {(*_slot(row), row.text) for row in applied.kept}
    assert sorted(map(tuple, shown)) == sorted(kept)
    assert (rows[texts[1]].class_name, rows[texts[1]].kind, script[2][2]) in kept


def test_a_repeat_of_a_rewritten_sentence_is_not_rewritten_too(browser, workspace):
    row = Description(
        class_id=0,
        class_name="archery",
        readable_name="archery",
        group="",
        kind="spatial",
        step=0,
        text="A bow is drawn.",
        num_tokens=7,
    )
    values = {name: getattr(row, name) for name in Description.__dataclass_fields__}
    repeat = Rejected(**values, rule="repeat", detail=row.text)
    write_version(workspace / "sets/hmdb51", [row], [repeat], {"dataset": "hmdb51"})
    with editing(browser, workspace) as page:
        page.locator("ol .sentence").click()
        page.get_by_role("button", name="Rewrite").click()
        page.get_by_label("New sentence").fill("Two arms draw a long bow.")
        page.get_by_role("button", name="Rewrite it").click()
        expect(page.locator("#said")).to_have_text("Saved.")
        assert page.locator(".origin dd").nth(2).inner_text() == "9"  # tokens, not the old one's 7
        page.get_by_role("button", name="Close").click()
        expect(page.locator(".kinds .sentence")).to_have_text(
            ["Two arms draw a long bow.", "A bow is drawn."]
        )
        expect(page.locator("#banner")).to_contain_text("1 edited sentence on top of v1")


def test_the_version_that_edits_are_applied_to_is_named(browser, home):
    root = home / "sets/hmdb51"
    row = read_version(root).rows[0]
    write_version(root, [row], [], {"dataset": "hmdb51", "edits": {"base": "v1"}})
    with editing(browser, home) as page:
        page.locator(".sentence").click()
        page.get_by_role("button", name="Reject", exact=True).click()
        page.get_by_role("button", name="Reject it").click()
        expect(page.locator("#banner")).to_contain_text(
            "1 edited sentence on top of v2. "
            "A version is made of all edits and v1, the newest that no edit has touched:"
        )


# --- several versions, several sets, and a page in a file


def test_another_version_is_a_choice_away(browser, home):
    row = read_version(home / "sets/hmdb51").rows[0]
    write_version(home / "sets/hmdb51", [row], [], {"dataset": "hmdb51"})
    with editing(browser, home) as page:
        assert page.locator("#status").inner_text() == "1 class, 1 sentence"
        page.get_by_label("Version").select_option("v1")
        expect(page.locator("#status")).to_have_text("12 classes, 101 sentences")
        assert "/set/hmdb51/v1" in page.url


def test_of_several_sets_one_is_chosen_and_can_be_edited(browser, home):
    shutil.copytree(home / "sets/hmdb51", home / "sets/a b")
    with serving(home) as address, watched_page(browser) as page:
        page.goto(address)
        assert page.locator("h2").all_inner_texts() == ["a b", "hmdb51"]
        page.get_by_role("link", name="hmdb51").click()
        sentence(page, STAIRS).click()
        page.get_by_role("button", name="Reject", exact=True).click()
        page.get_by_role("button", name="Reject it").click()
        expect(page.locator("#said")).to_have_text("Saved.")
        page.get_by_role("button", name="Close").click()
        page.get_by_role("link", name="All sets").click()
        page.get_by_role("link", name="a b").click()
        expect(page.locator("#status")).to_have_text("12 classes, 101 sentences")


def test_a_page_in_a_file_needs_no_server_and_is_not_edited(browser, home, tmp_path):
    path = tmp_path / "page.html"
    assert main(["--html", str(path)]) == 0
    shutil.rmtree(home)
    with watched_page(browser, viewport=DESK) as page:
        page.goto(path.as_uri())
        page.get_by_label("Search sentences and classes").fill("railing")
        expect(page.locator("#status")).to_have_text("1 of 12 classes, 1 sentence")
        sentence(page, STAIRS).click()
        drawer = page.get_by_role("dialog")
        assert "Action: climb stairs" in drawer.inner_text()
        assert "To edit, open the set with python -m describe.browse hmdb51." in drawer.inner_text()
        assert page.get_by_role("button", name="Reject").count() == 0
        link = page.url
        page.goto("about:blank")
        page.goto(link)
        expect(page.locator("#drawer-title")).to_have_text(STAIRS)


def test_a_reply_that_is_elsewhere_is_said_to_be(browser, home, tmp_path):
    shutil.rmtree(home / "replies")
    main(["--html", str(tmp_path / "page.html")])
    with watched_page(browser) as page:
        page.goto((tmp_path / "page.html").as_uri())
        sentence(page, STAIRS).click()
        assert "are not in this workspace" in page.get_by_role("dialog").inner_text()


def test_hostile_sentences_show_and_do_nothing(browser, workspace, tmp_path):  # failure 29
    texts = [
        "</script><script>window.ran = 1</script>",
        '<img src=x onerror="window.ran = 1">',
        "**bold** [link](javascript:window.ran=1)",
        "w" * 400,
        "\u202eרצים אל הים",
        "🤸🏽\u200d♀️ İstanbul ﬁx",
    ]
    row = Description(
        class_id=0,
        class_name="<b>archery</b>",
        readable_name='"><img src=x onerror=window.ran=1>',
        group="",
        kind="spatial",
        step=0,
        text="",
        num_tokens=7,
    )
    kept = [replace(row, step=step, text=text) for step, text in enumerate(texts)]
    values = {name: getattr(row, name) for name in Description.__dataclass_fields__}
    rejected = [
        Rejected(**values | {"text": text}, rule="<i>rule</i>", detail="<u>saw</u>")
        for text in texts
    ]
    write_version(workspace / "sets/toy", kept, rejected, {"dataset": "toy"})
    main(["--html", str(tmp_path / "page.html")])
    with watched_page(browser, viewport=PHONE) as page:
        page.goto((tmp_path / "page.html").as_uri())
        shown = [text.replace("\u202e", "\\u202e") for text in texts]
        assert page.locator("ol .sentence").all_text_contents() == shown
        page.get_by_label("Search sentences and classes").fill("i")
        expect(page.locator("#list mark").first).to_be_visible()
        page.locator(".sentence").first.click()
        assert page.evaluate("window.ran") is None
        assert page.locator("main img, main b, main script, #drawer img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
