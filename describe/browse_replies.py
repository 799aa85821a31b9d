"""The requests and replies behind the sentences of a version, for the page that shows them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from describe.cache import Entry, ReplyStore
from describe.request import canonical_json


def stored_replies(home: Path, keys: Iterable[str]) -> dict[str, Any]:
    """Return what the workspace `home` has stored under `keys`, as JSON data.

    Prompts of one version are alike but for their last lines, so every message and every set of
    parameters stands there once, and requests point to them.

    Returns:
        `messages`, `parameters`: the distinct ones; `requests`: by key, those that are stored.
    """
    messages, parameters = _Table(), _Table()
    requests = {}
    for entry in _entries(home, keys):
        body, reply = dict(entry.request.body), entry.reply
        turns = body.pop("messages")
        seed = body.pop("seed", None)
        requests[entry.request.key] = {
            "messages": [[turn["role"], messages.place(str(turn["content"]))] for turn in turns],
            "parameters": parameters.place(canonical_json(body)),
            "seed": seed,
            "revision": entry.request.revision,
            "text": reply.text,
            "finish_reason": reply.finish_reason,
            "model": reply.model,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
        }
    return {"messages": messages.texts, "parameters": parameters.texts, "requests": requests}


def _entries(home: Path, keys: Iterable[str]) -> Iterable[Entry]:
    folder = home / "replies"
    if not (folder / "cache.db").is_file():
        return  # nothing was ever stored here, and looking is no reason to make a store
    with ReplyStore(folder) as store:
        for key in keys:
            entry = store.entry(key)
            if entry is not None:
                yield entry


class _Table:
    """Distinct texts, in the order in which they came."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    @property
    def texts(self) -> list[str]:
        return list(self._places)

    def place(self, text: str) -> int:
        """Return the index of `text`, adding it when it is new."""
        return self._places.setdefault(text, len(self._places))
