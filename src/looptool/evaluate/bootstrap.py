"""Accuracies with 95 % bootstrap intervals.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13: the percentile
interval. A resample of n outcomes, drawn with replacement, is distributed as one multinomial draw
over the values that outcomes can take, so it is drawn as that: exact, and cheap for any n.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from looptool.records import Score

RESAMPLES = 10_000


def score(outcomes: Sequence[bool], seed: int = 0) -> Score:
    """The share of true outcomes; [0, 1], nothing known, where there are none.

    The interval of outcomes that are all alike has no width, as bootstrap intervals have it.
    """
    total, correct = len(outcomes), sum(outcomes)
    if not total:
        return Score(correct=0, total=0, accuracy=0.0, low=0.0, high=1.0)
    accuracy = correct / total
    drawn = np.random.default_rng(seed).binomial(total, accuracy, RESAMPLES)
    low, high = _middle(drawn / total)
    return Score(correct=correct, total=total, accuracy=accuracy, low=low, high=high)


def paired_difference(
    a: Sequence[bool], b: Sequence[bool], seed: int = 0
) -> tuple[float, float, float]:
    """(accuracy of `a` less that of `b`, low, high), both on the same samples in the same order.

    Samples are resampled, not outcomes, so what is hard for both does not widen the interval.
    Raises ValueError if the lengths differ or are 0.
    """
    if len(a) != len(b) or not a:
        raise ValueError(f"outcomes of {len(a)} and {len(b)} samples cannot be paired")
    won = sum(x and not y for x, y in zip(a, b, strict=True))
    lost = sum(y and not x for x, y in zip(a, b, strict=True))
    total = len(a)
    shares = np.array([won, lost, total - won - lost]) / total
    drawn = np.random.default_rng(seed).multinomial(total, shares, RESAMPLES)
    low, high = _middle((drawn[:, 0] - drawn[:, 1]) / total)
    return (won - lost) / total, low, high


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
