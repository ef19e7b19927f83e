"""Which samples share something with an exam; they are left out of the seed and of expansions."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from looptool.errors import UserError
from looptool.evaluate.decontaminate import BRING, ExamData, decontaminate, suites_at_hand
from looptool.records import Expansion, Record, Sample, Seed

CONTAMINATED = "shares a tool or a question with an exam"


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
    return seed.less(gone)


def cleared(
    expansions: Sequence[Expansion],
    checked: Contamination,
    suites: Sequence[ExamData] | None = None,
) -> list[Expansion]:
    """The expansions less what shares something with an exam, which counts as rejected.

    They are held against the suites that the seed was `checked` against and no others, so that a
    run does not depend on when a suite came to the machine; UserError if one of them has left it.
    """
    samples = [sample for one in expansions for sample in one.samples]
    if not samples or not checked.suites:
        return list(expansions)
    exams = {exam.name: exam for exam in (suites_at_hand() if suites is None else suites)}
    for name in checked.suites:
        if name not in exams:
            raise UserError(
                f"expand: the seed was held against {name}, whose data is no longer at hand; "
                f"bring it back ({BRING[name]}) and run the same command again"
            )
    found = find(samples, [exams[name] for name in checked.suites])
    return [one.less(set(found.samples), CONTAMINATED) for one in expansions]
