"""Runs as contenders, and `--suite heldout`, which needs no official package."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.config import Config, PolicyConfig
from looptool.errors import UserError
from looptool.evaluate.contender import find_contender
from looptool.evaluate.suites import Request, run_eval
from looptool.models.precision import Precision
from looptool.records import Checkpoint, Label, Message, Sample, Scenario, Tool, ToolCall
from looptool.runs.paths import Paths
from looptool.runs.run import Run
from looptool.runs.store import write_records
from looptool.work import Silent


def held_out() -> list[Sample]:
    tool = Tool(name="get")
    call = Label(calls=(ToolCall(name="get"),))
    says = [(Message(role="user", content=f"Get number {at}."),) for at in range(3)]
    return [Sample.create((tool,), said, call, Scenario.SINGLE) for said in says] + [
        Sample.create((tool,), says[0], Label(content="No."), Scenario.IRRELEVANT)
    ]


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, in which it is known what is fastest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for device in ("cpu", "gpu"):
        known = tmp_path / "looptool" / f"precision-{device}.jsonl"
        write_records(known, [Precision(dtype="float32")])


@pytest.fixture
def run(tiny_policy: Path, tmp_path: Path) -> Path:
    """A run that has come to its first round."""
    config = Config(policy=PolicyConfig(model=str(tiny_policy), max_new_tokens=4), rounds=2)
    root = tmp_path / "my_run"
    with Run(root, config, Silent()) as run:
        run.once("precision", Precision, lambda: Precision(dtype="float32"))
        for value, name in (("base", "base"), ("round-1/train/policy", "round-1")):
            made = Checkpoint(name=name, path=str(tiny_policy), base=str(tiny_policy))
            run.once(value, Checkpoint, lambda made=made: made)  # type: ignore[misc]
        run.once_all("seed/held-out", Sample, held_out)
    return root


def test_a_run_is_its_last_checkpoint_unless_one_is_named(run: Path, tmp_path: Path) -> None:
    last = find_contender(str(run), tmp_path)
    assert last.checkpoint.name == "round-1" and last.name == "my_run-round-1"
    assert last.policy.dtype == "float32" and last.home == run
    assert find_contender(str(run), tmp_path, "base").checkpoint.name == "base"
    with pytest.raises(UserError, match="it has round-1, base"):
        find_contender(str(run), tmp_path, "round-9")


def test_a_round_that_was_undone_is_found_by_its_number(run: Path, tmp_path: Path) -> None:
    kept = find_contender(str(run), tmp_path).checkpoint
    write_records(Paths(run).value("round-2/train/policy"), [kept])  # round 1's, as it was
    undone = find_contender(str(run), tmp_path, "round-2")
    assert (undone.name, undone.checkpoint.path) == ("my_run-round-2", kept.path)


def test_a_run_without_checkpoints_is_one_line(tmp_path: Path) -> None:
    with Run(tmp_path / "new", Config(), Silent()):
        pass
    with pytest.raises(UserError, match="go on with `looptool run"):
        find_contender(str(tmp_path / "new"), tmp_path)


def test_held_out_tools_are_scored_by_scenario_and_against_another(
    run: Path, tiny_policy: Path
) -> None:
    request = Request(model=str(run), suite="heldout", against=str(tiny_policy))
    results, _, page = run_eval(request, Silent())
    names = [result.contender for result in results]
    page_name = f"heldout-{'-against-'.join(names)}.md"
    assert page == run / "eval" / "heldout" / page_name and page.exists()
    assert [(c.name, len(c.ids), c.whole) for c in results[0].categories] == [
        ("irrelevant", 1, True),
        ("single", 3, True),
    ]
    assert "+0.00 [+0.0, +0.0]" in page.read_text(), "it is the same model"
    part, _, page = run_eval(Request(model=str(run), suite="heldout", limit=1), Silent())
    assert [c.whole for c in part[0].categories] == [False, False]
    assert page.parent.name == "first-1"


def test_another_checkpoint_leaves_the_page_and_outcomes_of_the_first(run: Path) -> None:
    _, _, last = run_eval(Request(model=str(run), suite="heldout"), Silent())
    before = last.read_text()
    _, _, base = run_eval(Request(model=str(run), suite="heldout", checkpoint="base"), Silent())
    assert base != last and last.read_text() == before
    assert len(list(last.parent.glob("*-outcomes.json"))) == 2


def test_held_out_needs_a_run(tiny_policy: Path, tmp_path: Path) -> None:
    request = Request(model=str(tiny_policy), suite="heldout", out=tmp_path)
    with pytest.raises(UserError, match="needs a run"):
        run_eval(request, Silent())
