"""Which classes a description set hardly tells apart: by sentences in common, and by words."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from describe.rows import Description, Rejected
from describe.rules_sentence import normal_form, stem, unframed

# A word that more than this part of the classes uses says nothing about which are alike.
_COMMON = 0.2
_MIN_COSINE = 0.2
# The rules that reject what several classes were given; others reject "Yes.", wherever it stands.
_RULES_OVER_CLASSES = frozenset({"shared", "identical_list"})
_MOST = 4

_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A class that another one may be taken for."""

    name: str
    """Its official name."""

    shared: int
    """Good sentences that both classes were given, whether or not that was a reason to reject."""

    cosine: float
    """Cosine of the words of what was kept, weighted by rarity (TF-IDF); in [0, 1]."""


def neighbours(
    kept: Sequence[Description], rejected: Sequence[Rejected]
) -> dict[str, list[Neighbour]]:
    """Return for each class its nearest ones, those that share sentences first."""
    sound = [row for row in rejected if row.rule in _RULES_OVER_CLASSES]
    shared = _count_shared((*kept, *sound))
    cosines = _cosines(_vectors(kept))
    found: dict[str, list[Neighbour]] = defaultdict(list)
    for pair in shared.keys() | cosines.keys():
        cosine = min(1.0, round(cosines[pair], 3))
        for one, other in (pair, pair[::-1]):
            if shared[pair] or cosine >= _MIN_COSINE:
                found[one].append(Neighbour(name=other, shared=shared[pair], cosine=cosine))
    return {
        name: sorted(near, key=lambda each: (-each.shared, -each.cosine, each.name))[:_MOST]
        for name, near in found.items()
    }


def _count_shared(rows: Iterable[Description]) -> Counter[_Pair]:
    """Count, for each pair of classes, the sentences of one kind that both hold."""
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        holders[row.kind, normal_form(row.text)].add(row.class_name)
    pairs: Counter[_Pair] = Counter()
    for names in holders.values():
        pairs.update(combinations(sorted(names), 2))
    return pairs


def _vectors(rows: Iterable[Description]) -> dict[str, dict[str, float]]:
    """Return a unit vector of word weights for each class."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[row.class_name].update(map(stem, normal_form(unframed(row.text)).split()))
    holding = Counter(word for words in counts.values() for word in words)
    most = max(2, int(_COMMON * len(counts)))
    return {
        name: _unit(
            {
                word: number * math.log(len(counts) / holding[word])
                for word, number in words.items()
                if holding[word] <= most
            }
        )
        for name, words in counts.items()
    }


def _unit(weights: Mapping[str, float]) -> dict[str, float]:
    norm = math.hypot(*weights.values()) or 1.0
    return {word: weight / norm for word, weight in weights.items()}


def _cosines(vectors: Mapping[str, Mapping[str, float]]) -> defaultdict[_Pair, float]:
    """Return the cosine of each pair that has a word in common, names in order."""
    by_word: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for name in sorted(vectors):
        for word, weight in vectors[name].items():
            by_word[word].append((name, weight))
    cosines: defaultdict[_Pair, float] = defaultdict(float)
    for holders in by_word.values():
        for (one, weight), (other, other_weight) in combinations(holders, 2):
            cosines[one, other] += weight * other_weight
    return cosines
