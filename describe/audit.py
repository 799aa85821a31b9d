"""What is wrong with a published description file: the rules' verdicts, and its known defects.

A rule's count says how often it was the first to fire; a sentence with two faults counts once. A
defect's count says in how many places the file has it, whatever else is wrong there.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from describe.published_files import PublishedFile
from describe.request import Kind
from describe.rules import RULES, RuleConfig, Sentence, Verdict, judge
from describe.rules_sentence import words
from describe.rules_words import UNSEEN
from describe.tokens import num_clip_tokens

_BRACKETED = re.compile(r"(?:\bfollowing step:|\bvideo about)\s*[(\[]")
_LEAKED = re.compile(r"\boutput should be in the following format\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"\w+")

# Beside sounds, smells and feelings, states of mind: a camera sees a face, not determination.
# This is a wide count of words, for comparing files. The rule `not_visual` is narrow: it rejects a
# sentence, and must be right.
_UNSEEN_WORDS = UNSEEN | frozenset(
    """
    focused focusing concentrating concentrated determined confident confidently proud proudly happy
    happily joyful joyfully excited excitedly relaxed calm calmly calming serene energetic
    energetically satisfied passionately tension emotional enjoys enjoy
    sizzling crunching crunchy echoing musical crackling buzzing clinking
    """.split()
)
_MAX_PLACES = 6  # shown in a report; the count is always whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One kind of fault, and where a file has it."""

    name: str
    places: tuple[str, ...]
    """The file's own keys: `174`, or `48 = 50` for a pair. One entry for each fault."""

    total: int
    """How many sentences, or classes, could have it."""

    unit: Literal["sentences", "classes"]

    @property
    def share(self) -> float:
        """Faults by possible ones, in [0, 1]."""
        return len(self.places) / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectRule:
    """How one kind of defect is found."""

    name: str
    unit: Literal["sentences", "classes"]
    find: Callable[[PublishedFile], Iterator[str]]
    """Yields the key of each sentence, or each class, that has the defect."""

    kind: Kind | None = None
    """The only kind of file that is looked at."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All that was found in one file."""

    file: PublishedFile
    verdicts: tuple[Verdict, ...]
    """One for each sentence, in the order of `PublishedFile.items`."""

    defects: tuple[Defect, ...]
    """Those that the file has at all."""

    @property
    def rejected(self) -> Counter[str]:
        """Rule to the number of sentences that it was the first to reject."""
        return Counter(verdict.rule for verdict in self.verdicts if verdict.rule)

    def count(self, defect: str) -> int:
        """Return how often the file has a defect."""
        return sum(len(each.places) for each in self.defects if each.name == defect)


def audit(file: PublishedFile, config: RuleConfig) -> Audit:
    """Judge a file's sentences by the rules, and look for the defects of `DEFECTS`."""
    return Audit(
        file=file,
        verdicts=tuple(judge(list(as_sentences(file)), config)),
        defects=tuple(find_defects(file)),
    )


def as_sentences(file: PublishedFile) -> Iterator[Sentence]:
    """Yield a file's sentences as the rules take them."""
    for action, _, text in file.items():
        yield Sentence(
            class_id=action.class_id,
            class_name=action.name,
            readable=action.readable,
            kind=file.origin.kind,
            text=text,
        )


def find_defects(file: PublishedFile) -> Iterator[Defect]:
    """Yield the defects that a file has."""
    num_sentences = sum(map(len, file.sentences.values()))
    for rule in DEFECTS:
        if rule.kind not in (None, file.origin.kind):
            continue
        places = tuple(rule.find(file))
        if places:
            total = num_sentences if rule.unit == "sentences" else len(file.sentences)
            yield Defect(name=rule.name, places=places, total=total, unit=rule.unit)


def _matching(test: Callable[[str], object]) -> Callable[[PublishedFile], Iterator[str]]:
    """Return a finder of the sentences for which `test` is true."""

    def find(file: PublishedFile) -> Iterator[str]:
        for key, texts in enumerate(file.sentences.values()):
            yield from (str(key) for text in texts if test(text))

    return find


def _joined(file: PublishedFile) -> Iterator[str]:
    for key, texts in enumerate(file.sentences.values()):
        missing = file.origin.count - len(texts)
        if missing and sum(len(_SENTENCE_END.split(text)) - 1 for text in texts) >= missing:
            yield str(key)


def _identical(file: PublishedFile) -> Iterator[str]:
    keys: dict[tuple[str, ...], list[str]] = {}
    for key, texts in enumerate(file.sentences.values()):
        keys.setdefault(texts, []).append(str(key))
    yield from (" = ".join(same) for same in keys.values() if len(same) > 1)


def _run_together(file: PublishedFile) -> Iterator[str]:
    for key, (name, texts) in enumerate(file.sentences.items()):
        # `SkyDiving` has two capitals and is one English word, as its readable name shows.
        if (
            re.search(r"[a-z][A-Z]", name)
            and name.lower() not in file.classes.by_name[name].readable
        ):
            yield from (str(key) for text in texts if name.lower() in text.lower())


def _shared(file: PublishedFile) -> Iterator[str]:
    owners: dict[str, set[int]] = {}
    for key, texts in enumerate(file.sentences.values()):
        for text in texts:
            owners.setdefault(_plain(text), set()).add(key)
    for key, texts in enumerate(file.sentences.values()):
        yield from (str(key) for text in texts if len(owners[_plain(text)]) > 1)


def _plain(text: str) -> str:
    return text.strip().casefold()


DEFECTS: tuple[DefectRule, ...] = (
    DefectRule(name="description in brackets", unit="sentences", find=_matching(_BRACKETED.search)),
    DefectRule(name="leaked instruction", unit="sentences", find=_matching(_LEAKED.search)),
    DefectRule(name="all sentences in one string", unit="classes", find=_joined),
    DefectRule(name="same list as another class", unit="classes", find=_identical),
    DefectRule(
        name='begins "A videos of"',
        unit="sentences",
        find=_matching(lambda text: text.startswith("A videos of ")),
    ),
    DefectRule(name="class name run together", unit="sentences", find=_run_together),
    DefectRule(
        name="a word for what no camera sees",
        unit="sentences",
        find=_matching(lambda text: not _UNSEEN_WORDS.isdisjoint(words(text))),
        kind="spatial",
    ),
    DefectRule(
        name="a single word",
        unit="sentences",
        find=_matching(lambda text: len(_WORD.findall(text)) == 1),
    ),
    DefectRule(name="shared with another class", unit="sentences", find=_shared),
    DefectRule(
        name="longer than the text encoder reads",
        unit="sentences",
        find=_matching(lambda text: num_clip_tokens(text) > RuleConfig.token_budget),
    ),
)


def report(audit: Audit) -> list[str]:
    """Return the lines of a report on one file."""
    origin, total = audit.file.origin, len(audit.verdicts)
    kept = total - audit.rejected.total()
    about = f"{origin.dataset} {origin.part}".strip()
    lines = [
        f"{origin.name}: {origin.source.name}, {origin.kind}, {len(audit.file.sentences)} classes "
        f"of {about}, {origin.count} each",
        f"  {kept} of {total} sentences pass the rules ({kept / total:.1%})",
    ]
    lines += [f"    {count:5}  {rule}" for rule, count in audit.rejected.most_common()]
    return lines + [f"  {_described(defect)}" for defect in audit.defects]


def _described(defect: Defect) -> str:
    places = list(dict.fromkeys(defect.places))
    where = ", ".join(places[:_MAX_PLACES])
    more = f" and {len(places) - _MAX_PLACES} more" if len(places) > _MAX_PLACES else ""
    return (
        f"{defect.name}: {len(defect.places)} of {defect.total} {defect.unit} "
        f"({defect.share:.1%}), at {where}{more}"
    )


def summary(audits: Sequence[Audit]) -> list[str]:
    """Return a table of the rules over all files."""
    total = sum(len(each.verdicts) for each in audits)
    counts = sum((each.rejected for each in audits), Counter[str]())
    meanings: Mapping[str, str] = {rule.name: rule.meaning for rule in RULES}
    width = max(map(len, counts), default=0)
    lines = [f"{len(audits)} files, {total} sentences, {total - counts.total()} pass the rules"]
    return lines + [
        f"  {rule:<{width}}  {count:6}  {count / total:6.1%}  {meanings.get(rule, '')}"
        for rule, count in counts.most_common()
    ]
