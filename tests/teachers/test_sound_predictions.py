"""When a prediction is sure enough to take the place of a label that is wrong."""

from __future__ import annotations

import pytest
from tests.teachers.bookings import TOOLS, judged, move, says, stay, tool

from looptool.records import Label, Message, ToolCall
from looptool.records import Verdict as V

BOOK = says("Book me a double at the Adlon from March 9th, 2025 for three nights, with breakfast.")
RIGHT = stay(nights=3, room="double", breakfast=True)
COMPARE = tool("compare", "Compare two drafts.", ("base", "head"),
               base={"type": "string"}, head={"type": "string"})  # fmt: skip
ORDER = tool("fetch_order", "Look an order up.", ("order",),
             order={"type": "string", "description": "Order number."})  # fmt: skip


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


def served(said: str, call: Label, then: str = "") -> tuple[Message, ...]:
    """A request, a call and its answer; then perhaps another request."""
    done = (
        Message(role="user", content=said),
        Message(role="assistant", tool_calls=call.calls),
        Message(role="tool", name=call.calls[0].name, content='{"status": "ok"}'),
    )
    if not then:
        return done
    reply = Message(role="assistant", content="Done.")
    return (*done, reply, Message(role="user", content=then))


def test_a_call_that_was_served_is_not_the_answer_to_a_change() -> None:
    before = move("find_trains", origin="Bern", destination="Milan")
    context = served("Find a train from Bern to Milan.", before, "Hmm, make it Turin instead.")
    label = move("find_trains", origin="Bern")
    changed = move("find_trains", origin="Bern", destination="Turin")
    assert judged(context, changed, label).verdict is V.LABEL_WRONG
    assert judged(context, before, label).verdict is not V.LABEL_WRONG


def test_done_is_not_the_answer_where_another_step_was_asked_for() -> None:
    train = move("find_trains", origin="Bern", destination="Milan")
    context = served("Find a train from Bern to Milan, then book the Adlon there.", train)
    label = move("book_hotel", hotel="Adlon", check_in="default")
    assert judged(context, Label(content="All set."), label).verdict is not V.LABEL_WRONG


def test_a_refusal_is_not_the_answer_where_the_assistant_has_asked_back() -> None:
    context = says("I need a place to stay.", "I can book that. Which hotel, from when?", "Adlon.")
    label = move("book_hotel", check_in="default")
    assert judged(context, Label(content="I cannot do that."), label).verdict is not V.LABEL_WRONG


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
