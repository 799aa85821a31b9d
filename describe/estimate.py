"""What a run would send and cost, and why a request is not stored yet."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from describe.cache import Entry, ReplyStore
from describe.request import Request
from describe.terminal import some
from describe.tokens import num_clip_tokens

# Chat templates add about this many tokens a message.
TOKENS_A_MESSAGE = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Sizes of what would be sent. Tokens are counted with CLIP's tokenizer: about 10% off."""

    num_requests: int
    prompt_tokens: int
    max_reply_tokens: int

    def cost(self, price: tuple[float, float]) -> float:
        """Most it can cost, for prices of a million prompt and a million reply tokens."""
        return (self.prompt_tokens * price[0] + self.max_reply_tokens * price[1]) / 1e6


def estimate(requests: Iterable[Request]) -> Estimate:
    """Count requests and their tokens."""
    number = prompt_tokens = reply_tokens = 0
    for request in requests:
        number += 1
        limit = request.body.get("max_tokens") or request.body.get("max_completion_tokens")
        reply_tokens += int(limit or 0)
        for message in request.body["messages"]:
            prompt_tokens += num_clip_tokens(message["content"]) - 2 + TOKENS_A_MESSAGE
    return Estimate(num_requests=number, prompt_tokens=prompt_tokens, max_reply_tokens=reply_tokens)


def flat(data: Any, path: str = "") -> dict[str, Any]:
    """Return nested JSON data as one mapping of `a.b[0].c` to leaf."""
    if isinstance(data, Mapping):
        items = [(f"{path}.{key}" if path else str(key), value) for key, value in data.items()]
    elif isinstance(data, list | tuple):
        items = [(f"{path}[{index}]", value) for index, value in enumerate(data)]
    else:
        return {path: data}
    return {name: leaf for key, value in items for name, leaf in flat(value, key).items()}


def differences(stored: Request, wanted: Request) -> list[str]:
    """Return a line for each field in which two requests differ: `body.seed: 0 -> 1`."""
    old, new = flat(stored.to_json()), flat(wanted.to_json())
    lines = []
    before, after = len(stored.body["messages"]), len(wanted.body["messages"])
    if before != after:
        old, new = (_without_messages(fields) for fields in (old, new))
        change = _change(stored.prompt, wanted.prompt)
        lines.append(f"body.messages: {before} messages, now {after}; the prompt {change}")
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            lines.append(f"{name}: was {_short(old[name])}, now absent")
        elif name not in old:
            lines.append(f"{name}: now {_short(new[name])}, was absent")
        elif old[name] != new[name]:
            lines.append(f"{name}: {_change(old[name], new[name])}")
    return lines


def _without_messages(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: leaf for name, leaf in fields.items() if not name.startswith("body.messages")}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _change(old: Any, new: Any) -> str:
    """The first place where two values differ, with a little of what stands around it."""
    if not (isinstance(old, str) and isinstance(new, str)) or max(len(old), len(new)) <= 40:
        return f"{_short(old)} -> {_short(new)}"
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), None)
    start = min(len(old), len(new)) if start is None else start
    lead = max(0, start - 10)
    return f"at character {start}: {old[lead : start + 25]!r} -> {new[lead : start + 25]!r}"


class Nearest:
    """Finds the stored entry nearest to a request, among those of the same class and kind.

    Args:
        store: All replies; read once.
    """

    def __init__(self, store: ReplyStore) -> None:
        self._by_label: dict[tuple[str, str], list[Entry]] = {}
        for entry in store.entries():
            label = (entry.label.get("class", ""), entry.label.get("kind", ""))
            self._by_label.setdefault(label, []).append(entry)

    def differences(self, class_name: str, kind: str, wanted: Request) -> list[str] | None:
        """Return how `wanted` differs from the nearest stored request; None: nothing is near."""
        found = [
            (differences(entry.request, wanted), entry)
            for entry in self._by_label.get((class_name, kind), ())
        ]
        if not found:
            return None
        return min(found, key=lambda pair: (len(pair[0]), -_likeness(pair[1].request, wanted)))[0]


def _likeness(a: Request, b: Request) -> float:
    return SequenceMatcher(None, a.prompt, b.prompt, autojunk=False).quick_ratio()


def reasons(
    store: ReplyStore, missing: Sequence[tuple[str, str, Request]]
) -> list[tuple[str, list[str]]]:
    """Say why requests are not stored: (reason, the class names it holds for), by frequency.

    Args:
        store: All replies.
        missing: Class name, kind and request of each.
    """
    nearest = Nearest(store)
    why: dict[str, list[str]] = {}
    for class_name, kind, request in missing:
        changed = nearest.differences(class_name, kind, request)
        if changed is None:
            reason = f"{kind}: no reply for this class yet"
        else:
            fields = Counter(line.split(":")[0] for line in changed)
            reason = f"{kind}: changed {', '.join(fields)}"
        why.setdefault(reason, []).append(class_name)
    return sorted(why.items(), key=lambda item: (-len(item[1]), item[0]))


def reason_lines(found: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Return `reasons` as lines of text."""
    return [f"{len(names)} x {reason} ({some(names, 3)})" for reason, names in found]
