"""What a conversation gives a judge to go by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from looptool.conversation import answered, is_error
from looptool.records import Message, ToolCall
from looptool.teachers.offline.judge.moments import Day, blank_moments, days, times
from looptool.teachers.offline.judge.quantities import Amount, amounts
from looptool.teachers.offline.judge.words import asks_back, normal, roots, tokens

_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")


class Reading:
    """A text, read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lower = text.casefold()

    @cached_property
    def normal(self) -> str:
        return normal(self.text)

    @cached_property
    def words(self) -> tuple[str, ...]:
        return tuple(tokens(self.text))

    @cached_property
    def roots(self) -> frozenset[str]:
        return roots(self.words)

    @cached_property
    def undated(self) -> Reading:
        """The text without its dates and times."""
        return Reading(blank_moments(self.text))

    @cached_property
    def amounts(self) -> tuple[Amount, ...]:
        return amounts(self.text)

    @cached_property
    def _sentences(self) -> list[list[str]]:
        return [_WORD.findall(sentence) for sentence in _SENTENCE.split(self.text)]

    def only_opens(self, word: str, length: int = 4) -> bool:
        """Whether the word stands, as it is written, only where a sentence of `length` begins."""
        opens = any(len(each) >= length and each[0] == word for each in self._sentences)
        return opens and not any(word in each[1:] for each in self._sentences)

    def writes(self, text: str) -> bool:
        """Whether the text stands there in the same case."""
        return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", self.text) is not None

    @cached_property
    def days(self) -> frozenset[Day]:
        return days(self.text)

    @cached_property
    def times(self) -> frozenset[int]:
        return times(self.text)

    @cached_property
    def squeezed(self) -> str:
        """Letters and digits alone."""
        return "".join(self.words)


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """The reading of a text, made once."""
    return Reading(text)


@dataclass(frozen=True)
class Evidence:
    """The conversation as a judge reads it.

    `open` is what the user asked last, with the request that a question back interrupted; `fresh`
    is `open` with what tools have answered to it; `said` is all that users, systems and tools
    said, errors apart; `done` are the calls that were answered without error since the user last
    spoke, `before` all calls, `served` those of them that were answered without error;
    `resumed` says whether the user has answered a question back.
    """

    open: Reading
    said: Reading
    fresh: Reading
    done: tuple[ToolCall, ...]
    before: tuple[ToolCall, ...]
    served: tuple[ToolCall, ...]
    resumed: bool

    @property
    def done_values(self) -> list[Any]:
        """What the calls of `done` were given."""
        return [value for call in self.done for value in call.arguments.values()]


def gather(context: Sequence[Message]) -> Evidence:
    """Read a context."""
    last = max((n for n, m in enumerate(context) if m.role == "user"), default=-1)
    begin = _begin(context, last)
    asked = [m.content for m in context[begin : last + 1] if m.role == "user"]
    told = [m for m in context if m.role == "tool" and not is_error(m.content)]
    given = [m.content for m in context if m.role in ("user", "system") or m in told]
    answers = [m.content for m in context[last + 1 :] if m in told]
    return Evidence(
        open=read("\n".join(asked)),
        said=read("\n".join(given)),
        fresh=read("\n".join((*asked, *answers))),
        done=_served(context[last + 1 :]),
        before=tuple(call for m in context for call in m.tool_calls),
        served=_served(context),
        resumed=begin < last,
    )


def _served(context: Sequence[Message]) -> tuple[ToolCall, ...]:
    return tuple(call for call, result in answered(context) if not is_error(result))


def _begin(context: Sequence[Message], last: int) -> int:
    """Where the open request begins: before the questions back that the user has answered."""
    begin = last
    while begin > 1:
        between = context[begin - 1]
        if between.role != "assistant" or between.tool_calls or not asks_back(between.content):
            break
        asked = begin - 2
        if context[asked].role != "user":
            break
        begin = asked
    return max(0, begin)
