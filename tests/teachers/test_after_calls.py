"""Verdicts where calls came before: requests that go on from them, and what is left to do."""

from __future__ import annotations

from tests.teachers.bookings import (
    EPISODE,
    ORDER,
    TICKET,
    TIMER,
    TOOLS,
    judged,
    move,
    says,
    served,
    tool,
)

from looptool.records import Label, Message
from looptool.records import Verdict as V


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


def test_a_change_to_one_argument_leaves_the_others() -> None:
    before = move("get_episode", show="Lost", season=8, episode=6)
    context = served("Look up Lost, season 8, episode 6.", before, "Now with episode 7.")
    label = move("open_ticket", title="standard")
    changed, astray = (
        move("get_episode", show="Lost", season=season, episode=episode)
        for season, episode in ((8, 7), (7, 6))
    )
    assert judged(context, changed, label, (EPISODE, TICKET)).verdict is V.LABEL_WRONG
    assert judged(context, astray, label, (EPISODE, TICKET)).verdict is not V.LABEL_WRONG


def test_a_date_is_no_place() -> None:
    context = served("Find a train from Bern to Milan.", move("find_trains", origin="Bern"))
    dated = (*context, Message(role="tool", name="find_trains", content='{"on": "2026-04-07"}'))
    label = move("find_trains", origin="Bern")
    astray = move("find_trains", origin="Bern", destination="2026-04-07")
    assert judged(dated, astray, label).verdict is not V.LABEL_WRONG


def test_the_request_begins_before_a_question_without_a_question_mark() -> None:
    context = says("Open a ticket for Carmen Pereira.", "I'm missing the title. Please tell me.",
                   "'Login is broken'.")  # fmt: skip
    label, less = (move("open_ticket", title=title) for title in ("default", "Login is broken"))
    assert judged(context, less, label, (TICKET,)).verdict is not V.LABEL_WRONG
    spoilt, whole = (
        move("open_ticket", title=title, assignee="Carmen Pereira")
        for title in ("default", "Login is broken")
    )
    assert judged(context, whole, spoilt, (TICKET,)).verdict is V.LABEL_WRONG


def test_when_all_is_done_a_made_up_call_is_needless() -> None:
    train = move("find_trains", origin="Bern", destination="Milan")
    context = served("Trains from Bern to Milan, my hotel is there.", train)
    label = move("book_hotel", hotel="general", check_in="default")
    told = Label(content="I found this: one train.")
    assert judged(context, told, label).verdict is V.LABEL_WRONG
    assert judged(context[:1], told, label).verdict is not V.LABEL_WRONG


def test_a_request_that_goes_on_keeps_what_was_asked_for_before() -> None:
    before = move("book_hotel", hotel="Adlon", check_in="09/03/2025", breakfast=True)
    context = served("The Adlon, 09/03/2025, with breakfast.", before, "Same for 12/03/2025.")
    kept, less = (
        move("book_hotel", hotel="Adlon", check_in="12/03/2025", **more)
        for more in ({"breakfast": True}, {})
    )
    assert judged(context, kept, less).verdict is V.LABEL_WRONG
    assert judged(context, less, kept).verdict is not V.LABEL_WRONG


def test_when_all_is_done_a_call_of_which_nothing_speaks_is_needless() -> None:
    train = move("find_trains", origin="Bern", destination="Milan")
    (*asked, _), found = served("A train from Bern to Milan.", train), '{"via": "Chur Halden"}'
    context = (*asked, Message(role="tool", name="find_trains", content=found))
    told = Label(content="I found this: via Chur Halden.")
    label = move("open_ticket", title="Chur Halden")
    assert judged(context, told, label, (*TOOLS, TICKET)).verdict is V.LABEL_WRONG
    spoken = (Message(role="user", content="A train to Milan, and a ticket."), *context[1:])
    assert judged(spoken, told, label, (*TOOLS, TICKET)).verdict is not V.LABEL_WRONG


def test_a_request_that_only_changes_the_last_call_wants_the_same_tool() -> None:
    before = move("sleep_timer", duration=90, device="radio")
    context = served("Stop the radio in 90 minutes.", before, "Change that to 45 minutes, please.")
    right, other = move("sleep_timer", duration=45, device="radio"), move("fetch_order", order="45")
    assert judged(context, right, other, (TIMER, ORDER)).verdict is V.LABEL_WRONG
    assert judged(context, other, right, (TIMER, ORDER)).verdict is V.PRED_WRONG
    more = (*context[:-1], Message(role="user", content="Make it a ticket for 45 instead."))
    assert judged(more, right, other, (TIMER, ORDER)).verdict is not V.LABEL_WRONG


def test_of_two_values_of_calls_before_the_last_one_stays() -> None:
    first, second = (
        move("get_episode", show="Lost", season=season, episode=episode)
        for season, episode in ((8, 6), (9, 12))
    )
    begun = served("Look up Lost, season 8, episode 6.", first, "And season 9, episode 12?")
    context = (*begun, *served("-", second, "And for season 10?")[1:])
    stays, returns = (
        move("get_episode", show="Lost", season=10, episode=episode) for episode in (12, 6)
    )
    assert judged(context, returns, stays, (EPISODE,)).verdict is V.PRED_WRONG


def test_what_a_call_before_was_given_is_not_missing_here() -> None:
    plot = tool("save_plot", "Save a plot.", ("title",), title={"type": "string"},
                width={"type": "integer"})  # fmt: skip
    train = move("find_trains", origin="Bern", destination="Milan", duration=70)
    context = served("Trains from Bern to Milan within 70 minutes, then save the plot.", train)
    label, more = move("save_plot", title="plot"), move("save_plot", title="plot", width=70)
    assert judged(context, more, label, (*TOOLS, plot)).verdict is not V.LABEL_WRONG
