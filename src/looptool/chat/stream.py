"""Model output, read while it grows: thought, text and calls, each as soon as it is certain.

What is said cannot be taken back, so this differs from `reading` where that hears of something too
late. A call that breaks is text from its tag on, but what was said before it stands, sound calls
included. A `</think>` ends a thought only where one is open. Sound outputs read the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

from looptool.chat.reading import (
    BARE_CALL,
    CALL,
    END_CALL,
    PYTHON_TAG,
    Defect,
    as_call,
    skip_space,
)
from looptool.jsonvalue import read_json
from looptool.records import ToolCall

Style = Literal["tagged", "bare"]
Waits = Generator[None, None, None]
"""Yields where more text is needed to go on."""

_THINK, _END_THINK = "<think>", "</think>"
# What a bare call may begin with as long as its first key is not complete.
_MAY_BE_BARE = re.compile(r'\{\s*(?:"[a-z]*(?:"\s*)?)?')


@dataclass(frozen=True)
class Said:
    """A piece of an answer: one of the three."""

    content: str = ""
    thought: str = ""
    call: ToolCall | None = None


class OutputReader:
    """Takes text in pieces of any size and gives what they say, the same however it was cut.

    What may yet become a tag or a stop string is held back, calls until they are complete, space
    until something follows. `stops` end the output where one of them is first complete; `thinking`
    says that the prompt has begun a thought. Without `calls`, calls are text; without `repeats`, a
    call that was said before is passed over.
    """

    def __init__(
        self,
        style: Style,
        stops: Sequence[str],
        *,
        calls: bool = True,
        repeats: bool = True,
        thinking: bool = False,
    ) -> None:
        self.over = False
        """Whether a stop string was found, or `end` called: nothing more is said."""
        self.called = False
        """Whether a call was said."""
        self.broken = False
        """Whether a call or a thought was begun that does not end soundly."""
        self._stops = tuple(stop for stop in stops if stop)
        self._calls = calls
        self._said_before: set[str] | None = None if repeats else set()
        self._thinking = thinking
        self._unread = ""
        """What may be the beginning of a stop string."""
        self._text = ""
        """What was read and is not yet understood."""
        self._said: list[Said] = []
        self._content = _Stripped()
        self._thought = _Stripped()
        self._thought_before = False
        self._steps = self._tagged() if style == "tagged" else self._bare()
        next(self._steps)

    @property
    def undecided(self) -> int:
        """How many of the last characters are held back."""
        return len(self._unread) + len(self._text)

    def feed(self, text: str) -> list[Said]:
        """What is certain now."""
        if self.over:
            return []
        text = self._unread + text
        found = min(
            ((at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0),
            default=None,
        )
        if found:
            self._unread, self._text = "", self._text + text[: found[1]]
            return self.end()
        kept = _beginning(text, self._stops)
        self._unread = text[len(text) - kept :]
        self._text += text[: len(text) - kept]
        next(self._steps)
        return self._take()

    def end(self) -> list[Said]:
        """What is certain because nothing follows."""
        if self.over:
            return []
        self.over = True
        self._text, self._unread = self._text + self._unread, ""
        next(self._steps, None)
        return self._take()

    def _take(self) -> list[Said]:
        said, self._said = self._said, []
        return said

    def _tagged(self) -> Waits:
        """See `read_tagged`."""
        marks = (_THINK, _END_THINK, *((CALL,) if self._calls else ()))
        say = self._think if self._thinking else self._speak
        yield
        while mark := (yield from self._until(marks, say)):
            self._end_thought()
            say = self._speak
            if mark == _THINK:
                yield from self._whole_thought()
            elif mark == CALL:
                self._text = CALL + self._text  # stays until it is a call, or text after all
                yield from self._tagged_call()

    def _tagged_call(self) -> Waits:
        at = yield from self._past_space(len(CALL))
        call, at = yield from self._object(at, "arguments")
        if call:
            at = yield from self._past_space(at)
            while not self.over and _is_beginning(self._text[at:], END_CALL):
                yield
            if self._text.startswith(END_CALL, at):
                self._text = self._text[at + len(END_CALL) :]
                self._call(call)
                return
        yield from self._break()

    def _bare(self) -> Waits:
        """See `read_bare`."""
        yield
        if (yield from self._begins_with(_THINK)):
            self._text = self._text.lstrip()[len(_THINK) :]
            yield from self._whole_thought()
        tagged = yield from self._begins_with(PYTHON_TAG)
        while not (tagged or self.over) and _MAY_BE_BARE.fullmatch(self._text.lstrip()):
            yield
        self._text = self._text.lstrip()
        if not self._calls or not (tagged or BARE_CALL.match(self._text)):
            yield from self._rest()
            return
        at = len(PYTHON_TAG) if tagged else 0
        while not self.over and not self._text[at:].strip():
            yield
        at = len(self._text) - len(self._text[at:].lstrip())
        while True:
            call, at = yield from self._object(at, "parameters", "arguments")
            if not call:
                break
            self._call(call)
            self._text = self._text[at:]
            if not (yield from self._more()):
                return
            at = skip_space(self._text, 0)
            if self._text[at] != ";":
                break
            self._text = self._text[at + 1 :]
            if not (yield from self._more()):
                return
            at = skip_space(self._text, 0)
        yield from self._break()

    def _object(self, at: int, *keys: str) -> Generator[None, None, tuple[ToolCall | None, int]]:
        """The call at `at`, as soon as its last bracket is there, and the index after it."""
        end = (yield from self._closing(at)) if self._text[at : at + 1] == "{" else None
        if end is not None:
            try:
                value, end = read_json(self._text, at)
                return as_call(value, *keys), end
            except (ValueError, Defect):
                pass
        return None, at

    def _closing(self, at: int) -> Generator[None, None, int | None]:
        """The index after the bracket that closes the one at `at`, if there is such a bracket."""
        depth, quoted = 0, False
        while True:
            while at < len(self._text):
                character = self._text[at]
                at += 1
                if quoted:
                    if character == "\\":
                        at += 1
                    quoted = character != '"'
                elif character == '"':
                    quoted = True
                elif character in "{[":
                    depth += 1
                elif character in "]}":
                    depth -= 1
                    if not depth:
                        return at
            if self.over:
                return None
            yield

    def _until(
        self, marks: Sequence[str], say: Callable[[str], None]
    ) -> Generator[None, None, str]:
        """Say the text before the first of the marks, and step over it; "" if there is none."""
        while True:
            found = [(at, mark) for mark in marks if (at := self._text.find(mark)) >= 0]
            if found:
                at, mark = min(found)
                say(self._text[:at])
                self._text = self._text[at + len(mark) :]
                return mark
            certain = len(self._text) - (0 if self.over else _beginning(self._text, marks))
            say(self._text[:certain])
            self._text = self._text[certain:]
            if self.over:
                return ""
            yield

    def _begins_with(self, mark: str) -> Generator[None, None, bool]:
        """Whether the mark is what comes first, space aside."""
        while not self.over and _is_beginning(self._text.lstrip(), mark):
            yield
        return self._text.lstrip().startswith(mark)

    def _past_space(self, at: int) -> Generator[None, None, int]:
        """The index of the first character that is no JSON space, or of the end."""
        while (at := skip_space(self._text, at)) == len(self._text) and not self.over:
            yield
        return at

    def _more(self) -> Generator[None, None, bool]:
        """Whether anything but space follows."""
        while not self.over and not self._text.strip():
            yield
        return bool(self._text.strip())

    def _whole_thought(self) -> Waits:
        if not (yield from self._until((_END_THINK,), self._think)):
            self.broken = True
        self._end_thought()

    def _break(self) -> Waits:
        """What was to be a call is text, and so is all that follows."""
        self.broken = True
        yield from self._rest()

    def _rest(self) -> Waits:
        while True:
            self._speak(self._text)
            self._text = ""
            if self.over:
                return
            yield

    def _speak(self, text: str) -> None:
        if said := self._content.add(text):
            self._said.append(Said(content=said))

    def _think(self, text: str) -> None:
        between = "\n" if self._thought_before and not self._thought.begun else ""
        if said := self._thought.add(text):
            self._said.append(Said(thought=between + said))

    def _call(self, call: ToolCall) -> None:
        self.called = True
        if self._said_before is not None:
            key = json.dumps([call.name, call.arguments], sort_keys=True)
            if key in self._said_before:
                return
            self._said_before.add(key)
        self._said.append(Said(call=call))

    def _end_thought(self) -> None:
        self._thought_before |= self._thought.begun
        self._thought = _Stripped()


class TextReader:
    """The text of tokens that come one at a time; a character split over several comes whole.

    Tokens are decoded together with those before them, because what a token reads as may depend
    on them.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._before: list[int] = []
        self._before_text = ""
        self._new: list[int] = []

    def feed(self, token: int) -> str:
        """The text that is certain now."""
        self._new.append(token)
        return self._take(complete=False)

    def end(self) -> str:
        """The text of what was held back: a character that was never completed."""
        return self._take(complete=True) if self._new else ""

    def _take(self, complete: bool) -> str:
        text = self._decode([*self._before, *self._new])
        if not complete and (text.endswith("\ufffd") or len(text) <= len(self._before_text)):
            return ""
        new = text[len(self._before_text) :]
        self._before, self._new = self._new, []
        self._before_text = self._decode(self._before)
        return new


class _Stripped:
    """Text as `strip` leaves it, in pieces."""

    def __init__(self) -> None:
        self.begun = False
        self._space = ""

    def add(self, text: str) -> str:
        text = self._space + text if self.begun else text.lstrip()
        said = text.rstrip()
        self._space = text[len(said) :]
        self.begun |= bool(said)
        return said


def _is_beginning(text: str, mark: str) -> bool:
    return len(text) < len(mark) and mark.startswith(text)


def _beginning(text: str, marks: Sequence[str]) -> int:
    """Length of the longest end of the text that one of the marks begins with."""
    longest = min(max(map(len, marks), default=1) - 1, len(text))
    for length in range(longest, 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0
