"""The page in a real browser: read, search, filter, edit; nobody outside is ever asked."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browse_world import browsing, the_workspace
from browser import open_browser, watched_page
from playwright.sync_api import Browser, Locator, Page, expect

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


@pytest.fixture(scope="module")
def address(made: Path) -> Iterator[str]:
    """Where the set is served to tests that only read."""
    with browsing(made, "hmdb51") as address:
        yield address


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    """One window for all tests that only read."""
    with watched_page(browser, viewport=DESK) as page:
        yield page


@pytest.fixture
def page(window: Page, address: str) -> Page:
    """The set, freshly opened, with nothing remembered."""
    window.goto(address)
    window.evaluate("localStorage.clear()")
    window.goto("about:blank")
    window.goto(address)
    return window


def class_names(page: Page) -> list[str]:
    return page.locator("article h2").all_text_contents()


def sentence(page: Page, text: str) -> Locator:
    return page.locator("#list").get_by_role("link", name=text, exact=True)


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.textContent")


# --- reading


def test_the_worst_class_comes_first(page):
    assert class_names(page)[:4] == ["back handspring", "run", "cartwheel", "walk"]
    assert page.locator("#status").inner_text() == "12 classes, 101 sentences"
    first = page.locator("article").first
    expect(first.locator(".chip.bad").first).to_have_text("2 missing")
    page.get_by_label("Order").select_option("name")
    assert class_names(page) == sorted(class_names(page))
    assert "sort=name" in page.url
    page.get_by_label("Order").select_option("label")
    assert class_names(page)[0] == "brush hair"


def test_the_funnel_says_what_became_of_the_requests(page):
    assert page.locator("#funnel").inner_text().split() == (
        "35 asked 35 replied 101 sentences parsed 70 kept of 72".split()
    )


def test_kinds_stand_side_by_side_with_their_steps_in_order(page):
    card = page.locator("article", has=page.get_by_role("heading", name="drink"))
    expect(card.locator("section")).to_have_count(2)
    spatial, temporal = card.locator("section").all()
    assert temporal.locator("ol .sentence").all_text_contents() == [
        "The hand lifts the glass from the table to the mouth.",
        "The head tilts back and the liquid in the glass sinks.",
        "The empty glass is put down on the table.",
    ]
    one, other = spatial.bounding_box(), temporal.bounding_box()
    assert one
    assert other
    assert one["y"] == other["y"]
    assert one["x"] + one["width"] <= other["x"]


def test_a_rejected_sentence_has_its_reason_beside_it(page):
    item = page.locator("li.is-rejected", has_text="It is a joyful activity")
    chip = item.locator(".chip")
    assert chip.inner_text() == "not visual"
    assert chip.get_attribute("title") == "rejected because it speaks of what no camera sees"
    shared = page.locator("article", has=page.get_by_role("heading", name="run", exact=True))
    assert "shared with walk" in shared.inner_text()


def test_a_class_names_its_neighbours_and_leads_to_them(page):
    run = page.locator("article", has=page.get_by_role("heading", name="run", exact=True))
    near = run.locator(".near")
    assert "3 sentences shared" in near.inner_text()
    near.get_by_role("link", name="walk").click()
    assert focused(page) == "walk"
    assert page.url.endswith("#class=walk")


# --- search and filters


def test_search_answers_as_one_types(page):
    page.keyboard.press("/")
    page.keyboard.type("climb")
    assert page.locator("#status").inner_text() == "2 of 12 classes, 18 sentences"
    page.keyboard.type("er ha")
    assert class_names(page) == ["climb"]
    marks = page.locator("#list mark").all_text_contents()
    assert {mark.lower() for mark in marks} == {"climber", "ha"}
    page.keyboard.press("Escape")
    expect(page.locator("#status")).to_have_text("12 classes, 101 sentences")
    expect(page.get_by_label("Search sentences and classes")).to_have_value("")


def test_words_that_nothing_holds_say_so_and_can_be_cleared(page):
    page.get_by_label("Search sentences and classes").fill("zebra")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.locator("#clear-too").click()
    assert len(class_names(page)) == 12


def test_filters_narrow_each_other(page):
    page.get_by_label("shared").check()
    assert page.locator("#status").inner_text() == "4 of 12 classes, 8 sentences"
    page.get_by_label("Temporal").check()
    assert page.locator("#status").inner_text() == "2 of 12 classes, 6 sentences"
    assert sorted(class_names(page)) == ["run", "walk"]
    assert page.locator("article section").count() == 2
    page.get_by_role("button", name="Clear all filters").click()
    assert page.locator("#status").inner_text() == "12 classes, 101 sentences"
    assert page.get_by_label("Any or none").is_checked()


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("Kept", "12 of 12 classes, 70 sentences"),
        ("Rejected", "8 of 12 classes, 26 sentences"),
        ("Flagged", "1 of 12 classes, 1 sentence"),
        ("Edited", "0 of 12 classes, 0 sentences"),
        ("Short of sentences", "1 of 12 classes, 10 sentences"),
    ],
)
def test_each_state_can_be_picked(state, status, page):
    page.locator("#states").get_by_label(state).check()
    assert page.locator("#status").inner_text() == status


def test_the_filter_stands_in_the_address(page, address):
    page.get_by_label("shared").check()
    page.get_by_label("Search sentences and classes").fill("foot")
    expect(page.locator("#status")).to_have_text("2 of 12 classes, 2 sentences")
    page.reload()
    assert page.locator("#status").inner_text() == "2 of 12 classes, 2 sentences"
    assert page.get_by_label("shared").is_checked()
    assert "token" not in page.url


# --- one sentence


def test_the_drawer_shows_where_a_sentence_comes_from(page):
    sentence(page, "A man in a dark robe grips the hilt of a sword at his left hip.").click()
    drawer = page.get_by_role("dialog")
    expect(drawer).to_be_visible()
    shown = drawer.inner_text()
    assert "scripted-8b-instruct" in shown
    assert re.search(r"d1:[0-9a-f]{64}", shown)
    assert "Action: draw a sword" in shown
    assert drawer.locator("#reply mark").inner_text().startswith("A man in a dark robe")
    drawer.get_by_text("Parameters").click()
    assert '"temperature": 0.7' in drawer.inner_text()
    drawer.get_by_text("9 messages before it").click()
    assert "peel an orange" in drawer.inner_text()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.get_by_role("link", name="A man in a dark robe")).to_be_focused()


def test_the_drawer_names_the_rule_what_it_saw_and_the_repairs(page):
    sentence(page, "It is a joyful activity that builds confidence.").click()
    verdict = page.locator("#verdict").inner_text()
    assert verdict == (
        "Rejected: not visual because it speaks of what no camera sees. "
        "It saw: is a joyful activity"
    )
    page.get_by_role("button", name="Close").click()
    sentence(page, "A flag on a thin pole stands far behind the player.").click()
    assert "plain text, prose around, numbering" in page.get_by_role("dialog").inner_text()


def test_the_keyboard_reaches_everything(page):
    page.keyboard.press("j")
    first = "A gymnast is bent backward in the air with arms reaching for the floor."
    assert focused(page) == first
    page.keyboard.press("j")
    second = focused(page)
    page.keyboard.press("k")
    assert focused(page) == first
    page.keyboard.press("Enter")
    title = page.locator("#drawer-title")
    expect(title).to_have_text(first)
    page.keyboard.press("j")
    expect(title).to_have_text(second)
    page.keyboard.press("Escape")
    expect(sentence(page, second)).to_be_focused()
    page.keyboard.press("J")
    assert focused(page) == "A runner with a number on his shirt leans forward on a red track."
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert focused(page) != second


def test_the_keyboard_walks_through_every_sentence_shown(page):
    page.get_by_label("Order").select_option("label")
    page.locator("#states").get_by_label("Rejected").check()
    walked = []
    for _ in range(26):
        page.keyboard.press("j")
        walked.append(page.evaluate("document.activeElement.id"))
    assert len(set(walked)) == 26
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.id") == walked[-1]


def test_a_link_to_a_sentence_opens_it_again(page, address, browser):
    sentence(page, STAIRS).click()
    link = page.url
    assert "class=climb+stairs&sentence=" in link
    with watched_page(browser, viewport=PHONE) as other:
        other.goto(link)
        expect(other.locator("#drawer-title")).to_have_text(STAIRS)
        assert other.url == link
        other.keyboard.press("Escape")
        expect(sentence(other, STAIRS)).to_be_focused()
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_link_to_what_the_filter_hides_clears_the_filter(page, address):
    sentence(page, STAIRS).click()
    link = page.url
    page.goto(link + "&q=gymnast")
    page.reload()
    expect(page.locator("#drawer-title")).to_have_text(STAIRS)
    assert page.locator("#status").inner_text() == "12 classes, 101 sentences"


def test_a_link_to_nothing_says_so_and_shows_the_list(page):
    page.goto(page.url.split("#")[0] + "#class=nobody&sentence=x&state=none&sort=odd")
    status = page.locator("#status")
    expect(status).to_have_text("v1 has no class nobody. 12 classes, 101 sentences")
    page.goto(page.url.split("#")[0] + "#class=climb&sentence=x")
    expect(status).to_have_text("v1 has no such sentence of climb. 12 classes, 101 sentences")
    page.get_by_label("Order").select_option("name")
    assert status.inner_text() == "12 classes, 101 sentences"


def test_the_last_sentence_is_first_when_going_back(page):
    page.keyboard.press("k")
    last = page.locator("#list article").last.locator(".sentence").last
    assert focused(page) == last.text_content()
