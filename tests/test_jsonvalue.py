"""JSON is read strictly: what could not be stored and read again is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looptool.jsonvalue import MAX_DEPTH, json_type, read_json, shorten, values_equal
from looptool.records import ToolCall

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.text() | NUMBERS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@given(JSON, st.booleans())
def test_written_json_reads_back_with_what_stands_around_it(value: Any, ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii)
    back, end = read_json(f"x{text} tail", 1)
    assert repr(back) == repr(value)
    assert end == len(text) + 1
    assert values_equal(back, value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("{'a': 1}", "property name"),
        ('{"a": 1,}', "property name"),
        ('"a\nb"', "control character"),
        ("NaN", "not JSON"),
        ("[-Infinity]", "not JSON"),
        ("1e999", "out of range"),
        ("9" * 5000, "digits"),
        ('{"a": 1, "a": 1}', "twice"),
        (r'"\ud800"', "surrogate"),
        (r'{"\udc00": 1}', "surrogate"),
        ("[" * 100_000, "deep"),
        ("[" * 200 + "]" * 200, "deep"),
    ],
)
def test_what_is_no_json_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_json(text)


def test_a_pair_of_surrogate_escapes_is_a_character() -> None:
    assert read_json(r'"\ud83d\ude00"')[0] == "😀"


def test_what_is_read_can_be_stored_and_loaded() -> None:
    text = '{"x":' * (MAX_DEPTH - 1) + "{}" + "}" * (MAX_DEPTH - 1)
    call = ToolCall(name="f", arguments=read_json(text)[0])
    assert ToolCall.model_validate_json(call.model_dump_json()) == call


def test_types_and_short_forms_are_those_of_json() -> None:
    values: list[Any] = [None, True, 1, 1.5, "a", [], {}]
    types = ["null", "boolean", "number", "number", "string", "array", "object"]
    assert [json_type(value) for value in values] == types
    assert shorten({"é": [True, None]}) == '{"é": [true, null]}'
    assert len(shorten("a" * 1000)) == 60
    assert shorten(10**5000) == "a very large integer"
    assert shorten([10**5000]) == "<array>"
