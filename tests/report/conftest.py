"""A run directory filled with records, as a run of two rounds would have left it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from looptool.config import Config
from looptool.evaluate.contamination import Contamination
from looptool.evaluate.measure import measure
from looptool.merge import first_share, pick_merge, seed_share
from looptool.records import (
    ErrorType,
    Expansion,
    Judgement,
    Label,
    Message,
    ParsedOutput,
    PlantedError,
    ProbeResult,
    Sample,
    Scenario,
    Tally,
    Tool,
    ToolCall,
    Verdict,
)
from looptool.runs.paths import Paths
from looptool.runs.store import write_atomic, write_records
from looptool.teachers.base import Bill, Expense, Unusable
from looptool.toolmatch import match
from looptool.train.stats import StepStats, TrainStats
from looptool.verify.calibrate import EQUAL, Calibration, wilson

Build = Callable[..., Paths]

BILL = Bill(
    roles={
        "judge": Expense(calls=40, prompt_tokens=52_000, completion_tokens=4_100, cost=0.25),
        "user": Expense(calls=10, prompt_tokens=9_000, completion_tokens=900, cost=0.05),
    },
    unusable={"user": Unusable(answers=3, lost=1, faults={"person_says": 3})},
)
SUBJECTS = {
    "weather": ("get_forecast", "city", ("Oslo", "Lima", "Kyoto", "Accra", "Perth", "Quito")),
    "music": ("play_album", "album", ("Kind of Blue", "Blue Train", "Homogenic", "Graceland")),
    "banking": ("transfer_money", "recipient", ("Ada", "Grace", "Linus", "Barbara", "Edsger")),
    "travel": ("find_flights", "destination", ("Rome", "Cairo", "Hanoi", "Bogotá", "Tunis")),
}
ASKS = (
    "Could you {do} for {value}? I need it for {day}.",
    "{value}, {day} please: {do}.",
    "Hi! I was wondering whether you can {do}. It is about {value}, on {day}.",
)
DAYS = ("2026-05-01", "2026-06-12", "2026-07-30", "2026-11-05")


def _tool(subject: str) -> Tool:
    name, parameter, _ = SUBJECTS[subject]
    return Tool(
        name=name,
        description=f"{name.replace('_', ' ').capitalize()} by {parameter} and day.",
        parameters={
            "type": "object",
            "properties": {
                parameter: {"type": "string"},
                "day": {"type": "string", "format": "date"},
                "limit": {"type": "integer", "default": 10},
            },
            "required": [parameter, "day"],
        },
    )


def _sample(rng: Random, number: int, **rest: Any) -> Sample:
    subject = rng.choice(list(SUBJECTS))
    name, parameter, values = SUBJECTS[subject]
    value, day = rng.choice(values), rng.choice(DAYS)
    text = rng.choice(ASKS).format(do=name.replace("_", " "), value=value, day=day)
    scenario = list(Scenario)[number % len(Scenario)]
    calls = [ToolCall(name=name, arguments={parameter: value, "day": day})]
    if scenario is Scenario.PARALLEL:
        calls.append(ToolCall(name=name, arguments={parameter: rng.choice(values), "day": day}))
    silent = scenario in (Scenario.MISSING_PARAMETER, Scenario.IRRELEVANT, Scenario.CHAT)
    context = [Message(role="user", content=f"{text} (request {number})")]
    if scenario in (Scenario.MULTI_TURN, Scenario.SEQUENTIAL):
        context += [
            Message(role="assistant", tool_calls=tuple(calls)),
            Message(role="tool", name=name, content='{"found": 3, "note": "as of today"}'),
            Message(role="user", content="And the same again, one day later?"),
        ]
    return Sample.create(
        tools=(
            _tool(subject),
            _tool(rng.choice([other for other in SUBJECTS if other != subject])),
        ),
        context=tuple(context),
        label=Label(content="Which day do you mean?") if silent else Label(calls=tuple(calls)),
        scenario=scenario,
        domain=subject,
        **rest,
    )


def _spoilt(sample: Sample, error: ErrorType) -> Sample:
    if not sample.label.calls:
        return sample
    call, *others = sample.label.calls
    arguments: dict[str, Any] = dict(call.arguments)
    if error is ErrorType.MISSING_ARGUMENT:
        del arguments["day"]
    elif error is ErrorType.EXTRA_ARGUMENT:
        arguments["limit"] = 3
    else:
        arguments["day"] = "2031-01-01"
    wrong = Label(calls=(ToolCall(name=call.name, arguments=arguments), *others))
    return Sample.create(sample.tools, sample.context, wrong, sample.scenario, domain=sample.domain)


def _probe(checkpoint: str, sample: Sample, said: Label) -> ProbeResult:
    parsed = ParsedOutput(calls=said.calls, content=said.content, begins_call=bool(said.calls))
    output = said.content + "".join(
        f"<tool_call>\n{json.dumps(call.model_dump())}\n</tool_call>" for call in said.calls
    )
    return ProbeResult(
        sample_id=sample.id,
        checkpoint=checkpoint,
        output=output,
        parsed=parsed,
        match=match(parsed, sample.label, sample.tools),
        perplexity=1.0 + len(output) % 17 / 20,
        num_tokens=max(1, len(output) // 4),
    )


class _Story:
    """What happens in a synthetic run; the seed of `rng` decides all of it."""

    def __init__(self, root: Path, config: Config, size: int) -> None:
        self.paths = Paths(root)
        self.config = config
        self.rng = Random(3)
        clean = [_sample(self.rng, number) for number in range(size)]
        self.held_out = [_sample(self.rng, number) for number in range(size, size + size // 2)]
        self.train: list[Sample] = []
        self.planted: dict[str, PlantedError] = {}
        kinds = (ErrorType.WRONG_VALUE, ErrorType.MISSING_ARGUMENT, ErrorType.EXTRA_ARGUMENT)
        self.truth: dict[str, Label] = {}
        for number, sample in enumerate(clean):
            made = _spoilt(sample, kinds[number % 3]) if number % 8 == 0 else sample
            self.train.append(made)
            self.truth[made.id] = sample.label
            if made is not sample:
                self.planted[made.id] = PlantedError(
                    sample_id=made.id, error=kinds[number % 3], truth=sample.label
                )

    def store(self, name: str, records: list[Any]) -> None:
        write_records(self.paths.value(name), records)

    def says(self, checkpoint: str, sample: Sample, skill: float) -> ProbeResult:
        right = self.truth.get(sample.id, sample.label)
        if self.rng.random() < skill:
            return _probe(checkpoint, sample, right)
        wrong = Label(calls=(ToolCall(name="get_forecast", arguments={"city": "Atlantis"}),))
        return _probe(checkpoint, sample, wrong)

    def measures(self, name: str, skill: float) -> None:
        outputs = [self.says(name, sample, skill) for sample in self.held_out]
        self.store(f"measure/{name}-outputs", outputs)
        self.store(f"measure/{name}", [measure(name, self.held_out, outputs)])

    def judges(self, sample: Sample, probe: ProbeResult) -> Judgement:
        planted = self.planted.get(sample.id)
        right = match(probe.parsed, self.truth.get(sample.id, sample.label), sample.tools).matched
        verdict = Verdict.LABEL_WRONG if planted and right else Verdict.PRED_WRONG
        if self.rng.random() < 0.06:
            verdict = self.rng.choice(list(Verdict))
        return Judgement(
            sample_id=sample.id,
            verdict=verdict,
            judge="offline rules",
            error_analysis="The user names a day, and one candidate does not use it.",
            correct_approach="Take every value from the conversation.",
        )

    def expands(self, round: int, sample: Sample) -> Expansion:
        new = tuple(
            _sample(self.rng, 10_000 * round + self.rng.randrange(9_999), parents=(sample.id,))
            for _ in range(2)
        )
        return Expansion(parent=sample.id, samples=new, rejected={"invalid_call": 1})

    def trains(self, round: int) -> TrainStats:
        def step(number: int) -> StepStats:
            right, wrong = self.rng.randrange(0, 4), self.rng.randrange(0, 3)
            return StepStats(
                step=number, mean_reward=min(1, 0.3 + 0.01 * number + self.rng.gauss(0, 0.05)),
                groups_right=right, groups_wrong=wrong, groups_used=8 - right - wrong,
                completions=128, completion_tokens=4000, truncated=1, tokens_forwarded=20_000,
                tokens_plain=60_000, rollout_seconds=9.0, update_seconds=4.0,
            )  # fmt: skip

        return TrainStats(steps=tuple(step(number) for number in range(1, 41)))


def _tell(story: _Story, rounds: int, until: str) -> Iterator[str]:
    """Fill the run step by step; each yield names the step that is then done."""
    write_atomic(story.paths.config, story.config.model_dump_json().encode())
    found = {
        "started": "2026-03-04T05:06:07+00:00",
        "command": ["looptool", "run", "configs/quickstart.toml"],
        "python": "3.11.7", "machine": "x86_64, 2 cores", "commit": "0123456789ab",
        "packages": {"looptool": "0.1.0", "torch": "2.13.0"},
    }  # fmt: skip
    write_atomic(story.paths.provenance, json.dumps(found).encode())
    yield "config"
    story.store("seed/train", story.train)
    story.store("seed/held-out", story.held_out)
    story.store("seed/planted", list(story.planted.values()))
    left_out = {"checked": len(story.train) + 3, "BFCL v3: question": 3}
    gone = Contamination(suites=("BFCL v3",), counts=left_out, samples=("a", "b", "c"))
    story.store("seed/contaminated", [gone])
    story.store("bill", [BILL])
    story.store("seed/rejected", [Tally(counts={"duplicate_sample": 41, "invalid_call": 7})])
    yield "seed"
    story.measures("base", 0.03)
    story.measures("warm-start", 0.42)
    yield "warm-start"
    rate = {kind.value: wilson(8, 9) for kind in ErrorType}
    calibration = Calibration(
        judge="offline rules", sensitivity=rate, decided=rate,
        specificity=rate | {EQUAL: wilson(9, 9)}, order_flips=wilson(1, 63),
        verdicts={"LABEL_WRONG": 56, "PRED_WRONG": 70},
    )  # fmt: skip
    dataset = first_share(story.train, story.config.merge)
    used: set[str] = set()
    for number in range(1, rounds + 1):
        name, skill = f"round-{number}", 0.45 + 0.12 * number
        story.store(f"{name}/train/stats", [story.trains(number)])
        yield f"{name}/train"
        story.measures(name, skill)
        yield f"{name}/measure"
        probes = [story.says(name, sample, skill) for sample in dataset]
        story.store(f"{name}/probes", probes)
        yield f"{name}/probe"
        failed = [(s, p) for s, p in zip(dataset, probes, strict=True) if not p.match.matched]
        judgements = [story.judges(sample, probe) for sample, probe in failed]
        story.store("calibration", [calibration])
        story.store(f"{name}/judgements", judgements)
        yield f"{name}/verify"
        expansions = [story.expands(number, sample) for sample, _ in failed]
        story.store(f"{name}/expansions", expansions)
        yield f"{name}/expand"
        used |= {sample.id for sample in dataset}
        fresh = seed_share(story.train, story.config.merge, number, rounds, used)
        merge = pick_merge(story.config.merge)
        dataset = merge(dataset, probes, judgements, expansions, fresh, number)
        story.store(f"{name}/dataset", dataset)
        yield f"{name}/merge"


def build_run(root: Path, rounds: int = 2, size: int = 160, until: str = "") -> Paths:
    """A run of `rounds` over `size` samples, stopped behind the step `until` if one is named."""
    raw = {"rounds": rounds, "data": {"samples": size, "label_noise": 0.1}}
    story = _Story(root, Config.model_validate(raw), size)
    for done in _tell(story, rounds, until):
        if done == until:
            break
    return story.paths


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def built(**rest: Any) -> Paths:
        return build_run(tmp_path / "run", **rest)

    return built
