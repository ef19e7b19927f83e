"""The grammar of a move: words, or calls that can be read and fit their tools' schemas.

It is written in llguidance's dialect of Lark and derived from what a chat format writes, so every
format has one whose calls stand one after the other. What guided decoding then rules out: calls
that are no JSON, tools and arguments that there are not, missing ones that are required, values of
another type. It does not choose: which tool, which value and how many calls remain the model's
(`OutputReader` passes over repeated ones).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from looptool.chat.base import ChatFormat
from looptool.chat.reading import CALL
from looptool.errors import UserError
from looptool.records import Label, Tool, ToolCall

logger = logging.getLogger(__name__)

_WRITTEN_LIKE_PYTHON = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "json_allow_general_unicode_escapes": True,  # marks of the format in strings are escaped so
    "lenient": True,  # keywords that the compiler does not know are let pass
}
"""How chat formats write JSON, for llguidance's `x-guidance`."""

_ANYTHING = "(?s:.)*"


def move_grammar(
    format: ChatFormat, tools: Sequence[Tool], *, must_call: bool = False, most: int | None = None
) -> str | None:
    """The grammar of what a model may say where `tools` are offered; None if all may be said.

    With `must_call` it says nothing but calls, with `most` no more than so many. Arguments come in
    the order of their schema.

    Raises:
        UserError: the format writes several calls in another way than one after the other.
    """
    if not tools:
        return None
    frames = [_frame(format, tool.name) for tool in tools]
    between = _between(format, tools[0].name)
    again = "" if between is None or most == 1 else f"(BETWEEN call){_at_most(most)}"
    opening = frames[0][0]
    lead, tag, _ = opening.partition(CALL)
    tagged = bool(tag) and all(begin.startswith(lead + tag) for begin, _ in frames)
    cut = len(lead + tag) if tagged else 0
    rules = [
        f"call: {' | '.join(f'call_{at}' for at in range(len(tools)))}",
        *(
            f"call_{at}: {_literal(begin[cut:])} %json {_arguments(tool)} {_literal(end)}"
            for at, (tool, (begin, end)) in enumerate(zip(tools, frames, strict=True))
        ),
    ]
    if again:
        assert between is not None
        rules.append(f"BETWEEN: {_literal(between + opening[:cut])}")
    first = f"{_literal(opening[:cut])} call" if tagged else "call"
    if must_call:
        rules.append(f"start: {first} {again}")
    elif tagged:
        rules.append(f"start: words | opening call {again}")
        rules.append(f"words: /{_ANYTHING}/")
        rules.append(f"opening[lazy]: /{_ANYTHING}/ {_literal(CALL)}")
    else:
        # A bare call is known by its brace.
        rules.append(f"start: words | call {again}")
        rules.append(r"words: /[^{\s](?s:.)*/")
    return "%llguidance {}\n" + "\n".join(rules) + "\n"


def _frame(format: ChatFormat, name: str) -> tuple[str, str]:
    """What stands before and after the arguments of a call."""
    said = _said(format, name)
    begin, _, end = said.rpartition("{}")
    return begin, end


def _between(format: ChatFormat, name: str) -> str | None:
    """What stands between two calls, None if there is only ever one.

    Raises UserError where calls are not written one after the other.
    """
    begin, end = _frame(format, name)
    try:
        both = _said(format, name, name)
    except UserError:
        return None
    if not (both.startswith(begin + "{}" + end) and both.endswith(begin + "{}" + end)):
        raise UserError(
            f"the chat template of {format.tokenizer.name_or_path} writes calls as a list, "
            "which guided decoding does not know: go without it"
        )
    return both[len(begin + "{}" + end) : -len(begin + "{}" + end)]


def _said(format: ChatFormat, *names: str) -> str:
    """Calls without arguments as the format writes them, without the end of the turn."""
    label = Label(calls=tuple(ToolCall(name=name, arguments={}) for name in names))
    *ids, last = format.completion_ids(label)
    while last not in format.stop_ids:  # some templates end a line after the turn
        *ids, last = ids
    return format.decode(ids)


def _at_most(most: int | None) -> str:
    return "*" if most is None else f"{{0,{most - 1}}}"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text else ""


def _arguments(tool: Tool) -> str:
    """The schema of the arguments as llguidance takes it."""
    text = _compilable(json.dumps(tool.parameters))
    if text is None:
        logger.warning(
            "the schema of %s is beyond guided decoding: its arguments are any JSON object",
            tool.name[:80],
        )
        return _with_options({"type": "object"})
    return text


@lru_cache(maxsize=256)
def _compilable(parameters: str) -> str | None:
    """The schema with options, if it compiles; no arguments but its own, unless it says so."""
    from llguidance import LLMatcher

    text = _with_options({"additionalProperties": False, **json.loads(parameters)})
    return None if LLMatcher.validate_grammar(f"start: %json {text}") else text


def _with_options(schema: dict[str, Any]) -> str:
    return json.dumps({"x-guidance": _WRITTEN_LIKE_PYTHON, **schema, "type": "object"})
