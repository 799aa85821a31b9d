"""One HTML file that needs nothing else: its data, style and script inside, and no way out.

A Content-Security-Policy names the hash of each script and style of ours and allows nothing more:
nothing is fetched, and no text of a model can run, whatever it holds. The data stand in blocks of
JSON that the scripts read and put into the page as text.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

ASSETS = Path(__file__).parent / "page"
_NONE = "'none'"

# What could end a block of JSON or begin a comment in it; as an escape it is the same JSON.
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='3.5' fill='%232b5f75'/%3E"
    "%3Cpath d='M4 5h8M4 8h8M4 11h5' stroke='white' stroke-width='1.4'/%3E%3C/svg%3E"
)


def render_page(
    title: str,
    template: str,
    data: object,
    *,
    scripts: Sequence[str],
    styles: Sequence[str],
    later: Mapping[str, object] | None = None,
    connects: bool = False,
) -> str:
    """Return a page as one HTML file.

    Args:
        title: Any text; shown in the title bar.
        template: File in `describe/page` with what stands in the body.
        data: JSON data, in `<script type="application/json" id="data">`.
        scripts: Files in `describe/page`, run in this order once body and data are there.
        styles: Files in `describe/page`.
        later: More data by id, each in a block of its own, to be parsed when first needed.
        connects: Whether the page may talk to the server that it came from.
    """
    style_texts = [_asset(name) for name in styles]
    script_texts = [_asset(name) for name in scripts]
    policy = _policy(script_texts, style_texts, connects=connects)
    blocks = [_json_block(name, value) for name, value in {"data": data, **(later or {})}.items()]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{html.escape(title)}</title>",
            f'<link rel="icon" href="{_ICON}">',
            *(f"<style>{text}</style>" for text in style_texts),
            "</head>",
            "<body>",
            _asset(template),
            *blocks,
            *(f"<script>{text}</script>" for text in script_texts),
            "</body>",
            "</html>",
            "",
        ]
    )


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], styles: Sequence[str], *, connects: bool) -> str:
    parts = {
        "default-src": _NONE,
        "script-src": " ".join(map(_source_of, scripts)),
        "style-src": " ".join(map(_source_of, styles)),
        "img-src": "data:",
        "base-uri": _NONE,
        "form-action": _NONE,
    }
    if connects:
        parts["connect-src"] = "'self'"
    return "; ".join(f"{name} {sources or _NONE}" for name, sources in parts.items())


def _source_of(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json_block(name: str, value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    safe = _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return f'<script type="application/json" id="{html.escape(name)}">{safe}</script>'
