"""Rules over many sentences: repeats in one class, and what several classes share."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from describe.request import Kind
from describe.rules_sentence import Sentence, normal_form, stem, unframed

_Group = tuple[int, Kind]

# Two sentences that differ in one of these say different things, however much they share.
_CONTRASTS = frozenset(
    """
    left right up down upward upwards downward downwards in out inward outward forward forwards
    backward backwards back front first second third fourth last next one two three four open close
    raise lower push pull on off over under above below before after top bottom start stop begin end
    large larger small smaller long longer short shorter high higher low fast slow inhale exhale
    lift put take away toward towards opposite other clockwise counterclockwise same different with
    without not no upper inner outer left-hand right-hand
    """.split()
)
_NEAR_REPEAT = 0.8
_MIN_NEAR_WORDS = 5  # below this, one word is too much of the sentence
_SMALL_WORDS = frozenset("a an the of to and is are its their his her".split())


def shared_lists(sentences: Sequence[Sentence]) -> Iterator[tuple[int, int]]:
    """Yield (sentence, a sentence of a class with the same list), for all in such lists.

    The order of a list does not count, nor do case and punctuation. A list of one is no list.
    """
    groups: dict[_Group, list[int]] = defaultdict(list)
    for index, sentence in enumerate(sentences):
        groups[sentence.class_id, sentence.kind].append(index)
    twins: dict[tuple[Kind, tuple[str, ...]], list[list[int]]] = defaultdict(list)
    for (_, kind), members in groups.items():
        forms = sorted(normal_form(sentences[member].text) for member in members)
        twins[kind, tuple(forms)].append(members)
    for lists in twins.values():
        if len(lists) == 1 or len(lists[0]) == 1:
            continue
        for members in lists:
            other = lists[1] if members is lists[0] else lists[0]
            yield from ((member, other[0]) for member in members)


def repeats(sentences: Sequence[Sentence], kept: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield (later sentence, the earlier one it repeats) within a class and kind."""
    groups: dict[_Group, list[int]] = defaultdict(list)
    for index in kept:
        groups[sentences[index].class_id, sentences[index].kind].append(index)
    for members in groups.values():
        stems = {member: _telling_stems(sentences[member].text) for member in members}
        repeated: set[int] = set()
        for earlier, later in combinations(members, 2):
            if earlier in repeated or later in repeated:
                continue
            if _says_the_same(stems[earlier], stems[later]):
                repeated.add(later)
                yield later, earlier


def shared_sentences(
    sentences: Sequence[Sentence], kept: Iterable[int]
) -> Iterator[tuple[int, int]]:
    """Yield (sentence, the same sentence in another class), for all that share it."""
    by_text: dict[tuple[Kind, str], list[int]] = defaultdict(list)
    for index in kept:
        by_text[sentences[index].kind, normal_form(sentences[index].text)].append(index)
    for members in by_text.values():
        first = sentences[members[0]].class_id
        stranger = next((m for m in members if sentences[m].class_id != first), None)
        if stranger is not None:
            for member in members:
                yield member, stranger if sentences[member].class_id == first else members[0]


def _telling_stems(text: str) -> tuple[str, ...]:
    found = [word for word in normal_form(unframed(text)).split() if word not in _SMALL_WORDS]
    return tuple(word if word in _CONTRASTS else stem(word) for word in found)


def _says_the_same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two sentences differ in small words only, or in few that do not matter."""
    if one == other:
        return True
    if min(len(one), len(other)) < _MIN_NEAR_WORDS:
        return False
    first, second = frozenset(one), frozenset(other)
    different = first ^ second
    if not different or not different.isdisjoint(_CONTRASTS) or any(map(str.isdigit, different)):
        return False  # the same words in another order may say the opposite
    return len(first & second) >= _NEAR_REPEAT * len(first | second)
