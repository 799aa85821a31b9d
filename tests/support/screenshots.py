"""The pictures in docs/images: `python tests/support/screenshots.py` makes them anew."""

import sys
import tempfile
from pathlib import Path

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parent.parent
sys.path[:0] = [str(SUPPORT), str(ROOT)]

from browse_world import browsing, make_set  # noqa: E402
from browser import open_browser, watched_page  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 760}


def shoot(browser: Browser, address: str, folder: Path) -> None:
    """Take every picture of the set at `address`."""
    with watched_page(browser, viewport=DESK) as page:
        page.goto(address)
        page.screenshot(path=folder / "browse.png")
        page.get_by_label("Search sentences and classes").fill("sword")
        page.get_by_text("grips the hilt").click()
        page.get_by_role("button", name="Rewrite").click()
        page.get_by_label("New sentence").fill("A man grips the hilt of a sword at his left hip.")
        page.get_by_label("Reason").fill("the robe is not part of the action")
        page.screenshot(path=folder / "browse_drawer.png")
    with watched_page(browser, viewport=DESK, color_scheme="dark") as page:
        page.goto(address)
        page.get_by_label("shared").check()
        page.screenshot(path=folder / "browse_dark.png")
    with watched_page(browser, viewport=PHONE, device_scale_factor=2, is_mobile=True) as page:
        page.goto(address)
        page.get_by_label("Search sentences and classes").fill("run")
        page.screenshot(path=folder / "browse_phone.png")


def main() -> None:
    """Make the set, serve it, and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_set(home)
        with browsing(home, "hmdb51") as address, open_browser() as browser:
            shoot(browser, address, IMAGES)
    for path in sorted(IMAGES.glob("browse*.png")):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
