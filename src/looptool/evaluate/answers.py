"""Questions of a suite, a contender's answers to them, and the journal that makes them durable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from looptool.chat.base import ChatFormat
from looptool.chat.stream import Said, TextReader
from looptool.jsonvalue import content_hash
from looptool.records import Message, Mismatch, Record, Tool
from looptool.runs.store import Journal
from looptool.work import Progress

CHUNK = 128
"""Questions that are answered, and owed again after a crash, together: what is in a batch does not
depend on what was done before, so an interrupted run ends with the same answers."""


class Unasked(StrEnum):
    """Why a question never reached the model, where it was not too long."""

    PROMPT_REFUSED = "prompt_refused"
    """The chat template takes no such conversation."""


class Question(Record):
    """One move to make: `id` is unique within its category."""

    id: str
    tools: tuple[Tool, ...] = ()
    messages: tuple[Message, ...]


class Answer(Record):
    """One move: calls, text, or both.

    `began` says that a call was begun, sound or not; `defect` what spoils the move, or kept the
    question from the model.
    """

    id: str
    calls: tuple[tuple[str, str], ...] = ()
    """(name, arguments as JSON text)"""
    text: str = ""
    began: bool = False
    defect: Mismatch | Unasked = Mismatch.NONE
    num_tokens: int = 0

    @property
    def was_unasked(self) -> bool:
        """Whether the question never reached the model: too long, or refused by the template."""
        return isinstance(self.defect, Unasked) or self.defect is Mismatch.PROMPT_TOO_LONG

    def as_message(self) -> Message:
        """The move as the next message of its conversation; plain text if a call is unreadable."""
        try:
            raw = [{"name": name, "arguments": json.loads(text)} for name, text in self.calls]
            return Message.model_validate(
                {"role": "assistant", "tool_calls": raw, "content": self.text}
            )
        except ValueError:
            return Message(role="assistant", content=self.text)


class _Chunk(Record):
    answers: tuple[Answer, ...]


class Player(Protocol):
    """A contender: something that answers questions."""

    name: str
    """Letters, digits, dots and hyphens only: official files are named after it."""
    identity: str
    """Changes whenever the answers may."""

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        """One answer a question, in any order, as they come."""
        ...


def from_output(
    question: Question,
    format: ChatFormat,
    prompt: Sequence[int],
    ids: Sequence[int],
    *,
    repeats: bool = True,
) -> Answer:
    """The answer that the tokens `ids` are, which followed `prompt`.

    They are read as `looptool serve` reads them, so that a model scores the same behind it: sound
    calls before a defect stand, and where no tools are offered a call is text. Without `repeats`, a
    call that was made before is passed over.
    """
    reader = format.reader(prompt, calls=bool(question.tools), repeats=repeats)
    text = TextReader(format.decode)
    spoken = ids[:-1] if ids and ids[-1] in format.stop_ids else ids
    said: list[Said] = []
    for token in spoken:
        said += reader.feed(text.feed(token))
    said += [*reader.feed(text.end()), *reader.end()]
    parsed = format.parse(format.decode(spoken))
    return Answer(
        id=question.id,
        calls=tuple((p.call.name, arguments_text(p.call.arguments)) for p in said if p.call),
        text="".join(piece.content for piece in said),
        began=parsed.begins_call,
        defect=parsed.defect,
        num_tokens=len(ids),
    )


def arguments_text(arguments: dict[str, Any]) -> str:
    """Arguments as the JSON text of an OpenAI function call."""
    return json.dumps(arguments, ensure_ascii=False)


def answer_all(
    player: Player, name: str, questions: Sequence[Question], journal: Path, progress: Progress
) -> list[Answer]:
    """The answers in the order of `questions`; those in `journal` are not asked for again."""
    chunks = list(_chunks(questions))
    with Journal(journal, _Chunk) as kept:
        keys = [content_hash([player.identity, [q.model_dump() for q in c]]) for c in chunks]
        done = sum(len(c) for c, k in zip(chunks, keys, strict=True) if k in kept.done)
        with progress.task(name, len(questions), done) as bar:
            for chunk, key in zip(chunks, keys, strict=True):
                if key in kept.done:
                    continue
                got: dict[str, Answer] = {}
                for answer in player.answer(chunk):
                    got[answer.id] = answer
                    bar.advance(1, f"{sum(a.began for a in got.values()) / len(got):.0%} calls")
                kept.append(key, _Chunk(answers=tuple(got[q.id] for q in chunk)))
        by_id = {answer.id: answer for key in keys for answer in kept.done[key].answers}
    return [by_id[question.id] for question in questions]


def _chunks(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """Questions of like length together, those with the same tools side by side."""

    def size(question: Question) -> tuple[int, str, int, str]:
        tools = sum(len(str(t.parameters)) + len(t.description) for t in question.tools)
        names = " ".join(tool.name for tool in question.tools)
        said = sum(len(message.content) for message in question.messages)
        return tools, names, said, question.id

    ordered = sorted(questions, key=size)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
