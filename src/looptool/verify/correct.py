"""What a judgement does to a label."""

from __future__ import annotations

from looptool.records import Judgement, LabelEdit, ProbeResult, Sample, Verdict


def corrected(sample: Sample, probe: ProbeResult, judgement: Judgement, round: int) -> Sample:
    """The sample as the judgement leaves it: a LABEL_WRONG label is replaced by the prediction.

    The edit stands in the sample's history. Source: LoopTool, arXiv 2511.09148, JGLV.
    """
    if judgement.verdict is not Verdict.LABEL_WRONG:
        return sample
    edit = LabelEdit(
        old=sample.label,
        new=probe.parsed.as_label(),
        verdict=judgement.verdict,
        reason=judgement.error_analysis,
        judge=judgement.judge,
        round=round,
    )
    return sample.corrected(edit)
