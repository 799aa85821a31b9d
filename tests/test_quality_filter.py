"""What the text tower makes of descriptions, and what becomes of each."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from adapt.quality_config import FilterConfig
from adapt.quality_filter import choose
from adapt.quality_scores import PEER_SHARE, TextScores, score_texts
from describe.classes import load_classes
from describe.dataset import Description
from describe.errors import UserError

TEXT = FilterConfig(filter="text")
CLASSES = ("climb", "dive", "juggle")


def row(class_name="climb", kind="spatial", step=0, flags=()):
    return Description(
        class_id=CLASSES.index(class_name), class_name=class_name, readable_name=class_name,
        group="", kind=kind, step=step, text=f"{class_name} {kind} {step}", num_tokens=8,
        flags=flags,
    )  # fmt: skip


def scores(own, other, repeats=None):
    own, other = torch.tensor(own), torch.tensor(other)
    classes = torch.ones(len(own), dtype=torch.int64)
    return TextScores(own=own, next=other, next_class=classes, repeats=repeats or {})


def world(num_classes=5, each=4, seed=0):
    """Embeddings that have much in common, then something of their class, then of their own."""
    generator = torch.Generator().manual_seed(seed)
    common = 4 * torch.randn(16, generator=generator)
    prompts = common + torch.randn(num_classes, 16, generator=generator)
    owners = torch.arange(num_classes).repeat_interleave(each)
    texts = prompts[owners] + 0.4 * torch.randn(len(owners), 16, generator=generator)
    kinds = torch.arange(each).repeat(num_classes) % 2
    return texts, owners, kinds, prompts


def test_scores_are_those_of_a_plain_loop():
    texts, owners, kinds, prompts = world()
    found = score_texts(texts, owners, kinds, prompts, max_similarity=0.98)

    def centred(x):
        unit = F.normalize(x, dim=-1)
        return F.normalize(unit - unit.mean(dim=0), dim=-1)

    rows, names = centred(texts), centred(prompts)
    for i in range(len(rows)):
        cosines = []
        for label in range(len(names)):
            peers = [rows[j] for j in range(len(rows)) if owners[j] == label and j != i]
            anchor = names[label] + PEER_SHARE * torch.stack(peers).mean(dim=0)
            cosines.append(float(F.cosine_similarity(rows[i], anchor, dim=0)))
        own = cosines.pop(owners[i])
        assert float(found.own[i]) == pytest.approx(own, abs=1e-5)
        assert float(found.next[i]) == pytest.approx(max(cosines), abs=1e-5)
        assert float(found.margin[i]) == pytest.approx(own - max(cosines), abs=1e-5)


def test_a_sentence_does_not_vouch_for_itself():
    texts, owners, kinds, prompts = world()
    texts[0] = prompts[3] * 2  # a stray in class 0
    found = score_texts(texts, owners, kinds, prompts, max_similarity=0.98)
    assert int(found.next_class[0]) == 3
    assert found.margin[0] < -0.5 < found.margin[1:].min()


def test_a_class_whose_sentences_are_all_another_classs_is_seen():
    texts, owners, kinds, prompts = world(num_classes=8)
    swapped = texts.clone()
    swapped[:4], swapped[4:8] = texts[4:8], texts[:4]
    found = score_texts(swapped, owners, kinds, prompts, max_similarity=0.98)
    assert found.next_class[:8].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert found.margin[:8].max() < found.margin[8:].min()


def test_the_length_of_an_embedding_and_what_all_have_in_common_do_not_count():
    texts, owners, kinds, prompts = world()
    first = score_texts(texts, owners, kinds, prompts, max_similarity=0.98)
    longer = score_texts(3 * texts, owners, kinds, prompts / 2, max_similarity=0.98)
    torch.testing.assert_close(longer.margin, first.margin)


def test_repeats_are_looked_for_within_a_class_and_kind_only():
    texts, owners, kinds, prompts = world(num_classes=3)
    # Class 0 has kinds 0 1 0 1. Its third repeats its first; its fourth the first of class 1.
    texts[2], texts[3], texts[5] = texts[0], texts[4], texts[4]
    found = score_texts(texts, owners, kinds, prompts, max_similarity=0.98)
    assert {later: [pair[0] for pair in pairs] for later, pairs in found.repeats.items()} == {
        2: [0]
    }
    assert found.repeats[2][0][1] == pytest.approx(1)


def test_one_class_cannot_be_nearer_to_another():
    texts, owners, kinds, prompts = world(num_classes=1)
    with pytest.raises(UserError, match="--filter text compares classes, and there is only one"):
        score_texts(texts, owners, kinds, prompts, max_similarity=0.98)


def test_without_a_filter_all_are_kept():
    rows = [row(flags=("non_visual",)), row(step=1)]
    assert [each.weight for each in choose(rows, FilterConfig())] == [1, 1]


def test_rules_drop_what_a_rule_had_a_doubt_about():
    rows = [row(flags=("non_visual", "short")), row(step=1), row(kind="temporal")]
    judged = choose(rows, FilterConfig(filter="rules"))
    assert [each.kept for each in judged] == [False, True, True]
    assert (judged[0].reason, judged[0].why) == ("flagged", "flagged: non_visual, short")


def test_text_drops_what_is_nearer_to_another_class():
    rows = [row(step=step) for step in range(3)]
    judged = choose(rows, TEXT, scores([0.5, 0.1, 0.4], [0.2, 0.5, 0.6]), CLASSES)
    assert [each.kept for each in judged] == [True, False, True]  # -0.2 is above -0.3
    assert judged[1].why == "nearer to 'dive' than to its own class, by 0.40"
    assert judged[1].margin == pytest.approx(-0.4)
    strict = choose(rows, replace(TEXT, min_margin=0.4), scores([0.5] * 3, [0.4, 0, 0]), CLASSES)
    assert strict[0].why == "only 0.10 nearer to its own class than to 'dive'"


def test_a_sentence_repeats_only_what_is_kept():
    rows = [row(step=step) for step in range(3)]
    repeats = {1: [(0, 0.99)], 2: [(0, 0.99), (1, 0.995)]}
    judged = choose(rows, TEXT, scores([0.5] * 3, [0.1] * 3, repeats), CLASSES)
    assert [each.reason for each in judged] == ["", "repeats", "repeats"]
    assert judged[2].why == "repeats step 0 (cosine 0.990)"
    stray_first = scores([0.0, 0.5, 0.5], [0.9, 0.1, 0.1], {1: [(0, 0.99)]})
    judged = choose(rows, TEXT, stray_first, CLASSES)
    assert [each.reason for each in judged] == ["other class", "", ""]


def test_no_class_and_kind_is_left_without_any():
    rows = [row(), row(step=1), row("dive"), row("dive", "temporal")]
    judged = choose(rows, TEXT, scores([0.0, 0.1, 0.9, 0.0], [0.9, 0.9, 0.1, 0.9]), CLASSES)
    assert [each.kept for each in judged] == [False, True, True, True]
    assert judged[1].why.endswith("; kept all the same, or its class would have none")
    flagged = [row(flags=("a", "b")), row(step=1, flags=("a",)), row(step=2, flags=("c",))]
    judged = choose(flagged, FilterConfig(filter="rules"))
    assert [each.kept for each in judged] == [
        False,
        True,
        False,
    ]  # the fewest flags, then the first


def test_weights_fall_with_the_margin_and_those_in_no_doubt_keep_theirs():
    rows = [row(step=step) for step in range(4)]
    weighing = replace(TEXT, filter_mode="weight")
    judged = choose(rows, weighing, scores([0.5, -0.31, -0.4, -0.9], [0.0] * 4), CLASSES)
    weights = [each.weight for each in judged]
    assert weights[0] == 1
    assert weights[1] == pytest.approx(1 / (1 + 2.718281828**0.1), abs=1e-4)
    assert 0.5 > weights[1] > weights[2] > weights[3] > 0
    assert all(each.kept for each in judged)


def test_an_exact_repeat_weighs_nothing_and_a_near_one_something():
    rows = [row(step=step) for step in range(3)]
    weighing = replace(TEXT, filter_mode="weight")
    repeats = {1: [(0, 1.0)], 2: [(0, 0.99)]}
    judged = choose(rows, weighing, scores([0.5] * 3, [0.1] * 3, repeats), CLASSES)
    assert [each.weight for each in judged] == pytest.approx([1, 0, 0.5])


def test_the_first_n_of_those_kept_are_used():
    rows = [row(step=step) for step in range(4)]
    config = replace(TEXT, num_descriptions=2)
    judged = choose(rows, config, scores([0.5, 0.0, 0.5, 0.5], [0, 0.9, 0, 0]), CLASSES)
    assert [each.kept for each in judged] == [True, False, True, False]
    assert judged[3].reason == "surplus"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter_mode": "weight"}, "--filter-mode weight needs the scores of --filter text"),
        ({"min_margin": 3.0}, "--min-margin is 3.0; a difference of cosines is in -2 to 2"),
        ({"max_similarity": 0.0}, r"--max-similarity is 0.0; it must be in \(0, 1\]"),
        ({"num_descriptions": 0}, "--num-descriptions is 0; it must be at least 1"),
    ],
)
def test_what_filters_nothing_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        FilterConfig(**options)


def test_a_limit_of_one_repeats_nothing():
    rows = [row(), row(step=1)]
    config = FilterConfig(filter="text", filter_mode="weight", max_similarity=1.0)
    judged = choose(rows, config, scores([0.5] * 2, [0.1] * 2), CLASSES)
    assert [each.weight for each in judged] == [1, 1]


FRAMES = (
    "a video of someone who likes to {}",
    "we see {} in a room, with two hands",
    "first they stand, then {} and rest",
    "{} outdoors on a bright day",
)


def embed(sentences, width=256):
    """Sums of one random vector a word: a text encoder that knows words and nothing else."""
    words = sorted({word for sentence in sentences for word in sentence.split()})
    vectors = torch.randn(len(words), width, generator=torch.Generator().manual_seed(4))
    place = {word: index for index, word in enumerate(words)}
    return torch.stack([vectors[[place[w] for w in s.split()]].sum(dim=0) for s in sentences])


def area_under_curve(good, bad):
    """How often the bad one of a good and a bad one has the lower margin."""
    return float((bad[:, None] < good[None]).float().mean())


@pytest.mark.parametrize(
    ("frames_swapped", "share"), [(1, 1.0), (4, 0.25)], ids=["one of four each", "whole classes"]
)
def test_sentences_of_another_class_have_lower_margins(frames_swapped, share):
    names = [each.readable for each in load_classes("hmdb51").classes]
    count = round(share * len(names))  # these classes give their sentences to the next of them
    speaks_of = names[:]
    speaks_of[:count] = [*names[1:count], names[0]]
    sentences, is_stray = [], []
    for name, other in zip(names, speaks_of, strict=True):
        for index, frame in enumerate(FRAMES):
            is_stray.append(index < frames_swapped and other != name)
            sentences.append(frame.format(other if is_stray[-1] else name))
    embeddings = embed([*sentences, *(f"a video of {name} ." for name in names)])
    owners = torch.arange(len(names)).repeat_interleave(len(FRAMES))
    found = score_texts(
        embeddings[: len(sentences)],
        owners,
        torch.zeros_like(owners),
        embeddings[len(sentences) :],
        max_similarity=0.98,
    )
    stray = torch.tensor(is_stray)
    assert 40 < stray.sum() < 60
    assert area_under_curve(found.margin[~stray], found.margin[stray]) > 0.95
