"""The verdict on two moves."""

from __future__ import annotations

from collections.abc import Iterator

from looptool.jsonvalue import values_equal
from looptool.records import Judgement, Sample, Verdict, Vote
from looptool.teachers.base import Case
from looptool.teachers.offline.judge.alignment import aligned
from looptool.teachers.offline.judge.coverage import unexplained
from looptool.teachers.offline.judge.differences import adds_nothing, call_differences, missed
from looptool.teachers.offline.judge.evidence import Evidence, gather
from looptool.teachers.offline.judge.findings import (
    LABEL,
    LIKELY,
    PREDICTION,
    SURE,
    Finding,
    undecided,
)
from looptool.teachers.offline.judge.fit import speaks_of
from looptool.teachers.offline.judge.flaws import flaws, loose_texts
from looptool.teachers.offline.judge.grounding import Support
from looptool.teachers.offline.judge.loose_ends import asks_for_something, more_to_do
from looptool.teachers.offline.judge.moves import Read, read_move
from looptool.teachers.offline.judge.soundness import no_identifier, unsure, well_founded
from looptool.teachers.offline.judge.words import asks_back


class RuleJudge:
    """Weighs two moves by tools and conversation, without a model; it never sees the truth.

    A label is called wrong only where something certain speaks against it, nothing speaks against
    the prediction, no difference stays open, and the two differ in one place: labels are rarely
    off in two, predictions often, and a right label lost costs more than a wrong one kept.
    Against a prediction less is enough.
    """

    name = "rules"

    async def judge(self, case: Case) -> Judgement:
        """The verdict, with what speaks against each side in plain words."""
        evidence = gather(case.context)
        sides = (
            read_move(case.prediction, case.tools, evidence),
            read_move(case.label, case.tools, evidence),
        )
        findings = list(_findings(case, sides, evidence))
        verdict = _verdict(findings)
        if verdict is Verdict.LABEL_WRONG and (
            why := unsure(case.prediction, sides, case.tools, evidence)
        ):
            findings.append(undecided(why))
            verdict = Verdict.UNDECIDED
        analysis, approach = _told(findings, verdict)
        return Judgement(
            sample_id=case.sample_id,
            verdict=verdict,
            votes=(Vote(judge=self.name, verdict=verdict, reason=analysis),),
            error_analysis=analysis,
            correct_approach=approach,
            judge=self.name,
        )

    async def accept(self, sample: Sample) -> str | None:
        """None, or which rule of the judge the sample's label breaks."""
        evidence = gather(sample.context)
        for call in read_move(sample.label, sample.tools, evidence):
            if not call.valid.matched:
                return "judge: invalid call"
            if call.worst() is not None:
                return "judge: ungrounded argument"
            if any(call.call == done for done in evidence.done):
                return "judge: already done"
        return None


def _findings(
    case: Case, sides: tuple[list[Read], list[Read]], evidence: Evidence
) -> Iterator[Finding]:
    for side in (PREDICTION, LABEL):
        yield from _own_faults(side, sides[side], sides[1 - side], evidence)
    if sides[0] and sides[1]:
        yield from call_differences(sides, case.tools, evidence)
        more = aligned(*sides)[1][LABEL] if len(sides[0]) < len(sides[1]) else []
        if any(_may_be_asked_for(call, sides, evidence) for call in more) and unexplained(
            sides[PREDICTION], evidence
        ):
            yield undecided("whether the request asks for more than the prediction calls")
    elif sides[0]:
        yield from _call_or_none(PREDICTION, sides[0], evidence)
    elif sides[1]:
        yield from _call_or_none(LABEL, sides[1], evidence)
        if not evidence.done or more_to_do(sides[LABEL], evidence):
            yield from _left_undone(case, evidence)


def _may_be_asked_for(call: Read, sides: tuple[list[Read], list[Read]], evidence: Evidence) -> bool:
    """Whether a call that only the label makes comes from the request. One that says nothing which
    the prediction does not say, and has a made-up value or repeats another, does not.
    """
    if not asks_for_something(call, evidence):
        return False
    rest = [other for other in sides[LABEL] if other is not call]
    empty = call.worst() is not None or any(adds_nothing(call, other) for other in rest)
    return not empty or missed(call, sides[PREDICTION]) > 0


def _own_faults(
    side: int, calls: list[Read], opposite: list[Read], evidence: Evidence
) -> Iterator[Finding]:
    """What speaks against the calls of one side, whatever the other side does."""
    shared = [call.call for call in opposite]
    for call in calls:
        if not call.valid.matched:
            mend = "Call one of the given tools as its schema says."
            yield Finding(side, SURE, call.valid.detail, mend)
        if _is_done(call, evidence):
            why = f"{call.call.name} was already called with these arguments"
            yield Finding(side, SURE, why, "Go on from the result that is there.")
        if call.call in shared:
            continue
        mend = "Give each value where it belongs, whole and as it was said."
        rest = [other for other in calls if other is not call]
        for why in flaws(call, rest, evidence):
            yield Finding(side, SURE, why, mend)
        for leaf in loose_texts(call):
            yield Finding(side, LIKELY, f"{leaf.name} is not as it was said", mend)


def _is_done(call: Read, evidence: Evidence) -> bool:
    """Whether the call says nothing that one which was answered did not say."""
    return any(
        call.call.name == done.name
        and all(
            key in done.arguments and values_equal(value, done.arguments[key])
            for key, value in call.call.arguments.items()
        )
        for done in evidence.done
    )


def _left_undone(case: Case, evidence: Evidence) -> Iterator[Finding]:
    """A label may be wrong, and a refusal beside it no better: a tool for the request is there."""
    if asks_back(case.prediction.content):
        return
    done = {call.name for call in evidence.done}
    for tool in case.tools:
        if tool.name not in done and speaks_of(evidence.open, tool):
            why = f"the request speaks of what {tool.name} does, and nothing is called"
            yield Finding(PREDICTION, SURE, why, f"Call {tool.name}.")
            return


def _call_or_none(side: int, calls: list[Read], evidence: Evidence) -> Iterator[Finding]:
    """One side calls and the other does not: whether a call is called for."""
    due = [call for call in calls if not _is_done(call, evidence)]
    doubts = [finding for call in due for finding in _doubts(side, call, evidence)]
    if doubts or not due:
        yield from doubts
    elif all(well_founded(call) for call in due):
        names = " and ".join(dict.fromkeys(call.call.name for call in due))
        why = f"the request asks for {names}, and all that it needs was said"
        yield Finding(1 - side, LIKELY, why, f"Call {names}.")
    else:
        yield undecided("whether a call is called for")


def _doubts(side: int, call: Read, evidence: Evidence) -> Iterator[Finding]:
    if call.tool is None:
        return
    name = call.call.name
    worst = call.worst()
    if worst is not None:
        why = f"{name} needs {worst.name}, but {worst.grounds.why}"
        yield Finding(side, SURE, why, f"Ask for {worst.name} before calling {name}.")
        return
    said = [
        leaf
        for leaf in call.leaves.values()
        if leaf.grounds.support >= Support.DERIVED and not no_identifier(leaf, call)
    ]
    unsaid = [
        leaf
        for path, leaf in call.leaves.items()
        if leaf.grounds.support is Support.UNSAID and call.demands.at(path).required
    ]
    if _only_of_results(call, evidence):
        why = f"{name} was called already, and nothing more was asked of it"
        yield Finding(side, SURE, why, "Tell the user what came of it.")
    elif unsaid and not unexplained([call], evidence):
        why = f"{name} needs {unsaid[0].name}, but {unsaid[0].grounds.why}"
        yield Finding(side, SURE, why, f"Ask for {unsaid[0].name} before calling {name}.")
    elif not speaks_of(evidence.open, call.tool):
        strength = LIKELY if said and not evidence.done else SURE
        why = f"nothing in the request speaks of {name}"
        yield Finding(side, strength, why, f"Do not call {name}.")


def _only_of_results(call: Read, evidence: Evidence) -> bool:
    """A call of a tool that has answered this request already, with values from the answers."""
    return call.call.name in {done.name for done in evidence.done} and not any(
        leaf.grounds.open and leaf.grounds.support >= Support.DERIVED
        for leaf in call.leaves.values()
    )


def _verdict(findings: list[Finding]) -> Verdict:
    against = [
        max((f.strength for f in findings if f.side == side), default=0)
        for side in (PREDICTION, LABEL)
    ]
    is_open = any(f.strength == 0 for f in findings)
    if against == [SURE, SURE]:
        return Verdict.BOTH_WRONG
    if against[LABEL] == SURE and against[PREDICTION] == 0 and not is_open:
        return Verdict.LABEL_WRONG
    if against[PREDICTION] > against[LABEL] and (against[LABEL] == 0 or not is_open):
        return Verdict.PRED_WRONG
    if against == [0, 0] and not is_open:
        return Verdict.BOTH_CORRECT
    return Verdict.UNDECIDED


def _told(findings: list[Finding], verdict: Verdict) -> tuple[str, str]:
    """Error analysis and correct approach, in sentences."""
    names = {PREDICTION: "The prediction is wrong", LABEL: "The label is wrong"}
    if verdict in (Verdict.PRED_WRONG, Verdict.LABEL_WRONG):
        wrong = PREDICTION if verdict is Verdict.PRED_WRONG else LABEL
        kept = [finding for finding in findings if finding.side == wrong]
        told = "; ".join(finding.why for finding in kept)
        return f"{names[wrong]}: {told}.", " ".join(dict.fromkeys(f.mend for f in kept))
    if verdict is Verdict.BOTH_WRONG:
        told = "; ".join(finding.why for finding in findings if finding.side >= 0)
        return f"Both are wrong: {told}.", ""
    if verdict is Verdict.BOTH_CORRECT:
        told = "; ".join(finding.why for finding in findings) or "they differ in words alone"
        return f"Both are right: {told}.", ""
    told = "; ".join(finding.why for finding in findings if finding.why)
    return f"Nothing decides between the two: {told}.", ""
