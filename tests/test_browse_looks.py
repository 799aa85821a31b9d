"""Anyone can read the page: contrast in both themes, a phone's width, names for a screen reader."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browse_world import browsing, serving, the_workspace
from browser import open_browser, watched_page
from playwright.sync_api import Browser, Page, expect

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}

# Every visible text with its colour over what lies behind it, as [text, ratio, least ratio]: the
# formula of WCAG 2.2 (relative luminance), 4.5 for text and 3 for large text.
CONTRASTS = """() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], under) =>
    [r, g, b].map((part, i) => part * a + under[i] * (1 - a));
  const light = (part) => part <= 10.31475 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = (c) => 0.2126 * light(c[0]) + 0.7152 * light(c[1]) + 0.0722 * light(c[2]);
  const behind = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      layers.push(parse(getComputedStyle(each).backgroundColor));
      if (layers.at(-1).length < 4 || each.matches("dialog")) break;
    }
    return layers.reverse().reduce((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const found = [];
  const root = document.querySelector("dialog[open]") || document.body;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest("script")) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const [one, other] = [luminance(over(parse(style.color), back)), luminance(back)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    found.push([node.data.trim().slice(0, 60), ratio, isLarge ? 3 : 4.5]);
  }
  return found;
}"""

UNNAMED = """() => [...document.querySelectorAll("button, input, select, textarea, a[href]")]
  .filter((each) => each.checkVisibility())
  .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim()
    || [...(each.labels || [])].some((label) => label.textContent.trim())))
  .map((each) => each.outerHTML)"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return the_workspace(tmp_path_factory)


@pytest.fixture(scope="module")
def browser(home: Path) -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with browsing(home) as address:
        yield address


def open_drawer(page: Page) -> None:
    page.locator(".is-rejected .sentence").first.click()
    page.get_by_role("button", name="Rewrite").click()


def poor_contrasts(page: Page) -> list[Any]:
    found = page.evaluate(CONTRASTS)
    assert len(found) > 10
    return [each for each in found if each[1] < each[2]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_stands_out(theme, browser, address):
    with watched_page(browser, viewport=DESK, color_scheme=theme) as page:
        page.goto(address)
        expect(page.locator("article .kinds")).to_have_count(12)
        assert poor_contrasts(page) == []
        page.get_by_label("Search sentences and classes").fill("climb")
        expect(page.locator("#list mark").first).to_be_visible()
        assert poor_contrasts(page) == []
        page.keyboard.press("Escape")
        open_drawer(page)
        assert poor_contrasts(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Keys").click()
        assert poor_contrasts(page) == []


def test_poor_contrast_would_show(browser, address):
    with watched_page(browser, viewport=DESK) as page:
        page.goto(address)
        page.evaluate("document.documentElement.style.setProperty('--soft', '#8a8a8a')")
        assert poor_contrasts(page) != []


def test_the_theme_follows_the_system_until_one_is_chosen(browser, address):
    paper = "getComputedStyle(document.body).backgroundColor"
    with watched_page(browser, color_scheme="dark") as page:
        page.goto(address)
        dark = page.evaluate(paper)
        page.emulate_media(color_scheme="light")
        light = page.evaluate(paper)
        assert dark != light
        page.get_by_role("button", name="Dark theme").click()
        assert page.evaluate(paper) == dark
        page.reload()
        assert page.evaluate(paper) == dark
        page.get_by_role("button", name="Light theme").click()
        assert page.evaluate(paper) == light


def test_a_phone_shows_all_of_it_without_scrolling_sideways(browser, address):
    with watched_page(browser, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        page.goto(address)
        fits = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(fits)
        expect(page.get_by_label("Order")).to_be_hidden()
        page.get_by_text("Filters", exact=True).tap()
        page.get_by_label("shared").check()
        assert page.evaluate(fits)
        page.locator(".sentence").first.tap()
        box = page.get_by_role("dialog").bounding_box()
        assert box
        assert box["width"] == PHONE["width"]
        assert page.evaluate(fits)


# Pairs of texts and controls in the head that overlap, and what is cut by the window or its box.
CROWDED = """() => {
  const parts = [...document.querySelectorAll(
    "#all-sets, #title, #version, #about, #funnel li, #open-help, #theme, #query")]
    .filter((each) => each.checkVisibility());
  const boxes = parts.map((each) => each.getBoundingClientRect());
  const found = [];
  parts.forEach((each, i) => {
    const box = boxes[i];
    if (box.left < 0 || box.right > innerWidth || each.scrollWidth > each.clientWidth + 1
      && getComputedStyle(each).display !== "inline") found.push(`${each.id} is cut`);
    boxes.slice(0, i).forEach((other, j) => {
      if (box.left < other.right && other.left < box.right && box.top < other.bottom
        && other.top < box.bottom) found.push(`${each.id} overlaps ${parts[j].id}`);
    });
  });
  return found;
}"""


@pytest.mark.parametrize("name", ["hmdb51", "published/hmdb51"])
def test_nothing_in_the_head_overlaps_or_is_cut_at_any_width(name, browser, home, tmp_path):
    for place in ("sets", "published"):
        shutil.copytree(home / "sets/hmdb51", tmp_path / place / "hmdb51")
    with serving(tmp_path) as address, watched_page(browser) as page:
        page.goto(f"{address.partition('#')[0]}set/{name}/-")
        expect(page.get_by_role("link", name="All sets")).to_be_visible()
        crowded = {}
        for width in (320, 390, 600, 768, 880, 900, 1000, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            if found := page.evaluate(CROWDED):
                crowded[width] = found
        assert crowded == {}


def test_a_screen_reader_finds_its_way(browser, address):
    with watched_page(browser, viewport=DESK) as page:
        page.goto(address)
        for role in ("banner", "search", "main", "status"):
            expect(page.get_by_role(role)).to_have_count(1)
        assert page.get_by_role("heading", level=1).inner_text() == "hmdb51"
        expect(page.get_by_role("heading", level=2)).to_have_count(12)
        expect(page.get_by_role("article", name="back handspring")).to_have_count(1)
        for legend in ("Kind", "State", "Rejected or flagged by"):
            expect(page.get_by_role("group", name=legend)).to_have_count(1)
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate("document.documentElement.lang") == "en"
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
        assert len(ids) == len(set(ids))
        open_drawer(page)
        assert page.get_by_role("dialog").get_attribute("aria-labelledby") == "drawer-title"
        assert page.evaluate(UNNAMED) == []
        expect(page.get_by_label("New sentence")).to_be_focused()


def test_the_first_stop_of_the_tab_key_skips_to_the_classes(browser, address):
    with watched_page(browser, viewport=DESK) as page:
        page.goto(address.partition("#")[0])
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the classes")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("main")).to_be_focused()
        assert page.locator("#status").inner_text() == "12 classes, 101 sentences"


def test_the_focus_stays_in_the_open_drawer(browser, address):
    with watched_page(browser, viewport=DESK) as page:
        page.goto(address)
        open_drawer(page)
        for _ in range(30):
            page.keyboard.press("Tab")
            inside = "document.activeElement === document.body || " + (
                "document.activeElement.closest('dialog') !== null"
            )
            assert page.evaluate(inside)
