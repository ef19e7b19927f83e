"""A value that the user said is not surely wrong because another would do better."""

from __future__ import annotations

import pytest
from tests.teachers.bookings import TOOLS, judged, move, says, served, tool

from looptool.records import Label, Tool
from looptool.records import Verdict as V

SCALE = tool("scale", "Change how many replicas a service has.", ("service", "replicas"),
             service={"type": "string"}, replicas={"type": "integer"})  # fmt: skip
LIST = tool("list_exhibitions", "List exhibitions in a city.", ("city",),
            city={"type": "string", "description": "City."})  # fmt: skip
INVITE = tool("invite", "Invite players to a lobby.", ("lobby_id", "players"),
              lobby_id={"type": "string"},
              players={"type": "array", "items": {"type": "string"}})  # fmt: skip
ARTIST = tool("artist_profile", "Tell about an artist.", ("artist",), artist={"type": "string"},
              topic={"type": "string", "enum": ["early_life", "main_works"]})  # fmt: skip
CANCEL = tool("cancel_booking", "Cancel a booking.", ("reservation_id",),
              reservation_id={"type": "string"})  # fmt: skip


@pytest.mark.parametrize(
    ("said", "one", "prediction", "label"),
    [
        pytest.param("31 replicas would be plenty for search over the holidays.", SCALE,
                     move("scale", service="search over the holidays", replicas=31),
                     move("scale", service="search", replicas=31), id="more words around it"),
        pytest.param("What exhibitions are there in Naples, Seville, Spain?", LIST,
                     move("list_exhibitions", city="Naples, Spain"),
                     move("list_exhibitions", city="Naples"), id="words that stand apart"),
        pytest.param("Tell me about the life of Camille Claudel.", ARTIST,
                     move("artist_profile", artist="Camille Claudel", topic="early_life"),
                     move("artist_profile", artist="Camille Claudel"), id="half a choice was said"),
    ],
)  # fmt: skip
def test_a_label_with_what_was_said_stays(
    said: str, one: Tool, prediction: Label, label: Label
) -> None:
    assert judged(says(said), prediction, label, (*TOOLS, one)).verdict is not V.LABEL_WRONG


def test_a_name_may_open_a_sentence_in_lower_case() -> None:
    first = move("invite", lobby_id="LY-1", players=["Kestrel"])
    context = served("Invite Kestrel to LY-1.", first, "frostbyte should be in lobby LY-2 too.")
    again = move("invite", lobby_id="LY-2", players=["Kestrel"])
    other = move("invite", lobby_id="LY-2", players=["frostbyte"])
    assert judged(context, again, other, (*TOOLS, INVITE)).verdict is not V.LABEL_WRONG


def test_a_word_is_no_identifier_of_a_record() -> None:
    refusal = Label(content="It is written Ω.")
    context, tools = says("What is the capital letter of the Greek letter omega?"), (CANCEL,)
    for given, verdict in (("Greek", V.LABEL_WRONG), ("omega 4", V.UNDECIDED)):
        label = move("cancel_booking", reservation_id=given)
        asked = context if given == "Greek" else says(f"What is {given}?")
        assert judged(asked, refusal, label, tools).verdict is verdict
