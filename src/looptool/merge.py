"""The next round's dataset: D(j+1) = ES ∪ EE ∪ HPPL ∪ Seed-new.

Source: LoopTool, arXiv 2511.09148. ES are the failed samples with verified labels (error seeds),
EE the samples expanded from them, HPPL the mastered samples of highest perplexity, Seed-new the
seed samples that no round has used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from typing import Protocol

from looptool.config import Config, MergeConfig
from looptool.records import Expansion, Judgement, Origin, ProbeResult, Sample, Verdict
from looptool.verify.correct import corrected


class Merge(Protocol):
    """Makes the dataset of the round after `round`; no two of its samples have one id."""

    def __call__(
        self,
        dataset: Sequence[Sample],
        probes: Sequence[ProbeResult],
        judgements: Sequence[Judgement],
        expansions: Sequence[Expansion],
        fresh: Sequence[Sample],
        round: int,
    ) -> list[Sample]:
        """`dataset` is what round `round` trained on; `fresh` its share of new seed."""
        ...


def pick_merge(config: MergeConfig) -> Merge:
    """The loop's merge, or the paper's static baseline."""
    if config.static:
        return stay

    def merge(
        dataset: Sequence[Sample],
        probes: Sequence[ProbeResult],
        judgements: Sequence[Judgement],
        expansions: Sequence[Expansion],
        fresh: Sequence[Sample],
        round: int,
    ) -> list[Sample]:
        probed = {probe.sample_id: probe for probe in probes}
        judged = {judgement.sample_id: judgement for judgement in judgements}
        known = [sample for sample in dataset if sample.id in probed]
        mastered = [sample for sample in known if _mastered(probed[sample.id], judged)]
        parts = {
            Origin.ERROR_SEED: error_seeds(known, probed, judged, round),
            Origin.EXPANDED: [new for expansion in expansions for new in expansion.samples],
            Origin.HIGH_PERPLEXITY: hardest(mastered, probed, config.high_perplexity_share),
            Origin.SEED_NEW: fresh,
        }
        return _distinct(
            sample.moved(origin, round + 1) for origin, part in parts.items() for sample in part
        )

    return merge


def stay(
    dataset: Sequence[Sample],
    probes: Sequence[ProbeResult],
    judgements: Sequence[Judgement],
    expansions: Sequence[Expansion],
    fresh: Sequence[Sample],
    round: int,
) -> list[Sample]:
    """The paper's static baseline: every round trains on the first dataset."""
    return list(dataset)


def error_seeds(
    dataset: Sequence[Sample],
    probed: dict[str, ProbeResult],
    judged: dict[str, Judgement],
    round: int,
) -> list[Sample]:
    """ES: the failed samples whose label stands, or stands corrected.

    A label that nobody could decide on stays as it is; where label and model are both wrong there
    is nothing to learn from, and the sample leaves.
    """
    staying = (Verdict.PRED_WRONG, Verdict.LABEL_WRONG, Verdict.UNDECIDED)
    return [
        corrected(sample, probed[sample.id], judged[sample.id], round)
        for sample in dataset
        if sample.id in judged and judged[sample.id].verdict in staying
    ]


def hardest(
    mastered: Sequence[Sample], probed: dict[str, ProbeResult], share: float
) -> list[Sample]:
    """HPPL: the `share` of the mastered samples whose output perplexed the model most.

    PPL = exp(mean NLL of the model's own greedy output); ties go by id. Calls and answers in words
    are ranked apart: any words will do where no call is wanted, so their perplexity is high however
    sure the model is not to call, and in one list they would leave no call in. Source of the rest:
    LoopTool, arXiv 2511.09148, Greedy Capability Probing.
    """

    def rank(sample: Sample) -> tuple[float, str]:
        perplexity = probed[sample.id].perplexity
        return (math.inf if math.isnan(perplexity) else -perplexity, sample.id)

    calls = sorted((sample for sample in mastered if sample.label.calls), key=rank)
    words = sorted((sample for sample in mastered if not sample.label.calls), key=rank)
    return [s for ranked in (calls, words) for s in ranked[: round(share * len(ranked))]]


def validation_seed(train: Sequence[Sample], config: Config) -> Sequence[Sample]:
    """The samples of the seed that are never trained on: its last ones."""
    return train[_num_trained(train, config) :]


def warm_start_seed(train: Sequence[Sample], config: Config) -> Sequence[Sample]:
    """The samples of the seed that the warm start uses."""
    return train[: min(config.warm_start.samples, _num_trained(train, config))]


def loop_seed(train: Sequence[Sample], config: Config) -> Sequence[Sample]:
    """The samples of the seed that the loop may train on."""
    first = 0 if config.warm_start.reuse else config.warm_start.samples
    return train[first : _num_trained(train, config)]


def _num_trained(train: Sequence[Sample], config: Config) -> int:
    return max(0, len(train) - config.train.validation_samples)


def first_share(train: Sequence[Sample], config: MergeConfig) -> list[Sample]:
    """The first round's dataset: the seed, less the share that is held back from its end."""
    return list(train[: _num_first(train, config)])


def seed_share(
    train: Sequence[Sample], config: MergeConfig, round: int, rounds: int, used: Set[str]
) -> list[Sample]:
    """Seed-new of the dataset after `round`: an equal deal of the share that was held back.

    `used` are the ids of the samples in every dataset so far. What is not among them is spread
    evenly over the rounds to come, also where a run was made longer after earlier deals. There are
    `rounds` - 1 deals; none follows the last round.
    """
    held = [s for s in train[_num_first(train, config) :] if s.id not in used]
    deals_left = rounds - round
    return held[: len(held) // deals_left] if deals_left > 0 else []


def _num_first(train: Sequence[Sample], config: MergeConfig) -> int:
    return len(train) - round(config.seed_new_share * len(train))


def _mastered(probe: ProbeResult, judged: dict[str, Judgement]) -> bool:
    judgement = judged.get(probe.sample_id)
    return probe.match.matched or (
        judgement is not None and judgement.verdict is Verdict.BOTH_CORRECT
    )


def _distinct(samples: Iterable[Sample]) -> list[Sample]:
    first: dict[str, Sample] = {}
    for sample in samples:
        first.setdefault(sample.id, sample)
    return list(first.values())
