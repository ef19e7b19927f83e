"""Errors planted on purpose: label noise for training, and known cases to measure judges by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from looptool.records import ErrorType, Label, PlantedError, Sample, Scenario
from looptool.seed.corruptions import (
    another_tool,
    drop_argument,
    invent_argument,
    make_up_call,
    misread_value,
    mistake_type,
)
from looptool.seed.dice import dice, stable
from looptool.toolmatch import same_move

_NOISE: tuple[ErrorType, ...] = tuple(
    error for error in ErrorType if error is not ErrorType.SHOULD_ASK
)


def plant(sample: Sample, error: ErrorType, rng: Random) -> Label | None:
    """A plausible wrong label of the given type; None where the sample does not lend itself to it.

    It never matches the sample's own label under ToolMatch.
    """
    for _ in range(6):
        wrong = _PLANTS[error](sample, rng)
        if wrong is None:
            return None
        if not same_move(wrong, sample.label, sample.tools):
            return wrong
    return None


def spoil(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[list[Sample], list[PlantedError]]:
    """The samples with `share` of the labels spoilt, all types about equally often, and the truth.

    A spoilt sample's id is that of the wrong label it was born with.
    """
    wanted = round(share * len(samples))
    order = sorted(range(len(samples)), key=lambda n: stable("noise", seed, samples[n].id))
    spoilt: dict[int, tuple[Label, ErrorType]] = {}
    counts: dict[ErrorType, int] = dict.fromkeys(_NOISE, 0)
    for n in order:
        if len(spoilt) >= wanted:
            break
        rng = dice("noise", seed, samples[n].id)
        for error in sorted(_NOISE, key=lambda error: (counts[error], rng.random())):
            if counts[error] > wanted / len(_NOISE) + 1:
                continue
            wrong = plant(samples[n], error, rng)
            if wrong is not None:
                spoilt[n] = (wrong, error)
                counts[error] += 1
                break
    noisy, planted = list(samples), []
    for n, (wrong, error) in sorted(spoilt.items()):
        old = samples[n]
        noisy[n] = Sample.create(
            old.tools, old.context, wrong, old.scenario, origin=old.origin, domain=old.domain
        )
        planted.append(PlantedError(sample_id=noisy[n].id, error=error, truth=old.label))
    return noisy, planted


def _in_one_call(change: Callable[[Sample, int, Random], Any]) -> Callable[[Sample, Random], Any]:
    """A change of one of the label's calls, as a change of the label."""

    def planted(sample: Sample, rng: Random) -> Label | None:
        calls = list(sample.label.calls)
        for n in rng.sample(range(len(calls)), len(calls)):
            changed = change(sample, n, rng)
            if changed is not None:
                calls[n] = changed
                return Label(calls=tuple(calls))
        return None

    return planted


def _needless(sample: Sample, rng: Random) -> Label | None:
    """A call where none is due, or one too many."""
    if sample.label.calls and rng.random() < 0.8 and sample.scenario is not Scenario.PARALLEL:
        return None  # mostly where no call is right
    taken = {call.name for call in sample.label.calls}
    tools = [tool for tool in sample.tools if tool.name not in taken] or list(sample.tools)
    call = make_up_call(rng.choice(tools), sample.context, rng)
    return Label(calls=(*sample.label.calls, call)) if call else None


def _should_ask(sample: Sample, rng: Random) -> Label | None:
    """A call with an invented value where the assistant should ask for it."""
    if sample.label.calls or sample.scenario is not Scenario.MISSING_PARAMETER:
        return None
    call = make_up_call(rng.choice(sample.tools), sample.context, rng)
    return Label(calls=(call,)) if call else None


_PLANTS: dict[ErrorType, Callable[[Sample, Random], Label | None]] = {
    ErrorType.WRONG_VALUE: _in_one_call(misread_value),
    ErrorType.MISSING_ARGUMENT: _in_one_call(drop_argument),
    ErrorType.EXTRA_ARGUMENT: _in_one_call(invent_argument),
    ErrorType.WRONG_TOOL: _in_one_call(another_tool),
    ErrorType.WRONG_TYPE: _in_one_call(mistake_type),
    ErrorType.NEEDLESS_CALL: _needless,
    ErrorType.SHOULD_ASK: _should_ask,
}
