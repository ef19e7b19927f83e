"""`looptool eval`, all but the official package: see test_bfcl_official for that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from looptool.errors import UserError
from looptool.evaluate import bfcl
from looptool.evaluate.answers import Answer, Question, answer_all
from looptool.evaluate.averages import Mean, average, average_difference
from looptool.evaluate.bfcl_multi_turn import MAX_STEPS, converse
from looptool.evaluate.bfcl_worker import harmless
from looptool.evaluate.contender import find_contender
from looptool.evaluate.players import EnginePlayer, ServerPlayer, file_name, to_openai
from looptool.evaluate.results import CategoryResult, SuiteResult
from looptool.evaluate.suites import Request, engine_player, pick, run_eval
from looptool.evaluate.table import suite_markdown, suite_rows
from looptool.models.precision import Precision
from looptool.records import Message, Mismatch, ToolCall
from looptool.runs.store import write_records
from looptool.work import Silent


def questions(number: int) -> list[Question]:
    return [
        Question(id=f"q_{at}", messages=(Message(role="user", content=f"What is {at}?"),))
        for at in range(number)
    ]


class Echo:
    """Answers with the question, and counts; may break off after some answers."""

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.name, self.identity = "echo", "1"
        self.asked: list[str] = []
        self.left = breaks_after

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        for question in reversed(questions):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            self.asked.append(question.id)
            yield Answer(id=question.id, text=question.messages[-1].content)


# Answers


def test_an_interrupted_evaluation_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    asked, journal = questions(300), tmp_path / "j.jsonl"
    first = Echo(breaks_after=200)
    with pytest.raises(KeyboardInterrupt):
        answer_all(first, "x", asked, journal, Silent())
    second, third = Echo(), Echo()
    answers = answer_all(second, "x", asked, journal, Silent())
    assert [answer.text for answer in answers] == [q.messages[0].content for q in asked]
    assert len(second.asked) == 300 - 128, "the first whole chunk is kept"
    assert answer_all(third, "x", asked, journal, Silent()) == answers and not third.asked


def test_another_model_answers_anew_in_the_same_folder(tmp_path: Path) -> None:
    answer_all(Echo(), "x", questions(3), tmp_path / "j", Silent())
    other = Echo()
    other.identity = "2"
    answer_all(other, "x", questions(3), tmp_path / "j", Silent())
    assert len(other.asked) == 3


def test_result_files_are_official_rows_in_order(tmp_path: Path) -> None:
    bfcl.write_result(tmp_path / "r.json", {"simple_0": [{"f": "{}"}], "simple_1": "é\u2028"})
    lines = (tmp_path / "r.json").read_text().split("\n")
    assert [json.loads(line) for line in lines] == [
        {"id": "simple_0", "result": [{"f": "{}"}]},
        {"id": "simple_1", "result": "é\u2028"},
    ]


# Contenders


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ('{"a": [1, 2.5, null, true, "x"]}', True),
        ("{", True),  # the official decoder says what is wrong
        ("null", False),
        ("[1]", False),
        ('{"a": {"b": NaN}}', False),
        (f'{{"a": 1{"0" * 400}}}', False),
    ],
)
def test_arguments_that_the_official_checker_breaks_on_are_only_wrong(
    arguments: str, kept: bool
) -> None:
    ((given,),) = [
        call.values() for call in bfcl.as_result(Answer(id="x", calls=(("f", arguments),)))
    ]
    assert (given == arguments) is kept
    if not kept:
        assert json.loads(given).keys() <= {"no object", "no number"}


def test_an_answer_as_long_as_the_model_can_read_is_refused(
    tiny_policy: Path, tmp_path: Path
) -> None:
    player = engine_player(find_contender(str(tiny_policy), tmp_path), max_new_tokens=10**6)
    with pytest.raises(UserError, match=r"--max-new-tokens 1000000: .* leaves none for the prompt"):
        list(player.answer(questions(1)))


def test_a_model_folder_answers_with_its_own_engine(tiny_policy: Path, tmp_path: Path) -> None:
    write_records(tmp_path / "precision-cpu.jsonl", [Precision(dtype="float32")])
    contender = find_contender(str(tiny_policy), tmp_path)
    player = engine_player(contender, max_new_tokens=4)
    asked = [*questions(3), questions(1)[0].model_copy(update={"id": "long"})]
    asked[3] = Question(id="long", messages=(Message(role="user", content="word " * 9000),))
    answers = {answer.id: answer for answer in player.answer(asked)}
    assert set(answers) == {"q_0", "q_1", "q_2", "long"}
    assert answers["long"].defect is Mismatch.PROMPT_TOO_LONG
    assert all(0 < answers[f"q_{at}"].num_tokens <= 4 for at in range(3))
    assert isinstance(player, EnginePlayer) and player.name == tiny_policy.name


def test_official_files_are_named_without_what_the_checkers_trip_over() -> None:
    assert file_name("org/My_Model-FC 7B") == "org-My-Model-f-c-7B"
    assert file_name("___") == "model"
    assert file_name("1.7b_x") == "m-1.7b-x", "BFCL makes names of Python of it"


@pytest.mark.parametrize(
    ("model", "checkpoint", "format", "said"),
    [
        ("nowhere/at-all", None, "telepathy", "hermes"),
        ("/no/such/folder", None, None, "no config.json"),
        ("smollm2-135m", "round-1", None, "is no run"),
    ],
)
def test_a_contender_that_cannot_be_is_one_line(
    tmp_path: Path, model: str, checkpoint: str | None, format: str | None, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        find_contender(model, tmp_path, checkpoint, format)


def test_a_run_that_is_not_among_the_runs_is_looked_for_in_no_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "config.json").write_text('{"policy": {}}')
    with pytest.raises(UserError, match=r"runs/frist: no such run; runs has first$"):
        find_contender("runs/frist", tmp_path)


def test_a_folder_that_holds_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a run nor a model"):
        find_contender(str(tmp_path), tmp_path)


def test_conversations_reach_a_server_with_numbered_calls() -> None:
    call = ToolCall(name="get", arguments={"city": "Rome"})
    told = list(
        to_openai(
            [
                Message(role="user", content="Rome?"),
                Message(role="assistant", tool_calls=(call, call)),
                Message(role="tool", content="1", name="get"),
                Message(role="tool", content="2", name="get"),
            ]
        )
    )
    ids = [made["id"] for made in told[1]["tool_calls"]]
    assert len(set(ids)) == 2 and [m["tool_call_id"] for m in told[2:]] == ids


def test_a_server_that_is_not_there_is_one_line() -> None:
    player = ServerPlayer("http://127.0.0.1:9/v1", "m", concurrency=2)
    player._client.max_retries = 0
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9"):
        list(player.answer(questions(3)))


# The request


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"suite": "sat"}, "heldout, bfcl, acebench"),
        ({"categories": "simple,easy"}, "easy"),
        ({"categories": ","}, "names none"),
        ({"limit": 0}, "--limit"),
        ({"suite": "acebench"}, "--acebench PATH"),
        ({"suite": "heldout", "base_url": "http://x/v1"}, "--base-url"),
        ({"suite": "heldout", "categories": "simple"}, "--categories"),
        ({"suite": "heldout", "guided": True}, "--guided"),
        ({"base_url": "http://x/v1", "guided": True}, "--guided"),
        ({"base_url": "http://x/v1", "checkpoint": "base"}, "--checkpoint"),
        ({"base_url": "http://x/v1", "format": "native"}, "--format"),
        ({"base_url": "http://x/v1", "against": "m"}, "--against m: it is the same"),
    ],
)
def test_what_a_request_gets_wrong_is_one_line_before_any_work(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    request = Request(**{"model": "m", "suite": "bfcl", "out": tmp_path, **changes})
    with pytest.raises(UserError, match=said) as caught:
        run_eval(request, Silent())
    assert "\n" not in str(caught.value)


def test_groups_and_categories_come_in_suite_order() -> None:
    assert pick("irrelevance, python", bfcl.CATEGORIES, bfcl.GROUPS) == (
        "simple", "multiple", "parallel", "parallel_multiple", "irrelevance",
    )  # fmt: skip
    assert len(pick("all", bfcl.CATEGORIES, bfcl.GROUPS)) == 17


# Figures


def result(name: str, right: dict[str, list[bool]], whole: bool = True) -> SuiteResult:
    categories = tuple(
        CategoryResult(
            name=category,
            ids=tuple(map(str, range(len(outcomes)))),
            right=tuple(outcomes),
            began=tuple(outcomes),
            whole=whole,
            reasons={},
        )
        for category, outcomes in right.items()
    )
    return SuiteResult(suite="BFCL v3", contender=name, categories=categories)


def outcomes(shares: dict[str, tuple[int, int]]) -> dict[str, list[bool]]:
    return {name: [True] * a + [False] * (b - a) for name, (a, b) in shares.items()}


def test_the_official_averages_follow_the_official_formula() -> None:
    shares = {name: (1, 4) for name in bfcl.CATEGORIES}
    shares |= {"simple": (4, 4), "java": (2, 4), "live_multiple": (30, 30)}
    got = {name.name: average(mean, outcomes(shares))[0] for name, mean in bfcl.AVERAGES}
    simple = (1 + 0.5 + 0.25) / 3
    non_live = (simple + 4 * 0.25) / 5
    live = (30 + 5 * 1) / (30 + 5 * 4)
    assert got["non-live AST"] == pytest.approx((simple + 3 * 0.25) / 4)
    assert got["non-live"] == pytest.approx(non_live)
    assert got["live"] == pytest.approx(live)
    assert got["multi-turn"] == pytest.approx(0.25)
    assert got["overall"] == pytest.approx((non_live + live + 0.25) / 3)


def test_an_average_interval_covers_the_average_and_shrinks_with_questions() -> None:
    mean = Mean(("a", "b"))
    few = average(mean, outcomes({"a": (5, 10), "b": (2, 10)}))
    many = average(mean, outcomes({"a": (500, 1000), "b": (200, 1000)}))
    assert few[0] == many[0] == pytest.approx(0.35)
    assert few[1] < many[1] < 0.35 < many[2] < few[2]


def test_the_difference_of_averages_is_paired() -> None:
    mean = Mean(("a",))
    base, tuned = outcomes({"a": (50, 100)}), outcomes({"a": (60, 100)})
    value, low, high = average_difference(mean, tuned, base)
    assert value == pytest.approx(0.1) and 0 < low < 0.1 < high, "what is hard for both cancels"
    assert average_difference(mean, base, base) == (0, 0, 0)


def test_a_subset_is_marked_and_gives_no_average() -> None:
    part = result("m", {name: [True, False] for name in bfcl.PYTHON}, whole=False)
    rows = list(suite_rows([part], bfcl.AVERAGES))
    assert [name for name, _, _ in rows] == list(bfcl.PYTHON)
    assert all(cells[0] == "2 of more" for _, cells, _ in rows)


def test_the_page_shows_call_rate_averages_and_the_paired_difference() -> None:
    tuned = result("tuned", {name: [True, True, False, True] for name in bfcl.PYTHON})
    base = result("base", {name: [True, False, False, False] for name in bfcl.PYTHON})
    page = suite_markdown([tuned, base], bfcl.AVERAGES, ["A note."])
    assert "tuned − base" in page and "75%" in page and "+50.00" in page
    assert "mean of the four Python categories (not official)" in page and "A note." in page
    assert "| overall" not in page


# Multi turn


class Counter:
    """Stands for the worker: every call is answered with how many there were."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def ask(self, do: str, **arguments: Any) -> Any:
        self.calls += arguments["calls"]
        return [str(len(self.calls))] * len(arguments["calls"])


class Caller:
    """Calls `get` so many times a turn, then speaks."""

    def __init__(self, times: int) -> None:
        self.name, self.identity, self.times = "caller", str(times), times
        self.seen: list[Question] = []

    def answer(self, questions: Sequence[Question]) -> Iterator[Answer]:
        for question in questions:
            self.seen.append(question)
            roles = [message.role for message in question.messages]
            since = len(roles) - 1 - roles[::-1].index("user")
            if roles[since:].count("tool") < self.times:
                yield Answer(id=question.id, calls=(("get", "{}"),), began=True)
            else:
                yield Answer(id=question.id, text="Done.")


def entry(id: str) -> dict[str, Any]:
    tool = {"name": "get", "description": "", "parameters": {"type": "object"}}
    more = [tool, {**tool, "name": "late"}]
    turns = [[{"role": "user", "content": text}] for text in ("one", "two", "three")]
    return {"id": id, "turns": turns, "tools": [[tool], None, more]}


def test_a_conversation_runs_its_calls_turn_by_turn(tmp_path: Path) -> None:
    player, worker = Caller(2), Counter()
    results, began = converse(player, "c", [entry("m_0")], worker, tmp_path / "j", Silent())
    call = [{"get": "{}"}]
    assert [list(turn) for turn in results["m_0"]] == [[call, call, "Done."]] * 3
    assert began == [True] and len(worker.calls) == 6
    assert [len(question.tools) for question in player.seen] == [1] * 6 + [2] * 3
    assert player.seen[-1].messages[-1].content == "6", "results reach the model"
    again = Caller(2)
    again_results, _ = converse(again, "c", [entry("m_0")], worker, tmp_path / "j", Silent())
    assert not again.seen and again_results.keys() == results.keys()


def test_a_conversation_without_end_is_ended_after_the_official_number_of_steps(
    tmp_path: Path,
) -> None:
    results, _ = converse(Caller(99), "c", [entry("m_0")], Counter(), tmp_path / "j", Silent())
    (only,) = results["m_0"]
    assert len(only) == MAX_STEPS + 1


@pytest.mark.parametrize(
    "call",
    [
        "cd(folder=__import__('os').getcwd())",
        "cd(folder=open('x'))",
        "cd(folder=1+1)",
        "__import__('os').system('x')",
        "cd('x')",
        "cd(**{})",
        "cd(",
        "(" * 5000,
        "cd(exponent=10000000000)",
        "cd(exponent='x')",
    ],
)
def test_only_plain_calls_reach_the_official_eval(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from looptool.evaluate import bfcl_worker

    monkeypatch.setattr(bfcl_worker, "_OFFERED", {"cd"})
    assert harmless("cd(folder='a', depth=-1, deep={'a': [None, True]})").startswith("cd(")
    assert harmless(call).startswith("undefined_") and harmless(call).endswith("()")
    assert harmless("open(file='x')") == "undefined_open()"


def test_questions_that_never_reached_the_model_are_counted_on_the_page() -> None:
    made = CategoryResult(
        name="simple",
        began=(False,),
        whole=True,
        ids=("a",),
        right=(False,),
        reasons={"wrong": 1},
        unasked=1,
    )
    shown = SuiteResult(suite="BFCL v3", contender="m", categories=(made,))
    assert "simple: 1 wrong; 1 never reached the model" in suite_markdown([shown], (), [])
    unasked = [Answer(id="a", defect=Mismatch.PROMPT_TOO_LONG), Answer(id="b")]
    assert [answer.was_unasked for answer in unasked] == [True, False]
