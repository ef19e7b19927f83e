"""How far to go along a line on which only the likelihood of labels can be asked for."""

from __future__ import annotations

from collections.abc import Callable

from looptool.records import Record

LEAST_SHARE = 1 / 8
"""Less is as good as staying where one is, at the price of another measurement."""


class Tried(Record):
    """The labels' negative log-likelihood a move, in nats, `share` of the way."""

    share: float
    nats: float


class Search(Record):
    """What was tried, in this order; nothing where there were no labels to go by."""

    tried: tuple[Tried, ...] = ()

    @property
    def best(self) -> float:
        """The share that makes the labels likeliest; of equals the largest."""
        return min(self.tried, key=lambda one: one.nats).share if self.tried else 1.0

    def summary(self) -> str:
        """One line for log and report."""
        if not self.tried:
            return "no validation label is short enough to go by"
        told = ", ".join(f"{one.nats:.4f} at {one.share:g}" for one in self.tried)
        return f"validation labels: nats a move {told} of the way, likeliest at {self.best:g}"


def halving(nats: Callable[[float], float]) -> Search:
    """`nats` at 1, 1/2, 1/4 … for as long as it falls, down to `LEAST_SHARE`."""
    found = Search()
    share = 1.0
    while share >= LEAST_SHARE:
        found = Search(tried=(*found.tried, Tried(share=share, nats=nats(share))))
        if found.best != share:
            break
        share /= 2
    return found
