"""Another way to write the same move: what a judge must not take for an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

from looptool.records import Label, Sample, Tool, ToolCall

_ANSWER = "Understood. {text}"
_ARTICLE = re.compile(r"^(the|a|an) ", re.IGNORECASE)
_NAME = re.compile(r"[A-Z][a-z]+( [A-Z][a-z]+)*")


def reword(sample: Sample, rng: Random) -> Label | None:
    """The sample's label with one text written otherwise, its meaning kept; None if none can be.

    Names lose their capitals, titles their article; an answer gets another beginning. Values that a
    schema fixes (`enum`, `format`, `pattern`) stay.
    """
    label = sample.label
    if not label.calls:
        return Label(content=_ANSWER.format(text=label.content)) if label.content else None
    tools = {tool.name: tool for tool in sample.tools}
    ways = [
        (index, key, text)
        for index, call in enumerate(label.calls)
        for key, text in _ways(call, tools.get(call.name))
    ]
    if not ways:
        return None
    index, key, text = rng.choice(ways)
    call = label.calls[index]
    new = ToolCall(name=call.name, arguments={**call.arguments, key: text})
    return Label(calls=(*label.calls[:index], new, *label.calls[index + 1 :]))


def _ways(call: ToolCall, tool: Tool | None) -> Iterator[tuple[str, str]]:
    properties: Any = tool.parameters.get("properties") if tool else None
    if not isinstance(properties, dict):
        return
    for key, value in call.arguments.items():
        schema = properties.get(key)
        if not isinstance(value, str) or not isinstance(schema, dict):
            continue
        if schema.keys() & {"enum", "const", "format", "pattern", "$ref"}:
            continue
        if _ARTICLE.match(value):
            yield key, _ARTICLE.sub("", value)
        elif _NAME.fullmatch(value) and "code" not in str(schema.get("description")).lower():
            yield key, value.lower()
