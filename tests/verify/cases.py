"""Small records that verification is tested on."""

from __future__ import annotations

import json

from looptool.records import (
    Judgement,
    Label,
    Match,
    Message,
    ParsedOutput,
    ProbeResult,
    Sample,
    Scenario,
    Tool,
    ToolCall,
    Verdict,
)
from looptool.teachers.base import Case

WEATHER = Tool(
    name="get_weather",
    description="Get the weather in a city.",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "City."},
            "days": {"type": "integer", "description": "Days of forecast."},
        },
        "required": ["city"],
    },
)


def call(**arguments: object) -> Label:
    """A call of `get_weather`."""
    made = ToolCall.model_validate({"name": "get_weather", "arguments": arguments})
    return Label(calls=(made,))


def request(city: str, label: Label | None = None) -> Sample:
    """A request for the weather in a city."""
    context = (Message(role="user", content=f"What is the weather in {city}?"),)
    return Sample.create((WEATHER,), context, label or call(city=city), Scenario.SINGLE)


def probe_of(sample: Sample, said: Label | None = None) -> ProbeResult:
    """What a policy said to a sample: without `said`, the label."""
    move = said or sample.label
    return ProbeResult(
        sample_id=sample.id,
        checkpoint="round-1",
        output=json.dumps([c.model_dump() for c in move.calls]) or move.content,
        parsed=ParsedOutput(calls=move.calls, content=move.content, begins_call=bool(move.calls)),
        match=Match(matched=said is None),
        perplexity=2.0,
        num_tokens=10,
    )


class ScriptedJudge:
    """Says what `verdict` says of a case, and remembers the cases."""

    name = "scripted"

    def __init__(self, verdict: Verdict | None = None, truth: dict[str, Label] | None = None):
        self.verdict = verdict
        self.truth = truth or {}
        self.seen: list[Case] = []

    async def judge(self, case: Case) -> Judgement:
        self.seen.append(case)
        verdict = self.verdict or self._by_truth(case)
        return Judgement(
            sample_id=case.sample_id, verdict=verdict, error_analysis="as scripted", judge=self.name
        )

    async def accept(self, sample: Sample) -> str | None:
        return "no" if "reject" in sample.context[-1].content else None

    def _by_truth(self, case: Case) -> Verdict:
        right = self.truth[case.sample_id]
        return Verdict.LABEL_WRONG if case.prediction == right else Verdict.PRED_WRONG
