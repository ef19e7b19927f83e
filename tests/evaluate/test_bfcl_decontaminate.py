"""No exam in the training data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from looptool.errors import UserError
from looptool.evaluate.decontaminate import (
    ACEBENCH_VARIABLE,
    ExamData,
    decontaminate,
    suites_at_hand,
)
from looptool.records import Label, Message, Sample, Scenario, Tool


def tool(name: str, **parameters: str) -> dict[str, Any]:
    properties = {
        key: {"type": kind, "description": f"The {key}."} for key, kind in parameters.items()
    }
    return {
        "name": name,
        "description": "",
        "parameters": {"type": "object", "properties": properties},
    }


def sample(says: str = "Hello there, please do it.", *tools: dict[str, Any]) -> Sample:
    return Sample.create(
        tuple(Tool.model_validate(t) for t in tools),
        (Message(role="user", content=says),),
        Label(content="Fine."),
        Scenario.SINGLE,
    )


ORBIT = tool("orbit.period_of", body="string", radius="float", days="integer")
QUESTION = "How many days does a moon at 9,400 km need for one orbit of Mars?"
EXAM = ExamData("Exam", [ORBIT], [QUESTION])


@pytest.mark.parametrize(
    ("suspect", "what"),
    [
        (sample("Hi.", tool("OrbitPeriodOf", x="string")), "tool name"),
        (sample("Hi.", tool("t", days="integer", body="string", radius="number")), "parameters"),
        (sample(QUESTION.upper().replace("?", "!")), "question"),
        (sample("Tell me: how many days does a moon at 9,400 km need for one orbit?"), "question"),
    ],
)
def test_what_is_an_exams_goes_and_is_counted(suspect: Sample, what: str) -> None:
    clean = sample()
    kept, tally = decontaminate([clean, suspect, clean], [EXAM])
    assert kept == [clean, clean]
    assert tally.counts == {"checked": 3, f"Exam: {what}": 1}


@pytest.mark.parametrize(
    "innocent",
    [
        sample("Hi.", tool("orbit_period", body="string", radius="number")),
        sample("Hi.", tool("t", days="string", body="string", radius="number")),
        sample("How many days does a letter to Oslo need if I post it on Monday morning?"),
        sample("Thanks a lot!"),
        sample("", tool("t")),
    ],
)
def test_what_only_looks_a_little_like_it_stays(innocent: Sample) -> None:
    assert decontaminate([innocent], [EXAM])[0] == [innocent]


def test_two_parameters_prove_something_only_with_their_descriptions() -> None:
    exam = ExamData("Exam", [tool("a", city="string", day="string"), tool("b")], [])
    same, other = tool("c", city="string", day="string"), tool("d", city="string", day="string")
    other["parameters"]["properties"]["day"]["description"] = "When it starts."
    kept, _ = decontaminate([sample("Hi.", same), sample("Hi.", other)], [exam])
    assert [s.tools[0].name for s in kept] == ["d"]


def test_short_questions_prove_nothing() -> None:
    exam = ExamData("Exam", [], ["Yes, please."])
    assert decontaminate([sample("Yes, please.")], [exam])[0]


def test_the_suites_at_hand_are_read_in_their_own_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ACEBENCH_VARIABLE, raising=False)
    assert suites_at_hand(tmp_path) == [], "nothing is fetched"
    data = tmp_path / "checkers-1/lib/python3.11/site-packages/bfcl_eval/data"
    (data / "multi_turn_func_doc").mkdir(parents=True)
    question = [[{"role": "user", "content": QUESTION}]]
    row = {"id": "simple_0", "question": question, "function": [ORBIT]}
    (data / "BFCL_v3_simple.json").write_text(json.dumps(row))
    (data / "multi_turn_func_doc" / "lamp.json").write_text(json.dumps(tool("lamp_on")))
    assert suites_at_hand(tmp_path) == [], "the environment is half made"
    (tmp_path / "checkers-1/ready").touch()
    clone = tmp_path / "ace"
    monkeypatch.setenv(ACEBENCH_VARIABLE, str(clone))
    with pytest.raises(UserError, match=r"LOOPTOOL_ACEBENCH: .*/ace is no clone"):
        suites_at_hand(tmp_path)
    (clone / "data_all/data_en").mkdir(parents=True)
    said = "user: Dim the lamp in the hall.\nsystem: To which level shall I dim it now?\n"
    entry = {"id": "n_0", "question": said, "function": [{"name": "Dim", "arguments": {}}]}
    (clone / "data_all/data_en/data_n.json").write_text(json.dumps(entry))
    suites = suites_at_hand(tmp_path)
    assert [suite.name for suite in suites] == ["BFCL v3", "ACEBench"]
    suspects = [
        sample("Hi.", tool("LampOn")),
        sample(QUESTION),
        sample("Hi.", tool("dim")),
        sample("Please dim the lamp in the hall."),
        sample("To which level shall I dim it now?"),
    ]
    kept, tally = decontaminate(suspects, suites)
    assert kept == suspects[-1:], "what the assistant says there is no question"
    assert tally.counts["BFCL v3: tool name"] == tally.counts["ACEBench: question"] == 1
