"""What an endpoint is held to: plans that fit their needs, calls that exist."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from looptool.records import Scenario, Tool
from looptool.teachers.llm.narrow import moves_with, plan_of
from looptool.teachers.llm.shapes import MoveShape, ParameterShape, SampleShape, object_schema
from looptool.toolmatch import check_tool

CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
LOOK = Tool(name="look", description="Looks.", parameters=CITY)
ODD = Tool(name="odd", description="Odd.", parameters=CITY | {"minProperties": 1})


def allows(schema: dict[str, Any], answer: Any) -> bool:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(answer)


def turn(*tools: str, **rest: str) -> dict[str, Any]:
    return {
        "tools": list(tools),
        "values": [f"of {tool}" for tool in tools],
        "intent": "It.",
    } | rest


@pytest.mark.parametrize(
    ("need", "fitting", "unfit"),
    [
        (Scenario.SINGLE, turn("look"), turn("look", "odd")),
        (Scenario.SINGLE, turn("odd"), turn("fly")),
        (Scenario.PARALLEL, turn("look", "look"), turn("look")),
        (Scenario.MULTI_TURN, turn("look"), turn()),
        (Scenario.IRRELEVANT, turn(), turn("look")),
        (Scenario.CHAT, turn(), turn("odd")),
        (Scenario.MISSING_PARAMETER, turn("look", left_out="a", given_later="b"), turn("look")),
    ],
)
def test_a_turn_has_as_many_calls_as_its_need(need: Scenario, fitting: Any, unfit: Any) -> None:
    schema = plan_of([need], [LOOK, ODD])
    assert allows(schema, {"turns": [fitting]})
    for turns in ([unfit], [], [fitting, fitting]):
        assert not allows(schema, {"turns": turns})


def test_a_plan_has_a_turn_for_each_need_in_order() -> None:
    schema = plan_of([Scenario.SINGLE, Scenario.CHAT], [LOOK])
    assert allows(schema, {"turns": [turn("look"), turn()]})
    assert not allows(schema, {"turns": [turn(), turn("look")]})


def test_only_dependent_calls_may_be_impossible() -> None:
    assert allows(plan_of([Scenario.SEQUENTIAL], [LOOK]), {"turns": []})
    assert allows(plan_of([Scenario.SEQUENTIAL], [LOOK]), {"turns": [turn("look", "look")]})


def test_a_move_calls_or_speaks() -> None:
    schema = moves_with(MoveShape, [LOOK, ODD])
    call = {"name": "look", "arguments": {"city": "Oslo"}}
    assert allows(schema, {"considered": "", "calls": [call]})
    assert allows(schema, {"considered": "", "says": "Where?"})
    empty: list[dict[str, Any]] = [{"calls": []}, {"says": ""}, {}]
    for bad in empty:
        assert not allows(schema, {"considered": "", **bad})
    for name, arguments in (("look", {}), ("look", {"city": 3}), ("fly", {"city": "Oslo"})):
        wrong = {"name": name, "arguments": arguments}
        assert not allows(schema, {"considered": "", "calls": [call, wrong]})


@pytest.mark.parametrize(
    "rest",
    [
        {"minProperties": 1},
        {"properties": {"city": {"type": ["string", "null"]}}},
        {"properties": {"city": {"type": "array", "items": {"$ref": "#"}}}},
        {"additionalProperties": {"type": "string"}},
    ],
)
def test_a_schema_that_an_endpoint_may_not_know_is_left_to_the_check_after(rest: Any) -> None:
    odd = Tool(name="odd", description="Odd.", parameters=CITY | rest)
    schema = moves_with(MoveShape, [LOOK, odd])
    assert allows(schema, {"considered": "", "calls": [{"name": "odd", "arguments": {"x": 1}}]})


def test_a_closed_schema_is_plain() -> None:
    closed = Tool(
        name="shut", description="Shut.", parameters=CITY | {"additionalProperties": False}
    )
    schema = moves_with(MoveShape, [closed])
    for arguments, allowed in (({"city": "Oslo"}, True), ({"city": "Oslo", "x": 1}, False)):
        calls = [{"name": "shut", "arguments": arguments}]
        assert allows(schema, {"considered": "", "calls": calls}) is allowed


def test_the_calls_of_a_whole_sample_exist() -> None:
    schema = moves_with(SampleShape, [LOOK])
    said = {"role": "user", "content": "Oslo?"}
    for name, allowed in (("look", True), ("fly", False)):
        call = {"name": name, "arguments": {"city": "Oslo"}}
        made = {"role": "assistant", "content": "", "calls": [call]}
        move = {"considered": "", "says": "Done."}
        sample = {"new_tools": [], "conversation": [said, made], "move": move}
        assert allows(schema, sample) is allowed


def test_listed_parameters_are_a_json_schema() -> None:
    def field(name: str, type: Any, **rest: Any) -> ParameterShape:
        known = {"name": name, "type": type, "description": "d", "required": True}
        return ParameterShape.model_validate(known | rest)

    schema = object_schema(
        [
            field("unit", "string", allowed=["C", "F"], default="C"),
            field("days", "array", item_type="integer", allowed=[1, 7]),
            field("guests", "array", fields=[field("age", "integer", required=False)]),
            field("place", "object", fields=[field("city", "string")]),
        ]
    )
    check_tool(Tool(name="f", description="d", parameters=schema))
    good = {"days": [7], "guests": [{"age": 3}], "place": {"city": "Oslo"}}
    assert allows(schema, good) and schema["required"] == ["days", "guests", "place"]
    assert schema["properties"]["unit"]["default"] == "C"
    spoilt: list[dict[str, Any]] = [
        {"days": [2]},
        {"place": {}},
        {"unit": "K"},
        {"guests": ["Ada"]},
    ]
    for bad in spoilt:
        assert not allows(schema, good | bad)
