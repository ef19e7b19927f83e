"""Whether a round's policy is taken: unless it is clearly worse than the best before it.

A round of GRPO on a small batch may as well harm as help; the next round then had to mend it. So a
new policy must first hold against the old ones, as in AlphaGo Zero (doi 10.1038/nature24270).
"""

from __future__ import annotations

from collections.abc import Callable

from looptool.records import Checkpoint, Record, Score
from looptool.runs.run import Run
from looptool.runs.store import read_records


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


def better(
    run: Run,
    round: int,
    before: Checkpoint,
    after: Checkpoint,
    accuracy: Callable[[Checkpoint, str], Score],
) -> Checkpoint:
    """The policy of a round: `after`, or `before` if that is clearly worse.

    `accuracy` measures a policy on the validation samples, under a name within the run.
    """

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
