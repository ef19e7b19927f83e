"""An evaluation never takes away what an earlier one found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from looptool.evaluate import bfcl, suites
from looptool.evaluate.kept import in_common, own_names
from looptool.evaluate.results import CategoryResult, SuiteResult
from looptool.evaluate.suites import Request, run_eval
from looptool.work import Silent


class Somebody:
    """A contender whose answers nobody asks for."""

    def __init__(self, name: str, identity: str) -> None:
        self.name, self.identity = name, identity

    def answer(self, questions: Any) -> Any:
        raise AssertionError


def category(name: str, right: bool = True, **more: Any) -> CategoryResult:
    return CategoryResult(
        name=name, ids=("a",), right=(right,), began=(True,), whole=True, reasons={}, **more
    )


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`looptool eval --suite bfcl` on contenders of (name, identity, whether they are right)."""

    def run(*contenders: tuple[str, str, bool], categories: str = "python") -> Path:
        players = [Somebody(name, identity) for name, identity, _ in contenders]
        right = {identity: right for _, identity, right in contenders}

        def scored(player: Somebody, asked: Sequence[str], *_: Any) -> SuiteResult:
            return SuiteResult(
                suite="BFCL v3",
                contender=player.name,
                identity=player.identity,
                categories=tuple(category(name, right[player.identity]) for name in asked),
            )

        monkeypatch.setattr(suites, "_players", lambda *_: players)
        monkeypatch.setattr(suites, "checker_python", lambda *_: Path("python"))
        monkeypatch.setattr(bfcl, "evaluate", scored)
        request = Request(model="m", suite="bfcl", categories=categories, out=tmp_path)
        _, _, page = run_eval(request, Silent())
        return page

    return run


def outcomes(folder: Path, name: str) -> dict[str, bool]:
    told = json.loads((folder / f"{name}-outcomes.json").read_text())
    return {category["name"]: category["right"][0] for category in told["categories"]}


def test_fewer_categories_later_renew_those_and_leave_the_others(
    evaluate: Any, tmp_path: Path
) -> None:
    evaluate(("mine", "1", False))
    page = evaluate(("mine", "1", True), categories="parallel,irrelevance")
    assert page == tmp_path / "bfcl-mine.md"
    assert outcomes(tmp_path, "mine") == {
        "simple": False, "multiple": False, "parallel": True, "parallel_multiple": False,
        "irrelevance": True,
    }  # fmt: skip
    shown = [
        line.split("|")[1].strip() for line in page.read_text().splitlines() if "| 1 |" in line
    ]
    assert shown == list(outcomes(tmp_path, "mine")), "the page shows them all, in suite order"


def test_a_comparison_has_a_page_of_its_own_and_shows_what_both_were_asked(
    evaluate: Any, tmp_path: Path
) -> None:
    evaluate(("mine", "1", True), categories="simple,java")
    page = evaluate(("mine", "1", True), ("base", "2", False), categories="simple")
    assert page.name == "bfcl-mine-against-base.md"
    assert "| java" not in page.read_text() and "mine − base" in page.read_text()
    assert "| java" in (tmp_path / "bfcl-mine.md").read_text()
    assert (tmp_path / "bfcl-base.md").exists()


def test_another_contender_of_the_same_name_gets_a_name_of_its_own_and_keeps_it(
    evaluate: Any, tmp_path: Path
) -> None:
    evaluate(("mine", "111111", True))
    pages = {evaluate(("mine", "222222", False), categories="simple") for _ in range(2)}
    assert pages == {tmp_path / "bfcl-mine-222222.md"}
    assert all(outcomes(tmp_path, "mine").values()) and len(outcomes(tmp_path, "mine")) == 4
    assert own_names([("x", "1"), ("x", "2")], tmp_path) == ["x", "x-2"]


def test_categories_played_with_other_users_are_not_compared() -> None:
    def result(user: str) -> SuiteResult:
        found = (category("normal"), category("agent_multi_turn", user=user))
        return SuiteResult(suite="ACEBench", contender="m", categories=found)

    (same, _), (apart, _) = (in_common([result("a"), result(other)]) for other in "ab")
    assert [c.name for c in same.categories] == ["normal", "agent_multi_turn"]
    assert [c.name for c in apart.categories] == ["normal"]
