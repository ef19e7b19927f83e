"""What a run will cost, from a small sample of its work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from math import ceil
from typing import Any

from looptool.config import Config
from looptool.records import (
    Failure,
    Judgement,
    Label,
    Message,
    Record,
    Sample,
    Scenario,
    Tool,
    Verdict,
)
from looptool.seed.constraint_tree import cast, draw_constraints
from looptool.seed.context_tree import leaves, spread
from looptool.seed.dialogues import samples_of, simulate
from looptool.teachers.base import Case, DialogueBrief, Expense, Teacher, ToolBrief, Variation
from looptool.teachers.llm.ledger import Ledger
from looptool.work import Bar, Progress

SAMPLE = 4
"""Pieces of work of each kind that are tried at the most."""
TRIED_SHARE = 0.1
"""And no more of those that the run has, rounded up: small runs are not for trying."""

FAILING = 0.5
"""Share of a dataset that a policy is taken to fail in a round."""

NEEDS = (Scenario.SINGLE, Scenario.PARALLEL, Scenario.MISSING_PARAMETER, Scenario.IRRELEVANT)


class Portion(Record):
    """One kind of work: how many pieces a run has, and what one of them takes."""

    pieces: int
    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    cost: float = 0.0


class Estimate(Record):
    """What a run will take, by kind of work.

    `seconds` is the mean time of a call that was paid for; 0 if all came out of the cache.
    """

    shares: dict[str, Portion]
    concurrency: int
    seconds: float

    def total(self, figure: str) -> float:
        """Sum of a figure of `Portion` over the run."""
        return float(sum(s.pieces * getattr(s, figure) for s in self.shares.values()))

    def summary(self) -> str:
        """One line."""
        cost = self.total("cost")
        price = f", cost {cost:.3g}" if cost else ""
        hours = self.total("calls") * self.seconds / self.concurrency / 3600
        time = (
            f"{hours:.1f} hours if {self.concurrency} calls at once take no longer than the few "
            "tried, and "
            if self.seconds
            else ""
        )
        return (
            f"estimate: about {self.total('calls'):,.0f} calls, "
            f"{self.total('prompt_tokens') / 1e6:.2f} million tokens in, "
            f"{self.total('completion_tokens') / 1e6:.2f} out{price}; {time}if "
            f"{FAILING:.0%} of the samples fail in each round"
        )


async def estimate(
    teacher: Teacher, ledger: Ledger, config: Config, progress: Progress
) -> Estimate:
    """Try a few pieces of each kind of work that the run has, and scale up.

    Raises UserError, as any work would. The tools that it works with come from the Constraint
    Tree, so that every kind can be tried whatever became of the others.
    """
    pieces = planned(config)
    tries = sum(map(_num_tried, pieces.values()))
    with progress.task("estimate", tries) as bar:
        shares, seconds = await _measure(
            teacher, _Meter(ledger, teacher.concurrency, bar), config, pieces
        )
    return Estimate(shares=shares, concurrency=teacher.concurrency, seconds=seconds)


async def _measure(
    teacher: Teacher, meter: _Meter, config: Config, pieces: dict[str, int]
) -> tuple[dict[str, Portion], float]:
    known = {leaf.path: leaf.operation for leaf in leaves()}
    drawn = [path for path, _ in spread(list(known), SAMPLE, config.seed)]
    tools = tuple(cast(known[path], path[1], config.seed) for path in drawn)
    words = draw_constraints(config.seed).words()
    briefs = [ToolBrief(path=path, constraints=words) for path in drawn]
    await meter.measure("domains", pieces, teacher.grow_domain, config.data.domains)
    await meter.measure("tools", pieces, teacher.write_tool, briefs)
    dialogues: list[Sample] = []
    await meter.measure(
        "dialogues", pieces, lambda need: _play(teacher, tools, need, dialogues), NEEDS
    )
    samples = dialogues or [_stand_in(tools)]
    await meter.measure("judgements", pieces, teacher.judge, map(_case, samples))
    tries = zip(samples, Variation, strict=False)
    await meter.measure("expansions", pieces, lambda pair: _expand(teacher, *pair), tries)
    return meter.shares, meter.seconds_per_call()


def planned(config: Config) -> dict[str, int]:
    """How many pieces of each kind a run of this config is likely to have."""
    data = config.data
    failing = round(data.samples * FAILING)
    judged = config.rounds * failing * config.verify.enabled
    expanded = min(config.expand.max_failures or failing, failing) * config.expand.enabled
    return {
        "domains": len(data.domains),
        "tools": 0 if data.tools_file else data.tools,
        "dialogues": data.samples + data.held_out_samples,
        "judgements": judged + 2 * config.verify.calibration_samples * config.verify.enabled,
        "expansions": config.rounds * expanded * config.expand.samples_per_error,
    }


class _Meter:
    def __init__(self, ledger: Ledger, concurrency: int, bar: Bar) -> None:
        self.shares: dict[str, Portion] = {}
        self._ledger = ledger
        self._concurrency = concurrency
        self._bar = bar
        self._waited = 0.0
        self._calls = 0

    async def measure(
        self,
        kind: str,
        pieces: dict[str, int],
        work: Callable[[Any], Awaitable[object]],
        items: Iterable[Any],
    ) -> None:
        """Do the items at once, and book what one of them takes on average."""

        async def done(item: Any) -> None:
            await work(item)
            self._bar.advance(note=kind)

        tried = list(islice(items, _num_tried(pieces[kind])))
        served, paid, start = self._ledger.served, self._ledger.total, time.monotonic()
        await asyncio.gather(*map(done, tried))
        taken = self._ledger.served - served
        if self._ledger.total.calls > paid.calls:
            at_once = min(len(tried), self._concurrency)
            self._waited += (time.monotonic() - start) * at_once
            self._calls += taken.calls
        self.shares[kind] = _share(pieces[kind], taken, max(1, len(tried)))

    def seconds_per_call(self) -> float:
        return self._waited / max(1, self._calls)


def _num_tried(pieces: int) -> int:
    return min(SAMPLE, ceil(TRIED_SHARE * pieces))


def _share(pieces: int, taken: Expense, tried: int) -> Portion:
    return Portion(
        pieces=pieces,
        calls=taken.calls / tried,
        prompt_tokens=taken.prompt_tokens / tried,
        completion_tokens=taken.completion_tokens / tried,
        cost=taken.cost / tried,
    )


async def _play(
    teacher: Teacher, tools: tuple[Tool, ...], need: Scenario, made: list[Sample]
) -> None:
    brief = DialogueBrief(
        id=f"estimate/{need.value}", tools=tools, needs=(need,), domain="estimate", seed=0
    )
    dialogue = await simulate(brief, teacher)
    for sample in samples_of(dialogue) if dialogue else []:
        await teacher.accept(sample)
        made.append(sample)


async def _expand(teacher: Teacher, sample: Sample, variation: Variation) -> None:
    judgement = Judgement(sample_id=sample.id, verdict=Verdict.PRED_WRONG)
    failure = Failure(sample=sample, wrong=_case(sample).prediction, judgement=judgement)
    for new in await teacher.vary(failure, variation, 1, 0):
        await teacher.accept(new)


def _stand_in(tools: tuple[Tool, ...]) -> Sample:
    """For a teacher whose dialogues came to nothing."""
    said = Message(role="user", content="Please do it for me, as we said.")
    return Sample.create(tools, (said,), Label(content="What exactly?"), Scenario.MISSING_PARAMETER)


def _case(sample: Sample) -> Case:
    """A failure as it may come: the policy says something instead."""
    return Case(
        sample_id=sample.id,
        tools=sample.tools,
        context=sample.context,
        prediction=Label(content="I am not sure what to do."),
        label=sample.label,
    )
