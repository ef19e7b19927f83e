"""The ACEBench harness against a small clone of our own: its format, none of its questions."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from looptool.errors import UserError
from looptool.evaluate import acebench
from looptool.evaluate.acebench_text import as_text
from looptool.evaluate.answers import Answer, Question
from looptool.work import Silent

# What eval_main.py offers to whoever imports it, and to the command line, in few lines.
EVAL_MAIN = """
import argparse, json, os
OUTPUT_PATH = "./score_all/score_en/"
def save_score_as_json(name, rows, folder): raise AssertionError("not for single questions")
def convert_result_to_excel(*_): raise AssertionError("not for single questions")
def _check(rows, prompts, answers, category, name, paths):
    assert len(rows) == len(prompts) == len(answers)
    right = [r["result"].replace(" ", "") == a["ground_truth"] for r, a in zip(rows, answers)]
    groups = {}
    for row, ok in zip(rows, right):
        key = row["id"].rsplit("_", 1)[0] if "normal_multi_turn" in category else row["id"]
        groups.setdefault(key, []).append(ok)
    return sum(all(group) for group in groups.values()) / len(groups)
normal_single_turn_eval = normal_multi_turn_eval = special_eval = _check
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model"); parser.add_argument("--language")
    parser.add_argument("--category", nargs="+")
    asked = parser.parse_args()
    for c in asked.category:
        load = lambda p: [json.loads(line) for line in open(p) if line.strip()]
        rows = load(f"result_all/result_en/{asked.model}/data_{c}_result.json")
        data = load(f"data_all/data_en/data_{c}.json")
        truth = load(f"data_all/data_en/possible_answer/data_{c}.json")
        with open(f"score_all/score_en/{asked.model}/data_{c}_score.json", "w") as file:
            file.write(json.dumps({"accuracy": round(_check(rows, data, truth, c, "", {}), 3)}))
"""
PROMPTS = """
SYSTEM_PROMPT_FOR_SPECIAL_DATA_EN = "Point out what is missing. {time} {function}"
USER_PROMPT_EN = "Conversation history 1..t:\\n{question}"
"""
TOOL = {
    "name": "lamp.set",
    "description": "Set a lamp.",
    "arguments": {
        "type": "dict",
        "properties": {"level": {"type": "float"}, "rooms": {"type": "list"}},
    },
}
SINGLE, TURNS = "normal_single_turn_single_function", "normal_multi_turn_user_adjust"
SPECIAL = "special_incomplete"


def lines(rows: list[dict[str, object]]) -> str:
    return "\n".join(map(json.dumps, rows))


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "clone"
    truth = root / "data_all" / "data_en" / "possible_answer"
    truth.mkdir(parents=True)
    for package in ("model_eval", "model_inference"):
        (root / package).mkdir()
        (root / package / "__init__.py").touch()
    (root / "model_inference" / "prompt_en.py").write_text(PROMPTS)
    (root / "eval_main.py").write_text(EVAL_MAIN)
    (root / "category.py").touch()
    ids = {
        SINGLE: [f"{SINGLE}_{at}" for at in range(4)],
        TURNS: [f"{TURNS}_{at}_{turn}" for at in range(2) for turn in range(2)],
        SPECIAL: [f"{SPECIAL}_{at}" for at in range(2)],
    }
    for name in acebench.CATEGORIES:
        entries: list[dict[str, object]] = [
            {
                "id": id,
                "question": "user: Dim it.\nsystem: To what?\nuser: To 3.\n",
                "function": [TOOL],
                "time": "It is noon.",
            }
            for id in ids.get(name, [f"{name}_0"])
        ]
        (truth.parent / f"data_{name}.json").write_text(lines(entries))
        answer = "What?" if name == SPECIAL else "[lamp.set(level=3)]"
        known: list[dict[str, object]] = [{"id": e["id"], "ground_truth": answer} for e in entries]
        (truth / f"data_{name}.json").write_text(lines(known))
        monkeypatch.setitem(acebench.SIZES, name, len(entries))
    return root


class Lamp:
    """Sets the lamp, but for the ids in `wrong`; says "What?" where it has no tools."""

    def __init__(self, *wrong: str) -> None:
        self.name, self.identity, self.wrong = "lamp", "1", wrong
        self.seen: list[Question] = []

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        self.seen += questions
        for question in questions:
            if not question.tools:
                yield Answer(id=question.id, text="What?")
            else:
                level = 0 if question.id in self.wrong else 3
                call = ("lamp.set", json.dumps({"level": level}))
                yield Answer(id=question.id, calls=(call,), began=True)


def test_scores_are_those_of_eval_main_and_a_conversation_is_one_outcome(
    clone: Path, tmp_path: Path
) -> None:
    player = Lamp(f"{SINGLE}_1", f"{TURNS}_0_1")
    names = [SINGLE, TURNS, SPECIAL]
    result = acebench.evaluate(
        player, names, None, clone, Path(sys.executable), tmp_path / "out", Silent()
    )
    assert {c.name: (c.score.correct, c.score.total) for c in result.categories} == {
        SINGLE: (3, 4),
        TURNS: (1, 2),
        SPECIAL: (2, 2),
    }
    assert all(c.whole for c in result.categories)
    assert [c.call_rate for c in result.categories] == [1, 1, 0]
    assert not (clone / "result_all").exists(), "the clone stays as it is"


def test_a_subset_cuts_the_copy_and_is_marked(clone: Path, tmp_path: Path) -> None:
    result = acebench.evaluate(
        Lamp(), [SINGLE], 2, clone, Path(sys.executable), tmp_path / "out", Silent()
    )
    assert [(c.score.total, c.whole) for c in result.categories] == [(2, False)]


@pytest.mark.parametrize(("limit", "asked"), [(1, 2), (2, 2), (3, 4), (9, 4)])
def test_a_subset_asks_conversations_to_their_end(
    clone: Path, tmp_path: Path, limit: int, asked: int
) -> None:
    player, out = Lamp(), tmp_path / "out"
    result = acebench.evaluate(player, [TURNS], limit, clone, Path(sys.executable), out, Silent())
    assert len(player.seen) == asked
    assert [(len(c.ids), c.whole) for c in result.categories] == [(asked // 2, False)], "a subset"


def test_normal_questions_are_turns_with_tools_and_special_ones_the_official_prompt(
    clone: Path, tmp_path: Path
) -> None:
    player = Lamp()
    out = tmp_path / "out"
    acebench.evaluate(player, [SINGLE, SPECIAL], 1, clone, Path(sys.executable), out, Silent())
    normal, special = player.seen
    assert [message.role for message in normal.messages] == [
        "system", "user", "assistant", "user",
    ]  # fmt: skip
    assert normal.messages[0].content == "It is noon."
    (tool,) = normal.tools
    assert tool.name == "lamp.set" and tool.parameters == {
        "type": "object",
        "properties": {"level": {"type": "number"}, "rooms": {"type": "array"}},
    }
    assert not special.tools
    assert special.messages[0].content.startswith("Point out what is missing. It is noon. [{'name'")
    assert special.messages[1].content.startswith("Conversation history 1..t:\nuser: Dim it.")


def test_no_clone_another_folder_and_another_version_are_one_line(
    clone: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="--acebench PATH"):
        acebench.check_clone(None)
    with pytest.raises(UserError, match=r"it has no eval_main\.py"):
        acebench.check_clone(tmp_path)
    acebench.check_clone(clone)
    answers = clone / "data_all" / "data_en" / "possible_answer" / f"data_{SPECIAL}.json"
    answers.rename(answers.with_suffix(".away"))
    with pytest.raises(UserError, match=r"it has no .*possible_answer/data_special_incomplete"):
        acebench.check_clone(clone)
    answers.with_suffix(".away").rename(answers)
    data = clone / "data_all" / "data_en" / f"data_{SPECIAL}.json"
    data.write_text(data.read_text() + "\n" + data.read_text())
    with pytest.raises(UserError, match="another version, special_incomplete has 4 questions"):
        acebench.check_clone(clone)


def test_calls_are_written_as_the_checker_reads_them() -> None:
    value = {"a": "it's", "b": [1, 2.5, True, None], "c": {"d": -1}}
    answer = Answer(id="x", calls=(("f", json.dumps(value)), ("g.h", "{}")), began=True)
    tree = ast.parse(as_text(answer), mode="eval").body
    assert isinstance(tree, ast.List) and len(tree.elts) == 2
    first = tree.elts[0]
    assert isinstance(first, ast.Call)
    assert {k.arg: ast.literal_eval(k.value) for k in first.keywords} == value


@pytest.mark.parametrize(
    "answer",
    [
        Answer(id="x", calls=(("f", '{"a=1+open(1), b": 2}'),)),
        Answer(id="x", calls=(("f(a=1+1)", "{}"),)),
        Answer(id="x", calls=(("f", "{"),)),
        Answer(id="x", text="Well: [f(a=1+__import__('os').getpid())]"),
        Answer(id="x", text="Well: [f(a=1 + open( 'x' ))] and more]"),
    ],
)
def test_nothing_that_the_checker_would_evaluate_reaches_it(answer: Answer) -> None:
    assert as_text(answer) == "[]"


def test_brackets_without_end_are_not_looked_into() -> None:
    assert as_text(Answer(id="x", text="[]" * 5000)) == "[]" * 5000, "nothing to evaluate"
    assert as_text(Answer(id="x", text="[1+" * 5000 + "]" * 5000)) == "[]"


def test_plain_text_reaches_the_checker_as_it_is() -> None:
    for text in ("Sorry.", "See [1] and [f(a='x')].", "[", ""):
        assert as_text(Answer(id="x", text=text)) == text
