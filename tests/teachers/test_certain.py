"""What rules may decide alone: only what nobody could dispute."""

from __future__ import annotations

from typing import Any

import pytest

from looptool.records import Label, Message, Tool, ToolCall
from looptool.teachers.llm.certain import impossible

UUID = "3f2a9c10-5b7d-4e8f-a1b2-9c8d7e6f5a4b"


def tool(**properties: Any) -> Tool:
    return Tool(name="act", description="Acts.", parameters={
        "type": "object", "properties": properties, "required": list(properties)})  # fmt: skip


def why(said: str, name: str, value: Any, kind: Any = "string") -> str | None:
    schema = {"type": kind} if isinstance(kind, str) else kind
    label = Label(calls=(ToolCall(name="act", arguments={name: value}),))
    return impossible(label, (tool(**{name: schema}),), (Message(role="user", content=said),))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("to", "ada@nowhere.org", "Write to Grace that I am late."),
        ("file", UUID, "Delete the file."),
        ("commit", "9fceb02d0ae598e95dc970b74767f19372d61af8", "Revert the last commit."),
        ("order_id", "ORD-55218", "Where is my order?"),
        ("bookingReference", "QX7731K", "Cancel booking QX2240B, please."),
        ("iban", "DE89370400440532013000", "Send Linus 40 euros."),
        ("phone_number", "+1 (202) 555-0143", "Text Grace that I am late."),
        ("ids", ["ORD-55218"], "Cancel those orders."),
    ],
)
def test_an_identifier_of_which_nothing_stands_anywhere_is_impossible(
    name: str, value: Any, said: str
) -> None:
    kind = {"type": "array", "items": {"type": "string"}} if isinstance(value, list) else "string"
    assert "stands nowhere" in (why(said, name, value, kind) or "")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("to", "j.lovelace@acme.com", "Write to Jane Lovelace at Acme."),
        ("to", "jlovelace@acme.com", "Write to Jane Lovelace at Acme."),
        ("order_id", "ORD-55218", "Where is order 55218?"),
        ("order_id", "ORD-55218", "It is order number five five two one eight."),
        ("order_id", "ORD-55219", "Cancel ORD-55217 and the two after it."),
        ("invoice_id", "INV-2024-0042", "The 42nd invoice of 2024."),
        ("cve_id", "CVE-2021-44228", "Are we affected by Log4Shell?"),
        ("model", "RTX4090", "Nvidia's best card of 2022."),
        ("postal_code", "SW1A1AA", "Weather at Buckingham Palace?"),
        ("phone_number", "+1 (202) 555-0143", "Call 202 555 0143."),
        ("city", "Paris", "The weather in the French capital?"),
        ("date", "2026-12-25", "Book a table for Christmas."),
        ("guests", "3", "Two adults and a child."),
        ("text", "a" * 60 + "!", "Shout."),
    ],
)
def test_what_may_follow_or_be_known_is_left_to_a_model(name: str, value: str, said: str) -> None:
    assert why(said, name, value) is None


def test_what_an_earlier_result_gave_is_known() -> None:
    told = Message(role="tool", content='{"order": "ORD-55218"}', name="act")
    asked = Message(role="user", content="Cancel it.")
    label = Label(calls=(ToolCall(name="act", arguments={"order_id": "ORD-55218"}),))
    tools = (tool(order_id={"type": "string"}),)
    assert impossible(label, tools, (asked,)) is not None
    assert impossible(label, tools, (asked, told)) is None


def test_schema_type_and_unknown_tools_are_certain_unless_the_schema_is_unsound() -> None:
    assert "breaks its schema" in (why("Three.", "n", "3", "integer") or "")
    assert "breaks its schema" in (why("Red.", "c", "red", {"enum": ["blue"]}) or "")
    assert why("Three.", "n", "3", "string") is None
    assert why("Three.", "n", 3, {"type": "dict"}) is None
    other = Label(calls=(ToolCall(name="fly"),))
    assert "no function fly" in (impossible(other, (tool(),), ()) or "")
