"""What made a version: its rows, and the manifest that stands beside them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from describe.asking import Asking
from describe.classes import ClassList
from describe.config import Config
from describe.prompts import Asker, conforms
from describe.request import canonical_json
from describe.rows import Description, Rejected
from describe.rules import RULES
from describe.selection import SURPLUS, Candidate, Slot, rejected_by_rule
from describe.tokens import num_clip_tokens

# Libraries that shape the bytes of a version.
LIBRARIES = ("instant-clip-tokenizer", "jinja2", "pyarrow")


def descriptions(slots: Iterable[Slot], asker: Asker) -> Iterator[Description]:
    """Yield the rows of what was kept."""
    for slot in slots:
        for step, candidate in enumerate(slot.kept):
            yield Description(**_row(slot, step, candidate, asker))


def rejections(slots: Iterable[Slot], asker: Asker) -> Iterator[Rejected]:
    """Yield the rows of what was not; `step` is the place in its reply."""
    for slot in slots:
        for candidate in slot.rejected:
            verdict = candidate.verdict
            yield Rejected(
                **_row(slot, candidate.position, candidate, asker),
                rule=verdict.rule or "",
                detail=verdict.detail,
            )


def _row(slot: Slot, step: int, candidate: Candidate, asker: Asker) -> dict[str, Any]:
    return {
        "class_id": slot.action.class_id,
        "class_name": slot.action.name,
        "readable_name": slot.action.readable,
        "group": slot.action.group or "",
        "kind": slot.kind,
        "step": step,
        "text": candidate.text,
        "num_tokens": num_clip_tokens(candidate.text),
        "flags": candidate.verdict.flags,
        "repairs": candidate.repairs,
        "model": asker.sampling.model,
        "prompt_version": asker.prompts.version,
        "request_key": candidate.ask.key,
        "sample": candidate.ask.sample,
    }


def manifest(
    config: Config, listed: ClassList, asker: Asker, slots: Sequence[Slot], asking: Asking
) -> dict[str, Any]:
    """Return what made the rows, and nothing of how the run went: same replies, same bytes."""
    sampling = asker.sampling
    sums = _sum_replies(config, slots, asking)
    names = [(each.class_id, each.name, each.readable) for each in listed.classes]
    return {
        "dataset": listed.dataset,
        "classes": {
            "count": len({slot.action.class_id for slot in slots}),
            "total": len(names),
            "subset": config.subset or "",
            "sha256": hashlib.sha256(canonical_json(names).encode()).hexdigest(),
        },
        "model": _model(asker, sums),
        "sampling": {
            "num_descriptions": config.num_descriptions,
            "rounds": config.rounds,
            **{k: v for k, v in sampling.body([], 0).items() if k not in ("messages", "model")},
        },
        "prompts": {
            "version": asker.prompts.version,
            "sha256": asker.prompts.hash,
            "files": {
                name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "text": text}
                for name, text in asker.prompts.sources.items()
            },
        },
        "rules": {
            "config": {name: getattr(config.rules, name) for name in _fields(config.rules)},
            "meanings": {rule.name: rule.meaning for rule in RULES}
            | {SURPLUS: "good, but the class had as many as were asked for"},
        },
        "counts": _counts(config, slots, sums),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _fields(config: object) -> list[str]:
    return sorted(vars(config))


@dataclass(kw_only=True)
class _Replies:
    """Sums over the replies behind the rows, taken one reply at a time."""

    asked: int = 0
    replied: int = 0
    conforming: int = 0
    reported: set[str] = field(default_factory=set)
    servers: set[str] = field(default_factory=set)


def _sum_replies(config: Config, slots: Sequence[Slot], asking: Asking) -> _Replies:
    sums, seen = _Replies(), set()
    for ask in (ask for slot in slots for ask in slot.asks):
        if ask.key in seen:
            continue
        seen.add(ask.key)
        sums.asked += 1
        reply = asking.find(ask)
        if reply is not None:
            sums.replied += 1
            sums.conforming += conforms(reply.text, config.num_sentences)
            sums.reported |= {reply.model} - {""}
            sums.servers |= {reply.server} - {""}
    return sums


def _model(asker: Asker, sums: _Replies) -> dict[str, Any]:
    is_asked_for = "response_format" in asker.sampling.body([], 0)
    return {
        "name": asker.sampling.model,
        "revision": asker.sampling.revision,
        "honours_response_format": is_asked_for and 2 * sums.conforming > sums.replied,
        "reported": sorted(sums.reported),
        "servers": sorted(sums.servers),
    }


def _counts(config: Config, slots: Sequence[Slot], sums: _Replies) -> dict[str, Any]:
    first = {ask.key for slot in slots for ask in slot.asks[: config.requests_a_slot]}
    flags = Counter(f for slot in slots for c in slot.kept for f in c.verdict.flags)
    repairs = Counter(r for slot in slots for c in (*slot.kept, *slot.rejected) for r in c.repairs)
    return {
        "asked": sums.asked,
        "topped_up": sums.asked - len(first),
        "replied": sums.replied,
        "keeping_to_the_schema": sums.conforming,
        "rejected": dict(rejected_by_rule(slots)),
        "flags": dict(sorted(flags.items())),
        "repairs": dict(sorted(repairs.items())),
        "short": {
            slot.name: len(slot.kept) for slot in slots if len(slot.kept) < config.num_descriptions
        },
    }
