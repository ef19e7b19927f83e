"""Model output, read: thought, text and calls. Whatever the text is, nothing here raises."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from looptool.jsonvalue import read_json, shorten
from looptool.records import Mismatch, ParsedOutput, ToolCall

_MARK = re.compile("<think>|</think>|<tool_call>")
CALL, END_CALL = "<tool_call>", "</tool_call>"
PYTHON_TAG = "<|python_tag|>"
BARE_CALL = re.compile(r'\{\s*"(?:name|parameters|arguments|type)"\s*:')


class Defect(Exception):
    """What is wrong with a call."""

    def __init__(self, reason: Mismatch, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass
class _Reading:
    """What has been read so far."""

    text: list[str] = field(default_factory=list)
    thought: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)

    def output(self, begins_call: bool, defect: Defect | None = None) -> ParsedOutput:
        return ParsedOutput(
            calls=tuple(self.calls),
            content="".join(self.text).strip(),
            thought="\n".join(part.strip() for part in self.thought if part.strip()),
            begins_call=begins_call,
            defect=defect.reason if defect else Mismatch.NONE,
            detail=str(defect) if defect else "",
        )


def cut_at(text: str, stops: Iterable[str]) -> str:
    """The text before the first stop string: what the model says after its turn is not said."""
    ends = (text.find(stop) for stop in stops)
    return text[: min((end for end in ends if end >= 0), default=len(text))]


def read_tagged(text: str) -> ParsedOutput:
    r"""Reads calls written as `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`.

    JSON decides where a call ends, so tags inside its strings are just text. Thoughts may stand
    anywhere outside calls; a `</think>` before any call ends a thought that the prompt began.
    Reading stops at the first defect.
    """
    reading, position = _Reading(), 0
    while mark := _MARK.search(text, position):
        before, position = text[position : mark.start()], mark.end()
        reading.text.append(before)
        if mark[0] == "<think>":
            end = text.find("</think>", position)
            if end < 0:
                reading.thought.append(text[position:])
                defect = Defect(Mismatch.UNCLOSED_THOUGHT, "the thought never ends")
                return reading.output(bool(reading.calls) or CALL in text[position:], defect)
            reading.thought.append(text[position:end])
            position = end + len("</think>")
        elif mark[0] == "</think>":
            if not reading.calls:
                reading.thought += reading.text
                reading.text = []
        else:
            try:
                call, position = _tagged_call(text, position)
            except Defect as defect:
                return reading.output(True, defect)
            reading.calls.append(call)
    reading.text.append(text[position:])
    return reading.output(bool(reading.calls))


def read_bare(text: str) -> ParsedOutput:
    r"""Reads calls written as Llama 3 does: the whole output is `{"name", "parameters"}` objects.

    Several are separated by `;`; `<|python_tag|>` may stand before them. Output that begins
    otherwise is text.
    """
    reading = _Reading()
    thought, text, defect = _leading_thought(text)
    reading.thought = [thought]
    body = text.removeprefix(PYTHON_TAG).lstrip()
    begins = BARE_CALL.match(body) is not None or text.startswith(PYTHON_TAG)
    if defect or not begins:
        reading.text.append(text)
        return reading.output(begins, defect)
    try:
        position = 0
        while position < len(body):
            value, position = _json_at(body, position, end=None)
            reading.calls.append(as_call(value, "parameters", "arguments"))
            position = skip_space(body, position)
            if position < len(body):
                if body[position] != ";":
                    raise Defect(Mismatch.BAD_JSON, "text after the call")
                position = skip_space(body, position + 1)
        if not reading.calls:
            raise Defect(Mismatch.TRUNCATED, "no call after the tag")
    except Defect as bad:
        return reading.output(True, bad)
    return reading.output(True)


def _leading_thought(text: str) -> tuple[str, str, Defect | None]:
    stripped = text.strip()
    if stripped.startswith("<think>"):
        thought, closed, rest = stripped.removeprefix("<think>").partition("</think>")
        if not closed:
            defect = Defect(Mismatch.UNCLOSED_THOUGHT, "the thought never ends")
            return thought, thought.lstrip(), defect
        return thought, rest.strip(), None
    return "", stripped, None


def _tagged_call(text: str, position: int) -> tuple[ToolCall, int]:
    """The call whose opening tag ends at `position`, and the index after its closing tag."""
    value, position = _json_at(text, skip_space(text, position), end=END_CALL)
    position = skip_space(text, position)
    if text.startswith(END_CALL, position):
        return as_call(value, "arguments"), position + len(END_CALL)
    if END_CALL.startswith(text[position:]):
        raise Defect(Mismatch.TRUNCATED, "the call is not closed")
    raise Defect(Mismatch.BAD_JSON, f"{shorten(text[position : position + 20])} after the call")


def _json_at(text: str, position: int, end: str | None) -> tuple[Any, int]:
    try:
        return read_json(text, position)
    except ValueError as error:
        broke_off = _is_cut_off(text[position:]) and not (end and end in text[position:])
        reason = Mismatch.TRUNCATED if broke_off else Mismatch.BAD_JSON
        raise Defect(reason, str(error)[:120]) from None


def _is_cut_off(text: str) -> bool:
    """Whether the text ends inside a string or with brackets still open."""
    plain = _STRING.sub("", text)
    return '"' in plain or sum(map(plain.count, "{[")) > sum(map(plain.count, "}]")) or not plain


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def as_call(value: Any, *arguments_keys: str) -> ToolCall:
    """The call that a JSON value makes: a name and one of the keys, nothing else; else Defect."""
    if not isinstance(value, dict):
        raise Defect(Mismatch.BAD_CALL, f"{shorten(value)} is no object")
    key = next((key for key in arguments_keys if value.keys() == {"name", key}), None)
    if key is None:
        detail = f"the keys are {shorten(list(value))}, not name and {arguments_keys[0]}"
        raise Defect(Mismatch.BAD_CALL, detail)
    name, arguments = value["name"], value[key]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise Defect(Mismatch.BAD_CALL, f"the name is no string or the {key} no object")
    return ToolCall(name=name, arguments=arguments)


def skip_space(text: str, position: int) -> int:
    """The index of the first character that is no JSON space."""
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position
