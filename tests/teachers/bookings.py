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
