"""From replies to a set: which sentences fill a class, which do not, and what is still missing."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from describe.classes import ActionClass
from describe.config import Config
from describe.parse import ParsedReply, parse_reply
from describe.prompts import Ask
from describe.request import Kind, Reply
from describe.rules import Sentence, Verdict, judge

# Reason of a sentence that no rule rejects, but that its class no longer needs.
SURPLUS = "surplus"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A sentence of a reply, judged."""

    ask: Ask
    position: int
    """Place in its reply, from 0: the order of temporal steps."""

    text: str
    repairs: tuple[str, ...]
    verdict: Verdict


@dataclass(kw_only=True)
class Slot:
    """One class and kind: what was asked for it, and what came of that."""

    action: ActionClass
    kind: Kind
    asks: list[Ask] = field(default_factory=list)
    kept: list[Candidate] = field(default_factory=list)
    rejected: list[Candidate] = field(default_factory=list)
    hopeless: bool = False
    """A request failed in a way that another sample would fail in, too."""

    @property
    def name(self) -> str:
        """The class and kind, for a message."""
        return f"{self.action.readable} ({self.kind})"

    def confusable(self) -> str:
        """Readable name of the class this one's sentences collided with most often, or ''."""
        named = Counter(
            candidate.verdict.confusable
            for candidate in self.rejected
            if candidate.verdict.confusable
        )
        return named.most_common(1)[0][0] if named else ""


def fill(
    config: Config,
    slots: Sequence[Slot],
    find_reply: Callable[[Ask], Reply | None],
    frames: Mapping[Kind, str],
) -> None:
    """Judge every stored reply, and give each slot its sentences. Sends nothing.

    Args:
        config: The run: its rules, and how many sentences were asked for.
        slots: The classes and kinds, in the order of the class list; changed in place.
        find_reply: Looks a reply up; None: there is none.
        frames: The prompts around the class name, by kind.
    """
    parse = cache(lambda text: parse_reply(text, expected=config.num_sentences))
    found: list[tuple[Slot, Ask, int, str, ParsedReply]] = []
    for slot in slots:
        for ask in slot.asks:
            reply = find_reply(ask)
            if reply is None:
                continue
            parsed = parse(reply.text)
            for position, text in enumerate(parsed.sentences):
                found.append((slot, ask, position, text, parsed))
    verdicts = judge(
        [_sentence(slot, text, frames[slot.kind]) for slot, _, _, text, _ in found], config.rules
    )
    judged: dict[int, list[Candidate]] = {id(slot): [] for slot in slots}
    for (slot, ask, position, text, parsed), verdict in zip(found, verdicts, strict=True):
        judged[id(slot)].append(
            Candidate(
                ask=ask,
                position=position,
                text=text,
                repairs=parsed.repairs,
                verdict=verdict,
            )
        )
    for slot in slots:
        _choose(slot, judged[id(slot)], config.num_descriptions)


def _sentence(slot: Slot, text: str, prompt: str) -> Sentence:
    return Sentence(
        class_id=slot.action.class_id,
        class_name=slot.action.name,
        readable=slot.action.readable,
        kind=slot.kind,
        text=text,
        prompt=prompt,
    )


def _choose(slot: Slot, candidates: Iterable[Candidate], num_descriptions: int) -> None:
    """Fill a slot: steps whose place is still free first, then in the order of asking."""
    good: list[Candidate] = []
    slot.rejected = []
    for candidate in candidates:
        (good if candidate.verdict.rule is None else slot.rejected).append(candidate)
    if slot.kind == "temporal":
        seen: Counter[int] = Counter()
        rank = []
        for candidate in good:
            rank.append(seen[candidate.position])
            seen[candidate.position] += 1
        good = [good[i] for i in sorted(range(len(good)), key=lambda i: (rank[i], i))]
    chosen, surplus = good[:num_descriptions], good[num_descriptions:]
    if slot.kind == "temporal":
        chosen.sort(key=lambda candidate: (candidate.position, candidate.ask.sample))
    slot.kept = chosen
    slot.rejected += [_as_surplus(candidate) for candidate in surplus]


def _as_surplus(candidate: Candidate) -> Candidate:
    return Candidate(
        ask=candidate.ask,
        position=candidate.position,
        text=candidate.text,
        repairs=candidate.repairs,
        verdict=Verdict(rule=SURPLUS, detail="the class had enough", flags=candidate.verdict.flags),
    )


def first_sight(
    config: Config, ask: Ask, reply: Reply, frames: Mapping[Kind, str]
) -> tuple[int, int]:
    """Return how many sentences of one reply pass the rules by themselves, and how many not.

    For the progress line: repeats across replies are only seen once all are there.
    """
    slot = Slot(action=ask.action, kind=ask.kind)
    texts = parse_reply(reply.text, expected=config.num_sentences).sentences
    verdicts = judge([_sentence(slot, text, frames[ask.kind]) for text in texts], config.rules)
    kept = sum(verdict.rule is None for verdict in verdicts)
    return kept, len(verdicts) - kept


def rejected_by_rule(slots: Iterable[Slot]) -> Mapping[str, int]:
    """Count the rejected sentences by rule, most frequent first."""
    counts = Counter(candidate.verdict.rule or "" for slot in slots for candidate in slot.rejected)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
