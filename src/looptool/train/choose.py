"""Which prompts to spend rollouts on: those whose groups are likely to be of mixed reward.

A group of G completions that are all right or all wrong gives no gradient. The pass rate of each
prompt is a Beta belief, begun from the last probe and the scenario, updated by every rollout; a
prompt's worth is the chance of a mixed group under that belief, 1 - E[p^G] - E[(1 - p)^G].

Prompts that want a call and prompts that want none keep the shares that they have in the dataset.
Worth alone would not keep them: where the policy calls too readily, refusals are what has variance,
and updates made of refusals teach it never to call (docs/lab.md).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from looptool.records import ProbeResult, Sample

_PROBE_WEIGHT = 3.0
"""A greedy output counts for as much as so many sampled ones."""
_SCENARIO_WEIGHT = 1.0
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
        self._call_share = sum(self._calls) / max(1, len(self.samples))
        self._hints = [_from_probe(hints.get(sample.id)) for sample in self.samples]
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

    def in_proportion(self, mixed: Sequence[int]) -> list[bool]:
        """Which of a step's mixed groups (their prompts) the update may use.

        All that want a call, and as many that want none as stand beside so many in the dataset.
        """
        if not self.informed or not self._call_share:
            return [True] * len(mixed)
        calls = sum(self._calls[index] for index in mixed)
        left = round(calls * (1 - self._call_share) / self._call_share)
        kept = []
        for index in mixed:
            kept.append(self._calls[index] or left > 0)
            left -= not self._calls[index]
        return kept

    def learn(self, index: int, right: int, wrong: int) -> None:
        """Rewards of a group; what was seen before fades by half, for the policy moves."""
        seen = self._seen[index]
        seen[0] = seen[0] / 2 + right
        seen[1] = seen[1] / 2 + wrong

    def expected_signals(self) -> list[float]:
        """For each prompt the chance that its group is neither all right nor all wrong."""
        rates = self._scenario_rates()
        signals = []
        for sample, hint, seen in zip(self.samples, self._hints, self._seen, strict=True):
            right = _SCENARIO_WEIGHT * rates[sample.scenario] + hint[0] + seen[0]
            wrong = _SCENARIO_WEIGHT * (1 - rates[sample.scenario]) + hint[1] + seen[1]
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

    def _scenario_rates(self) -> dict[str, float]:
        totals: dict[str, list[float]] = {}
        for sample, hint, seen in zip(self.samples, self._hints, self._seen, strict=True):
            total = totals.setdefault(sample.scenario, [1.0, 2.0])
            total[0] += hint[0] + seen[0]
            total[1] += sum(hint) + sum(seen)
        return {scenario: right / num for scenario, (right, num) in totals.items()}


def _from_probe(probe: ProbeResult | None) -> tuple[float, float]:
    """A greedy output as (right, wrong) counts.

    The greedy completion's probability is its perplexity to the power of -n: where it is right and
    nearly certain, samples will be right too; where it was wrong and nearly certain, wrong.
    """
    if probe is None:
        return 0.0, 0.0
    certain = probe.perplexity ** -float(max(1, probe.num_tokens))
    rate = 0.5 + certain / 2 if probe.match.matched else 0.5 - certain / 2
    return _PROBE_WEIGHT * rate, _PROBE_WEIGHT * (1 - rate)


def _power_moment(a: float, b: float, power: int) -> float:
    """E[p^power] for p ~ Beta(a, b)."""
    return math.prod((a + i) / (a + b + i) for i in range(power))


def _gumbel(rng: random.Random) -> float:
    return -math.log(-math.log(max(rng.random(), 1e-300)))
