from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from looptool.records import (
    Failure,
    Judgement,
    Label,
    Origin,
    Sample,
    Scenario,
    Tool,
    ToolCall,
    Verdict,
)
from looptool.seed.checks import fault_of
from looptool.seed.constraint_tree import cast
from looptool.seed.context_tree import leaves
from looptool.seed.dialogues import samples_of, simulate
from looptool.seed.dice import dice
from looptool.seed.kinds import draw
from looptool.teachers.base import DialogueBrief, Scene, ToolBrief, Variation
from looptool.teachers.offline.goals import surface
from looptool.teachers.offline.infer import core_phrase
from looptool.teachers.offline.manners import Voice
from looptool.teachers.offline.parallel import again
from looptool.teachers.offline.scenes import write_script
from looptool.teachers.offline.sense import recognise
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.teachers.offline.understand import understand
from looptool.toolcheck import check_tool, validate_call

TRAVEL = [leaf for leaf in leaves() if leaf.path[:2] == ("travel", "flights")]
TOOLS = tuple(cast(leaf.operation, leaf.group, 11) for leaf in TRAVEL)


def brief(*needs: Scenario, seed: int = 5, **rest: object) -> DialogueBrief:
    fields = {"id": "t", "tools": TOOLS, "needs": needs, "domain": "travel", "seed": seed, **rest}
    return DialogueBrief.model_validate(fields)


def played(wanted: DialogueBrief) -> list[Sample]:
    dialogue = asyncio.run(simulate(wanted, OfflineTeacher()))
    return samples_of(dialogue) if dialogue else []


def test_it_writes_the_tool_of_the_brief() -> None:
    leaf = TRAVEL[0]
    tool = asyncio.run(OfflineTeacher().write_tool(ToolBrief(path=leaf.path, seed=4)))
    assert tool == cast(leaf.operation, leaf.group, 4)
    assert asyncio.run(OfflineTeacher().write_tool(ToolBrief(path=("no", "such", "leaf")))) is None


@pytest.mark.parametrize("seed", range(6))
def test_a_chain_takes_its_id_from_the_answer(seed: int) -> None:
    samples = played(brief(Scenario.SEQUENTIAL, seed=seed))
    calling = [sample for sample in samples if sample.label.calls]
    assert len(calling) >= 2
    for sample in calling[1:]:
        answers = " ".join(m.content for m in sample.context if m.role == "tool")
        asked = " ".join(m.content for m in sample.context if m.role == "user")
        values = map(str, sample.label.calls[0].arguments.values())
        assert any(value in answers and value not in asked for value in values)


def test_a_call_that_ended_in_an_error_is_no_sample() -> None:
    for seed in range(20):
        dialogue = asyncio.run(
            simulate(brief(Scenario.SINGLE, seed=seed, tool_error=True), OfflineTeacher())
        )
        assert dialogue is not None
        failed = [
            n - 1
            for n, message in enumerate(dialogue.messages)
            if message.role == "tool" and "error" in json.loads(message.content)
        ]
        assert failed and dialogue.moves
        assert not set(failed) & {index for index, _ in dialogue.moves}


def test_a_missing_value_is_asked_for_and_then_used() -> None:
    for seed in range(10):
        asks, acts = played(brief(Scenario.MISSING_PARAMETER, seed=seed))[:2]
        assert not asks.label.calls and asks.label.content
        assert acts.label.calls
        assert fault_of(acts) is None


def test_what_follows_several_calls_of_a_tool_does_not_change_one_of_them() -> None:
    followed = 0
    for seed in range(80):
        beats = write_script(brief(Scenario.PARALLEL, Scenario.MULTI_TURN, seed=seed))
        if len(beats) < 2:
            continue
        asked = [call.name for call in beats[0].steps[0].label.calls]
        last = asked[-1]
        (after,) = beats[1].steps[0].label.calls
        followed += 1
        assert asked.count(last) == 1 or after.name != last, beats[1].said
    assert followed > 20


def test_a_value_that_differs_from_another_by_its_capitals_keeps_them() -> None:
    (leaf,) = (leaf for leaf in leaves() if leaf.path[2] == "predict_cross")
    wanted = brief(Scenario.MISSING_PARAMETER).model_copy(
        update={"tools": (cast(leaf.operation, leaf.group, 3),)}
    )
    answered = 0
    for seed in range(120):
        beats = write_script(wanted.model_copy(update={"seed": seed}))
        if len(beats) > 1:
            said = " ".join(beat.said for beat in beats)
            for call in beats[-1].steps[0].label.calls:
                parents = [v for v in call.arguments.values() if str(v).lower() == "bb"]
                answered += len(parents)
                assert all(str(parent) in said for parent in parents), said
    assert answered > 20


def test_a_request_said_again_holds_the_values_of_every_call() -> None:
    found = 0
    for seed in range(40):
        rng = dice("again", seed)
        senses = tuple(sense for tool in TOOLS if (sense := recognise(tool)))
        made = again(senses, 3, Voice("plain", seed), rng)
        if made is None:
            continue
        said, goals = made
        found += 1
        assert (
            len({json.dumps(dict(goal.values), default=str) for goal in goals}) == len(goals) == 3
        )
        for goal in goals:
            for name, value in goal.values.items():
                slot = goal.sense.slots[name]
                voice, befores = Voice("plain", seed), ("", "of ")  # nothing around it after "of"
                ways = {surface(slot, value, voice, before).lower() for before in befores}
                assert any(way in said.lower() for way in ways)
    assert found > 10


def test_parallel_goals_are_two_to_six_calls() -> None:
    for seed in range(20):
        calls = played(brief(Scenario.PARALLEL, seed=seed))[0].label.calls
        assert 2 <= len(calls) <= 6
        assert len({json.dumps([c.name, c.arguments], sort_keys=True) for c in calls}) == len(calls)


def test_the_same_call_has_the_same_answer() -> None:
    scene = Scene(brief=brief(Scenario.SINGLE), plan=(), messages=(), turn=0)
    call = ToolCall(name=TOOLS[0].name, arguments={"origin": "Oslo"})
    teacher = OfflineTeacher()
    one, other = (asyncio.run(teacher.answer(scene, call)) for _ in range(2))
    assert one == other
    assert "error" in asyncio.run(teacher.answer(scene, ToolCall(name="nobody")))


def failure_of(sample: Sample) -> Failure:
    judgement = Judgement(sample_id=sample.id, verdict=Verdict.PRED_WRONG)
    return Failure(sample=sample, wrong=Label(), judgement=judgement)


@pytest.mark.parametrize("scenario", [s for s in Scenario if s is not Scenario.CHAT])
def test_variations_keep_scenario_and_branch(scenario: Scenario) -> None:
    absent = TOOLS[-1:]
    needs = (Scenario.SINGLE, scenario) if scenario is Scenario.MULTI_TURN else (scenario,)
    parent = played(brief(*needs, tools=TOOLS[:-1], absent=absent))[-1]
    teacher = OfflineTeacher()
    for variation in (Variation.DATA, Variation.SIBLING_TOOL, Variation.PERSONA):
        children = asyncio.run(teacher.vary(failure_of(parent), variation, 3, 0))
        assert children
        for child in children:
            assert child.scenario is parent.scenario
            assert child.origin is Origin.EXPANDED
            assert child.parents == (parent.id,)
            assert child.context != parent.context
            senses = [recognise(tool) for tool in child.tools]
            assert all(s and (s.domain, s.group) == ("travel", "flights") for s in senses)
        again = asyncio.run(OfflineTeacher().vary(failure_of(parent), variation, 3, 0))
        assert children == again


def test_one_turn_becomes_several() -> None:
    parent = played(brief(Scenario.SINGLE))[0]
    children = asyncio.run(OfflineTeacher().vary(failure_of(parent), Variation.TURNS, 2, 0))
    assert any(sum(m.role == "user" for m in child.context) > 1 for child in children)


@pytest.mark.parametrize(
    ("name", "description", "expected"),
    [
        ("get_weather", "Get the current weather in a given city.", "get the current weather"),
        ("triArea", "Calculates the area of a triangle given base and height.",
         "calculate the area of a triangle"),
        ("create_ticket", "This endpoint opens a ticket.", "create a ticket"),
        ("orders.list", "", "run list"),
    ],
)  # fmt: skip
def test_what_a_tool_does_is_read_off_its_name_and_description(
    name: str, description: str, expected: str
) -> None:
    assert core_phrase(Tool(name=name, description=description)) == expected


NODE = {
    "type": "object",
    "properties": {"value": {"type": "string"}, "next": {"$ref": "#/$defs/N"}},
    "required": ["value", "next"],
}


@pytest.mark.parametrize(
    ("schema", "definition", "paths"),
    [
        ({"$ref": "#/$defs/N"}, NODE, {("x", "value")}),
        ({"$ref": "#/$defs/N"}, {**NODE, "required": []}, {("x", "value")}),
        ({"$ref": "#/$defs/N"}, {"$ref": "#/$defs/N"}, {("x",)}),
        ({"$ref": "#/$defs/N"}, {"anyOf": [{"$ref": "#/$defs/N"}]}, {("x",)}),
        ({"$ref": "#/$defs/N"}, {"$ref": "#/properties/y", "title": "Y"}, {("x",)}),
        ({"$ref": "#/$defs/N"}, True, {("x",)}),
        ({"anyOf": [True, {"type": "string"}]}, {}, {("x",)}),
        ({"allOf": [False]}, {}, {("x",)}),
    ],
)
def test_a_sound_schema_however_odd_is_understood(
    schema: dict[str, Any], definition: Any, paths: set[tuple[str, ...]]
) -> None:
    properties = {"x": schema, "y": {"type": "integer"}}
    parameters = {"properties": properties, "required": ["x"], "$defs": {"N": definition}}
    tool = Tool.model_validate({"name": "get_x", "parameters": parameters})
    check_tool(tool)
    sense = understand(tool)
    assert sense is not None
    found = {place.path for slot in sense.slots.values() for place in slot.places}
    assert found == paths | {("y",)}


@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("expiry_year", {"minimum": 2026}),
        ("year", {"maximum": 1900}),
        ("number_of_parts", {"exclusiveMinimum": 100}),
        ("level", {"exclusiveMaximum": -3}),
        ("level", {"exclusiveMinimum": 2, "exclusiveMaximum": 4}),
        ("discount_percent", {"maximum": -1}),
        ("discount_percent", {"minimum": 120}),
        ("duration_minutes", {"minimum": 60}),
        ("duration_minutes", {"maximum": 0}),
        ("price_usd", {"maximum": 0}),
        ("price_usd", {"minimum": 2.5, "maximum": 3.5}),
    ],
)
def test_numbers_are_drawn_within_what_the_schema_allows(
    kind: str, name: str, bounds: dict[str, Any]
) -> None:
    parameters = {"properties": {name: {"type": kind, **bounds}}, "required": [name]}
    tool = Tool.model_validate({"name": "get_it", "parameters": parameters})
    sense = understand(tool)
    assert sense is not None
    (slot,) = sense.slots.values()
    for seed in range(20):
        call = sense.call({slot.name: draw(slot.param, dice(seed))})
        assert validate_call(call, tool).matched, call


def test_a_number_that_no_value_can_be_is_not_spoken_of() -> None:
    wanted = {"type": "integer", "minimum": 10, "maximum": 5}
    parameters = {"properties": {"n": wanted}, "required": ["n"]}
    tool = Tool.model_validate({"name": "get_it", "parameters": parameters})
    assert understand(tool) is None
