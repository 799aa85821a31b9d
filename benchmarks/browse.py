"""The browser page with 600 classes of 16 sentences: how soon it opens, how soon search answers."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any
from urllib.request import urlopen

SUPPORT = Path(__file__).parent.parent / "tests" / "support"
sys.path[:0] = [str(SUPPORT), str(SUPPORT.parent.parent)]

from browser import open_browser  # noqa: E402
from measure import HEADER, Figure, load, machine  # noqa: E402
from scripted_server import sentence  # noqa: E402

from describe.browse_server import BrowseServer  # noqa: E402
from describe.browse_sets import SetFolder  # noqa: E402
from describe.cache import ReplyStore  # noqa: E402
from describe.classes import load_classes  # noqa: E402
from describe.dataset import write_version  # noqa: E402
from describe.request import KINDS, Reply, Request  # noqa: E402
from describe.rows import Description, Rejected  # noqa: E402

NUM_DESCRIPTIONS = 8  # of each kind, so 16 a class
NUM_REJECTED = 2  # of each kind besides
TYPED = "red jacket"

# From navigation to the frame after the list was drawn, and from a key to the frame after it.
OPENED = (
    "() => new Promise(r => requestAnimationFrame(() => setTimeout(() => r(performance.now()))))"
)
TYPE = """text => new Promise(resolve => {
  const field = document.getElementById("query");
  const began = performance.now();
  field.value = text;
  field.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(
    () => resolve(performance.now() - began))));
})"""
IDLE = """() => new Promise(resolve => {
  const began = performance.now();
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(
    () => resolve(performance.now() - began))));
})"""


def make_set(home: Path) -> SetFolder:
    """Write a set of the classes of k600, with the replies that its rows lead back to."""
    kept: list[Description] = []
    rejected: list[Rejected] = []
    system = "You write captions for short silent videos of human actions. " * 12
    with ReplyStore(home / "replies") as store:
        for action in load_classes("k600").classes:
            for kind in KINDS:
                texts = [
                    sentence(f"{action.name} {kind} {i}")
                    for i in range(NUM_DESCRIPTIONS + NUM_REJECTED)
                ]
                prompt = f"Write {len(texts)} {kind} sentences. Action: {action.readable}"
                turns = [("system", system), ("user", prompt)]
                messages = [{"role": role, "content": text} for role, text in turns]
                request = Request(body={"model": "m", "messages": messages, "seed": 0})
                store.put(request, Reply(text=json.dumps({"sentences": texts}), model="m"), {})
                for step, text in enumerate(texts):
                    row: dict[str, Any] = {
                        "class_id": action.class_id,
                        "class_name": action.name,
                        "readable_name": action.readable,
                        "group": "",
                        "kind": kind,
                        "step": step,
                        "text": text,
                        "num_tokens": 18,
                        "model": "m",
                        "prompt_version": "v1",
                        "request_key": request.key,
                    }
                    if step < NUM_DESCRIPTIONS:
                        kept.append(Description(**row))
                    else:
                        rejected.append(Rejected(**row, rule="generic", detail="it was made so"))
    root = home / "sets" / "k600"
    write_version(root, kept, rejected, {"dataset": "k600", "classes": {"count": 600}})
    return SetFolder(name="k600", root=root)


def figures(repeats: int = 3) -> Iterator[Figure]:
    """Measure the page in Chromium, served as it is to a person."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DESCRIBE_HOME"] = folder
        home = Path(folder)
        found = make_set(home)
        with BrowseServer([found], home) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            address = server.address(found).partition("#")[0]
            first_s, size = _fetch(address)
            again_s = [_fetch(address)[0] for _ in range(repeats)]
            opened, typed, idle = _in_browser(address, repeats)
            server.shutdown()
    yield Figure(
        name="the page of 600 classes x 16 sentences: opens",
        values=[ms / 1000 for ms in opened],
        at_most=1.0,
        unit=" s",
        detail=f"{size / 1e6:.1f} MB; of it, the server takes {median(again_s):.2f} s "
        f"({first_s:.2f} s the first time)",
    )
    yield Figure(
        name="search answers, from the key to the frame with the result",
        values=typed,
        at_most=100.0,
        unit=" ms",
        detail=f"median of {len(TYPED)} keys each; two frames without a key: {median(idle):.0f} ms",
    )


def _fetch(address: str) -> tuple[float, int]:
    began = time.perf_counter()
    with urlopen(address) as response:
        size = len(response.read())
    return time.perf_counter() - began, size


def _in_browser(
    address: str, repeats: int
) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    opened, typed, idle = [], [], []
    with open_browser() as browser:
        for _ in range(repeats):
            with browser.new_context(viewport={"width": 1360, "height": 900}) as context:
                page = context.new_page()
                page.goto(address, wait_until="domcontentloaded")
                opened.append(page.evaluate(OPENED))
                assert page.locator("article").count() == 600
                idle.append(page.evaluate(IDLE))
                keys = [page.evaluate(TYPE, TYPED[: n + 1]) for n in range(len(TYPED))]
                typed.append(median(keys))
                assert 0 < page.locator("article").count() < 600
    return opened, typed, idle


if __name__ == "__main__":
    print(f"{machine()}\n{load()}\n\n{HEADER}")
    for figure in figures():
        print(figure.row())
