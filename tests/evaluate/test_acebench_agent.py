"""ACEBench's agent categories against the small official package of `conftest`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from looptool.errors import UserError
from looptool.evaluate import acebench, acebench_agent, suites
from looptool.evaluate.answers import Answer, Question
from looptool.evaluate.averages import average
from looptool.evaluate.results import SuiteResult
from looptool.evaluate.suites import Request, run_eval
from looptool.evaluate.table import suite_rows
from looptool.work import Silent

STEP, TURN = acebench.AGENT


class Scripted:
    """Says what `script` makes of a question's last message, and remembers what it was asked."""

    def __init__(self, name: str, script: Callable[[Question], str | Answer]) -> None:
        self.name, self.identity, self.script = name, "1", script
        self.asked: list[Question] = []

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        self.asked += questions
        for question in reversed(questions):
            said = self.script(question)
            yield said if isinstance(said, Answer) else Answer(id=question.id, text=said)


def agent(question: Question) -> str | Answer:
    """In turn talk asks for the level first; sets it to 3, but to 1 in the second conversation."""
    history = question.messages[-1].content
    if "execution:" in history:
        return "finish conversation"
    if question.id.startswith(TURN) and "Three" not in history:
        return "To what?"
    level = 3 if question.id.endswith("_0") else 1
    return f"[set_level(level={level})]"


def user(question: Question) -> str:
    return "Three." if question.messages[-1].content == "To what?" else "Light, please."


def evaluated(
    lamp_clone: Path,
    player: Scripted,
    categories: Sequence[str] = acebench.AGENT,
    simulator: Scripted | None = None,
) -> SuiteResult:
    return acebench.evaluate(
        player,
        categories,
        None,
        lamp_clone,
        Path(sys.executable),
        lamp_clone.parent / "out",
        Silent(),
        simulator,
    )


def rows(lamp_clone: Path, category: str, name: str = "lamp") -> list[dict[str, object]]:
    folder = lamp_clone.parent / "out" / "checker" / "result_all" / "result_en" / name
    text = (folder / f"data_{category}_result.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_conversations_follow_the_official_loop_and_its_checker_scores_them(
    lamp_clone: Path,
) -> None:
    player, simulator = Scripted("lamp", agent), Scripted("user", user)
    result = evaluated(lamp_clone, player, simulator=simulator)
    assert {c.name: (c.right, c.process) for c in result.categories} == {
        STEP: ((True, False), 0.75),
        TURN: ((True, False), 0.75),
    }
    assert all(c.whole and c.call_rate == 1 for c in result.categories)
    assert rows(lamp_clone, TURN)[1] == {
        "id": f"{TURN}_1",
        "result": [{"Lamp": {"level": 1}}],
        "process": ["[set_level(level=1)]"],
    }
    assert {q.id.rsplit("_", 1)[0] for q in simulator.asked} == {TURN}
    last = [q for q in simulator.asked if q.id == f"{TURN}_0"][-1]
    assert [(m.role, m.content) for m in last.messages] == [
        ("system", f"You want: Level 3 for {TURN}_0."),
        ("user", "Well?"),
        ("user", "To what?"),
    ]
    first = next(q for q in player.asked if q.id == f"{TURN}_0")
    assert not first.tools and [m.content for m in first.messages] == [
        "Call some of [{'name': 'set_level'}]",
        "user:Light, please.",
    ]


def test_the_official_process_file_is_written_once_by_eval_main_itself(lamp_clone: Path) -> None:
    evaluated(lamp_clone, Scripted("lamp", agent), [STEP])
    scores = lamp_clone.parent / "out" / "checker" / "score_all" / "score_en" / "lamp"
    assert (scores / f"data_{STEP}_process.json").read_text() == "once\n"


def test_process_accuracy_is_a_row_of_the_table_and_no_average(lamp_clone: Path) -> None:
    result = evaluated(lamp_clone, Scripted("lamp", agent), simulator=Scripted("user", user))
    shown = {name: cells for name, cells, _ in suite_rows([result, result], acebench.AVERAGES)}
    assert shown[f"{STEP}, process"] == ["", "75.00", "", "75.00", "", ""]
    assert shown["agent"][0] == "4" and shown["agent"][1].startswith("50.00 [")
    assert len({len(cells) for cells in shown.values()}) == 1
    assert "overall" not in shown, "normal and special are missing"


def test_calls_of_the_chat_format_are_run_as_the_official_text(lamp_clone: Path) -> None:
    def call(question: Question) -> str | Answer:
        if "execution" in question.messages[-1].content:
            return "finish conversation"
        return Answer(id=question.id, calls=(("set_level", '{"level": 3}'),), began=True)

    (step,) = evaluated(lamp_clone, Scripted("lamp", call), [STEP]).categories
    assert step.right == (True, True) and step.process == 1


@pytest.mark.parametrize("category", [STEP, TURN])
def test_hostile_text_is_never_evaluated_and_ends_nothing(lamp_clone: Path, category: str) -> None:
    hostile = [
        "[set_level(level=1 + len(str(open('pwned', 'w'))))]",
        "[set_level(level=open(file='pwned', mode='w'))]",
        "[set_level(level='\\ud800')]",
        "\ud800" + "[" * 5000,
    ]
    said = {f"{category}_{at}": iter(hostile[2 * at :] + ["[set_level(3)]"] * 3) for at in (0, 1)}
    (result,) = evaluated(
        lamp_clone,
        Scripted("lamp", lambda question: next(said[question.id])),
        [category],
        Scripted("user", lambda _: "\ud800"),
    ).categories
    assert not any(result.right)
    assert not list(lamp_clone.parent.rglob("pwned")), (
        "the worker's folder has no file of the model's"
    )
    assert all(
        row["result"] in ([], [{"Lamp": {"level": 0}}]) for row in rows(lamp_clone, category)
    )


def test_finished_conversations_are_not_held_again(
    lamp_clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acebench_agent, "TOGETHER", 1)

    def tired(question: Question) -> str | Answer:
        if question.id.endswith("_1"):
            raise KeyboardInterrupt
        return agent(question)

    simulator = Scripted("user", user)
    with pytest.raises(KeyboardInterrupt):
        evaluated(lamp_clone, Scripted("lamp", tired), [TURN], simulator)
    player = Scripted("lamp", agent)
    (result,) = evaluated(lamp_clone, player, [TURN], simulator).categories
    assert {q.id for q in player.asked} == {f"{TURN}_1"} and result.right == (True, False)
    another = Scripted("user", user)
    another.identity = "2"
    evaluated(lamp_clone, player, [TURN], another)
    assert {q.id for q in another.asked} == {f"{TURN}_0", f"{TURN}_1"}, "another user, other talks"


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_without_a_user_all_is_what_can_be_asked_and_says_so() -> None:
    told = Told()
    chosen = acebench.askable("all", acebench.CATEGORIES, False, told)
    assert set(acebench.CATEGORIES) - set(chosen) == {TURN} and STEP in chosen
    (line,) = told.lines
    assert TURN in line and "--user-base-url" in line
    assert acebench.askable("all", acebench.CATEGORIES, True, told) == acebench.CATEGORIES
    assert acebench.askable(STEP, (STEP,), False, told) == (STEP,) and len(told.lines) == 1


@pytest.mark.parametrize("asked", ["agent", TURN, f"{STEP},{TURN}"])
def test_without_a_user_a_category_that_needs_one_is_an_error_that_names_it(
    lamp_clone: Path, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acebench, "check_clone", lambda given: given)
    request = Request(
        model="x",
        suite="acebench",
        acebench=lamp_clone,
        categories=asked,
        base_url="http://h",
        out=lamp_clone.parent,
    )
    with pytest.raises(UserError, match=f"--categories {asked}: {TURN} needs a model") as told:
        run_eval(request, Silent())
    assert "\n" not in str(told.value)


def test_the_user_is_a_model_behind_an_endpoint_with_the_key_of_the_environment(
    lamp_clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None, dict[str, Any]]] = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body))
            question = Question.model_validate({"id": f"{TURN}_0", "messages": body["messages"]})
            said = user(question) if body["model"] == "person" else agent(question)
            message = {"role": "assistant", "content": said}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            told = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
            reply = json.dumps({**told, "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setattr(acebench, "check_clone", lambda given: given)
    monkeypatch.setattr(suites, "checker_python", lambda *_: Path(sys.executable))
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        request = Request(
            model="lamp",
            suite="acebench",
            acebench=lamp_clone,
            categories=TURN,
            limit=1,
            out=lamp_clone.parent / "out",
            base_url=f"{url}/v1",
            user_base_url=f"{url}/person/v1",
            user_model="person",
        )
        (result,), _, page = run_eval(request, Silent())
        server.shutdown()
    assert result.categories[0].right == (True,)
    mine = [(path, key, body) for path, key, body in asked if body["model"] == "person"]
    assert {(path, key) for path, key, _ in mine} == {
        ("/person/v1/chat/completions", "Bearer secret")
    }
    assert {body["max_tokens"] for _, _, body in mine} == {1000}
    assert f"{TURN}, process" in page.read_text()
    assert not [
        p for p in lamp_clone.parent.rglob("*") if p.is_file() and b"secret" in p.read_bytes()
    ]


def test_half_a_user_is_an_error(lamp_clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acebench, "check_clone", lambda given: given)
    request = Request(
        model="x", suite="acebench", acebench=lamp_clone, user_model="u", base_url="http://h"
    )
    with pytest.raises(UserError, match="--user-base-url and --user-model go together"):
        run_eval(request, Silent())


def test_overall_is_the_official_weighing_of_the_three_groups() -> None:
    outcomes = {name: [True, False] for name in acebench.NORMAL}
    outcomes |= {name: [True, True] for name in acebench.SPECIAL}
    outcomes |= {STEP: [False, False], TURN: [True, True, True, False]}
    means = {name.name: average(mean, outcomes)[0] for name, mean in acebench.AVERAGES}
    assert means["agent"] == pytest.approx((0 + 0.75) / 2)
    assert means["overall"] == pytest.approx(0.578 * 0.5 + 0.2676 * 1 + 0.1545 * 0.375)
