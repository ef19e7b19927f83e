"""BFCL v3: the official questions and checker, our generation.

The official package turns its function docs into tools and checks the result files; both happen in
a worker process (`bfcl_worker.py`). The average formulae are those of its `eval_runner_helper`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from looptool.evaluate.answers import Answer, Player, Question, answer_all
from looptool.evaluate.averages import Mean
from looptool.evaluate.results import Average, CategoryResult, SuiteResult
from looptool.evaluate.worker import Worker
from looptool.runs.store import write_atomic
from looptool.work import Progress

NON_LIVE = (
    "simple", "java", "javascript", "multiple", "parallel", "parallel_multiple", "irrelevance",
)  # fmt: skip
LIVE = (
    "live_simple", "live_multiple", "live_parallel", "live_parallel_multiple", "live_irrelevance",
    "live_relevance",
)  # fmt: skip
MULTI_TURN = (
    "multi_turn_base", "multi_turn_miss_func", "multi_turn_miss_param", "multi_turn_long_context",
)  # fmt: skip
PYTHON = ("simple", "multiple", "parallel", "parallel_multiple")
CATEGORIES = (*NON_LIVE, *LIVE, *MULTI_TURN)
GROUPS = {
    "all": CATEGORIES,
    "single_turn": (*NON_LIVE, *LIVE),
    "non_live": NON_LIVE,
    "live": LIVE,
    "multi_turn": MULTI_TURN,
    "python": PYTHON,
}
DEFAULT = "single_turn"

_SIMPLE = Mean(("simple", "java", "javascript"))
_AST = (_SIMPLE, "multiple", "parallel", "parallel_multiple")
_NON_LIVE = Mean((*_AST, "irrelevance"))
_LIVE = Mean(LIVE, by_count=True)
_MULTI_TURN = Mean(MULTI_TURN)
AVERAGES = (
    (Average(name="mean of the four Python categories", official=False), Mean(PYTHON)),
    (Average(name="non-live AST"), Mean(_AST)),
    (Average(name="non-live"), _NON_LIVE),
    (Average(name="live"), _LIVE),
    (Average(name="multi-turn"), _MULTI_TURN),
    (Average(name="overall"), Mean((_NON_LIVE, _LIVE, _MULTI_TURN))),
)

SCRIPT = Path(__file__).with_name("bfcl_worker.py")


def evaluate(
    player: Player,
    categories: Sequence[str],
    limit: int | None,
    python: Path,
    out: Path,
    progress: Progress,
) -> SuiteResult:
    """Answer the first `limit` questions (all, if None) of each category, and score them.

    Under `out`: `result/` and `score/` as the official package lays them out, and `work/` with the
    journals that make an interrupted evaluation go on.
    """
    log = out / "work" / f"{player.name}-checker.log"
    made = []
    with Worker(python, SCRIPT, player.name, out / "work", log) as worker:
        for category in categories:
            journal = out / "work" / player.name / f"{category}.jsonl"
            if category in MULTI_TURN:
                from looptool.evaluate.bfcl_multi_turn import converse

                entries = worker.ask("conversations", category=category, limit=limit)
                results, began = converse(player, category, entries, worker, journal, progress)
                unasked = 0
            else:
                entries = worker.ask("questions", category=category)
                questions = [single_turn(entry) for entry in entries[:limit]]
                answers = answer_all(player, category, questions, journal, progress)
                results = {answer.id: as_result(answer) for answer in answers}
                began = [answer.began for answer in answers]
                unasked = sum(answer.was_unasked for answer in answers)
            folder = out / "result" / player.name
            write_result(folder / f"BFCL_v3_{category}_result.json", results)
            seen = {"began": tuple(began), "whole": limit is None, "unasked": unasked}
            made.append((category, list(results), seen))
    # A worker of its own: the multi-turn checker remembers conversations by the model's name.
    with Worker(python, SCRIPT, player.name, out / "work", log) as worker:
        scored = [
            _scored(worker, out, player.name, category, ids, seen) for category, ids, seen in made
        ]
        result = SuiteResult(
            suite="BFCL v3",
            contender=player.name,
            identity=player.identity,
            categories=tuple(scored),
        )
        if result.whole().issuperset(CATEGORIES):
            worker.ask("leaderboard", score=str((out / "score").resolve()))
    return result


def single_turn(entry: dict[str, Any]) -> Question:
    """The question of an entry that has one turn."""
    (messages,), (tools,) = entry["turns"], entry["tools"]
    plain = [{"role": m["role"], "content": m["content"]} for m in messages]
    return Question.model_validate({"id": entry["id"], "tools": tools, "messages": plain})


def as_result(answer: Answer) -> Any:
    """The `result` of an official row: calls as `{name: arguments as JSON text}`, else text."""
    return [{name: _checkable(text)} for name, text in answer.calls] or answer.text


def _checkable(arguments: str) -> str:
    """The arguments, or others as wrong that the official checker does not break on.

    It takes them for an object, and whole numbers for such as a float can hold.
    """
    try:
        given = json.loads(arguments)
    except ValueError:  # the official decoder's to tell
        return arguments
    if not isinstance(given, dict):
        return json.dumps({"no object": arguments})
    return arguments if _is_tame(given) else json.dumps({"no number": arguments})


def _is_tame(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_tame, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or abs(value) <= sys.float_info.max


def write_result(path: Path, results: dict[str, Any]) -> None:
    """An official result file, in the order of the questions."""
    lines = [json.dumps({"id": id, "result": result}) for id, result in results.items()]
    write_atomic(path, "\n".join(lines).encode())


def _scored(
    worker: Worker,
    out: Path,
    name: str,
    category: str,
    ids: Sequence[str],
    seen: Mapping[str, Any],
) -> CategoryResult:
    """What the checker says, beside what was `seen` of the answers."""
    file = out / "result" / name / f"BFCL_v3_{category}_result.json"
    verdict = worker.ask(
        "score", category=category, result=str(file.resolve()), score=str((out / "score").resolve())
    )
    failed: dict[str, str] = verdict["failed"]
    right = tuple(id not in failed for id in ids)
    assert sum(right) == verdict["correct"], "the official count is ours"
    return CategoryResult(
        name=category,
        ids=tuple(ids),
        right=right,
        reasons=dict(Counter(failed.values()).most_common()),
        **seen,
    )
