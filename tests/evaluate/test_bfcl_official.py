"""Against the official package itself. Needs its environment: set LOOPTOOL_CHECKERS to a cache
folder (it is made there on first use), and give it a minute."""

from __future__ import annotations

import ast
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from looptool.evaluate import bfcl
from looptool.evaluate.answers import Answer, Question
from looptool.evaluate.environment import checker_python
from looptool.evaluate.table import suite_rows
from looptool.evaluate.worker import Worker
from looptool.work import Silent

CACHE = os.environ.get("LOOPTOOL_CHECKERS")
pytestmark = pytest.mark.skipif(not CACHE, reason="LOOPTOOL_CHECKERS names no cache folder")
AST = [name for name in (*bfcl.NON_LIVE, *bfcl.LIVE) if "relevance" not in name]


@pytest.fixture(scope="module")
def python() -> Path:
    return checker_python(Path(str(CACHE)), Silent())


@pytest.fixture(scope="module")
def truth(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """An answer to each question, from the first of the official possible answers."""
    folder = tmp_path_factory.mktemp("truth")
    with Worker(python, bfcl.SCRIPT, "x", folder, folder / "log") as worker:
        data = Path(worker.ask("data"))
    answers = {}
    for category in AST:
        file = data / "possible_answer" / f"BFCL_v3_{category}.json"
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            calls = [pair for call in row["ground_truth"] for pair in call.items()]
            answers[row["id"]] = Answer(
                id=row["id"],
                calls=tuple((n.replace(".", "_"), json.dumps(_first(a))) for n, a in calls),
                began=True,
            )
    return answers


def _first(possible: dict[str, list[Any]]) -> dict[str, Any]:
    """For each argument its first possible value; "" means that it may be left out."""
    chosen = {k: next((v for v in vs if v != ""), None) for k, vs in possible.items()}
    return {k: _plain(v) for k, v in chosen.items() if v is not None}


def _plain(value: Any) -> Any:
    """Nested objects list the possible values of each key too."""
    if isinstance(value, dict) and all(isinstance(inner, list) for inner in value.values()):
        return _first(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


class FromTruth:
    """Answers rightly, except the ids in `wrong`."""

    def __init__(self, truth: dict[str, Answer], wrong: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.name, self.identity = "from-truth", f"wrong {len(wrong)}"
        self.truth, self.wrong = truth, wrong

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        for question in questions:
            right = self.truth.get(question.id)
            if right is None or question.id in self.wrong:
                yield Answer(id=question.id, text="I cannot say.")
            else:
                yield right


def test_possible_answers_score_99_to_100(
    python: Path, truth: dict[str, Answer], tmp_path: Path
) -> None:
    result = bfcl.evaluate(FromTruth(truth), AST, None, python, tmp_path, Silent())
    scores = {c.name: c.score.accuracy for c in result.categories}
    assert all(scores[name] >= 0.99 for name in bfcl.PYTHON), scores
    # Java and JavaScript values are wanted as source text, which the possible answers are not. One
    # of the 16 answers of live_parallel names a parameter that its function does not have.
    assert scores["live_simple"] >= 0.99 and scores["live_multiple"] >= 0.99, scores
    assert scores["live_parallel"] == 15 / 16 and scores["live_parallel_multiple"] == 1, scores
    rows = {name: cells for name, cells, _ in suite_rows([result], bfcl.AVERAGES)}
    mean = sum(scores[name] for name in bfcl.PYTHON) / 4
    shown = rows["mean of the four Python categories (not official)"][1]
    assert shown.startswith(f"{100 * mean:.2f} [")


@pytest.mark.parametrize(
    "arguments", ["null", "[]", "true", '"x"', '{"base": NaN}', f'{{"base": 1{"0" * 400}}}']
)
def test_an_odd_answer_is_wrong_and_the_suite_is_scored(
    python: Path, truth: dict[str, Answer], tmp_path: Path, arguments: str
) -> None:
    odd = {
        id: answer.model_copy(update={"calls": ((answer.calls[0][0], arguments),)})
        for id, answer in truth.items()
    }
    result = bfcl.evaluate(FromTruth(odd), ["simple"], None, python, tmp_path, Silent())
    assert result.categories[0].score.accuracy == 0


def test_the_official_tables_are_written_beside_another_contender(
    python: Path, truth: dict[str, Answer], tmp_path: Path
) -> None:
    for name in ("first", "second"):
        player = FromTruth(truth)
        player.name = name
        bfcl.evaluate(player, ["simple"], None, python, tmp_path, Silent())
    with Worker(python, bfcl.SCRIPT, "second", tmp_path / "work", tmp_path / "log") as worker:
        table = worker.ask("leaderboard", score=str(tmp_path / "score"))
    assert "second" in table and "first" not in table


def test_half_wrong_answers_score_half_and_within_30_seconds(
    python: Path, truth: dict[str, Answer], tmp_path: Path
) -> None:
    wrong = {id for id in truth if int(id.rsplit("_", 1)[1].split("-")[0]) % 2}
    started = time.monotonic()
    result = bfcl.evaluate(FromTruth(truth, wrong), bfcl.PYTHON, None, python, tmp_path, Silent())
    assert time.monotonic() - started < 30
    for category in result.categories:
        assert abs(category.score.accuracy - 0.5) <= 0.011, (
            category.name
        )  # two official answers are wrong


class Replays:
    """Makes the calls of the official multi-turn answers, turn by turn, then says that it is done.

    `spoil` leaves out the last call of every conversation.
    """

    def __init__(self, python: Path, folder: Path, spoil: bool = False) -> None:
        self.name, self.identity = "replays", f"spoil {spoil}"
        self.turns: dict[str, list[list[str]]] = {}
        with Worker(python, bfcl.SCRIPT, "x", folder, folder / "log") as worker:
            data = Path(worker.ask("data")) / "possible_answer"
        for category in bfcl.MULTI_TURN:
            for line in (data / f"BFCL_v3_{category}.json").read_text("utf-8").splitlines():
                row = json.loads(line)
                turns = row["ground_truth"]
                if spoil:
                    last = max(at for at, calls in enumerate(turns) if calls)
                    turns[last].pop()
                self.turns[row["id"]] = turns

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        for question in questions:
            turn = sum(message.role == "user" for message in question.messages) - 1
            calls = self.turns[question.id][turn]
            if question.messages[-1].role != "user" or not calls:
                yield Answer(id=question.id, text="Done.")
                continue
            told = tuple(self._call(text, question) for text in calls)
            yield Answer(id=question.id, calls=told, began=True)

    @staticmethod
    def _call(text: str, question: Question) -> tuple[str, str]:
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        name = call.func.id
        tool = next(tool for tool in question.tools if tool.name == name)
        properties: Any = tool.parameters["properties"]
        given = dict(zip(properties, map(ast.literal_eval, call.args), strict=False))
        given |= {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        return name, json.dumps(given)


def test_the_official_multi_turn_answers_pass_and_spoilt_ones_fail(
    python: Path, tmp_path: Path
) -> None:
    right = Replays(python, tmp_path / "x")
    result = bfcl.evaluate(right, bfcl.MULTI_TURN, 12, python, tmp_path / "right", Silent())
    assert [c.score.accuracy for c in result.categories] == [1, 1, 1, 1]
    spoilt = Replays(python, tmp_path / "x", spoil=True)
    result = bfcl.evaluate(spoilt, ["multi_turn_base"], 12, python, tmp_path / "wrong", Silent())
    assert result.categories[0].score.accuracy == 0


def test_hostile_calls_are_not_run(python: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    attack = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    calls = [
        ["open", {"file": str(mark), "mode": "w"}],
        ["cd", {f"folder='x', b={attack} or ": 1}],
        [attack, {}],
        ["ls", {}],
    ]
    with Worker(python, bfcl.SCRIPT, "x", tmp_path, tmp_path / "log") as worker:
        *refused, listed = worker.ask(
            "execute",
            category="multi_turn_base",
            id="multi_turn_base_0",
            attempt="a",
            calls=calls,
        )
    assert not mark.exists()
    assert all("is not defined" in said for said in refused)
    assert "current_directory_content" in listed


def test_silence_is_right_where_nothing_fits_and_wrong_where_something_does(
    python: Path, tmp_path: Path
) -> None:
    names = ["irrelevance", "live_relevance"]
    result = bfcl.evaluate(FromTruth({}), names, 10, python, tmp_path, Silent())
    assert [c.score.accuracy for c in result.categories] == [1, 0]
    assert not any(c.whole for c in result.categories)
    assert all("overall" not in name for name, _, _ in suite_rows([result], bfcl.AVERAGES))
