"""What made a version: its rows, and the manifest that stands beside them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
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
    names = [(each.class_id, each.name, each.readable) for each in listed.classes]
    return {
        "dataset": listed.dataset,
        "classes": {
            "count": len({slot.action.class_id for slot in slots}),
            "total": len(names),
            "subset": config.subset or "",
            "sha256": hashlib.sha256(canonical_json(names).encode()).hexdigest(),
        },
        "model": _model(slots, asker, asking),
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
        "counts": _counts(config, slots, asking),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _fields(config: object) -> list[str]:
    return sorted(vars(config))


def _model(slots: Sequence[Slot], asker: Asker, asking: Asking) -> dict[str, Any]:
    replies = [reply for slot in slots for ask in slot.asks if (reply := asking.find(ask))]
    kept_to = sum(conforms(reply.text, asker.sampling.num_sentences) for reply in replies)
    return {
        "name": asker.sampling.model,
        "revision": asker.sampling.revision,
        "honours_response_format": "response_format" in asker.sampling.body([], 0)
        and 2 * kept_to > len(replies),
        "reported": sorted({reply.model for reply in replies if reply.model}),
        "servers": sorted({reply.server for reply in replies if reply.server}),
    }


def _counts(config: Config, slots: Sequence[Slot], asking: Asking) -> dict[str, Any]:
    asks = {ask.key: ask for slot in slots for ask in slot.asks}
    replies = [reply for ask in asks.values() if (reply := asking.find(ask)) is not None]
    per_slot = -(-config.num_descriptions // config.num_sentences)
    first = {ask.key for slot in slots for ask in slot.asks[:per_slot]}
    flags = Counter(f for slot in slots for c in slot.kept for f in c.verdict.flags)
    repairs = Counter(r for slot in slots for c in (*slot.kept, *slot.rejected) for r in c.repairs)
    return {
        "asked": len(asks),
        "topped_up": len(asks.keys() - first),
        "replied": len(replies),
        "keeping_to_the_schema": sum(conforms(r.text, config.num_sentences) for r in replies),
        "rejected": dict(rejected_by_rule(slots)),
        "flags": dict(sorted(flags.items())),
        "repairs": dict(sorted(repairs.items())),
        "short": {
            slot.name: len(slot.kept) for slot in slots if len(slot.kept) < config.num_descriptions
        },
    }
