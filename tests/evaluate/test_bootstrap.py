from __future__ import annotations

import numpy as np
import pytest

from looptool.evaluate.bootstrap import paired_difference, score


def test_the_interval_is_that_of_resampling_the_outcomes_themselves() -> None:
    outcomes = [True] * 70 + [False] * 130
    rng = np.random.default_rng(1)
    resampled = rng.choice(np.array(outcomes), size=(20_000, 200)).mean(axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    found = score(outcomes)
    assert (found.correct, found.total, found.accuracy) == (70, 200, 0.35)
    assert found.low == pytest.approx(low, abs=0.006)
    assert found.high == pytest.approx(high, abs=0.006)


def test_the_same_outcomes_always_have_the_same_interval() -> None:
    outcomes = [True, False] * 50
    assert score(outcomes) == score(list(reversed(outcomes)))
    assert score(outcomes, seed=1).low != score([True, False] * 53, seed=1).low


def test_more_samples_narrow_the_interval() -> None:
    few, many = score([True, False] * 20), score([True, False] * 2000)
    assert many.high - many.low < (few.high - few.low) / 5


def test_no_outcomes_say_nothing() -> None:
    found = score([])
    assert (found.correct, found.total, found.low, found.high) == (0, 0, 0.0, 1.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for seed in range(300):
        found = score([bool(x) for x in rng.random(200) < 0.4], seed)
        hits += found.low <= 0.4 <= found.high
    assert 0.90 <= hits / 300 <= 0.99


def test_a_paired_difference_ignores_what_both_get_right_or_wrong() -> None:
    before = [True] * 100 + [False] * 100
    after = [True] * 110 + [False] * 90
    difference, low, high = paired_difference(after, before)
    assert difference == pytest.approx(0.05)
    assert 0 < low < difference < high < 0.1
    apart = score(after).low - score(before).high
    assert apart < 0, "unpaired, the same gain would not show"


def test_a_paired_difference_changes_its_sign_with_its_order() -> None:
    a, b = [True, True, False, True] * 30, [True, False, False, False] * 30
    assert paired_difference(a, b)[0] == -paired_difference(b, a)[0] == 0.5


@pytest.mark.parametrize(("a", "b"), [([True], [True, False]), ([], [])])
def test_outcomes_that_cannot_be_paired_are_refused(a: list[bool], b: list[bool]) -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_difference(a, b)
