from __future__ import annotations

import pytest

from looptool.conversation import answered, is_error, moves_made
from looptool.records import Message, ToolCall

ONE, TWO = ToolCall(name="one"), ToolCall(name="two")


def message(role: str, content: str = "", *calls: ToolCall) -> Message:
    return Message.model_validate({"role": role, "content": content, "tool_calls": calls})


def test_an_error_is_an_object_that_says_so() -> None:
    assert is_error('{"error": "No such city."}')


@pytest.mark.parametrize(
    "result", ['{"ok": 1}', '["error"]', "error", "", "[" * 100_000], ids=lambda text: text[:9]
)
def test_whatever_else_came_back_is_no_error(result: str) -> None:
    assert not is_error(result)


def test_results_belong_to_the_calls_in_their_order() -> None:
    said = [
        message("user", "Both."),
        message("assistant", "", ONE, TWO),
        message("tool", "1"),
        message("tool", "2"),
        message("tool", "nobody asked"),
        message("assistant", "", ONE),
        message("user", "Never mind."),
    ]
    assert list(answered(said)) == [(ONE, "1"), (TWO, "2")]


def test_moves_are_counted_since_the_user_spoke() -> None:
    said = [message("user", "a"), message("assistant", "", ONE), message("tool", "1")]
    assert moves_made(said) == 1
    assert moves_made([*said, message("user", "b")]) == 0
    assert moves_made([*said, message("assistant", "b")]) == 2
    assert moves_made([]) == 0
