"""EDDE: more of what the policy cannot do.

Source: LoopTool, arXiv 2511.09148, Error-Driven Data Expansion. Each verified failure, that is
context, wrong move, right move and error analysis, becomes several new samples of the same
difficulty; each is verified before it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from looptool.config import ExpandConfig
from looptool.expand.near import Seen
from looptool.records import Expansion, Failure, Judgement, Origin, ProbeResult, Sample, Verdict
from looptool.seed.checks import Fault, fault_of
from looptool.seed.dice import stable
from looptool.seed.make import request_key
from looptool.teachers.base import Teacher, Variation
from looptool.verify.correct import corrected
from looptool.work import Work

NEAR_DUPLICATE = "near_duplicate"
_TRIES = 2
"""Variations that one failure is given before it has to do with fewer samples."""


class Expand(Protocol):
    """Makes new samples from the verified failures of one round."""

    def __call__(
        self,
        teacher: Teacher,
        dataset: Sequence[Sample],
        probes: Sequence[ProbeResult],
        judgements: Sequence[Judgement],
        round: int,
        seed: int,
        work: Work,
        name: str,
        held_out: Sequence[Sample] = (),
    ) -> list[Expansion]:
        """One Expansion a failure; no new sample is a near-duplicate of `dataset` or another, none
        repeats the request of a sample in `held_out`.

        `name` is where `work` keeps what was made. New samples have origin EXPANDED, their failure
        as parent, and belong to the dataset of `round` + 1.
        """
        ...


def pick_expand(config: ExpandConfig) -> Expand:
    """EDDE with the config's numbers, or its ablation."""
    return partial(expand, config=config) if config.enabled else expand_nothing


def expand_nothing(
    teacher: Teacher,
    dataset: Sequence[Sample],
    probes: Sequence[ProbeResult],
    judgements: Sequence[Judgement],
    round: int,
    seed: int,
    work: Work,
    name: str,
    held_out: Sequence[Sample] = (),
) -> list[Expansion]:
    """The paper's ablation without EDDE."""
    return []


def expand(
    teacher: Teacher,
    dataset: Sequence[Sample],
    probes: Sequence[ProbeResult],
    judgements: Sequence[Judgement],
    round: int,
    seed: int,
    work: Work,
    name: str,
    held_out: Sequence[Sample] = (),
    *,
    config: ExpandConfig,
) -> list[Expansion]:
    """EDDE. Variations are dealt to the failures in turn, from an order that `seed` shuffles."""
    failures = verified_failures(dataset, probes, judgements, round)
    failures.sort(key=lambda failure: stable("expand", seed, round, failure.sample.id))
    numbered = list(enumerate(failures[: config.max_failures]))
    existing, exam = Seen(dataset), frozenset(request_key(sample) for sample in held_out)

    async def expanded(item: tuple[int, Failure]) -> Expansion:
        number, failure = item
        return await _expand_one(
            teacher, failure, number, config.samples_per_error, round, seed, existing, exam
        )

    made = work.map(
        name,
        numbered,
        expanded,
        key=lambda item: item[1].sample.id,
        result=Expansion,
        concurrency=teacher.concurrency,
    )
    return _without_repeats(made)


def verified_failures(
    dataset: Sequence[Sample],
    probes: Sequence[ProbeResult],
    judgements: Sequence[Judgement],
    round: int,
) -> list[Failure]:
    """The failures of which the right move is known: PRED_WRONG, and LABEL_WRONG once corrected.

    The wrong move of a Failure is the prediction, or the label that was replaced.
    """
    probed = {probe.sample_id: probe for probe in probes}
    samples = {sample.id: sample for sample in dataset}
    failures = []
    for judgement in judgements:
        sample, probe = samples[judgement.sample_id], probed[judgement.sample_id]
        if judgement.verdict is Verdict.PRED_WRONG:
            wrong = probe.parsed.as_label()
        elif judgement.verdict is Verdict.LABEL_WRONG:
            wrong = sample.label
        else:
            continue
        right = corrected(sample, probe, judgement, round)
        failures.append(Failure(sample=right, wrong=wrong, judgement=judgement))
    return failures


async def _expand_one(
    teacher: Teacher,
    failure: Failure,
    number: int,
    wanted: int,
    round: int,
    seed: int,
    existing: Seen,
    exam: frozenset[str],
) -> Expansion:
    """`exam` are the held-out requests."""
    kept: list[Sample] = []
    rejected: Counter[str] = Counter()
    variations = list(Variation)
    for attempt in range(_TRIES):
        if len(kept) == wanted:
            break
        variation = variations[(number + attempt) % len(variations)]
        drawn = stable("vary", seed, round, failure.sample.id, attempt) % 2**48
        for sample in await teacher.vary(failure, variation, wanted - len(kept), drawn):
            reason: str | None = Fault.HELD_OUT if request_key(sample) in exam else fault_of(sample)
            reason = reason or await teacher.accept(sample)
            if reason is None and existing.has_near(sample):
                reason = NEAR_DUPLICATE
            if reason is not None:
                rejected[reason] += 1
                continue
            parents = {"parents": (failure.sample.id,)}
            kept.append(sample.moved(Origin.EXPANDED, round + 1).model_copy(update=parents))
    return Expansion(parent=failure.sample.id, samples=tuple(kept[:wanted]), rejected=rejected)


def _without_repeats(expansions: Sequence[Expansion]) -> list[Expansion]:
    """The expansions, less new samples that are near-duplicates of earlier new ones."""
    seen = Seen()
    distinct = []
    for expansion in expansions:
        kept: list[Sample] = []
        rejected = Counter(expansion.rejected)
        for sample in expansion.samples:
            if seen.has_near(sample):
                rejected[NEAR_DUPLICATE] += 1
            else:
                seen.add(sample)
                kept.append(sample)
        distinct.append(expansion.model_copy(update={"samples": tuple(kept), "rejected": rejected}))
    return distinct
