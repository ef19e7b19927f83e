"""JGLV: who is wrong, the label or the model?

Source: LoopTool, arXiv 2511.09148, Judgement-Guided Label Verification. For each failed sample
i a judge compares the prediction O_i with the label A_i, given tools and context, and says
y_i ∈ {PRED_WRONG, LABEL_WRONG, BOTH_CORRECT, BOTH_WRONG}; UNDECIDED is added here for a judge that
cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from looptool.config import VerifyConfig
from looptool.records import Judgement, Mismatch, ProbeResult, Sample, Verdict
from looptool.teachers.base import Case, Judge
from looptool.work import Work


class Verify(Protocol):
    """Judges the failed samples of one round, in the order of `dataset`."""

    def __call__(
        self,
        judge: Judge,
        dataset: Sequence[Sample],
        probes: Sequence[ProbeResult],
        work: Work,
        name: str,
        concurrency: int = 1,
    ) -> list[Judgement]:
        """One Judgement for each sample whose probe did not match.

        `name` is where `work` keeps them, `concurrency` how many are judged at once.
        """
        ...


def pick_verify(config: VerifyConfig) -> Verify:
    """JGLV, or its ablation."""
    return verify if config.enabled else trust_labels


def verify(
    judge: Judge,
    dataset: Sequence[Sample],
    probes: Sequence[ProbeResult],
    work: Work,
    name: str,
    concurrency: int = 1,
) -> list[Judgement]:
    """JGLV. An output that is no move at all (cut off, bad JSON, …) is wrong without a judge."""

    async def judged(failed: tuple[Sample, ProbeResult]) -> Judgement:
        sample, probe = failed
        if probe.parsed.defect is not Mismatch.NONE:
            return _no_move(probe)
        return await judge.judge(
            Case(
                sample_id=sample.id,
                tools=sample.tools,
                context=sample.context,
                prediction=probe.parsed.as_label(),
                label=sample.label,
            )
        )

    return work.map(
        name,
        failures(dataset, probes),
        judged,
        key=lambda failed: failed[0].id,
        result=Judgement,
        concurrency=concurrency,
    )


def trust_labels(
    judge: Judge,
    dataset: Sequence[Sample],
    probes: Sequence[ProbeResult],
    work: Work,
    name: str,
    concurrency: int = 1,
) -> list[Judgement]:
    """The paper's ablation without JGLV: every label is taken as right."""
    return [
        Judgement(sample_id=sample.id, verdict=Verdict.PRED_WRONG, judge="none")
        for sample, _ in failures(dataset, probes)
    ]


def failures(
    dataset: Sequence[Sample], probes: Sequence[ProbeResult]
) -> list[tuple[Sample, ProbeResult]]:
    """The samples whose probe did not match, with that probe."""
    failed = {probe.sample_id: probe for probe in probes if not probe.match.matched}
    return [(sample, failed[sample.id]) for sample in dataset if sample.id in failed]


def _no_move(probe: ProbeResult) -> Judgement:
    defect = probe.parsed.defect.value.replace("_", " ")
    detail = f" ({probe.parsed.detail})" if probe.parsed.detail else ""
    return Judgement(
        sample_id=probe.sample_id,
        verdict=Verdict.PRED_WRONG,
        error_analysis=f"The output cannot be read as a move: {defect}{detail}.",
        correct_approach="Write each call whole and as valid JSON, then stop.",
        judge="rules",
    )
