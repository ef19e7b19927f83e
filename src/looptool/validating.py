"""Which policy a round goes on with, by samples that nothing is trained on.

First, after training on labels, how far to go: all the way to where it came, or part of it, for as
long as that makes the labels likelier (`train.between`). Then whether to go at all. A round of GRPO
on a small batch may as well harm as help; the next round then had to mend it. So a new policy must
first hold against the old ones, as in AlphaGo Zero (doi 10.1038/nature24270).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from looptool.config import PolicyConfig
from looptool.records import Checkpoint, Record, Sample, Score
from looptool.runs.run import Run
from looptool.runs.store import read_records
from looptool.train.halving import Search

if TYPE_CHECKING:
    from looptool.models.engine import Engine


class Validation(Record):
    """A round's policy and the best before it, on the samples that nothing is trained on."""

    before: Score
    after: Score

    @property
    def taken(self) -> bool:
        """Whether the new policy takes the old one's place: within its interval, they are equal,
        and the new one has learned from more.
        """
        return self.after.accuracy >= self.before.low

    def summary(self) -> str:
        """One line for the log."""
        best = self.before
        return (
            f"{self.after.correct} of {self.after.total} validation samples right, the best before "
            f"it {best.correct} [{best.low:.0%}, {best.high:.0%}]: the new policy is "
            f"{'' if self.taken else 'not '}taken"
        )

    @property
    def best(self) -> Score:
        """Of all policies up to now."""
        return max(self.before, self.after, key=lambda score: score.correct)


@dataclass(frozen=True)
class Validating:
    """Validates the policies of a run on `samples`; `engine` loads one of them."""

    run: Run
    policy: PolicyConfig
    samples: Sequence[Sample]
    engine: Callable[[Checkpoint], Engine]

    def pick(self, round: int, before: Checkpoint, trained: Checkpoint) -> Checkpoint:
        """The policy of a round that began at `before` and came to `trained`."""
        return self._better(round, before, self._likeliest(round, before, trained))

    def _likeliest(self, round: int, before: Checkpoint, trained: Checkpoint) -> Checkpoint:
        """The policy between the two under which the labels are likeliest.

        What GRPO alone moved is not judged by labels' likelihood, which is not what it improves.
        """
        if self.run.config.train.labels is None:
            return trained
        from looptool.train.between import Between

        run, shared = self.run, self.run.config.train.shared_prefix
        line = Between(before, trained)
        found = run.once(
            f"round-{round}/between",
            Search,
            lambda: line.search(self.policy, self.samples, run.progress, shared),
        )
        run.say(f"train: {found.summary()}")
        if found.best == 1:
            return trained
        return line.save(found.best, run.paths.folder(f"round-{round}/at-{found.best:g}"))

    def _better(self, round: int, before: Checkpoint, after: Checkpoint) -> Checkpoint:
        """`after`, or `before` if that is clearly worse."""
        run = self.run

        def accuracy(which: Checkpoint, name: str) -> Score:
            from looptool.evaluate.bootstrap import score
            from looptool.probe.gcp import probe

            probes = probe(
                self.policy, which.name, lambda: self.engine(which), self.samples, run.work, name
            )
            return score([result.match.matched for result in probes])

        def validated() -> Validation:
            earlier = run.paths.value(f"round-{round - 1}/validation")
            if earlier.exists():
                old = read_records(earlier, Validation)[0].best
            else:
                old = accuracy(before, f"round-{round}/validation-before")
            return Validation(before=old, after=accuracy(after, f"round-{round}/validation"))

        found = run.once(f"round-{round}/validation", Validation, validated)
        run.say(f"train: {found.summary()}")
        return after if found.taken else before
