from __future__ import annotations

import pytest

from looptool.evaluate.measure import measure
from looptool.records import (
    Label,
    Match,
    Message,
    Mismatch,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    ToolCall,
)

CALL = Label(calls=(ToolCall(name="f"),))


def sample(number: int, scenario: Scenario, label: Label) -> Sample:
    return Sample.create((), (Message(role="user", content=str(number)),), label, scenario)


def probe(
    sample: Sample, reason: Mismatch = Mismatch.NONE, begins_call: bool = True
) -> ProbeResult:
    return ProbeResult(
        sample_id=sample.id,
        checkpoint="round-1",
        output="",
        parsed=ParsedOutput(begins_call=begins_call),
        match=Match(matched=reason is Mismatch.NONE, reason=reason),
        perplexity=1.0,
        num_tokens=1,
    )


SINGLE = [sample(n, Scenario.SINGLE, CALL) for n in range(4)]
IRRELEVANT = [sample(n, Scenario.IRRELEVANT, Label(content="no")) for n in range(2)]
PROBES = [
    probe(SINGLE[0]),
    probe(SINGLE[1], Mismatch.WRONG_VALUE),
    probe(SINGLE[2], Mismatch.WRONG_VALUE),
    probe(SINGLE[3], Mismatch.MISSING_CALL, begins_call=False),
    probe(IRRELEVANT[0], begins_call=False),
    probe(IRRELEVANT[1], Mismatch.UNEXPECTED_CALL),
]


def test_accuracy_is_counted_over_all_over_calls_and_by_scenario() -> None:
    found = measure("round-1", SINGLE + IRRELEVANT, PROBES)
    assert found.checkpoint == "round-1"
    assert (found.overall.correct, found.overall.total) == (2, 6)
    assert (found.calls.correct, found.calls.total) == (1, 4)
    totals = {name: (score.correct, score.total) for name, score in found.by_scenario.items()}
    assert totals == {"single": (1, 4), "irrelevant": (1, 2)}


def test_mismatches_are_counted_by_reason_most_frequent_first() -> None:
    found = measure("round-1", SINGLE + IRRELEVANT, PROBES)
    assert next(iter(found.mismatches.items())) == ("wrong_value", 2)
    assert sum(found.mismatches.values()) == 4


def test_the_call_rate_counts_outputs_that_begin_a_call() -> None:
    assert measure("round-1", SINGLE + IRRELEVANT, PROBES).call_rate == pytest.approx(4 / 6)


def test_the_order_of_the_probes_does_not_matter() -> None:
    samples = SINGLE + IRRELEVANT
    assert measure("x", samples, PROBES) == measure("x", samples, PROBES[::-1])


def test_a_sample_without_a_probe_is_a_bug() -> None:
    with pytest.raises(KeyError):
        measure("x", SINGLE, PROBES[:1])


def test_nothing_held_out_measures_as_nothing() -> None:
    assert measure("x", [], []).overall.total == 0
