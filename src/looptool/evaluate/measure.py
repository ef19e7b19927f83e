"""Accuracy on the held-out samples, whose tools come from branches that training never saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from looptool.evaluate.bootstrap import score
from looptool.records import Measurement, ProbeResult, Sample, Scenario, Score


def measure(name: str, samples: Sequence[Sample], probes: Sequence[ProbeResult]) -> Measurement:
    """The checkpoint `name` by its `probes` of `samples`: one probe a sample, in any order.

    A sample counts as right when ToolMatch says so: the same check that rewards training.
    """
    probed = {probe.sample_id: probe for probe in probes}
    pairs = [(sample, probed[sample.id]) for sample in samples]

    def accuracy(kept: Iterable[tuple[Sample, ProbeResult]]) -> Score:
        return score([probe.match.matched for _, probe in kept])

    present = {sample.scenario for sample in samples}
    reasons = Counter(p.match.reason.value for _, p in pairs if not p.match.matched)
    began = sum(probe.parsed.begins_call for _, probe in pairs)
    return Measurement(
        checkpoint=name,
        overall=accuracy(pairs),
        calls=accuracy((s, p) for s, p in pairs if s.label.calls),
        by_scenario={
            scenario.value: accuracy((s, p) for s, p in pairs if s.scenario is scenario)
            for scenario in Scenario
            if scenario in present
        },
        mismatches=dict(reasons.most_common()),
        call_rate=began / len(pairs) if pairs else 0.0,
    )
