"""JGLV: which failures are judged, and what the ablation does."""

from __future__ import annotations

from looptool.config import VerifyConfig
from looptool.records import LabelEdit, Match, Mismatch, ParsedOutput, Verdict
from looptool.verify.correct import corrected
from looptool.verify.jglv import pick_verify, verify
from looptool.work import InMemory

from .cases import ScriptedJudge, call, probe_of, request


def test_only_failed_samples_are_judged_and_in_their_order() -> None:
    oslo, rome, lima = (request(city) for city in ("Oslo", "Rome", "Lima"))
    probes = [probe_of(lima, call(city="x")), probe_of(rome), probe_of(oslo, call(city="y"))]
    judge = ScriptedJudge(Verdict.PRED_WRONG)
    judgements = verify(judge, [oslo, rome, lima], probes, InMemory(), "v", concurrency=2)
    assert [judgement.sample_id for judgement in judgements] == [oslo.id, lima.id]


def test_the_judge_sees_tools_context_and_the_two_moves_and_nothing_else() -> None:
    oslo = request("Oslo")
    judge = ScriptedJudge(Verdict.PRED_WRONG)
    verify(judge, [oslo], [probe_of(oslo, call(city="y"))], InMemory(), "v")
    (case,) = judge.seen
    assert set(type(case).model_fields) == {
        "sample_id", "tools", "context", "prediction", "label",
    }  # fmt: skip
    assert (case.prediction, case.label) == (call(city="y"), oslo.label)


def test_an_output_that_is_no_move_is_wrong_without_a_judge() -> None:
    oslo = request("Oslo")
    broken = probe_of(oslo, call(city="x")).model_copy(
        update={
            "parsed": ParsedOutput(begins_call=True, defect=Mismatch.TRUNCATED, detail="cut"),
            "match": Match(matched=False, reason=Mismatch.TRUNCATED),
        }
    )
    judge = ScriptedJudge(Verdict.LABEL_WRONG)
    (judgement,) = verify(judge, [oslo], [broken], InMemory(), "v")
    assert judgement.verdict is Verdict.PRED_WRONG
    assert judgement.judge == "rules" and not judge.seen


def test_the_ablation_takes_every_label_as_right() -> None:
    oslo = request("Oslo")
    judge = ScriptedJudge(Verdict.LABEL_WRONG)
    ablation = pick_verify(VerifyConfig(enabled=False))
    (judgement,) = ablation(judge, [oslo], [probe_of(oslo, call(city="y"))], InMemory(), "v")
    assert (judgement.verdict, judgement.judge) == (Verdict.PRED_WRONG, "none")
    assert not judge.seen


def test_a_wrong_label_is_replaced_by_the_prediction_and_its_history_kept() -> None:
    oslo = request("Oslo", call(city="Olso"))
    probe = probe_of(oslo, call(city="Oslo"))
    (judgement,) = verify(ScriptedJudge(Verdict.LABEL_WRONG), [oslo], [probe], InMemory(), "v")
    mended = corrected(oslo, probe, judgement, 3)
    assert mended.label == call(city="Oslo") and mended.id == oslo.id
    assert mended.edits == (
        LabelEdit(
            old=call(city="Olso"), new=call(city="Oslo"), verdict=Verdict.LABEL_WRONG,
            reason="as scripted", judge="scripted", round=3,
        ),
    )  # fmt: skip


def test_no_other_verdict_touches_a_label() -> None:
    oslo = request("Oslo")
    probe = probe_of(oslo, call(city="x"))
    for verdict in set(Verdict) - {Verdict.LABEL_WRONG}:
        (judgement,) = verify(ScriptedJudge(verdict), [oslo], [probe], InMemory(), "v")
        assert corrected(oslo, probe, judgement, 1) is oslo
