"""Arguments by their schema: defaults, references, strings; calls as a multiset."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.toolmatch.booking import JSON, calls, compare, same_value

from looptool.records import Mismatch, ToolCall


@given(st.lists(st.tuples(st.sampled_from(["book", "cancel"]), JSON), min_size=1, max_size=5))
def test_the_order_of_parallel_calls_does_not_matter_but_their_number_does(
    moves: list[tuple[str, Any]],
) -> None:
    want = tuple(ToolCall(name=name, arguments={"x": value}) for name, value in moves)
    got = tuple(random.Random(0).sample(want, len(want)))
    open_schema = {"type": "object"}
    assert compare(got, want, open_schema).matched
    for changed in (got[1:], (*got, got[0])):
        assert not compare(changed, want, open_schema).matched


@given(st.lists(st.integers(0, 2), max_size=4), st.lists(st.integers(0, 2), max_size=4))
def test_calls_match_as_a_multiset(got: list[int], want: list[int]) -> None:
    assume(got and want)
    result = compare(
        calls(*({"place": str(n)} for n in got)), calls(*({"place": str(n)} for n in want))
    )
    assert result.matched is (sorted(got) == sorted(want))


@pytest.mark.parametrize(
    ("more", "matched"),
    [
        ({"people": 2}, True),
        ({"people": 2.0}, True),
        ({"outside": False}, True),
        ({"people": 2, "outside": False, "options": {}}, True),
        ({"options": {"smoking": False}}, True),
        ({"people": 3}, False),
        ({"people": None}, False),
        ({"outside": 0}, False),
        ({"note": None}, False),
        ({"tags": []}, False),
        ({"options": {"smoking": True}}, False),
        ({"options": None}, False),
    ],
)
def test_an_optional_argument_given_its_default_equals_leaving_it_out(
    more: dict[str, Any], matched: bool
) -> None:
    bare: dict[str, Any] = {"place": "Maru"}
    assert compare(calls(bare | more), calls(bare)).matched is matched
    assert compare(calls(bare), calls(bare | more)).matched is matched


@pytest.mark.parametrize("key", ["contact", "guests"])
def test_defaults_hold_at_every_depth(key: str) -> None:
    def at(value: dict[str, Any]) -> dict[str, Any]:
        return {"place": "Maru", key: value if key == "contact" else [{}, value]}

    ada: dict[str, Any] = {"name": "Ada"} if key == "contact" else {}
    default, other = ({"language": "en"}, {"language": "fr"}) if ada else ({"age": 30}, {"age": 31})
    assert compare(calls(at(ada | default)), calls(at(ada))).matched
    assert not compare(calls(at(ada | other)), calls(at(ada))).matched


def test_a_required_argument_must_be_given_even_if_it_is_the_default() -> None:
    parameters = {"properties": {"x": {"default": 1}}, "required": ["x"]}
    result = compare(calls({}), calls({"x": 1}), parameters)
    assert (result.reason, result.detail) == (
        Mismatch.MISSING_ARGUMENT,
        "book.x: missing, expected 1",
    )


@pytest.mark.parametrize(
    "inner",
    [
        {"$ref": "#/$defs/P"},
        {"anyOf": [{"$ref": "#/$defs/P"}, {"type": "null"}]},
        {"allOf": [{"$ref": "#/$defs/P"}], "description": "A point."},
        {"type": "array", "items": {"$ref": "#/$defs/P"}},
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/P"}},
    ],
)
def test_schemas_are_read_through_references_and_optional_types(inner: dict[str, Any]) -> None:
    point = {
        "type": "object",
        "properties": {"y": {"default": 0}, "next": {"$ref": "#/$defs/P"}},
    }
    parameters = {"type": "object", "properties": {"p": inner}, "$defs": {"P": point}}

    def at(value: dict[str, Any]) -> tuple[ToolCall, ...]:
        if inner.get("type") == "array":
            return calls({"p": [value]})
        return calls({"p": {"k": value} if "additionalProperties" in inner else value})

    assert compare(at({"y": 0, "next": {"y": 0}}), at({"next": {}}), parameters).matched
    unknown = compare(at({"z": 1}), at({"z": 1}), parameters)
    assert unknown.reason is Mismatch.UNKNOWN_ARGUMENT


@pytest.mark.parametrize(
    ("schema", "a", "b", "same"),
    [
        ({"x-match": "casefold"}, "Straße", "STRASSE", True),
        ({"x-match": "casefold"}, "a", "b", False),
        ({"x-match": "casefold"}, "1", 1, False),
        ({"x-match": "anything"}, "a", "A", False),
        ({"format": "uuid"}, "0F" * 4 + "-0000-0000-0000-" + "0F" * 6, None, False),
        (
            {"format": "uuid"},
            "0F0F0F0F-0000-0000-0000-0F0F0F0F0F0F",
            "0f0f0f0f-0000-0000-0000-0f0f0f0f0f0f",
            True,
        ),
        ({"format": "uuid"}, "NOT-ONE", "not-one", False),
        ({"format": "date-time"}, "2026-03-01T10:00:00Z", "2026-03-01t10:00:00.000+00:00", True),
        ({"format": "date-time"}, "2026-03-01T10:00:00Z", "2026-03-01T10:00:00.001Z", False),
        ({"format": "date-time"}, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00+01:00", False),
        ({"format": "date-time"}, "tomorrow", "Tomorrow", False),
        ({"format": "email"}, "A@b.c", "a@b.c", False),
        ({}, "2026-03-01T10:00:00Z", "2026-03-01T10:00:00+00:00", False),
        ({"type": "array", "items": {"x-match": "casefold"}}, ["a"], ["A"], True),
    ],
)
def test_strings_match_exactly_unless_the_schema_says_otherwise(
    schema: dict[str, Any], a: Any, b: Any, same: bool
) -> None:
    assert same_value(a, b, schema) is same
