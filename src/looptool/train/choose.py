"""Which prompts to spend rollouts on: those whose groups are likely to be of mixed reward.

A group of G completions that are all right or all wrong gives no gradient. The pass rate of each
prompt is a Beta belief, begun from the last probe, or else from what was seen of the same scenario
and origin, and updated by every rollout; a prompt's worth is the chance of a mixed group under that
belief, 1 - E[p^G] - E[(1 - p)^G].

Prompts that want a call and prompts that want none keep the shares that they have in the seed.
Neither worth nor the dataset would keep them: where the policy calls too readily, refusals are what
has variance and what a dataset of failures is made of, and updates made of refusals teach it never
to call; then the other way round (docs/lab.md).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from looptool.records import Origin, ProbeResult, Sample
from looptool.toolmatch import match

_PROBE_WEIGHT = 6.0
"""A greedy output counts for as much as so many sampled ones."""
_PRIOR_WEIGHT = 1.0
"""And what is known of samples of its kind, where there was no probe."""
_RARE = 0.04
"""How often a sample is right where the greedy output was wrong (docs/lab.md)."""
_LEAST = 0.01
"""A belief leaves room for either outcome."""
_FLOOR = 0.02
"""No prompt is ever ruled out: the policy changes."""


class PromptChooser:
    """Draws prompts, learns from their rewards; with the same calls, always the same draws."""

    def __init__(
        self,
        samples: Sequence[Sample],
        hints: Mapping[str, ProbeResult],
        group_size: int,
        seed: int,
        informed: bool,
    ) -> None:
        self.samples = list(samples)
        self.group_size = group_size
        self.seed = seed
        self.informed = informed
        self._calls = [bool(sample.label.calls) for sample in self.samples]
        self._call_share = _share_of_calls(self.samples)
        self._hints = [
            _from_probe(sample, hints[sample.id]) if sample.id in hints else None
            for sample in self.samples
        ]
        self._seen = [[0.0, 0.0] for _ in self.samples]  # right, wrong
        self._uses = [0] * len(self.samples)

    def choose(self, num: int, step: int, draw: int) -> list[int]:
        """`num` indices into `samples` for the draw-th draw of a step, none twice if possible."""
        rng = random.Random(f"{self.seed}/{step}/{draw}")
        weights = self._weights()
        chosen: list[int] = []
        for pool, size in self._pools(num, rng):
            start = len(chosen)
            while len(chosen) < start + size:
                keys = {i: math.log(weights[i]) + _gumbel(rng) for i in pool}
                best = sorted(keys, key=lambda index: -keys[index])
                chosen += best[: start + size - len(chosen)]
        for index in chosen:
            self._uses[index] += 1
        return chosen

    def learn(self, index: int, right: int, wrong: int) -> None:
        """Rewards of a group; what was seen before fades by half, for the policy moves."""
        seen = self._seen[index]
        seen[0] = seen[0] / 2 + right
        seen[1] = seen[1] / 2 + wrong

    def expected_signals(self) -> list[float]:
        """For each prompt the chance that its group is neither all right nor all wrong."""
        rates = self._rates()
        signals = []
        for sample, hint, seen in zip(self.samples, self._hints, self._seen, strict=True):
            rate = rates[_kind(sample)]
            known = hint or (_PRIOR_WEIGHT * rate, _PRIOR_WEIGHT * (1 - rate))
            right, wrong = known[0] + seen[0], known[1] + seen[1]
            equal = _power_moment(right, wrong, self.group_size)
            equal += _power_moment(wrong, right, self.group_size)
            signals.append(max(0.0, 1 - equal))
        return signals

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"seen": self._seen, "uses": self._uses}

    def restore(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        self._seen = [list(pair) for pair in state["seen"]]
        self._uses = list(state["uses"])

    def _pools(self, num: int, rng: random.Random) -> list[tuple[list[int], int]]:
        """Indices to choose from, and how many of each."""
        if not self.informed:
            return [(list(range(len(self.samples))), num)]
        num_calls = math.floor(num * self._call_share + rng.random())
        calls = [i for i, call in enumerate(self._calls) if call]
        others = [i for i, call in enumerate(self._calls) if not call]
        return [(calls, num_calls if calls else 0), (others, num - num_calls if others else 0)]

    def _weights(self) -> list[float]:
        if not self.informed:  # every prompt once before any twice
            fewest = min(self._uses)
            return [math.exp(-50.0 * (uses - fewest)) for uses in self._uses]
        return [
            (_FLOOR + signal**2) / (1 + uses)
            for signal, uses in zip(self.expected_signals(), self._uses, strict=True)
        ]

    def _rates(self) -> dict[tuple[str, str], float]:
        """Pass rates of what was sampled so far, by kind; one half where nothing was."""
        totals: dict[tuple[str, str], list[float]] = {}
        for sample, seen in zip(self.samples, self._seen, strict=True):
            total = totals.setdefault(_kind(sample), [1.0, 2.0])
            total[0] += seen[0]
            total[1] += sum(seen)
        return {kind: right / num for kind, (right, num) in totals.items()}


def _kind(sample: Sample) -> tuple[str, str]:
    return sample.scenario, sample.origin


def _share_of_calls(samples: Sequence[Sample]) -> float:
    """How many want a call, of the samples that are there for no failure, if there are any."""
    fair = [sample for sample in samples if sample.origin in (Origin.SEED, Origin.SEED_NEW)]
    counted = fair or samples
    return sum(bool(sample.label.calls) for sample in counted) / max(1, len(counted))


def _from_probe(sample: Sample, probe: ProbeResult) -> tuple[float, float]:
    """A greedy output as (right, wrong) counts; rates measured on SmolLM2-135M (docs/lab.md).

    The output's own probability is its perplexity to the power of -n. A right call is sampled as
    often as that and hardly any other is right; where a wrong call came out, a right one is rare.
    Words are right however they are put, if none but words are wanted.
    """
    matched = match(probe.parsed, sample.label, sample.tools).matched  # verified since, perhaps
    known = not math.isnan(probe.perplexity)
    certain = probe.perplexity ** -float(max(1, probe.num_tokens)) if known else 0.0
    if sample.label.calls:
        rate = certain if matched else _RARE
    else:
        rate = 1 - _RARE if matched else (1 - certain) / 2
    rate = min(max(rate, _LEAST), 1 - _LEAST)
    return _PROBE_WEIGHT * rate, _PROBE_WEIGHT * (1 - rate)


def _power_moment(a: float, b: float, power: int) -> float:
    """E[p^power] for p ~ Beta(a, b)."""
    return math.prod((a + i) / (a + b + i) for i in range(power))


def _gumbel(rng: random.Random) -> float:
    return -math.log(-math.log(max(rng.random(), 1e-300)))
