"""Calibration: known errors, both roles, and what becomes of a judge that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from looptool.config import Config, VerifyConfig
from looptool.errors import UserError
from looptool.records import ErrorType, Judgement, Sample, Verdict
from looptool.runs.durable import DurableWork
from looptool.runs.run import Run
from looptool.runs.store import read_records, write_records
from looptool.teachers.base import Case
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.teaching import Teaching
from looptool.verify.calibrate import (
    EQUAL,
    Calibration,
    calibrate,
    calibration_table,
    wilson,
)
from looptool.verify.trust import Distrusted
from looptool.work import InMemory, Silent

from .cases import ScriptedJudge, call, request

CITIES = ("Oslo", "Rome", "Lima", "Cairo", "Quito", "Seoul", "Tokyo", "Delhi", "Paris", "Accra")
FLOORS = VerifyConfig()


@pytest.fixture
def trusted() -> list[Sample]:
    return [request(city, call(city=city, days=3)) for city in CITIES]


def test_a_perfect_judge_is_found_perfect_on_every_type_it_was_tried_on(
    trusted: list[Sample],
) -> None:
    judge = ScriptedJudge(truth={sample.id: sample.label for sample in trusted})
    result = calibrate(judge, trusted, 30, 1, InMemory(), "c")
    planted = {kind for kind in result.sensitivity if kind != EQUAL}
    assert {ErrorType.WRONG_VALUE, ErrorType.MISSING_ARGUMENT, ErrorType.WRONG_TYPE} <= planted
    assert result.found.share == 1
    assert result.order_flips.hits == 0
    assert all(result.specificity[kind].share == 1 for kind in planted)


def test_each_pair_is_shown_in_both_roles(trusted: list[Sample]) -> None:
    judge = ScriptedJudge(Verdict.UNDECIDED)
    calibrate(judge, trusted, 12, 1, InMemory(), "c")
    moves = [(case.sample_id, case.prediction, case.label) for case in judge.seen]
    assert len(moves) == 24
    assert all((id, label, prediction) in moves for id, prediction, label in moves)


def test_a_judge_that_always_blames_the_label_is_not_specific(trusted: list[Sample]) -> None:
    result = calibrate(ScriptedJudge(Verdict.LABEL_WRONG), trusted, 20, 1, InMemory(), "c")
    assert result.found.share == 1 and result.spared.share == 0
    assert result.order_flips.share == 1
    assert "specificity" in (result.failing(FLOORS) or "")


def test_a_judge_that_finds_nothing_is_not_sensitive(trusted: list[Sample]) -> None:
    result = calibrate(ScriptedJudge(Verdict.UNDECIDED), trusted, 20, 1, InMemory(), "c")
    assert result.failing(FLOORS) == "sensitivity 0.00 is below 0.50"


def test_a_judge_that_follows_the_order_fails_by_its_flips() -> None:
    good = {"wrong_value": wilson(9, 10)}
    flips = Calibration(
        judge="j", sensitivity=good, decided=good, specificity=good, order_flips=wilson(4, 10),
        verdicts={},
    )  # fmt: skip
    assert flips.failing(FLOORS) == "order flips 0.40 are above 0.30"


def test_one_error_type_fails_a_judge_only_when_its_whole_interval_is_below() -> None:
    def with_missing(hits: int, total: int) -> Calibration:
        sensitivity = {"wrong_value": wilson(50, 50), "missing_argument": wilson(hits, total)}
        return Calibration(
            judge="j", sensitivity=sensitivity, decided=sensitivity,
            specificity={"wrong_value": wilson(50, 50)}, order_flips=wilson(0, 50), verdicts={},
        )  # fmt: skip

    assert with_missing(2, 6).failing(FLOORS) is None
    assert (
        with_missing(2, 30).failing(FLOORS) == "sensitivity of missing_argument 0.07 is below 0.50"
    )


def test_a_type_left_undecided_fails_nobody_and_a_type_taken_for_right_does(
    trusted: list[Sample],
) -> None:
    def measured(where_one_is_missing: Verdict) -> Calibration:
        class Partial(ScriptedJudge):
            async def judge(self, case: Case) -> Judgement:
                said = await super().judge(case)
                sides = (case.prediction, case.label)
                if all(len(call.arguments) >= 2 for side in sides for call in side.calls):
                    return said
                return said.model_copy(update={"verdict": where_one_is_missing})

        judge = Partial(truth={sample.id: sample.label for sample in trusted})
        return calibrate(judge, trusted, 60, 1, InMemory(), "c")

    floors = VerifyConfig(min_specificity=0)
    undecided, accepting = measured(Verdict.UNDECIDED), measured(Verdict.BOTH_CORRECT)
    for result in (undecided, accepting):
        assert result.sensitivity["missing_argument"].share == 0
    assert undecided.failing(floors) is None
    assert accepting.failing(floors) == "sensitivity of missing_argument 0.00 is below 0.50"


def test_without_trusted_samples_no_judge_is_trusted_and_no_share_is_claimed() -> None:
    result = calibrate(ScriptedJudge(Verdict.LABEL_WRONG), [], 20, 1, InMemory(), "c")
    assert result.failing(FLOORS) == "no error could be planted to measure it on"


def test_a_judge_that_is_trusted_unmeasured_is_not_calibrated(tmp_path: Path) -> None:
    config = Config(verify=VerifyConfig(calibration_samples=0))
    with Run(tmp_path, config, Silent()) as run:
        with pytest.raises(UserError, match=r"verify\.calibration_samples = 0"):
            Teaching(run).calibration(list)
        assert not run.has("calibration")
        assert isinstance(Teaching(run).judge(list), OfflineTeacher)


def test_the_same_seed_makes_the_same_pairs(trusted: list[Sample]) -> None:
    judges = [ScriptedJudge(Verdict.UNDECIDED) for _ in range(3)]
    for judge, seed in zip(judges, (7, 7, 8), strict=True):
        calibrate(judge, trusted, 12, seed, InMemory(), "c")
    assert judges[0].seen == judges[1].seen != judges[2].seen


def test_the_intervals_are_wilsons() -> None:
    rate = wilson(8, 10)
    assert (rate.low, rate.high) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)


def test_a_calibration_survives_the_disk_and_shows_as_a_table(
    trusted: list[Sample], tmp_path: Path
) -> None:
    result = calibrate(ScriptedJudge(Verdict.UNDECIDED), trusted, 12, 1, InMemory(), "c")
    write_records(tmp_path / "c.jsonl", [result])
    assert read_records(tmp_path / "c.jsonl", Calibration) == [result]
    assert calibration_table(result).row_count == len(result.specificity) + 2


def test_the_cost_of_a_judge_that_has_one_is_told(trusted: list[Sample]) -> None:
    class Paid(ScriptedJudge):
        def cost(self) -> float:
            return 0.5 * len(self.seen)

    result = calibrate(Paid(Verdict.UNDECIDED), trusted, 4, 1, InMemory(), "c")
    assert result.cost == 4 and "cost 4" in result.summary()


def test_the_cost_counts_what_a_killed_process_had_spent(
    trusted: list[Sample], tmp_path: Path
) -> None:
    class Ledger(ScriptedJudge):
        spent = 10.0

        def cost(self) -> float:
            return self.spent

        async def judge(self, case: Case) -> Judgement:
            if self.spent == 12:
                raise KeyboardInterrupt
            self.spent += 0.5
            return await super().judge(case)

    judge = Ledger(Verdict.UNDECIDED)
    with pytest.raises(KeyboardInterrupt):
        calibrate(judge, trusted, 4, 1, DurableWork(tmp_path, Silent()), "c")
    judge.spent = 12.5  # the fifth call was paid for and its answer lost
    result = calibrate(judge, trusted, 4, 1, DurableWork(tmp_path, Silent()), "c")
    assert result.cost == 4.5


def test_a_distrusted_judge_decides_nothing_and_keeps_what_it_would_have_said() -> None:
    oslo = request("Oslo")
    judge = Distrusted(ScriptedJudge(Verdict.LABEL_WRONG), "order flips 0.40 are above 0.30")
    case = Case(
        sample_id=oslo.id, tools=oslo.tools, context=oslo.context, prediction=call(city="x"),
        label=oslo.label,
    )  # fmt: skip
    said = asyncio.run(judge.judge(case))
    assert said.verdict is Verdict.UNDECIDED
    assert [vote.verdict for vote in said.votes] == [Verdict.LABEL_WRONG]
    assert "order flips 0.40" in said.error_analysis
