"""Numbers against values worked out by hand, plain loops and known tables."""

import math

import numpy as np
import pytest

from adapt.metrics import (
    bootstrap_interval,
    confusion,
    harmonic_mean,
    mcnemar,
    mean_and_std,
    mean_per_class,
    paired_bootstrap,
    per_class,
    predictions,
    ranks,
    top_k,
)

#                     class 0  1    2
SCORES = np.array([
    [0.9, 0.5, 0.1],  # 0 first
    [0.2, 0.3, 0.4],  # 2, 1, 0
    [0.5, 0.5, 0.1],  # a tie of 0 and 1: 0 first
    [0.1, 0.7, 0.7],  # a tie of 1 and 2: 1 first
    [0.3, 0.3, 0.3],  # all alike: 0, 1, 2
], dtype=np.float32)  # fmt: skip
LABELS = np.array([0, 0, 1, 2, 1])


def test_ranks_by_hand():
    assert ranks(SCORES, LABELS).tolist() == [0, 2, 1, 1, 1]


def test_of_equal_scores_the_lowest_label_comes_first():
    alike = np.zeros((4, 4), dtype=np.float32)
    assert ranks(alike, np.arange(4)).tolist() == [0, 1, 2, 3]
    assert predictions(alike).tolist() == [0, 0, 0, 0]
    assert top_k(alike, np.arange(4)) == 25  # a model that tells nothing apart is at chance


def test_top_k_by_hand():
    assert top_k(SCORES, LABELS) == pytest.approx(20)
    assert top_k(SCORES, LABELS, 2) == pytest.approx(80)
    assert top_k(SCORES, LABELS, 5) == 100  # fewer classes than five


def test_ranks_are_those_of_a_stable_sort():
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 6, size=(200, 9)).astype(np.float32)  # many ties
    labels = generator.integers(0, 9, size=200)
    order = np.argsort(-scores, axis=1, kind="stable")
    expected = [row.tolist().index(label) for row, label in zip(order, labels, strict=True)]
    assert ranks(scores, labels).tolist() == expected


def test_what_is_no_number_is_never_right():
    scores = np.array([[np.nan, 0.1], [np.nan, np.nan], [0.1, np.nan]], dtype=np.float32)
    assert (ranks(scores, np.array([0, 0, 0])) == 0).tolist() == [False, False, True]
    assert predictions(scores).tolist() == [1, 0, 0]
    assert top_k(scores, np.array([0, 0, 0]), 5) == pytest.approx(100 / 3)


def test_confusion_has_a_row_for_each_true_class():
    #          taken for 0  1  2
    assert confusion(SCORES, LABELS).tolist() == [[1, 0, 1], [2, 0, 0], [0, 1, 0]]
    assert confusion(SCORES, LABELS).sum() == len(LABELS)


def test_classes_count_alike_in_their_mean_and_a_class_without_videos_not_at_all():
    scores = np.eye(4, dtype=np.float32)[[0, 0, 0, 1]]
    labels = np.array([0, 0, 0, 2])
    assert per_class(scores, labels) == [(3, 100.0), (0, None), (1, 0.0), (0, None)]
    assert mean_per_class(scores, labels) == 50
    assert top_k(scores, labels) == 75


def test_without_videos_there_is_nothing_right():
    none, no_labels = np.zeros((0, 3), dtype=np.float32), np.zeros(0, dtype=np.int64)
    assert top_k(none, no_labels) == 0
    assert mean_per_class(none, no_labels) == 0
    assert bootstrap_interval(np.zeros(0, dtype=bool)) == (0, 100)


def test_the_harmonic_mean_gives_the_published_numbers():
    published = [(78.5, 66.5, 72.0), (77.5, 57.9, 66.3), (96.0, 72.9, 82.9), (22.2, 16.5, 18.9)]
    for base, novel, expected in published:
        assert harmonic_mean(base, novel) == pytest.approx(expected, abs=0.05)
    assert harmonic_mean(0, 0) == 0
    assert harmonic_mean(80, 0) == 0


def test_mean_and_sample_deviation():
    assert mean_and_std([2, 4, 4, 6]) == (4, pytest.approx(math.sqrt(8 / 3)))
    assert mean_and_std([5]) == (5, None)


def test_the_interval_is_about_that_of_the_normal_approximation():
    correct = np.arange(1000) < 700
    low, high = bootstrap_interval(correct)
    half = 1.96 * math.sqrt(0.7 * 0.3 / 1000) * 100
    assert low == pytest.approx(70 - half, abs=0.4)
    assert high == pytest.approx(70 + half, abs=0.4)


def test_the_interval_holds_the_truth_nineteen_times_in_twenty():
    generator = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        low, high = bootstrap_interval(generator.random(300) < 0.6, resamples=300, seed=trial)
        held += low <= 60 <= high
    assert 182 <= held <= 198  # 190 expected; 3 standard deviations are 9


def test_the_same_seed_gives_the_same_interval_and_the_order_of_videos_hardly_matters():
    correct = np.arange(500) % 3 == 0
    assert bootstrap_interval(correct) == bootstrap_interval(correct)
    assert bootstrap_interval(correct, seed=1) != bootstrap_interval(correct)
    shuffled = np.random.default_rng(5).permutation(correct)
    assert bootstrap_interval(shuffled) == pytest.approx(bootstrap_interval(correct), abs=0.6)


def test_where_all_are_right_or_none_the_interval_is_the_exact_one():
    # Clopper-Pearson of n of n: the lowest accuracy p for which p^n is 0.025.
    low, high = bootstrap_interval(np.ones(20, dtype=bool))
    assert high == 100
    assert (low / 100) ** 20 == pytest.approx(0.025)
    assert bootstrap_interval(np.zeros(20, dtype=bool)) == (0, pytest.approx(100 - low))
    assert bootstrap_interval(np.ones(1, dtype=bool)) == (pytest.approx(2.5), 100)


def test_a_paired_interval_is_narrower_than_two_models_apart():
    generator = np.random.default_rng(1)
    first = generator.random(1000) < 0.6
    second = first | (generator.random(1000) < 0.05)  # right wherever the first is
    low, high = paired_bootstrap(first, second)
    assert 0 < low < 100 * (second.mean() - first.mean()) < high
    assert high - low < 3
    spread = 100 * (1 - 0.025 ** (1 / 1000))  # none of 1000 differs
    assert paired_bootstrap(first, first) == (pytest.approx(-spread), pytest.approx(spread))
    opposite = paired_bootstrap(second, first)
    assert opposite == (pytest.approx(-high), pytest.approx(-low))


def test_mcnemar_by_hand():
    first = np.array([True] * 6 + [False] * 1 + [True] * 10)
    second = np.array([False] * 6 + [True] * 1 + [True] * 10)
    # Seven videos on which they differ, 6 to 1: 2 * (1 + 7) / 2^7.
    assert mcnemar(first, second) == (6, 1, pytest.approx(16 / 128))
    assert mcnemar(second, first) == (1, 6, pytest.approx(16 / 128))
    assert mcnemar(first, first) == (0, 0, 1.0)


def test_mcnemar_of_many_videos_is_near_the_chi_square_form():
    first = np.array([True] * 5000 + [False] * 5300)
    only_first, only_second, p = mcnemar(first, ~first)
    assert (only_first, only_second) == (5000, 5300)
    corrected = (abs(5000 - 5300) - 1) / math.sqrt(10300)
    assert p == pytest.approx(math.erfc(corrected / math.sqrt(2)), rel=1e-3)


def test_models_of_different_videos_are_not_compared():
    with pytest.raises(ValueError, match="3 videos against 4"):
        mcnemar(np.ones(3, dtype=bool), np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match="3 videos against 4"):
        paired_bootstrap(np.ones(3, dtype=bool), np.ones(4, dtype=bool))
