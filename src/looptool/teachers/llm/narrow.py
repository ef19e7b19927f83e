"""Schemas narrower than a role's shape, for endpoints that hold a model to a schema.

The shape alone is described in the prompt, and is what an answer is read as: an endpoint that
enforces nothing loses nothing. Where it does, a small model cannot call a function that does not
exist, or plan two calls where one is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from looptool.records import Scenario, Tool
from looptool.teachers.llm.shapes import CallShape, MoveShape, PlanShape, TurnShape, plain_schema

MOST_CALLS = 6
"""Calls in one planned turn."""

MOST_VALUES = 6
"""Values for each of them."""

_PLAIN = {
    "type",
    "description",
    "enum",
    "default",
    "items",
    "properties",
    "required",
    "additionalProperties",
}


def moves_with(shape: type[BaseModel], tools: Sequence[Tool]) -> dict[str, Any]:
    """The schema of a shape in which a move either calls or speaks, and every call is one of these
    tools, by its own schema.

    Tools whose schema goes beyond the plain keywords take any object: endpoints differ in what
    they understand, and one that refuses a schema would get none from then on.
    """
    schema = plain_schema(shape)
    if tools:
        schema["$defs"][CallShape.__name__] = {"anyOf": [_call(tool) for tool in tools]}
    if shape is MoveShape:
        return {"type": "object", "$defs": schema["$defs"], "anyOf": _either(schema)}
    schema["$defs"][MoveShape.__name__] = {"anyOf": _either(schema["$defs"][MoveShape.__name__])}
    return schema


def _either(move: dict[str, Any]) -> list[dict[str, Any]]:
    considered, calls, says = (move["properties"][key] for key in ("considered", "calls", "says"))
    return [
        _object(considered=considered, calls=calls | {"minItems": 1}),
        _object(considered=considered, says=says | {"minLength": 1}),
    ]


def plan_of(needs: Sequence[Scenario], tools: Sequence[Tool]) -> dict[str, Any]:
    """The schema of a plan with one turn for each need, each with as many calls as that needs.

    Calls that depend on each other are the one need that some tools do not allow: a plan with one
    may stay empty.
    """
    schema = plain_schema(PlanShape)
    turns = [_turn(need, tools) for need in needs]
    exact = {
        "type": "array",
        "prefixItems": turns,
        "items": False,
        "minItems": len(turns),
        "maxItems": len(turns),
    }
    if Scenario.SEQUENTIAL in needs:
        exact = {"anyOf": [exact, {"type": "array", "items": False, "maxItems": 0}]}
    schema["properties"]["turns"] = exact
    del schema["$defs"]
    return schema


def calls_needed(need: Scenario) -> tuple[int, int]:
    """The fewest and the most calls of a turn."""
    if need in (Scenario.SINGLE, Scenario.MISSING_PARAMETER):
        return 1, 1
    if need in (Scenario.PARALLEL, Scenario.SEQUENTIAL):
        return 2, MOST_CALLS
    return (1, MOST_CALLS) if need is Scenario.MULTI_TURN else (0, 0)


def _turn(need: Scenario, tools: Sequence[Tool]) -> dict[str, Any]:
    turn = plain_schema(TurnShape)
    fewest, most = calls_needed(need)
    names = {"type": "string", "enum": [tool.name for tool in tools]}
    turn["properties"]["tools"] = {
        "type": "array",
        "items": names,
        "minItems": fewest,
        "maxItems": most,
    }
    turn["properties"]["values"] |= {"minItems": fewest, "maxItems": MOST_VALUES * most}
    if need is Scenario.MISSING_PARAMETER:
        said = {"type": "string", "minLength": 1}
        turn["properties"] |= {"left_out": said, "given_later": said}
        turn["required"] = list(turn["properties"])
    else:
        turn["properties"] = {
            name: value
            for name, value in turn["properties"].items()
            if name not in ("left_out", "given_later")
        }
    return turn


def _call(tool: Tool) -> dict[str, Any]:
    arguments = tool.parameters if _is_plain(tool.parameters) else {"type": "object"}
    return _object(name={"type": "string", "enum": [tool.name]}, arguments=arguments)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _is_plain(schema: Any) -> bool:
    if not isinstance(schema, dict) or not schema.keys() <= _PLAIN:
        return False
    if not isinstance(schema.get("type"), str) or schema.get("additionalProperties"):
        return False
    inner = [*schema.get("properties", {}).values()]
    inner += [schema["items"]] if "items" in schema else []
    return all(map(_is_plain, inner))
