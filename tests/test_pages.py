"""A page is one file that shows any text, runs only our scripts, and can reach nothing."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import open_browser, watched_page

from describe.pages import ASSETS, render_page

HOSTILE = {
    "closes the block": "</script><script>window.ran = 1</script>",
    "opens a comment": "<!-- <script> -->",
    "image": '<img src=x onerror="window.ran = 1">',
    "svg": "<svg/onload=window.ran=1>",
    "markdown": "**bold** [link](javascript:window.ran=1) `code`",
    "entities": "&lt;b&gt; &amp; &#x3c;script&#x3e;",
    "a very long word": "w" * 5000,
    "right to left": "\u202eרצים \u05d0\u05d1\u05d2 يركض",
    "emoji": "🤸🏽\u200d♀️ cartwheel",
    "line separators": "one\u2028two\u2029three\x00\x1b[31m",
    "half a surrogate pair": "cut \ud83d here",
    "quotes": "\"double\" 'single' \\u003c \\",
}


class Blocks(HTMLParser):
    """The scripts and styles of a page, as a parser of HTML sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.blocks: list[tuple[str, dict[str, str | None], str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.blocks.append((tag, dict(attrs), ""))

    def handle_data(self, data):
        if self.lasttag in ("script", "style") and self.blocks:
            tag, attrs, text = self.blocks[-1]
            self.blocks[-1] = (tag, attrs, text + data)

    def handle_endtag(self, tag):
        self.lasttag = ""


@pytest.fixture
def assets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Assets that show every text of the data as a paragraph."""
    (tmp_path / "show.html").write_text('<main id="main"></main>')
    (tmp_path / "show.css").write_text("p { overflow-wrap: anywhere; }")
    (tmp_path / "show.js").write_text(
        "const read = (id) => JSON.parse(document.getElementById(id).textContent);\n"
        'for (const text of read("data")) {\n'
        '  const p = document.createElement("p");\n'
        "  p.textContent = text;\n"
        '  document.getElementById("main").append(p);\n'
        "}\n"
    )
    monkeypatch.setattr("describe.pages.ASSETS", tmp_path)
    return tmp_path


def show(data: object, **options: object) -> str:
    return render_page(
        "Title", "show.html", data, scripts=["show.js"], styles=["show.css"], **options
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_data_come_back_as_they_were_and_end_no_block(name, assets):  # failure 29
    text = HOSTILE[name]
    page = show({"text": text})
    (data,) = [text for _, attrs, text in Blocks(page).blocks if attrs.get("id") == "data"]
    assert json.loads(data) == {"text": text}
    assert not re.search("[<>&\u2028\u2029]", data)
    page.encode()  # is UTF-8, whatever the text


def test_a_title_is_text(assets):
    page = render_page("</title><b>", "show.html", [], scripts=[], styles=[])
    assert "<title>&lt;/title&gt;&lt;b&gt;</title>" in page


def test_the_policy_names_each_script_and_style_by_hash_and_nothing_else(assets):
    page = show([])
    found = Blocks(page)
    (policy,) = [a["content"] for t, a in found.tags if a.get("http-equiv")]
    rules = dict(rule.split(" ", 1) for rule in (policy or "").split("; "))
    code = {t: text for t, attrs, text in found.blocks if "type" not in attrs}
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(hashlib.sha256(code[tag].encode()).digest()).decode()
        assert rules.pop(rule) == f"'sha256-{digest}'"
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_only_a_page_that_asks_for_it_may_talk_to_its_server(assets):
    assert "connect-src" not in show([])
    assert "connect-src 'self'" in show([], connects=True)


def test_data_for_later_stand_in_blocks_of_their_own(assets):
    found = Blocks(show([], later={"replies": {"text": "</script>"}}))
    blocks = {attrs.get("id"): text for _, attrs, text in found.blocks}
    assert json.loads(blocks["replies"]) == {"text": "</script>"}


@pytest.mark.parametrize("name", sorted(path.name for path in ASSETS.glob("*.js")))
def test_no_script_of_ours_makes_markup_or_code_of_text(name):
    text = (ASSETS / name).read_text(encoding="utf-8")
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser"
    assert not re.search(unsafe, text)


@pytest.mark.parametrize("path", sorted(ASSETS.iterdir()), ids=lambda path: path.name)
def test_no_asset_names_another_place(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:https?:)?//[a-z]|@import|url\(", text.replace("// ", ""))


def test_a_browser_shows_hostile_text_and_runs_none_of_it(assets, tmp_path):  # failure 29
    path = tmp_path / "page.html"
    texts = [text.replace("\x00", "") for text in HOSTILE.values()]
    path.write_text(show(texts), encoding="utf-8")
    with open_browser() as browser, watched_page(browser) as page:
        page.goto(path.as_uri())
        shown = page.locator("p").evaluate_all("all => all.map(each => each.textContent)")
        assert len(shown) == len(texts)
        assert shown[2] == HOSTILE["image"]
        assert page.locator("p *").count() == 0
        assert page.evaluate("window.ran") is None
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_script_that_is_not_ours_does_not_run_and_nothing_is_fetched(assets, tmp_path):
    # The policy holds even if escaping were to fail one day: markup put straight into the page.
    (assets / "show.html").write_text(
        '<main id="main"></main><script>window.ran = 1</script><img src="http://127.0.0.1:9/x.png">'
    )
    path = tmp_path / "page.html"
    path.write_text(show(["text"]), encoding="utf-8")
    said: list[str] = []
    with open_browser() as browser, browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.goto(path.as_uri())
        assert page.locator("p").inner_text() == "text"
        assert page.evaluate("window.ran") is None
    assert len([text for text in said if "Content Security Policy" in text]) == 2
