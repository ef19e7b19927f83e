"""A tool's schema is checked before it is used, and no schema can hang the check of a call."""

from __future__ import annotations

import time
from typing import Any

import pytest

from looptool.errors import UserError
from looptool.records import Mismatch, Tool, ToolCall
from looptool.toolcheck import check_tool, check_tools, validate_call

SEND: dict[str, Any] = {
    "type": "object",
    "properties": {
        "to": {"type": "string", "format": "email"},
        "count": {"type": "integer", "minimum": 1},
        "kind": {"enum": ["now", "later"]},
        "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
        "point": {"anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}]},
        "rows": {"type": "array", "items": {"$ref": "#/$defs/Point"}},
    },
    "required": ["to"],
    "$defs": {
        "Point": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}
    },
}


def tool(parameters: dict[str, Any], name: str = "send") -> Tool:
    return Tool(name=name, parameters=parameters)


def call(**arguments: Any) -> ToolCall:
    return ToolCall(name="send", arguments=arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"to": "a@b.c"},
        {"to": "a@b.c", "count": 1.0, "kind": "now", "code": "ABC"},
        {"to": "a@b.c", "point": None, "rows": [{"x": 1}, {"x": 2.5}]},
        {"to": "a@b.c", "point": {"x": 1}},
    ],
)
def test_a_call_that_obeys_its_schema_is_valid(arguments: dict[str, Any]) -> None:
    assert validate_call(call(**arguments), tool(SEND)).matched


@pytest.mark.parametrize(
    ("arguments", "reason", "where"),
    [
        ({}, Mismatch.MISSING_ARGUMENT, "send: 'to'"),
        ({"to": 1}, Mismatch.WRONG_TYPE, "send.to:"),
        ({"to": "nobody"}, Mismatch.WRONG_VALUE, "send.to:"),
        ({"to": "a@b.c", "cc": "x"}, Mismatch.UNKNOWN_ARGUMENT, "send.cc:"),
        ({"to": "a@b.c", "count": True}, Mismatch.WRONG_TYPE, "send.count:"),
        ({"to": "a@b.c", "count": 1.5}, Mismatch.WRONG_TYPE, "send.count:"),
        ({"to": "a@b.c", "count": 0}, Mismatch.WRONG_VALUE, "send.count:"),
        ({"to": "a@b.c", "count": None}, Mismatch.WRONG_TYPE, "send.count:"),
        ({"to": "a@b.c", "count": float("nan")}, Mismatch.WRONG_VALUE, "send:"),
        ({"to": "a@b.c", "kind": "soon"}, Mismatch.WRONG_VALUE, "send.kind:"),
        ({"to": "a@b.c", "code": "abc"}, Mismatch.WRONG_VALUE, "send.code:"),
        ({"to": "a@b.c", "point": 3}, Mismatch.WRONG_TYPE, "send.point:"),
        ({"to": "a@b.c", "point": {}}, Mismatch.MISSING_ARGUMENT, "send.point:"),
        ({"to": "a@b.c", "point": {"x": "1"}}, Mismatch.WRONG_TYPE, "send.point.x:"),
        ({"to": "a@b.c", "point": {"y": 1}}, Mismatch.UNKNOWN_ARGUMENT, "send.point.y:"),
        ({"to": "a@b.c", "rows": [{"x": 1}, {}]}, Mismatch.MISSING_ARGUMENT, "send.rows[1]:"),
    ],
)
def test_a_call_that_does_not_is_told_why_and_where(
    arguments: dict[str, Any], reason: Mismatch, where: str
) -> None:
    result = validate_call(call(**arguments), tool(SEND))
    assert (result.matched, result.reason) == (False, reason)
    assert result.detail.startswith(where)


def test_a_call_of_another_tool_is_not_valid() -> None:
    assert validate_call(call(), tool({}, "other")).reason is Mismatch.UNKNOWN_TOOL


def test_keys_that_a_pattern_allows_are_known() -> None:
    headers = tool(
        {"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": False}
    )
    assert validate_call(ToolCall(name="send", arguments={"x-a": "1"}), headers).matched
    assert not validate_call(ToolCall(name="send", arguments={"x-a": 1}), headers).matched
    unknown = validate_call(ToolCall(name="send", arguments={"y": "1"}), headers)
    assert unknown.reason is Mismatch.UNKNOWN_ARGUMENT


LAUGHS: dict[str, Any] = {
    f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 3} for n in range(30)
} | {"a30": {}}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"x": {"pattern": "(a+)+$"}}},
        {"properties": {"x": {"pattern": "^(a|aa)+$"}}},
        {"properties": {"x": {"pattern": "(((a{1000}){1000}){1000}){1000}"}}},
        {"properties": {"x": {"pattern": "a" * 1_000_000}}},
        {"properties": {"x": {"pattern": "((("}}},
        {"properties": {"x": {"pattern": "^\\p{L}"}}},
        {"patternProperties": {"(x+x+)+y": False}, "additionalProperties": False},
        {"propertyNames": {"pattern": "(x+x+)+y|x"}},
        {"patternProperties": {"(x+x+)+y": {}}, "unevaluatedProperties": False},
        {"$ref": "#/$defs/a0", "$defs": LAUGHS},
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"$ref": "http://localhost:9/schema"},
        {"$ref": f"#/anyOf/{'1' * 5000}", "anyOf": [{}]},
        {"type": "dict"},
        {"type": 5, "required": 5, "properties": 5, "enum": 5},
        {"$schema": "nonsense", "$id": "::::["},
        {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": "x"},
        {"properties": {"x": {"multipleOf": 0}}},
    ],
)
def test_no_schema_makes_the_check_raise_or_hang(schema: dict[str, Any]) -> None:
    start = time.process_time()
    hostile = tool(schema)
    for key, value in (("x", "a" * 50 + "!"), ("x" * 50, 1), ("x", 7)):
        validate_call(call(**{key: value}), hostile)
    try:
        check_tool(hostile)
    except UserError as error:
        assert "\n" not in str(error)
    assert time.process_time() - start < 3


def test_no_schema_makes_the_check_go_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda url, *_, **__: fetched.append(url))
    remote = tool({"$ref": "http://localhost:9/schema"})
    assert validate_call(call(x=1), remote).reason is Mismatch.BAD_CALL
    with pytest.raises(UserError, match="leads nowhere"):
        check_tool(remote)
    assert not fetched


@pytest.mark.parametrize(
    "schema",
    [
        {},
        SEND,
        {"type": "object", "properties": {"type": {"type": "string"}, "$ref": {}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"A": {}}},
        {"properties": {"x": {"$ref": "#"}}},
        {"properties": {"x": {"pattern": "^\\p{L}+$"}}},
        {"properties": {"x": {"default": {"$ref": "not a reference"}}}},
        {"x-own": {"type": "dict"}},
    ],
)
def test_a_sound_schema_is_accepted(schema: dict[str, Any]) -> None:
    check_tool(tool(schema))


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array"}, 'tool \'send\': parameters.type: .* write "type": "object"'),
        ({"properties": {"x": {"type": "float"}}}, r'properties\.x\.type: .* write "number"'),
        ({"properties": {"x": {"type": "dict"}}}, r'properties\.x\.type: .* write "object"'),
        ({"properties": {"x": {"type": "any"}}}, r'properties\.x\.type: .* leave "type" out'),
        ({"properties": []}, r"parameters\.properties: .* is not of type 'object'"),
        ({"required": "x"}, r"parameters\.required: .* is not of type 'array'"),
        ({"properties": {"x": {"$ref": "#/$defs/X"}}}, r'"#/\$defs/X" leads nowhere; put'),
        ({"$ref": "http://localhost:9/x"}, "leads nowhere; put that schema under"),
    ],
)
def test_an_unsound_schema_is_named_in_one_line_with_the_mend(
    schema: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        check_tool(tool(schema))
    assert str(caught.value).startswith("tool 'send': parameters")
    assert "\n" not in str(caught.value)


def test_two_tools_cannot_share_a_name() -> None:
    check_tools([tool({}), tool({}, "other")])
    with pytest.raises(UserError, match="two tools are named 'send': rename one"):
        check_tools([tool({}), tool(SEND)])
