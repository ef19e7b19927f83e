"""Two JSON values are the same argument, or they are not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from tests.toolmatch.booking import JSON, canonical, same_value

from looptool.toolmatch import values_equal

NAN = float("nan")
EQUAL: list[tuple[Any, Any]] = [
    (1, 1.0),
    (1, 1e0),
    (0, -0.0),
    (2**53, float(2**53)),
    (10**40, 10**40),
    (None, None),
    (True, True),
    ("né 字", "né 字"),
    ([], []),
    ({}, {}),
    ({"a": 1, "b": [1.0]}, {"b": [1], "a": 1}),
]
DIFFERENT: list[tuple[Any, Any]] = [
    (True, 1),
    (False, 0),
    (True, 1.0),
    ("1", 1),
    ("true", True),
    (None, "null"),
    (None, 0),
    (None, False),
    (2**53, 2**53 + 1),
    (float(2**53), 2**53 + 1),
    (10**400, 1e300),
    (10**40, 10**40 + 1),
    (NAN, NAN),
    ([NAN], [NAN]),
    ("a", "A"),
    ("a", "a "),
    ("\u00e9", "e\u0301"),
    ([1, 2], [2, 1]),
    ([1], [1, 1]),
    ([1], [True]),
    ([], {}),
    ([], None),
    ({"a": 1}, {"a": True}),
    ({"a": None}, {}),
    ({"a": {"b": [{"c": 0}]}}, {"a": {"b": [{"c": False}]}}),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_these_are_the_same_value(a: Any, b: Any) -> None:
    assert values_equal(a, b) and values_equal(b, a) and same_value(a, b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_these_are_different_values(a: Any, b: Any) -> None:
    assert not values_equal(a, b) and not values_equal(b, a) and not same_value(a, b)


@given(JSON, JSON)
def test_equality_is_that_of_canonical_forms(a: Any, b: Any) -> None:
    assert values_equal(a, b) is (canonical(a) == canonical(b))
    assert same_value(a, b) is (canonical(a) == canonical(b))


@given(JSON)
def test_every_value_matches_its_copy_with_other_key_order_and_number_types(a: Any) -> None:
    def rewrite(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rewrite(value[key]) for key in reversed(list(value))}
        if isinstance(value, list):
            return [rewrite(item) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and int(float(value)) == value:
            return float(value)
        return value

    assert values_equal(a, rewrite(a)) and same_value(a, rewrite(a))
