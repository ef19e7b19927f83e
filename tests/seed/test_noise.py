from __future__ import annotations

from typing import Any

import pytest

from looptool.records import (
    ErrorType,
    Label,
    Message,
    ParsedOutput,
    Sample,
    Scenario,
    Seed,
    Tool,
    ToolCall,
)
from looptool.seed.dice import dice
from looptool.seed.noise import plant
from looptool.toolmatch import match, same_move


@pytest.mark.parametrize("error", list(ErrorType))
def test_a_planted_error_never_matches_the_truth(seed: Seed, error: ErrorType) -> None:
    made = [
        (sample, wrong)
        for sample in seed.held_out
        if (wrong := plant(sample, error, dice("test", sample.id))) is not None
    ]
    assert made, f"no sample lends itself to {error}"
    assert not any(same_move(wrong, sample.label, sample.tools) for sample, wrong in made)


def test_the_truth_of_a_spoilt_sample_is_kept(seed: Seed) -> None:
    samples = {sample.id: sample for sample in seed.train}
    for planted in seed.planted:
        sample = samples[planted.sample_id]
        wrong = ParsedOutput(calls=sample.label.calls, begins_call=bool(sample.label.calls))
        assert not match(wrong, planted.truth, sample.tools).matched


def test_planting_is_reproducible(seed: Seed) -> None:
    for sample in seed.held_out[:40]:
        for error in ErrorType:
            assert plant(sample, error, dice(1)) == plant(sample, error, dice(1))


@pytest.mark.parametrize(
    "text", ["4532-75-21", "9999-12-31", "0001-01-01", "CO₂ level", "²", "7" * 5000]
)
@pytest.mark.parametrize("error", [ErrorType.WRONG_VALUE, ErrorType.WRONG_TYPE])
def test_what_only_looks_like_a_date_or_a_number_is_spoilt_as_text(
    text: str, error: ErrorType
) -> None:
    tool = Tool(name="note", parameters={"properties": {"text": {"type": "string"}}})
    said = Message(role="user", content="Note what Ada Lovelace said.")
    label = Label(calls=(ToolCall(name="note", arguments={"text": text}),))
    sample = Sample.create((tool,), (said,), label, Scenario.SINGLE)
    for seed in range(5):
        wrong = plant(sample, error, dice(seed))
        assert wrong is not None and not same_move(wrong, label, sample.tools)


def test_what_its_default_says_anyway_is_not_left_out() -> None:
    properties: dict[str, Any] = {
        "medium": {"type": "string", "default": "vacuum"},
        "charge": {"type": "integer"},
    }
    tool = Tool(name="field", parameters={"properties": properties})
    said = Message(role="user", content="The field of a charge of 5 in a vacuum.")
    for medium, gone in (("vacuum", {"charge"}), ("water", {"charge", "medium"})):
        label = Label(calls=(ToolCall(name="field", arguments={"medium": medium, "charge": 5}),))
        sample = Sample.create((tool,), (said,), label, Scenario.SINGLE)
        left = [plant(sample, ErrorType.MISSING_ARGUMENT, dice(seed)) for seed in range(9)]
        kept = [set(wrong.calls[0].arguments) for wrong in left if wrong is not None]
        assert {name for names in kept for name in {"charge", "medium"} - names} == gone
