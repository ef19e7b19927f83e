"""ToolMatch tells the same move from another one, and says why."""

from __future__ import annotations

import gc
import random
import time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from looptool.records import Label, Match, Mismatch, ParsedOutput, Tool, ToolCall
from looptool.toolmatch import match, same_move, values_equal
from looptool.toolshape import tool_facts

NAN = float("nan")
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

    said = {"contact": {"name": "Ada", "language": "en"}, "guests": {"age": 30}}[key]
    unsaid = {"contact": {"name": "Ada"}, "guests": {}}[key]
    other = {"contact": {"name": "Ada", "language": "fr"}, "guests": {"age": 31}}[key]
    assert compare(calls(at(said)), calls(at(unsaid))).matched  # type: ignore[arg-type]
    assert not compare(calls(at(other)), calls(at(unsaid))).matched  # type: ignore[arg-type]


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
