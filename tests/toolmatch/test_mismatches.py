"""Why two moves are not the same, and what no schema or value can break."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.toolmatch.booking import BOOK, JSON, calls, canonical, compare, tool

from looptool.records import Label, Mismatch, ParsedOutput, ToolCall
from looptool.toolmatch import match, same_move
from looptool.toolshape import tool_facts


@pytest.mark.parametrize(
    ("got", "want", "reason", "detail"),
    [
        (
            {"place": "Mara"},
            {"place": "Maru"},
            "wrong_value",
            'book.place: "Mara", expected "Maru"',
        ),
        ({"place": 1}, {"place": "Maru"}, "wrong_type", 'book.place: 1, expected "Maru"'),
        ({"place": None}, {"place": "Maru"}, "wrong_type", 'book.place: null, expected "Maru"'),
        ({}, {"place": "Maru"}, "missing_argument", 'book.place: missing, expected "Maru"'),
        (
            {"place": "a", "note": "b"},
            {"place": "a"},
            "extra_argument",
            'book.note: "b", expected none',
        ),
        (
            {"place": "a", "zip": 1},
            {"place": "a"},
            "unknown_argument",
            "book.zip: the schema has no such argument",
        ),
        (
            {"place": "a", "zip": 1},
            {"place": "a", "zip": 1},
            "unknown_argument",
            "book.zip: the schema has no such argument",
        ),
        ({"tags": ["a", "b"]}, {"tags": ["a"]}, "wrong_value", "book.tags: 2 items, expected 1"),
        (
            {"tags": ["a", "c"]},
            {"tags": ["a", "b"]},
            "wrong_value",
            'book.tags[1]: "c", expected "b"',
        ),
        (
            {"contact": {"name": "A"}},
            {"contact": {"name": "B"}},
            "wrong_value",
            'book.contact.name: "A", expected "B"',
        ),
        (
            {"guests": [{}, {"age": True}]},
            {"guests": [{}, {"age": 1}]},
            "wrong_type",
            "book.guests[1].age: true, expected 1",
        ),
        (
            {"place": "b", "contact": {"zip": 1}},
            {"place": "a", "contact": {}},
            "unknown_argument",
            "book.contact.zip: the schema has no such argument",
        ),
    ],
)
def test_a_mismatch_says_why_and_where(
    got: dict[str, Any], want: dict[str, Any], reason: str, detail: str
) -> None:
    result = compare(calls(got), calls(want))
    assert (result.matched, result.reason, result.detail) == (False, Mismatch(reason), detail)


def test_of_several_calls_the_nearest_miss_is_reported() -> None:
    want = calls({"place": "a", "people": 3}, {"place": "b", "people": 4}, {"place": "c"})
    got = calls({"place": "c"}, {"place": "x", "people": 9}, {"place": "b", "people": 5})
    result = compare(got, want)
    assert (result.reason, result.detail) == (Mismatch.WRONG_VALUE, "book.people: 5, expected 4")


def test_a_call_that_found_its_match_is_no_near_miss_of_another() -> None:
    want = calls({"place": "c"}, {"place": "z", "people": 1, "note": "n"})
    result = compare(calls({"place": "c", "people": 9}, {"place": "c"}), want)
    assert (result.reason, result.detail) == (
        Mismatch.MISSING_ARGUMENT,
        'book.note: missing, expected "n"',
    )


def test_the_tool_and_the_number_of_calls_must_be_right() -> None:
    one = calls({"place": "a"})
    assert compare(calls({}, name="cancel"), one).reason is Mismatch.WRONG_TOOL
    assert compare(calls({}, name="Book"), one).reason is Mismatch.UNKNOWN_TOOL
    assert compare((*one, *one), one).reason is Mismatch.WRONG_NUMBER_OF_CALLS
    assert compare((*one, *calls({}, name="ghost")), one).reason is Mismatch.UNKNOWN_TOOL
    assert compare((), one).reason is Mismatch.MISSING_CALL
    assert compare(one, ()).reason is Mismatch.UNEXPECTED_CALL


def test_a_tool_that_is_not_offered_never_matches() -> None:
    prediction = ParsedOutput(calls=calls({}), begins_call=True)
    assert match(prediction, Label(calls=calls({})), []).reason is Mismatch.UNKNOWN_TOOL


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {}}},
        {"properties": {"a": {}}, "additionalProperties": False},
        {"type": "object", "additionalProperties": False},
        {"properties": {}},
        {"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"required": []}]},
    ],
)
def test_what_the_schema_does_not_declare_is_unknown(schema: dict[str, Any]) -> None:
    result = compare(calls({"z": 1}), calls({"z": 1}), schema)
    assert result.reason is Mismatch.UNKNOWN_ARGUMENT


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"properties": {"a": {}}, "additionalProperties": True},
        {"properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
        {"properties": {"a": {}}, "patternProperties": {"z": {}}},
        {"properties": {"a": {}}, "anyOf": [{"properties": {"z": {}}}, {"properties": {"y": {}}}]},
        {"properties": {"a": {}}, "allOf": [{"properties": {"z": {}}}]},
        {"properties": {"a": {}}, "if": {}, "then": {"properties": {"z": {}}}},
    ],
)
def test_what_the_schema_allows_is_known(schema: dict[str, Any]) -> None:
    assert compare(calls({"z": 1}), calls({"z": 1}), schema).matched


def test_a_label_without_call_matches_whatever_does_not_begin_a_call() -> None:
    label = Label(content="Which city?")
    assert match(ParsedOutput(content="It is sunny."), label, []).matched
    assert match(ParsedOutput(), label, []).matched
    assert not match(ParsedOutput(begins_call=True), label, []).matched


def test_two_labels_are_one_move_if_toolmatch_takes_one_for_the_other() -> None:
    label = Label(calls=calls({"place": "a"}))
    spelled_out = Label(calls=calls({"people": 2.0, "place": "a"}))
    assert same_move(spelled_out, label, [tool(BOOK)])
    assert not same_move(Label(content="no call"), label, [tool(BOOK)])
    assert not same_move(label, Label(content="no call"), [tool(BOOK)])
    assert same_move(Label(content="Where?"), Label(content="Which place?"), [tool(BOOK)])


@pytest.mark.parametrize("defect", [d for d in Mismatch if d is not Mismatch.NONE])
def test_a_defect_never_matches_and_is_the_reason(defect: Mismatch) -> None:
    prediction = ParsedOutput(calls=calls({"place": "a"}), begins_call=True, defect=defect)
    for label in (Label(calls=prediction.calls), Label()):
        result = match(prediction, label, [tool(BOOK)])
        assert (result.matched, result.reason) == (False, defect)


HOSTILE_SCHEMAS: list[dict[str, Any]] = [
    {"$ref": "#"},
    {"$ref": "#/nowhere"},
    {"$ref": "http://localhost:9/x"},
    {"$ref": 5},
    {"$ref": f"#/anyOf/{'1' * 5000}", "anyOf": [{}]},
    {"allOf": [{"$ref": "#"}, 3, None], "anyOf": "x", "oneOf": {}},
    {"properties": [], "required": "place", "items": 3, "type": ["object", 7]},
    {"properties": {"place": True, "x": False, "y": None}, "required": [{}, 1]},
    {"properties": {"place": {"format": [], "x-match": {}}}},
    {"patternProperties": {"(a+)+$": {}}, "properties": {"place": {"pattern": "(a+)+$"}}},
    {"properties": {"place": {"default": {"place": {}}, "$ref": "#"}}},
    {"properties": {"place": {"enum": 3}}, "$defs": 7, "then": 1, "else": []},
]


@given(
    schema=st.sampled_from(HOSTILE_SCHEMAS) | st.dictionaries(st.sampled_from("abc"), JSON),
    got=JSON,
    want=JSON,
)
def test_nothing_raises(schema: dict[str, Any], got: Any, want: Any) -> None:
    result = compare(calls({"place": got}), calls({"place": want}), schema)
    if canonical(got) != canonical(want):
        assert not result.matched or "default" in repr(schema)


def test_a_default_that_contains_itself_is_no_endless_loop() -> None:
    schema = {"properties": {"x": {"$ref": "#", "default": {"x": {}}}}}
    assert not compare(calls({}), calls({"x": {}}), schema).matched


def test_values_nested_beyond_reason_do_not_match() -> None:
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    call = ToolCall.model_construct(name="book", arguments={"x": deep})
    prediction = ParsedOutput.model_construct(calls=(call,))
    label = Label.model_construct(calls=(call,))
    assert not match(prediction, label, [tool({})]).matched


def test_many_calls_are_compared_in_good_time() -> None:
    many = calls(*({"place": str(n), "people": n} for n in range(300)))
    start = time.process_time()
    assert not compare(many, calls(*({"place": "x"} for _ in many))).matched
    assert compare(many[::-1], many).matched
    assert time.process_time() - start < 5


def test_facts_are_worked_out_once_and_die_with_their_tool() -> None:
    from looptool import toolshape

    gc.collect()
    before = len(toolshape._known)
    one = tool(BOOK)
    assert tool_facts(one) is tool_facts(one)
    del one
    gc.collect()
    assert len(toolshape._known) <= before
