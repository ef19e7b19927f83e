"""Against the official ACEBench itself. Needs the checkers' environment and a clone: set
LOOPTOOL_CHECKERS to a cache folder (it is made there on first use) and LOOPTOOL_ACEBENCH."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from looptool.evaluate import acebench
from looptool.evaluate.answers import Answer, Question
from looptool.evaluate.environment import checker_python
from looptool.work import Silent

CACHE, CLONE = os.environ.get("LOOPTOOL_CHECKERS"), os.environ.get("LOOPTOOL_ACEBENCH")
pytestmark = pytest.mark.skipif(
    not (CACHE and CLONE), reason="LOOPTOOL_CHECKERS or LOOPTOOL_ACEBENCH names nothing"
)
TRUTH = Path(str(CLONE)) / "data_all" / "data_en" / "possible_answer"


class Replay:
    """Says the official milestones one after the other."""

    name = identity = "replay"

    def __init__(self) -> None:
        self.said: Counter[str] = Counter()
        self.stones: dict[str, list[str]] = {}
        for category in acebench.AGENT:
            for line in (TRUTH / f"data_{category}.json").read_text("utf-8").splitlines():
                row = json.loads(line)
                several = row["mile_stone"] and isinstance(row["mile_stone"][0], list)
                self.stones[row["id"]] = row["mile_stone"][0] if several else row["mile_stone"]

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        for question in questions:
            left = self.stones[question.id][self.said[question.id] :]
            self.said[question.id] += 1
            yield Answer(id=question.id, text=left[0] if left else "finish conversation")


class Patient:
    """A user who only says to go on."""

    name = identity = "patient"

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        for question in questions:
            yield Answer(id=question.id, text="Go on.")


def test_replayed_milestones_score_as_in_the_official_loop_unchanged(tmp_path: Path) -> None:
    python = checker_python(Path(str(CACHE)), Silent())
    clone = acebench.check_clone(Path(str(CLONE)))
    result = acebench.evaluate(
        Replay(), acebench.AGENT, None, clone, python, tmp_path, Silent(), Patient()
    )
    # Many milestones are no Python (a quote inside quotes) or name no product of the shop: they go
    # the official way, and come to nothing.
    assert {c.name: (c.score.correct, c.process) for c in result.categories} == {
        "agent_multi_step": (4, 1.0),
        "agent_multi_turn": (21, 0.857),
    }
