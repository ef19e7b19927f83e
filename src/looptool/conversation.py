"""What the messages of a conversation show: who moved, what was answered, what failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from looptool.records import Message, ToolCall


def result_value(result: str) -> Any:
    """The value of a tool's result; None if it is no JSON."""
    try:
        return json.loads(result)
    except (ValueError, RecursionError):
        return None


def is_error(result: str) -> bool:
    """Whether a tool's result is an error: an object with the key "error"."""
    value = result_value(result)
    return isinstance(value, dict) and "error" in value


def answered(messages: Sequence[Message]) -> Iterator[tuple[ToolCall, str]]:
    """The calls that were answered, with their results, in order."""
    waiting: list[ToolCall] = []
    for message in messages:
        if message.role == "assistant":
            waiting = list(message.tool_calls)
        elif message.role == "tool" and waiting:
            yield waiting.pop(0), message.content


def moves_made(messages: Sequence[Message]) -> int:
    """How often the assistant has moved since the user last spoke."""
    moves = 0
    for message in reversed(messages):
        if message.role == "user":
            break
        moves += message.role == "assistant"
    return moves
