"""The rules together: their order, their limits, and what they find between sentences."""

import inspect
import random
from dataclasses import replace

import pytest

from describe.errors import UserError
from describe.rules import FLAGS, RULES, RuleConfig, Sentence, judge

S, T = "spatial", "temporal"


def sentence(class_id, text, kind=S, name=None):
    name = name or f"class {class_id}"
    return Sentence(class_id=class_id, class_name=name, readable=name, kind=kind, text=text)


def rules_of(sentences, config=None):
    return [verdict.rule for verdict in judge(sentences, config or RuleConfig())]


def test_names_are_unique_and_every_rule_says_what_it_means():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(rule.meaning and not rule.meaning.endswith(".") for rule in RULES)
    assert not set(FLAGS) & {"", None}


def test_every_rule_is_a_documented_function_or_looks_at_many():
    alone = [rule for rule in RULES if rule.check]
    assert {rule.name for rule in RULES if not rule.check} == {
        "identical_list",
        "repeat",
        "shared",
    }
    assert all(rule.check.__name__ == rule.name and inspect.getdoc(rule.check) for rule in alone)


def test_nothing_gets_no_verdict():
    assert judge([], RuleConfig()) == []


def test_verdicts_keep_the_order_of_the_sentences():
    texts = [
        "A hand holds a cup.",
        "hand",
        "A red cup stands on a shelf.",
        "I cannot help with it.",
    ]
    assert rules_of([sentence(0, text) for text in texts]) == [None, "too_short", None, "refusal"]


def test_the_first_rule_in_the_table_is_the_reason():
    text = "1. (As an AI, I cannot) {cls}\u200b"  # invisible, refusal, template, numbering
    assert rules_of([sentence(0, text)]) == ["control_characters"]
    assert rules_of([sentence(0, text[:-1])]) == ["refusal"]


def test_a_frame_is_no_fault():
    framed = "A video of {} generally involves the following step: {}, which is a sub-step."
    texts = [framed.format("class 0", step) for step in ("lifting a cup", "tilting the cup back")]
    spatial = ["A video about climbers on a wall.", "A video about a rope in a ring."]
    sentences = [sentence(0, text, T) for text in texts] + [sentence(0, t) for t in spatial]
    assert rules_of(sentences) == [None] * 4


def test_the_class_name_inside_a_frame_is_no_debris():
    frame = "A video of {} generally involves the following step: {}, which is a sub-step."
    for name in (
        "shoot goal (soccer)",
        "turn [a] page",
        'say "hello"',
        "tying knot (not on a tie)",
    ):
        assert rules_of([sentence(0, frame.format(name, "kicking a ball"), T, name)]) == [None], (
            name
        )


def test_a_later_repeat_in_a_class_is_rejected_and_the_first_kept():
    sentences = [
        sentence(0, "A red cup stands on a shelf."),
        sentence(0, "a red cup stands on the shelf"),
        sentence(0, "A blue cup stands on a shelf."),
    ]
    verdicts = judge(sentences, RuleConfig())
    assert [verdict.rule for verdict in verdicts] == [None, "repeat", None]
    assert verdicts[1].detail == "A red cup stands on a shelf."
    assert verdicts[1].confusable is None


@pytest.mark.parametrize(
    ("one", "other", "is_repeat"),
    [
        (
            "A man lifts a heavy log onto a truck.",
            "The man lifts a heavy log onto his truck!",
            True,
        ),
        (
            "The hands press a thin wet cloth flat.",
            "The hand presses a thin, wet cloth flat.",
            True,
        ),
        (
            "The boy throws a small ball high up.",
            "The boy throws a small ball quite high up.",
            True,
        ),
        ("Step aside with the left foot.", "Step aside with the right foot.", False),
        ("The lid of the tall jar is opened.", "The lid of the tall jar is closed.", False),
        ("The first punch lands.", "The second punch lands.", False),
        ("A man in a red hat waves.", "A man in a blue hat waves.", False),
        ("A cup slides from left to right.", "A cup slides from right to left.", False),
        ("A dog bites a man.", "A man bites a dog.", False),
    ],
)
def test_near_repeats_are_told_from_contrasts(one, other, is_repeat):
    found = rules_of([sentence(0, one), sentence(0, other)])
    assert found == [None, "repeat" if is_repeat else None]


def test_the_two_kinds_of_a_class_may_say_the_same():
    text = "A cup is lifted off a shelf."
    assert rules_of([sentence(0, text, S), sentence(0, text, T)]) == [None, None]


def test_a_sentence_of_several_classes_is_rejected_in_all_and_the_other_named():
    sentences = [
        sentence(0, "A ball lies on grass.", name="kick ball"),
        sentence(0, "A foot swings at a ball.", name="kick ball"),
        sentence(1, "A BALL lies on grass", name="throw ball"),
        sentence(1, "An arm swings behind a head.", name="throw ball"),
    ]
    verdicts = judge(sentences, RuleConfig())
    assert [verdict.rule for verdict in verdicts] == ["shared", None, "shared", None]
    assert [verdict.confusable for verdict in verdicts[::2]] == ["throw ball", "kick ball"]


def test_two_classes_with_one_list_are_both_rejected_and_named_to_each_other():
    texts = ["A ball lies on grass.", "A foot swings at a ball."]
    sentences = [sentence(0, text, name="kick") for text in texts]
    sentences += [sentence(1, text.upper(), name="shoot") for text in reversed(texts)]
    sentences += [sentence(2, "An arm swings behind a head.", name="throw")]
    verdicts = judge(sentences, RuleConfig())
    assert [verdict.rule for verdict in verdicts] == ["identical_list"] * 4 + [None]
    assert [verdict.confusable for verdict in verdicts[:4]] == ["shoot"] * 2 + ["kick"] * 2


def test_a_list_of_one_is_shared_and_not_identical():
    sentences = [sentence(index, "A ball lies on grass.") for index in (0, 1)]
    assert rules_of(sentences) == ["shared", "shared"]


def test_a_rejected_sentence_rejects_no_other():
    bad = "A hand is raised above the"
    assert rules_of([sentence(0, bad), sentence(0, bad)]) == ["cut_off", "cut_off"]
    sentences = [sentence(0, "A ball lies on grass."), sentence(0, "a ball lies on grass"),
                 sentence(1, "A bat leans on a wall.")]  # fmt: skip
    assert rules_of(sentences) == [None, "repeat", None]


def test_the_same_sentences_get_the_same_verdicts():
    generator = random.Random(7)
    words = "a the ball hand cup lifts drops red on in (soccer) {cls} sound 1. and".split()
    sentences = [
        sentence(generator.randrange(9), " ".join(generator.choices(words, k=6)), kind)
        for kind in (S, T) * 150
    ]
    first = judge(sentences, RuleConfig())
    assert judge(sentences, RuleConfig()) == first
    assert len({verdict.rule for verdict in first}) > 4


def test_no_text_makes_a_rule_raise():
    generator = random.Random(20261122)
    pieces = ["a", " ", "A video about ", "(", "]", "{", "\x00", "é", "\ud800", "漢", "1. ", "…"]
    pieces += [".", "sound", ", which is a sub-step.", "step:", "\n", "'", '"', "of", "\u200b"]
    for _ in range(3_000):
        text = "".join(generator.choices(pieces, k=generator.randrange(0, 14)))
        prompt = "".join(generator.choices(pieces, k=generator.randrange(0, 30)))
        judge([replace(sentence(0, text, T), prompt=prompt)], RuleConfig())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"min_words": 0}, r"min_words 0 and max_words 40: need 1 <= min_words <= max_words"),
        ({"min_words": 9, "max_words": 8}, r"min_words 9 and max_words 8: need"),
        ({"token_budget": 2}, r"token_budget 2: need at least 3"),
        ({"max_sentences": 0}, r"max_sentences 0: need at least 1"),
        ({"class_name": "never"}, r"class_name 'never': one of allow, flag, reject"),
    ],
)
def test_limits_that_no_sentence_meets_are_refused(limits, message):
    with pytest.raises(UserError, match=message):
        RuleConfig(**limits)
