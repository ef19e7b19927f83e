"""Keeping untrusted text from speaking the language of the format.

A user, a tool result or a tool's description may contain `<|im_end|>` or `</tools>`. In JSON the
first character of such a mark is written as a unicode escape, which changes nothing; in plain text
as an HTML entity. So the rendered text is safe under any tokenizer, here and in a server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

TAGS = tuple(
    f"<{slash}{name}>"
    for name in ("tools", "tool_call", "tool_response", "think")
    for slash in ("", "/")
)


def control_tokens(tokenizer: Any) -> frozenset[str]:
    """The tokens of a transformers tokenizer that mean more than their text."""
    added = tokenizer.added_tokens_decoder.values()
    marks = {token.content for token in added if token.special or token.content.startswith("<")}
    return frozenset(mark for mark in marks | set(tokenizer.all_special_tokens) if mark.strip())


class Escaper:
    """Escapes the tags of the format and the control tokens of a tokenizer; nothing else."""

    def __init__(self, control_tokens: Iterable[str] = ()) -> None:
        marks = sorted({*TAGS, "<|im_start|>", "<|im_end|>", *control_tokens}, key=len)
        reserved = "|".join(re.escape(mark) for mark in reversed(marks))
        self._reserved = re.compile(reserved)
        # An escape is stepped over whole, so that a mark is never cut out of the middle of one.
        self._in_string = re.compile(rf"\\u[0-9a-f]{{4}}|\\.|{reserved}")

    def text(self, untrusted: str) -> str:
        """Plain text in which no reserved mark is left."""
        return self._reserved.sub(lambda mark: _entity(mark[0]), untrusted)

    def json(self, value: Any) -> str:
        """The value as JSON in which no reserved mark is left, and which reads back the same."""
        text = _write(value)
        if not self._reserved.search(text):
            return text
        return _STRING.sub(lambda string: self._in_string.sub(_unicode_escape, string[0]), text)

    def mark(self, value: Any, backslash: str) -> Any:
        """The JSON value with every reserved mark escaped, `backslash` standing for a backslash.

        For a template that writes the JSON itself and would escape a real one again.
        """
        if isinstance(value, str):
            return self._reserved.sub(lambda mark: backslash + _escape_first(mark[0]), value)
        if isinstance(value, list):
            return [self.mark(item, backslash) for item in value]
        if isinstance(value, dict):
            return {
                self.mark(key, backslash): self.mark(item, backslash) for key, item in value.items()
            }
        return value


_write = json.JSONEncoder(ensure_ascii=False).encode
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def _entity(mark: str) -> str:
    first = "&lt;" if mark[0] == "<" else f"&#{ord(mark[0])};"
    return first + mark[1:]


def _unicode_escape(found: re.Match[str]) -> str:
    return found[0] if found[0][0] == "\\" else "\\" + _escape_first(found[0])


def _escape_first(mark: str) -> str:
    """A mark with its first character escaped, but for the backslash."""
    return f"u{ord(mark[0]):04x}{mark[1:]}"
