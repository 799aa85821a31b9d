"""What is typed is not lost: drafts, places in the list, other windows, a browser that forbids."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browse_world import serving, the_workspace
from browser import open_browser, watched_page
from playwright.sync_api import Browser, Locator, Page, expect

from describe.edits import read_edits

DESK = {"width": 1280, "height": 900}
STAIRS = "One hand rests on the metal railing of a narrow staircase."
WORDS = "A hand grips the railing."
FORBID_STORAGE = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("forbidden", "SecurityError"); } });"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return the_workspace(tmp_path_factory)


@pytest.fixture(scope="module")
def browser(made: Path) -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def address(made: Path, workspace: Path) -> Iterator[str]:
    shutil.copytree(made, workspace)
    with serving(workspace, "hmdb51") as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with watched_page(browser, viewport=DESK) as page:
        page.goto(address)
        yield page


def sentence(page: Page, text: str) -> Locator:
    return page.locator("#list").get_by_role("link", name=text, exact=True)


def reject(page: Page) -> None:
    page.get_by_role("button", name="Reject", exact=True).click()
    page.get_by_role("button", name="Reject it").click()


def test_a_draft_outlasts_the_drawer(page):
    sentence(page, STAIRS).click()
    page.get_by_role("button", name="Rewrite").click()
    page.get_by_label("New sentence").fill(WORDS)
    page.get_by_label("Reason").fill("shorter")
    page.keyboard.press("Escape")
    item = page.locator("li", has_text=STAIRS)
    expect(item.locator(".chip.doubt")).to_have_text("draft, not saved")
    sentence(page, STAIRS).click()
    expect(page.locator("#said")).to_have_text("Not saved yet.")
    page.get_by_role("button", name="Next sentence").click()
    expect(page.locator("#edit-form form")).to_have_count(0)
    page.get_by_role("button", name="Previous sentence").click()
    expect(page.get_by_label("New sentence")).to_have_value(WORDS)
    expect(page.get_by_label("Reason")).to_have_value("shorter")
    page.get_by_role("button", name="Rewrite it").click()
    expect(page.locator("#said")).to_have_text("Saved.")
    page.keyboard.press("Escape")
    expect(page.locator(".chip", has_text="draft")).to_have_count(0)
    assert [edit.new_text for edit in read_edits("hmdb51")] == [WORDS]


def test_only_the_backdrop_closes_the_drawer(page):
    sentence(page, STAIRS).click()
    drawer = page.get_by_role("dialog")
    box = drawer.bounding_box()
    assert box
    page.mouse.click(box["x"] + 8, 400)  # the padding
    expect(drawer).to_be_visible()
    page.mouse.move(box["x"] + 60, 60)
    page.mouse.down()
    page.mouse.move(200, 60)  # a selection that is dragged out
    page.mouse.up()
    expect(drawer).to_be_visible()
    page.mouse.click(200, 400)
    expect(drawer).to_be_hidden()


def test_the_next_sentence_follows_one_that_the_filter_hides_by_now(page):
    page.locator("#states").get_by_label("Rejected").check()
    texts = page.locator(".sentence").all_text_contents()
    sentence(page, texts[3]).click()
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("#said")).to_have_text("Saved.")
    page.get_by_role("button", name="Next sentence").click()
    expect(page.locator("#drawer-title")).to_have_text(texts[4])
    page.get_by_role("button", name="Previous sentence").click()
    expect(page.locator("#drawer-title")).to_have_text(texts[2])


def test_an_edit_made_in_another_window_is_not_overruled_unseen(page, address):
    other = page.context.new_page()
    other.goto(address)
    sentence(other, STAIRS).click()
    reject(other)
    expect(other.locator("#said")).to_have_text("Saved.")
    next_one = "A man in a grey coat stands halfway up a flight of stone steps."
    sentence(page, next_one).click()
    reject(page)
    expect(page.locator("#said")).to_have_text("Saved.")
    page.keyboard.press("Escape")
    item = page.locator("li.is-rejected", has_text=STAIRS)
    expect(item.locator(".chip.edit")).to_have_text("edited: rejected")  # the other window's
    other.keyboard.press("Escape")
    sentence(other, next_one).click()
    reject(other)
    expect(other.locator("#said")).to_contain_text("Not saved: this sentence was edited elsewhere")
    assert len(read_edits("hmdb51")) == 2


def test_a_browser_that_stores_nothing_can_edit(browser, made, workspace):
    shutil.copytree(made, workspace)
    with serving(workspace) as address, watched_page(browser, viewport=DESK) as page:
        page.add_init_script(FORBID_STORAGE)
        page.goto(address)
        page.get_by_role("link", name="hmdb51").click()
        sentence(page, STAIRS).click()
        reject(page)
        expect(page.locator("#said")).to_have_text("Saved.")
