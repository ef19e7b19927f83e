"""What came of a suite: for each contender and category, which questions were answered rightly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from looptool.evaluate.averages import Mean
from looptool.evaluate.bootstrap import score
from looptool.records import Record, Score


class CategoryResult(Record):
    """One category: `right` and `began` (a call) go with `ids`; `reasons` counts the failures.

    `whole` says that it has all of the category's questions, so that averages may use it.
    `process`, from 0 to 1, is the checker's figure for the way to the answers, where it has one.
    `unasked` counts the questions that never reached the model: too long, or refused by its
    template.
    `user` is the identity of the model that played the user, where one did.
    """

    name: str
    ids: tuple[str, ...]
    right: tuple[bool, ...]
    began: tuple[bool, ...]
    whole: bool
    reasons: dict[str, int]
    unasked: int = 0
    process: float | None = None
    user: str = ""

    @property
    def score(self) -> Score:
        return score(self.right)

    @property
    def call_rate(self) -> float:
        return sum(self.began) / len(self.began) if self.began else 0.0


class SuiteResult(Record):
    """One contender on some categories of a suite. `identity` changes whenever its answers may."""

    suite: str
    contender: str
    identity: str = ""
    categories: tuple[CategoryResult, ...]

    def outcomes(self) -> dict[str, Sequence[bool]]:
        return {category.name: category.right for category in self.categories}

    def whole(self) -> set[str]:
        return {category.name for category in self.categories if category.whole}


class Average(Record):
    """A named mean of whole categories. `official` where the suite itself reports it."""

    name: str
    official: bool = True


Averages = Sequence[tuple[Average, Mean]]


def possible(averages: Averages, result: SuiteResult) -> Iterable[tuple[Average, Mean]]:
    """Those averages all of whose categories `result` has whole."""
    whole = result.whole()
    return [(name, mean) for name, mean in averages if whole.issuperset(mean.categories())]
