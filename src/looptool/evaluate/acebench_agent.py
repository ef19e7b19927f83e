"""ACEBench's agent categories: conversations with tools, and with a user that a model plays.

The official loop holds each conversation in the worker: its prompts, its classes, its limit of
turns. Whenever it asks a model it waits, so that conversations go on side by side here and their
steps share a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from looptool.evaluate.acebench_text import as_said
from looptool.evaluate.answers import Player, Question
from looptool.jsonvalue import content_hash
from looptool.records import Record
from looptool.runs.store import Journal
from looptool.work import Progress

TOGETHER = 10
"""Conversations that are held, and owed again after a crash, together."""
USER_TOKENS = 1000
"""The official limit of what the user says."""


class Holds(Protocol):
    """What holds conversations: the worker in the checkers' environment."""

    def ask(self, do: str, **arguments: Any) -> Any: ...


class Talk(Record):
    """A conversation that ended: `outcome` is `result` and `process` of the official row."""

    id: str
    outcome: dict[str, Any]
    began: bool


class _Chunk(Record):
    talks: tuple[Talk, ...]


def converse(
    players: Mapping[str, Player],
    category: str,
    entries: Sequence[dict[str, Any]],
    worker: Holds,
    journal: Path,
    progress: Progress,
) -> list[Talk]:
    """The conversations of `entries`, in order; those in `journal` are not held again.

    `players` are "agent" and, where the category has one, "user".
    """
    chunks = [entries[start : start + TOGETHER] for start in range(0, len(entries), TOGETHER)]
    who = {role: player.identity for role, player in players.items()}
    keys = [content_hash([who, chunk]) for chunk in chunks]
    with Journal(journal, _Chunk) as kept:
        done = sum(len(c) for c, k in zip(chunks, keys, strict=True) if k in kept.done)
        with progress.task(category, len(entries), done) as bar:
            for chunk, key in zip(chunks, keys, strict=True):
                if key not in kept.done:
                    ids = [entry["id"] for entry in chunk]
                    kept.append(key, _hold(players, category, ids, worker, bar.advance))
        return [talk for key in keys for talk in kept.done[key].talks]


def _hold(
    players: Mapping[str, Player],
    category: str,
    ids: Sequence[str],
    worker: Holds,
    advance: Callable[[int], None],
) -> _Chunk:
    """Round by round: whatever waits for a player is asked in one go."""
    waits = {id: worker.ask("talk", category=category, id=id) for id in ids}
    began = dict.fromkeys(ids, False)
    while roles := sorted({asked["who"] for asked in waits.values() if "who" in asked}):
        for role in roles:
            questions = [
                Question.model_validate({"id": id, "messages": asked["messages"]})
                for id, asked in waits.items()
                if asked.get("who") == role
            ]
            for answer in list(players[role].answer(questions)):
                said = as_said(answer)
                if role == "agent":  # the prompt wants calls in brackets, and nothing before them
                    began[answer.id] |= answer.began or said.lstrip().startswith("[")
                asked = worker.ask("talk", category=category, id=answer.id, said=said)
                waits[answer.id] = asked
                if "who" not in asked:
                    advance(1)
    return _Chunk(talks=tuple(Talk(id=id, outcome=waits[id], began=began[id]) for id in ids))
