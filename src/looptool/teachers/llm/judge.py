"""The judge: rules for what is certain, then votes in both orders; agreement decides (JGLV)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from looptool.records import Judgement, Label, Sample, Verdict, Vote
from looptool.teachers.base import Case
from looptool.teachers.llm.calls import UnusableError
from looptool.teachers.llm.certain import impossible
from looptool.teachers.llm.prompts import quote, render
from looptool.teachers.llm.shapes import CheckShape, OpinionShape
from looptool.teachers.llm.shown import shown_label, shown_messages, shown_tools
from looptool.teachers.llm.voice import Voice

RULES = "rules"

_VERDICTS = {
    (True, True): Verdict.BOTH_CORRECT,
    (True, False): Verdict.LABEL_WRONG,
    (False, True): Verdict.PRED_WRONG,
    (False, False): Verdict.BOTH_WRONG,
}


@dataclass(frozen=True)
class _Opinion:
    vote: Vote
    error_analysis: str = ""
    correct_approach: str = ""


def judges(voice: Voice) -> tuple[str, ...]:
    """The models that judge."""
    return voice.config.judges or (voice.config.model,)


async def judge(voice: Voice, case: Case) -> Judgement:
    """Rules first; then each judge votes `votes` times in each order.

    A prediction that is certainly wrong loses without a call: no label can come of it. A label
    that is certainly wrong needs votes, for only a right prediction may replace it.
    """
    name = "+".join(judges(voice))
    spoilt = impossible(case.prediction, case.tools, case.context)
    spoilt_label = impossible(case.label, case.tools, case.context)
    if spoilt is not None:
        verdict = Verdict.PRED_WRONG if spoilt_label is None else Verdict.BOTH_WRONG
        vote = Vote(judge=RULES, verdict=verdict, reason=spoilt)
        return Judgement(
            sample_id=case.sample_id,
            verdict=verdict,
            votes=(vote,),
            error_analysis=spoilt,
            correct_approach="Check every call against its schema and the conversation.",
            judge=RULES,
        )
    label_wrong = spoilt_label is not None
    pairs = await asyncio.gather(
        *(
            _both_orders(voice, case, model, number, label_wrong)
            for model in judges(voice)
            for number in range(voice.config.votes)
        )
    )
    verdict = decide([(one.vote.verdict, two.vote.verdict) for one, two in pairs])
    opinions = [opinion for pair in pairs for opinion in pair]
    ground = next((o for o in opinions if o.vote.verdict is verdict), _Opinion(opinions[0].vote))
    return Judgement(
        sample_id=case.sample_id,
        verdict=verdict,
        votes=tuple(opinion.vote for opinion in opinions),
        error_analysis=ground.error_analysis or (spoilt_label or ""),
        correct_approach=ground.correct_approach,
        judge=name,
    )


def decide(pairs: Sequence[tuple[Verdict, Verdict]]) -> Verdict:
    """The verdict that more than half of the pairs give in both orders, else UNDECIDED."""
    agreed = Counter(one for one, other in pairs if one is other)
    if not agreed:
        return Verdict.UNDECIDED
    verdict, number = agreed.most_common(1)[0]
    return verdict if number * 2 > len(pairs) else Verdict.UNDECIDED


async def _both_orders(
    voice: Voice, case: Case, model: str, number: int, label_wrong: bool
) -> tuple[_Opinion, _Opinion]:
    one, two = await asyncio.gather(
        *(_opinion(voice, case, model, number, swapped, label_wrong) for swapped in (False, True))
    )
    return one, two


async def _opinion(
    voice: Voice, case: Case, model: str, number: int, swapped: bool, label_wrong: bool
) -> _Opinion:
    """One vote. What cannot be parsed, or contradicts what is certain, is UNDECIDED."""
    candidates: tuple[Label, Label] = (case.prediction, case.label)
    a, b = reversed(candidates) if swapped else candidates
    chat = render(
        "judge",
        tools=quote(shown_tools(case.tools)),
        messages=quote(shown_messages(case.context)),
        a=quote(shown_label(a)),
        b=quote(shown_label(b)),
    )

    def opinion(shape: OpinionShape) -> _Opinion:
        right = (shape.a_is_right, shape.b_is_right)
        verdict = _VERDICTS[right[::-1] if swapped else right]
        if label_wrong and right[0 if swapped else 1]:
            verdict = Verdict.UNDECIDED
        vote = Vote(judge=model, verdict=verdict, swapped=swapped, reason=shape.analysis)
        return _Opinion(vote, shape.error_analysis, shape.correct_approach)

    try:
        return await voice.ask(
            "judge",
            chat,
            OpinionShape,
            opinion,
            sample=number,
            temperature=0 if number == 0 else None,
            model=model,
        )
    except UnusableError as error:
        reason = str(error)
        vote = Vote(judge=model, verdict=Verdict.UNDECIDED, swapped=swapped, reason=reason)
        return _Opinion(vote)


async def accept(voice: Voice, sample: Sample) -> str | None:
    """None if every judge finds the sample sound, else the first defect named."""
    chat = render(
        "accept",
        tools=quote(shown_tools(sample.tools)),
        messages=quote(shown_messages(sample.context)),
        label=quote(shown_label(sample.label)),
    )

    def defect(shape: CheckShape) -> str | None:
        if shape.sound:
            return None
        return "other" if shape.defect == "none" else shape.defect

    async def opinion(model: str) -> str | None:
        try:
            return await voice.ask("check", chat, CheckShape, defect, temperature=0, model=model)
        except UnusableError:
            return "undecided"

    found = await asyncio.gather(*map(opinion, judges(voice)))
    return next((reason for reason in found if reason is not None), None)
