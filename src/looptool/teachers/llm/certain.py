"""What rules can say for certain about a move, at no cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from looptool.records import Label, Message, Tool
from looptool.toolmatch import validate_call

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
_CODE = re.compile(r"[A-Za-z]{2,}[-_#]?\d{3,}")


def impossible(label: Label, tools: Sequence[Tool], context: Sequence[Message]) -> str | None:
    """Why a move is wrong whatever was meant, or None if rules cannot tell.

    A call of no tool at hand, one that breaks its schema, and one with an address or a code that
    stands nowhere and that nobody could derive.
    """
    by_name = {tool.name: tool for tool in tools}
    known = _known(tools, context)
    for call in label.calls:
        if call.name not in by_name:
            return f"There is no function {call.name}."
        checked = validate_call(call, by_name[call.name])
        if not checked.matched:
            return f"The call breaks its schema ({checked.detail})."
        for value in _strings(call.arguments):
            if _underivable(value) and not any(part in known for part in _stems(value)):
                return f"The value {value!r} of {call.name} stands nowhere in the conversation."
    return None


def _known(tools: Sequence[Tool], context: Sequence[Message]) -> str:
    """All that a value could come from, letters and digits only."""
    made = [message.model_dump_json() for message in context]
    return _bare(" ".join([*made, *(str(tool.as_function()) for tool in tools)]))


def _underivable(value: str) -> bool:
    return any(kind.fullmatch(value) for kind in (_EMAIL, _UUID, _CODE))


def _stems(value: str) -> tuple[str, ...]:
    """What of a value must be known: all of it, the name in an address, the digits of a code."""
    if "@" in value:
        return (_bare(value.partition("@")[0]),)
    return _bare(value), "".join(re.findall(r"\d+", value))


def _bare(text: str) -> str:
    return "".join(re.findall(r"[^\W_]+", text.lower()))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
