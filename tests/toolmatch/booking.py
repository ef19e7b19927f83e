"""A tool to compare calls of, and any JSON value."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from looptool.records import Label, Match, ParsedOutput, Tool, ToolCall
from looptool.toolmatch import match

BOOK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "place": {"type": "string"},
        "people": {"type": "integer", "default": 2},
        "outside": {"type": "boolean", "default": False},
        "note": {"type": ["string", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "contact": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "language": {"type": "string", "default": "en"},
            },
            "required": ["name"],
        },
        "options": {
            "type": "object",
            "properties": {"smoking": {"type": "boolean", "default": False}},
            "default": {},
        },
        "guests": {
            "type": "array",
            "items": {"type": "object", "properties": {"age": {"type": "integer", "default": 30}}},
        },
    },
    "required": ["place"],
}


def tool(parameters: dict[str, Any], name: str = "book") -> Tool:
    return Tool(name=name, parameters=parameters)


def calls(*arguments: dict[str, Any], name: str = "book") -> tuple[ToolCall, ...]:
    return tuple(ToolCall(name=name, arguments=given) for given in arguments)


def compare(
    got: tuple[ToolCall, ...],
    want: tuple[ToolCall, ...],
    parameters: dict[str, Any] = BOOK,
) -> Match:
    prediction = ParsedOutput(calls=got, begins_call=bool(got))
    tools = [tool(parameters), tool(parameters, "cancel")]
    return match(prediction, Label(calls=want), tools)


def same_value(got: Any, want: Any, schema: dict[str, Any] | None = None) -> bool:
    """Whether the values match as the argument `x` of a tool, in both directions."""
    parameters = {"type": "object", "properties": {"x": schema or {}}}
    there = compare(calls({"x": got}), calls({"x": want}), parameters).matched
    back = compare(calls({"x": want}), calls({"x": got}), parameters).matched
    assert there is back, "matching has no direction"
    return there


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([-1.0, 0.0, 1.0, 0.5, 2**53, 2**53 + 1, float(2**53)])
    | st.sampled_from(["", "0", "1", "a", "A"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


def canonical(value: Any) -> Any:
    """An independent account of JSON equality: equal values have equal canonical forms."""
    if isinstance(value, bool) or value is None:
        return ("literal", str(value))
    if isinstance(value, int | float):
        return ("number", value.as_integer_ratio())
    if isinstance(value, str):
        return ("string", value)
    if isinstance(value, list):
        return ("array", tuple(map(canonical, value)))
    return ("object", tuple(sorted((key, canonical(item)) for key, item in value.items())))
