"""BFCL's multi-turn categories: the official classes run the calls, the contender answers step by
step, and many conversations go on side by side so that their steps share a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from looptool.evaluate.answers import Answer, Player, Question
from looptool.evaluate.bfcl import as_result
from looptool.jsonvalue import content_hash
from looptool.records import Message, Record, Tool
from looptool.runs.store import Journal
from looptool.work import Progress

MAX_STEPS = 20
"""The official limit: a turn that goes on after so many steps ends the conversation."""
TOGETHER = 32
"""Conversations that are held, and owed again after a crash, together."""


class Executes(Protocol):
    """What runs calls: the worker in the checkers' environment."""

    def ask(self, do: str, **arguments: Any) -> Any: ...


class _Held(Record):
    """Conversations that ended: for each its steps, turn by turn, as official rows want them."""

    results: dict[str, tuple[tuple[Any, ...], ...]]
    began: dict[str, bool]


class _Conversation:
    def __init__(self, entry: dict[str, Any], attempt: str) -> None:
        self.id: str = entry["id"]
        self.attempt = attempt
        self.turns = [[Message.model_validate(m) for m in turn] for turn in entry["turns"]]
        self.tools: list[tuple[Tool, ...]] = []
        for tools in entry["tools"]:
            unchanged = self.tools[-1] if self.tools else ()
            given = tools if tools is not None else unchanged
            self.tools.append(tuple(Tool.model_validate(tool) for tool in given))
        self.messages: list[Message] = []
        self.steps: list[list[Any]] = []
        self.began = False
        self.over = False
        self._next_turn()

    def question(self) -> Question:
        tools = self.tools[len(self.steps) - 1]
        return Question(id=self.id, tools=tools, messages=tuple(self.messages))

    def take(self, answer: Answer, category: str, worker: Executes) -> None:
        """One step: run the calls and go on in this turn, or take the text and begin the next."""
        self.began |= answer.began
        self.messages.append(answer.as_message())
        self.steps[-1].append(as_result(answer))
        calls = [[call.name, call.arguments] for call in self.messages[-1].tool_calls]
        if not calls:
            self._next_turn()
            return
        results = worker.ask(
            "execute", category=category, id=self.id, attempt=self.attempt, calls=calls
        )
        for (name, _), result in zip(answer.calls, results, strict=True):
            self.messages.append(Message(role="tool", content=str(result), name=name))
        if len(self.steps[-1]) > MAX_STEPS:
            self.over = True  # the turns that are missing make the checker fail it

    def _next_turn(self) -> None:
        if len(self.steps) == len(self.turns):
            self.over = True
            return
        self.messages += self.turns[len(self.steps)]
        self.steps.append([])


def converse(
    player: Player,
    category: str,
    entries: Sequence[dict[str, Any]],
    worker: Executes,
    journal: Path,
    progress: Progress,
) -> tuple[dict[str, Any], list[bool]]:
    """For each entry the official result, and whether any call was begun, in order."""
    chunks = [entries[start : start + TOGETHER] for start in range(0, len(entries), TOGETHER)]
    keys = [content_hash([player.identity, [entry["id"] for entry in c]]) for c in chunks]
    results: dict[str, Any] = {}
    began: dict[str, bool] = {}
    with Journal(journal, _Held) as kept:
        done = sum(len(c) for c, k in zip(chunks, keys, strict=True) if k in kept.done)
        with progress.task(category, len(entries), done) as bar:
            for chunk, key in zip(chunks, keys, strict=True):
                if key not in kept.done:
                    kept.append(key, _hold(player, category, chunk, worker, bar.advance))
                results |= kept.done[key].results
                began |= kept.done[key].began
    ids = [entry["id"] for entry in entries]
    return {id: results[id] for id in ids}, [began[id] for id in ids]


def _hold(
    player: Player,
    category: str,
    entries: Sequence[dict[str, Any]],
    worker: Executes,
    advance: Any,
) -> _Held:
    conversations = [_Conversation(entry, player.name) for entry in entries]
    going = {conversation.id: conversation for conversation in conversations}
    while going:
        answers = list(player.answer([c.question() for c in going.values()]))
        for answer in answers:
            going[answer.id].take(answer, category, worker)
        ended = [id for id, conversation in going.items() if conversation.over]
        for id in ended:
            del going[id]
            advance(1)
    return _Held(
        results={c.id: tuple(tuple(turn) for turn in c.steps) for c in conversations},
        began={c.id: c.began for c in conversations},
    )
