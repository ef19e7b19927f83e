"""Averages of category accuracies, nested as a suite defines them, with bootstrap intervals.

A category's questions are resampled with replacement, each category on its own, as in `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from looptool.evaluate.bootstrap import RESAMPLES

Outcomes = Mapping[str, Sequence[bool]]
"""For each category, whether each question was answered rightly, in the order of the questions."""


@dataclass(frozen=True)
class Mean:
    """A mean of categories and of other means; `by_count` weighs categories by their questions.

    `weights`, one a part, are the suite's own and taken as they are: ACEBench's add up to 1.0001.
    """

    parts: tuple[str | Mean, ...]
    by_count: bool = False
    weights: tuple[float, ...] | None = None

    def categories(self) -> tuple[str, ...]:
        nested = (part.categories() if isinstance(part, Mean) else (part,) for part in self.parts)
        return tuple(name for names in nested for name in names)

    def of(self, values: Mapping[str, NDArray[np.float64]], counts: Mapping[str, int]) -> Values:
        """The mean of each resample, from the accuracies of each category in each resample."""
        parts = [p.of(values, counts) if isinstance(p, Mean) else values[p] for p in self.parts]
        if self.weights:
            return np.tensordot(self.weights, np.stack(parts), axes=1)
        shares = [float(counts[str(p)]) for p in self.parts] if self.by_count else None
        return np.average(np.stack(parts), axis=0, weights=shares)


Values = NDArray[np.float64]


def average(mean: Mean, outcomes: Outcomes, seed: int = 0) -> tuple[float, float, float]:
    """(average, low, high) with its 95 % interval; every category of `mean` is in `outcomes`."""
    random = np.random.default_rng(seed)
    drawn, exact = {}, {}
    for name in mean.categories():
        right, total = sum(outcomes[name]), len(outcomes[name])
        exact[name] = np.array([right / total])
        drawn[name] = random.binomial(total, right / total, RESAMPLES) / total
    return _interval(mean, exact, drawn, outcomes)


def average_difference(
    mean: Mean, a: Outcomes, b: Outcomes, seed: int = 0
) -> tuple[float, float, float]:
    """(average of `a` less that of `b`, low, high), on the same questions in the same order."""
    random = np.random.default_rng(seed)
    drawn, exact = {}, {}
    for name in mean.categories():
        pairs = list(zip(a[name], b[name], strict=True))
        won = sum(x and not y for x, y in pairs)
        lost = sum(y and not x for x, y in pairs)
        total = len(pairs)
        shares = np.array([won, lost, total - won - lost]) / total
        counts = random.multinomial(total, shares, RESAMPLES)
        exact[name] = np.array([(won - lost) / total])
        drawn[name] = (counts[:, 0] - counts[:, 1]) / total
    return _interval(mean, exact, drawn, a)


def _interval(
    mean: Mean, exact: dict[str, Values], drawn: dict[str, Values], outcomes: Outcomes
) -> tuple[float, float, float]:
    counts = {name: len(outcomes[name]) for name in exact}
    low, high = np.percentile(mean.of(drawn, counts), [2.5, 97.5])
    return float(mean.of(exact, counts)[0]), float(low), float(high)
