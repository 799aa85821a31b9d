"""A real Chromium, headless, and pages in it that are watched for complaints.

    @pytest.fixture(scope="module")
    def browser():
        with open_browser() as browser:
            yield browser

While it is open, `asyncio.run` does not work in the thread that opened it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 6_000.0  # what nothing here needs; a test that hangs says so
LOCAL = {"127.0.0.1", "localhost"}


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Open Chromium with a new, empty profile; without one the test is skipped, save in CI."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs a browser: install chromium")
        pytest.skip("no browser: chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a page, and see at the end that it complained of nothing and asked nobody outside.

    Args:
        browser: From `open_browser`.
        options: Of Playwright's `new_context`: viewport, color_scheme, ...
    """
    complaints: list[str] = []
    with browser.new_context(**options) as context:
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("console", lambda said: _note(complaints, said.type, said.text))
        page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda request: _note_outsider(complaints, request.url))
        yield page
    assert complaints == []


def _note(complaints: list[str], kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        complaints.append(f"{kind}: {text}")


def _note_outsider(complaints: list[str], url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in LOCAL:
        complaints.append(f"asked outside: {url}")
