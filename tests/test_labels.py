"""The rules against 300 published sentences, labelled by reading them, without sight of the rules.

The author of the rules had not seen the labels either, but had seen the labelling guide.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

import pytest

from describe.audit import audit
from describe.published_files import read_published
from describe.rules import RuleConfig, Verdict

LABELS = json.loads((Path(__file__).parent / "labels" / "published_300.json").read_text())
MOST_FALSE_REJECTIONS = 0.02


@cache
def judged(path: Path) -> dict[tuple[int, int], tuple[str, Verdict]]:
    """(class key, position) to sentence and verdict, for one file judged as a whole."""
    file = read_published(path)
    found, verdicts = {}, iter(audit(file, RuleConfig()).verdicts)
    for key, sentences in enumerate(file.sentences.values()):
        for position, text in enumerate(sentences):
            found[key, position] = (text, next(verdicts))
    assert next(verdicts, None) is None
    return found


@pytest.fixture(scope="module")
def labelled(shared: Path) -> list[tuple[dict, str, Verdict]]:
    rows = []
    for item in LABELS["items"]:
        text, verdict = judged(shared / "descriptions" / item["file"])[
            item["class"], item["position"]
        ]
        assert hashlib.sha256(text.encode()).hexdigest()[:16] == item["sha256"], item
        rows.append((item, text, verdict))
    return rows


def test_there_are_300_labels_and_no_sentence_among_them():
    assert len(LABELS["items"]) == 300
    assert {len(item["sha256"]) for item in LABELS["items"]} == {16}
    allowed = {"file", "class", "position", "sha256", "label", "reason", "borderline", "also"}
    assert all(set(item) <= allowed for item in LABELS["items"])


@pytest.mark.shared
def test_at_most_two_in_a_hundred_good_sentences_are_rejected(labelled):
    good = [(text, verdict) for item, text, verdict in labelled if item["label"] == "good"]
    false = [(text, verdict.rule) for text, verdict in good if verdict.rule]
    assert len(good) > 150
    assert len(false) <= MOST_FALSE_REJECTIONS * len(good), false


@pytest.mark.shared
@pytest.mark.parametrize(
    ("reason", "least"),
    [("bracketed_debris", 0.8), ("too_long", 1.0), ("single_word", 0.95), ("repeat", 0.9)],
)
def test_what_has_a_plain_fault_is_rejected(labelled, reason, least):
    found = [verdict.rule for item, _, verdict in labelled if item["reason"] == reason]
    assert sum(rule is not None for rule in found) >= least * len(found), found
