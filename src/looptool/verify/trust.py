"""What becomes of a judge that was measured and found wanting."""

from __future__ import annotations

from looptool.records import Judgement, Sample, Verdict, Vote
from looptool.teachers.base import Case, Judge


class Distrusted:
    """A judge that corrects nothing: what it would have said is kept in the votes."""

    def __init__(self, judge: Judge, reason: str) -> None:
        """`reason` is the floor that it missed."""
        self.name = judge.name
        self._judge = judge
        self._reason = reason

    async def judge(self, case: Case) -> Judgement:
        said = await self._judge.judge(case)
        opinion = Vote(judge=self.name, verdict=said.verdict, reason=said.error_analysis)
        return said.model_copy(
            update={
                "verdict": Verdict.UNDECIDED,
                "votes": said.votes or (opinion,),
                "error_analysis": f"The judge is not trusted ({self._reason}); "
                f"it would have said {said.verdict.value}. {said.error_analysis}".strip(),
            }
        )

    async def accept(self, sample: Sample) -> str | None:
        return await self._judge.accept(sample)
