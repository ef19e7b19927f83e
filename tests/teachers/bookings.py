"""A hotel, trains and mail: what judges are tried on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from looptool.records import Judgement, Label, Message, Tool, ToolCall
from looptool.teachers.base import Case
from looptool.teachers.offline.judge import RuleJudge


def tool(name: str, about: str, required: tuple[str, ...] = (), **properties: Any) -> Tool:
    parameters: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": list(required),
    }
    return Tool(name=name, description=about, parameters=parameters)


STAY = tool(
    "book_hotel",
    "Book a room in a hotel.",
    ("hotel", "check_in"),
    hotel={"type": "string", "description": "Name of the hotel."},
    check_in={"type": "string", "description": "Arrival (DD/MM/YYYY)."},
    nights={"type": "integer", "description": "Number of nights."},
    room={"type": "string", "enum": ["single", "double", "suite"]},
    breakfast={"type": "boolean", "description": "Whether breakfast is included."},
    late_checkout={"type": "boolean", "description": "Leave in the afternoon."},
)
TRAIN = tool(
    "find_trains",
    "Search train connections.",
    ("origin", "destination"),
    origin={"type": "string"},
    destination={"type": "string"},
    duration={"type": "integer", "description": "Longest journey, in minutes."},
)
MAIL = tool(
    "send_email",
    "Send a message to somebody.",
    ("to", "body"),
    to={"type": "string", "format": "email"},
    body={"type": "string"},
)
TOOLS = (STAY, TRAIN, MAIL)

# Beside them, one at a time.
COMPARE = tool("compare", "Compare two drafts.", ("base", "head"),
               base={"type": "string"}, head={"type": "string"})  # fmt: skip
ORDER = tool("fetch_order", "Look an order up.", ("order",),
             order={"type": "string", "description": "Order number."})  # fmt: skip
BASE = tool("convert_base", "Write a decimal number in another base.", ("number", "target_base"),
            number={"type": "integer"}, target_base={"type": "string", "enum": ["binary", "octal"]},
            min_digits={"type": "integer"}, with_prefix={"type": "boolean"})  # fmt: skip
TIMER = tool("sleep_timer", "Stop the music after a while.", ("duration",),
             duration={"type": "integer", "description": "In minutes."},
             device={"type": "string", "description": "Device that stops."})  # fmt: skip
SEARCH = tool("search_messages", "Find messages.", ("query",),
              query={"type": "string"}, sender={"type": "string"})  # fmt: skip
TICKET = tool("open_ticket", "Open a ticket.", ("title",),
              title={"type": "string"}, assignee={"type": "string"})  # fmt: skip
COMMENT = tool("comment", "A public reply or an internal note on a ticket.", ("ticket", "text"),
               ticket={"type": "string"}, text={"type": "string"},
               private={"type": "boolean", "description": "Hidden from customers."})  # fmt: skip
PLOT = tool("read_sensor", "Read a sensor of a plot.", ("plot",),
            plot={"type": "string"}, measure={"type": "string"})  # fmt: skip
REPORT = tool("test_report", "Report of a test run.", ("run_id", "format"),
              run_id={"type": "string"}, format={"type": "string"})  # fmt: skip
EPISODE = tool("get_episode", "Look an episode up.", ("show", "season", "episode"),
               show={"type": "string"}, season={"type": "integer"},
               episode={"type": "integer"})  # fmt: skip


def says(*texts: str) -> tuple[Message, ...]:
    """User and assistant in turn, the user last."""
    roles = ("user", "assistant") * len(texts)
    return tuple(
        Message(role="user" if role == "user" else "assistant", content=text)
        for role, text in zip(roles, texts, strict=False)
    )


def move(name: str = "", **arguments: Any) -> Label:
    if not name:
        return Label(content="Which one do you mean?")
    return Label(calls=(ToolCall(name=name, arguments=arguments),))


def stay(**arguments: Any) -> Label:
    return move("book_hotel", hotel="Adlon", check_in="09/03/2025", **arguments)


def judged(
    context: tuple[Message, ...], prediction: Label, label: Label, tools: Sequence[Tool] = TOOLS
) -> Judgement:
    case = Case(
        sample_id="s", tools=tuple(tools), context=context, prediction=prediction, label=label
    )
    return asyncio.run(RuleJudge().judge(case))


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
