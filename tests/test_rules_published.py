"""The rules on real sentences: the known defects of published files, found as verdicts."""

import json
from collections import Counter

import pytest

from describe.classes import load_classes
from describe.rules import RuleConfig, Sentence, judge

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def judged(shared):
    """Judge one file of the MSTA authors; return (class index, verdict) pairs."""

    def judge_file(file, dataset):
        lists = json.loads((shared / "descriptions" / "msta" / f"{file}.json").read_text())
        classes = load_classes(dataset).classes
        kind = "spatial" if "_s_" in file else "temporal"
        sentences = [
            Sentence(
                class_id=int(key),
                class_name=classes[int(key)].name,
                readable=classes[int(key)].readable,
                kind=kind,
                text=text,
            )
            for key, texts in lists.items()
            for text in texts
        ]
        verdicts = judge(sentences, RuleConfig())
        return [(s.class_id, verdict) for s, verdict in zip(sentences, verdicts, strict=True)]

    return judge_file


@pytest.mark.parametrize(
    ("file", "dataset", "rule", "count"),
    [
        ("8_t_description_k400", "k400", "brackets", 1_688),
        ("4_t_description_k400", "k400", "brackets", 352),
        ("8_s_description_hmdb", "hmdb51", "leaked_instruction", 8),
        ("8_s_description_k400", "k400", "leaked_instruction", 8),
        ("8_s_description_k600", "k600", "leaked_instruction", 24),
        ("8_s_description_ssv2", "ssv2", "leaked_instruction", 8),
        ("4_s_description_ssv2", "ssv2", "leaked_instruction", 1),
        ("8_s_description_k400", "k400", "several_sentences", 1),
    ],
)
def test_the_known_defects_are_rejected_for_their_reason(judged, file, dataset, rule, count):
    verdicts = [verdict for _, verdict in judged(file, dataset)]
    assert Counter(verdict.rule for verdict in verdicts)[rule] == count


@pytest.mark.parametrize(
    ("file", "dataset", "twins"),
    [
        ("2_s_description_k400", "k400", {48, 50}),
        ("2_s_description_k600", "k600", {76, 78, 232, 582}),
        ("2_s_description_ssv2", "ssv2", {22, 122, 105, 112}),
        ("4_s_description_ssv2", "ssv2", {59, 61}),
    ],
)
def test_classes_with_one_list_are_rejected_whole(judged, file, dataset, twins):
    found = judged(file, dataset)
    assert {key for key, verdict in found if verdict.rule == "identical_list"} == twins
    assert all(verdict.rule for key, verdict in found if key in twins)


@pytest.mark.parametrize(
    ("file", "dataset"), [("8_s_description_k400", "k400"), ("8_s_description_k600", "k600")]
)
def test_only_the_worst_of_the_unseen_are_rejected(judged, file, dataset):
    # Of the 11-14% that speak of something unseen, most show something besides: those are kept.
    rejected = [verdict.rule == "not_visual" for _, verdict in judged(file, dataset)]
    assert 0.02 < sum(rejected) / len(rejected) < 0.06
