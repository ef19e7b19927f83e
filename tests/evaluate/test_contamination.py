"""What a seed shares with an exam leaves it, once and for all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from looptool.config import Config, SeedConfig
from looptool.errors import UserError
from looptool.evaluate.contamination import CONTAMINATED, Contamination, cleared, find, without
from looptool.evaluate.decontaminate import ExamData
from looptool.records import (
    ErrorType,
    Expansion,
    Label,
    Message,
    PlantedError,
    Sample,
    Scenario,
    Seed,
    Tool,
    ToolCall,
)
from looptool.runs.run import Run
from looptool.runs.store import read_records
from looptool.steps import Steps
from looptool.work import Silent


def sample(name: str) -> Sample:
    said = Message(role="user", content=f"Please do {name} for me now, thank you.")
    return Sample.create((Tool(name=name),), (said,), Label(content="Done."), Scenario.SINGLE)


EXAM = ExamData("Exam", [{"name": "playSong"}], [])
ONE, TWO = sample("play_song"), sample("mow_lawn")


def test_what_is_found_leaves_with_what_was_planted_in_it() -> None:
    truth = Label(calls=(ToolCall(name="x"),))
    planted = tuple(
        PlantedError(sample_id=each.id, error=ErrorType.WRONG_TOOL, truth=truth)
        for each in (ONE, TWO)
    )
    found = find((ONE, TWO), [EXAM])
    left = without(Seed(train=(ONE, TWO), held_out=(ONE,), planted=planted), found)
    assert left.train == (TWO,) and left.planted == planted[1:] and left.held_out == (ONE,)
    assert found.told() == "1 of 2 samples left out, against Exam (Exam: tool name 1)"


def test_expanded_samples_are_held_against_the_exams_too() -> None:
    clean = Expansion(parent="p", samples=(TWO,))
    mixed = Expansion(parent="q", samples=(ONE, TWO), rejected={"duplicate": 2})
    checked = Contamination(suites=(EXAM.name,), counts={"checked": 2})
    left = cleared([clean, mixed], checked, [EXAM])
    assert left[0] == clean and left[1].samples == (TWO,)
    assert left[1].rejected == {"duplicate": 2, CONTAMINATED: 1}


def test_expansions_do_not_depend_on_what_came_or_went_between_two_rounds() -> None:
    mixed = Expansion(parent="q", samples=(ONE, TWO))
    assert cleared([mixed], Contamination(), [EXAM]) == [mixed]
    checked = Contamination(suites=("ACEBench",), counts={"checked": 2})
    with pytest.raises(UserError, match=r"ACEBench.*LOOPTOOL_ACEBENCH"):
        cleared([mixed], checked, [EXAM])


def test_without_data_nothing_is_checked_and_that_is_told() -> None:
    assert find((ONE,), []) == Contamination()
    assert "not checked" in Contamination().told()


def test_a_seed_of_which_nothing_stays_is_one_clear_error() -> None:
    with pytest.raises(UserError, match=r"decontaminate = false"):
        without(Seed(train=(ONE,), held_out=()), find((ONE,), [EXAM]))


def bring_bfcl(cache: Path, name: str) -> None:
    """BFCL as the checkers' environment has it, with one question."""
    data = cache / "looptool/checkers-0/lib/python3.11/site-packages/bfcl_eval/data"
    data.mkdir(parents=True)
    entry = {"question": [[{"role": "user", "content": "?"}]], "function": [{"name": name}]}
    (data / "BFCL_v3_simple.json").write_text(json.dumps(entry) + "\n")
    (cache / "looptool/checkers-0/ready").touch()


def test_a_run_checks_its_seed_once_and_is_the_same_ever_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    data = SeedConfig(tools=20, samples=30, held_out_samples=6, domains=("music", "travel"))

    def seeded(name: str, config: SeedConfig = data) -> tuple[Run, Seed]:
        with Run(tmp_path / name, Config(data=config), Silent()) as run:
            return run, Steps(run).seed()

    run, whole = seeded("whole")
    count = len(whole.train)
    assert count > 20 and "decontamination" not in run.paths.log.read_text()
    tool = whole.train[0].tools[0].name
    bring_bfcl(cache, tool)
    run, left = seeded("checked")
    assert left.train == tuple(s for s in whole.train if tool not in {t.name for t in s.tools})
    assert left.held_out == whole.held_out
    assert f"{count - len(left.train)} of 30 samples left out" in run.paths.log.read_text()
    assert seeded("off", data.model_copy(update={"decontaminate": False}))[1].train == whole.train
    shutil.rmtree(cache)
    for value in ("seed/train", "seed/held-out", "seed/rejected"):
        run.forget(value)  # as if it had been killed before they were written
    again, same = seeded("checked")
    assert same == left
    (kept,) = read_records(again.paths.value("seed/contaminated"), Contamination)
    assert kept.suites == ("BFCL v3",) and len(kept.samples) == count - len(left.train)


def test_a_run_holds_its_expansions_against_what_its_seed_was_checked_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def spied(expansions: list[Expansion], checked: Contamination) -> list[Expansion]:
        seen.append(checked)
        return [Expansion(parent="what is left")]

    monkeypatch.setattr("looptool.evaluate.contamination.cleared", spied)
    monkeypatch.setattr(Steps, "seed", lambda self: Seed(train=(), held_out=()))
    checked = Contamination(suites=("Exam",))
    for decontaminate in (True, False):
        data = SeedConfig(decontaminate=decontaminate)
        with Run(tmp_path / str(decontaminate), Config(data=data), Silent()) as run:
            run.once("seed/contaminated", Contamination, lambda: checked)
            left = Steps(run).expand(1, [], [], [])
        assert [one.parent for one in left] == ["what is left"] * decontaminate
    assert seen == [checked]
