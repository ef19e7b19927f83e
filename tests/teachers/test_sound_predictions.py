"""When a prediction is sure enough to take the place of a label that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from tests.teachers.bookings import (
    BASE,
    COMMENT,
    COMPARE,
    EPISODE,
    ORDER,
    PLOT,
    REPORT,
    SEARCH,
    TICKET,
    TIMER,
    TOOLS,
    judged,
    move,
    says,
    stay,
    tool,
)

from looptool.records import Label, Tool, ToolCall
from looptool.records import Verdict as V
from looptool.teachers.offline.judge.words import asks_back

BOOK = says("Book me a double at the Adlon from March 9th, 2025 for three nights, with breakfast.")
RIGHT = stay(nights=3, room="double", breakfast=True)


def hotel(name: object) -> Label:
    arguments = dict(RIGHT.calls[0].arguments) | {"hotel": name}
    return move("book_hotel", **arguments)


@pytest.mark.parametrize(
    ("label", "prediction"),
    [
        pytest.param(stay(nights=33, room="double", breakfast=True),
                     stay(room="double", breakfast=True), id="a number is passed over"),
        pytest.param(stay(nights=3, room="double", breakfast="true"),
                     stay(nights=3, room="double"), id="what is spoken of is left out"),
        pytest.param(stay(nights=3, room="twin", breakfast=True),
                     stay(nights=3, room="suite", breakfast=True), id="another choice was said"),
        pytest.param(hotel(["Adlon"]), hotel("adlon"), id="other capitals"),
        pytest.param(hotel(["Adlon"]), hotel(" Adlon"), id="space around it"),
    ],
)  # fmt: skip
def test_a_wrong_label_is_not_replaced_by_another_wrong_one(
    label: Label, prediction: Label
) -> None:
    assert judged(BOOK, RIGHT, label).verdict is V.LABEL_WRONG
    assert judged(BOOK, prediction, label).verdict is not V.LABEL_WRONG


def test_an_option_may_be_what_takes_one_of_two_things_that_a_tool_is_for() -> None:
    tools = (*TOOLS, COMMENT)
    bare = move("comment", ticket="A-17", text="call back")
    private = move("comment", ticket="A-17", text="call back", private=True)
    internal = says("Comment on ticket A-17 as an internal note: 'call back'.")
    assert judged(internal, bare, private, tools).verdict is not V.LABEL_WRONG
    plain = says("Comment on ticket A-17: 'call back'.")
    assert judged(plain, bare, private, tools).verdict is V.LABEL_WRONG


def test_a_code_must_be_whole() -> None:
    context, tools = says("Where is order cee28fe?"), (*TOOLS, ORDER)
    label = move("fetch_order", order="cee20fe")
    whole, cut = move("fetch_order", order="cee28fe"), move("fetch_order", order="ee28fe")
    assert judged(context, whole, label, tools).verdict is V.LABEL_WRONG
    assert judged(context, cut, label, tools).verdict is not V.LABEL_WRONG


def test_of_two_places_with_one_text_nothing_says_which_is_wrong() -> None:
    label = move("compare", base="spring.md", head="spring.md")
    filled = move("compare", base="spring.md", head="autumn.md")
    context = says("How do spring.md and autumn.md differ?")
    assert judged(context, filled, label, (COMPARE,)).verdict is not V.LABEL_WRONG


def test_numbers_beyond_all_floats_are_judged() -> None:
    label = stay(nights="3", room="double", breakfast=True)
    huge = stay(nights=10**400, room="double", breakfast=True)
    assert judged(BOOK, huge, label).verdict is not V.LABEL_WRONG
    assert judged(BOOK, RIGHT, huge).verdict is V.LABEL_WRONG


def test_a_refusal_is_not_the_answer_where_an_allowed_value_was_said() -> None:
    label = move("book_hotel", room="single")
    context = says("Is there a suite to be had anywhere?")
    assert judged(context, Label(content="I cannot do that."), label).verdict is not V.LABEL_WRONG


def test_a_call_that_asks_for_nothing_that_was_said_is_one_too_many() -> None:
    context = says("Find a train from Bern to Milan.")
    train = move("find_trains", origin="Bern", destination="Milan")
    filler = ToolCall(name="book_hotel", arguments={"hotel": "standard", "check_in": "default"})
    more = Label(calls=(*train.calls, filler))
    assert judged(context, train, more).verdict is V.LABEL_WRONG


def test_a_call_that_asks_for_something_said_is_not() -> None:
    context = says("Find a train from Bern to Milan and book the Adlon from March 9th, 2025.")
    train = move("find_trains", origin="Bern", destination="Milan")
    other = ToolCall(name="book_hotel", arguments={"hotel": "Adlon", "check_in": "2025-03-09"})
    both = Label(calls=(*train.calls, other))
    assert judged(context, train, both).verdict is not V.LABEL_WRONG


@pytest.mark.parametrize(
    ("said", "extra", "needless"),
    [
        ("Carl marries, you know", {"origin": "Milan", "destination": "default"}, True),
        ("Carl marries, you know", {"origin": "Bern", "destination": "Milan", "duration": 5}, True),
        ("I return to Chur", {"origin": "Milan", "destination": "Chur"}, False),
        ("I return to Chur", {"origin": "default", "destination": "Chur"}, False),
    ],
)
def test_one_call_more_is_needless_where_it_says_nothing_new(
    said: str, extra: dict[str, Any], needless: bool
) -> None:
    context = says(f"Find a train from Bern to Milan. {said}.")
    train = move("find_trains", origin="Bern", destination="Milan")
    more = Label(calls=(*train.calls, ToolCall(name="find_trains", arguments=extra)))
    assert (judged(context, train, more).verdict is V.LABEL_WRONG) is needless


@pytest.mark.parametrize(
    ("said", "of", "label", "right", "wrong"),
    [
        pytest.param("Read the sensor of plot 12.", PLOT, {"plot": "plot 82"}, {"plot": "plot 12"},
                     {"plot": "12"}, id="another frame"),
        pytest.param("I need the report of run_dee210 as JUnit.", REPORT,
                     {"run_id": "run_dee219", "format": "JUnit"},
                     {"run_id": "run_dee210", "format": "JUnit"},
                     {"run_id": "dee210", "format": "JUnit"}, id="a code without its beginning"),
    ],
)  # fmt: skip
def test_a_label_is_not_replaced_by_a_prediction_with_a_stray_value(
    said: str, of: Tool, label: dict[str, Any], right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    old, good, stray = (move(of.name, **each) for each in (label, right, wrong))
    assert judged(says(said), good, old, (of,)).verdict is V.LABEL_WRONG
    assert judged(says(said), stray, old, (of,)).verdict is not V.LABEL_WRONG


@pytest.mark.parametrize(
    ("said", "of", "label", "stray"),
    [
        pytest.param("Write 5000 in base 2, please.", BASE,
                     {"number": 5000, "target_base": "binary"}, {"min_digits": 2},
                     id="a number behind another's name"),
        pytest.param("Set a sleep timer for an hour.", TIMER, {"duration": 60},
                     {"device": "an hour"}, id="a duration as a device"),
        pytest.param("Search the messages for the meeting link.", SEARCH,
                     {"query": "the meeting link"}, {"sender": "the meeting meeting"},
                     id="words that do not stand together"),
    ],
)  # fmt: skip
def test_what_was_said_of_one_argument_is_not_missing_from_another(
    said: str, of: Tool, label: dict[str, Any], stray: dict[str, Any]
) -> None:
    right, more = move(of.name, **label), move(of.name, **label, **stray)
    assert judged(says(said), more, right, (of,)).verdict is not V.LABEL_WRONG


def test_a_wrong_type_does_not_make_an_argument_needless() -> None:
    context = says("Read the moisture sensor of plot 12.")
    label = move("read_sensor", plot="plot 12", measure=["moisture"])
    whole = move("read_sensor", plot="plot 12", measure="moisture")
    less = move("read_sensor", plot="plot 12")
    assert judged(context, whole, label, (PLOT,)).verdict is V.LABEL_WRONG
    assert judged(context, less, label, (PLOT,)).verdict is not V.LABEL_WRONG


def test_a_name_that_neither_side_holds_leaves_it_open() -> None:
    context = says("Open a ticket called Login is broken for Carmen Pereira.")
    label, less = (move("open_ticket", title=title) for title in ("standard", "Login is broken"))
    assert judged(context, less, label, (TICKET,)).verdict is not V.LABEL_WRONG


def test_a_refusal_is_not_the_answer_where_the_label_left_something_out() -> None:
    label = Label(calls=(ToolCall(name="search_messages", arguments={}),))
    refusal = Label(content="I cannot do that.")
    context = says("What did Ines write?")
    assert judged(context, refusal, label, (SEARCH,)).verdict is not V.LABEL_WRONG


def test_a_made_up_call_says_nothing_for_another_that_nobody_asked_for() -> None:
    context, tools = says("Why does ice float?"), (PLOT, TICKET)
    label, other = move("read_sensor", plot="default"), move("open_ticket", title="ice float")
    assert judged(context, other, label, tools).verdict is not V.LABEL_WRONG
    assert judged(context, move("read_sensor", plot="ice"), label, tools).verdict is not (
        V.LABEL_WRONG
    )


def test_a_duration_in_two_parts_is_held_as_a_whole() -> None:
    context = says("Stop the music in 1 hour and 34 minutes.")
    label, whole, part = (move("sleep_timer", duration=n) for n in (840, 94, 34))
    assert judged(context, whole, label, (TIMER,)).verdict is V.LABEL_WRONG
    assert judged(context, part, label, (TIMER,)).verdict is not V.LABEL_WRONG


def test_a_refusal_that_offers_more_help_asks_nothing_back() -> None:
    assert asks_back("I'm missing the title. Please tell me.")
    assert asks_back("I can do that. Let me know the title.")
    assert not asks_back("I can't do that. Please let me know if there is anything else.")


def test_a_tool_is_wrong_where_another_has_the_value_under_the_name_it_was_said_by() -> None:
    title = tool("look_up", "Look something up.", ("text",), text={"type": "string"})
    context, label = says("Where is order cee28fe?"), move("look_up", text="cee28fe")
    right = move("fetch_order", order="cee28fe")
    assert judged(context, right, label, (ORDER, title)).verdict is V.LABEL_WRONG
    assert judged(context, label, right, (ORDER, title)).verdict is not V.LABEL_WRONG


def test_a_date_of_which_nothing_was_said_is_one_argument_too_many() -> None:
    due = tool("open_ticket", "Open a ticket.", ("title",), title={"type": "string"},
               due={"type": "string", "description": "Due date, YYYY-MM-DD."})  # fmt: skip
    label = move("open_ticket", title="Login is broken", due="2025-08-04")
    right = move("open_ticket", title="Login is broken")
    told = "Nothing helps us here, so 'Login is broken' wants a ticket"
    context = says("Tomorrow I am away.", "I see.", f"{told}.")
    assert judged(context, right, label, (due,)).verdict is V.LABEL_WRONG
    context = says("Tomorrow I am away.", "I see.", f"{told} by next Monday.")
    assert judged(context, right, label, (due,)).verdict is not V.LABEL_WRONG


def test_another_tool_is_not_the_answer_without_what_was_said_for_the_label() -> None:
    context = says("Order number 77812 for the Adlon.")
    label = move("book_hotel", hotel="Adlon", check_in="default")
    less = move("fetch_order", order="77812")
    assert judged(context, less, label, (*TOOLS, ORDER)).verdict is not V.LABEL_WRONG


@pytest.mark.parametrize(
    ("said", "extra", "wrong"),
    [
        ("A culture of 700 cells, 20 hours apart", {"unit": "minutes"}, True),
        ("A culture of 700 cells, 20 weeks apart", {"unit": "minutes"}, False),
        ("A must: the culture of 700 cells", {"limit": 1}, True),
        ("A limit for the culture of 700 cells", {"limit": 1}, False),
    ],
)
def test_an_argument_of_which_nothing_or_only_the_default_was_said_is_one_too_many(
    said: str, extra: dict[str, Any], wrong: bool
) -> None:
    units = {"type": "string", "enum": ["hours", "minutes", "weeks"], "default": "hours"}
    grow = tool("grow", "Growth of a culture.", ("cells",), cells={"type": "integer"}, unit=units,
                limit={"type": "integer"}, apart={"type": "integer"})  # fmt: skip
    given = {"cells": 700} | ({"apart": 20} if "20" in said else {})
    label, right = move("grow", **given, **extra), move("grow", **given)
    assert (judged(says(f"{said}."), right, label, (grow,)).verdict is V.LABEL_WRONG) is wrong


def test_a_refusal_is_not_the_answer_where_only_one_argument_is_made_up() -> None:
    label = move("open_ticket", title="Amelie", assignee="Amelie")
    refusal = Label(content="I'm afraid I can't do that here.")
    context = says("How do I reach Amelie?")
    assert judged(context, refusal, label, (TICKET,)).verdict is V.LABEL_WRONG
    more = move("get_episode", show="Charleston", season="Amelie", episode="Amelie")
    context = says("Someone in Charleston called Amelie, how do I reach her?")
    assert judged(context, refusal, more, (EPISODE,)).verdict is not V.LABEL_WRONG


def test_a_number_that_a_made_up_call_shares_with_the_request_asks_for_nothing() -> None:
    refusal = Label(content="I'm afraid I can't do that here.")
    train = move("find_trains", origin="standard", destination="general", duration=2)
    draw = says("Draw the graph of x^2 - 2x between -8 and 2.")
    assert judged(draw, refusal, train).verdict is V.LABEL_WRONG
    room = move("book_hotel", hotel="standard", check_in="default", nights=2)
    sleep = says("A room for 2 nights, please.")
    assert judged(sleep, refusal, room).verdict is not V.LABEL_WRONG


def test_what_was_done_twice_asks_for_no_two() -> None:
    context = says("Stop order 340227, it turns out I sent it twice.")
    right, off = (move("fetch_order", order=n) for n in ("340227", "340228"))
    assert judged(context, right, off, (ORDER,)).verdict is V.LABEL_WRONG


def test_a_list_written_as_a_text_is_the_wrong_type_alone() -> None:
    spread = tool("spread", "How spread out numbers are.", ("numbers",),
                  numbers={"type": "array", "items": {"type": "number"}})  # fmt: skip
    context = says("How spread out are these: 55, 80, 20 and 83?")
    right, text = (move("spread", numbers=n) for n in ([55, 80, 20, 83], "55, 80, 20, 83"))
    less = move("spread", numbers=[55, 80])
    assert judged(context, right, text, (spread,)).verdict is V.LABEL_WRONG
    assert judged(context, less, text, (spread,)).verdict is not V.LABEL_WRONG
