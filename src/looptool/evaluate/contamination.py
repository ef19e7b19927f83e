"""Which samples of a seed share something with an exam, found once and left out ever after."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from looptool.errors import UserError
from looptool.evaluate.decontaminate import ExamData, decontaminate, suites_at_hand
from looptool.records import Record, Sample, Seed


class Contamination(Record):
    """What was found: `suites` are those whose data was at hand, `counts` as `decontaminate` has
    them, `samples` the ids that are to go.
    """

    suites: tuple[str, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    samples: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line."""
        return f"decontamination: {self.told()}"

    def told(self) -> str:
        """What was done, in words."""
        if not self.suites:
            return "not checked, no suite's data was at hand"
        found = {name: count for name, count in self.counts.items() if name != "checked"}
        reasons = ", ".join(f"{name} {count}" for name, count in found.items())
        return (
            f"{len(self.samples)} of {self.counts['checked']} samples left out, against "
            f"{' and '.join(self.suites)}" + (f" ({reasons})" if reasons else "")
        )


def find(samples: Sequence[Sample], suites: Sequence[ExamData] | None = None) -> Contamination:
    """Look the samples up in `suites`, or in those at hand; nothing is fetched."""
    exams = suites_at_hand() if suites is None else suites
    if not exams:
        return Contamination()
    kept, tally = decontaminate(samples, exams)
    stay = {sample.id for sample in kept}
    return Contamination(
        suites=tuple(exam.name for exam in exams),
        counts=tally.counts,
        samples=tuple(sample.id for sample in samples if sample.id not in stay),
    )


def without(seed: Seed, found: Contamination) -> Seed:
    """The seed less what was found and what was planted in that; UserError if nothing stays."""
    gone = set(found.samples)
    if len(gone) == len(seed.train):
        raise UserError(
            f"data: every sample shares a tool or a question with {' or '.join(found.suites)}; "
            "start a new run with other tools, or with data.decontaminate = false"
        )
    return seed.model_copy(
        update={
            "train": tuple(one for one in seed.train if one.id not in gone),
            "planted": tuple(one for one in seed.planted if one.sample_id not in gone),
        }
    )
