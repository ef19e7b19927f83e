"""How records are shown to a model: plain JSON values, for `prompts.quote`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looptool.records import Label, Message, Tool, ToolCall


def shown_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Functions, by name, description and schema."""
    return [tool.as_function() for tool in tools]


def shown_call(call: ToolCall) -> dict[str, Any]:
    """Name and arguments."""
    return {"name": call.name, "arguments": call.arguments}


def shown_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A conversation."""
    return [_message(message) for message in messages]


def shown_label(label: Label) -> dict[str, Any]:
    """A move: its calls, or what is said instead."""
    if label.calls:
        return {"calls": [shown_call(call) for call in label.calls]}
    return {"calls": [], "says": label.content}


def _message(message: Message) -> dict[str, Any]:
    value: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        value["calls"] = [shown_call(call) for call in message.tool_calls]
    if message.name is not None:
        value["name"] = message.name
    return value
