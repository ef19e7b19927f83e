"""Supervised steps between those of GRPO, on labels of what the policy fails.

A group that is all wrong says nothing to GRPO, and a small policy's groups mostly are. So what its
own samples cannot teach is learned from the verified label, in turns with GRPO (ReLIFT, arXiv
2506.07527): GRPO sharpens what is sometimes right, labels bring in what never is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from looptool.chat import ChatFormat
from looptool.config import LabelsConfig, PolicyConfig
from looptool.records import ProbeResult, Sample
from looptool.train.optimizer import MasterAdamW
from looptool.train.packing import Group
from looptool.train.supervised import epoch, groups_of, packed_row, plain_row, supervised_step


class Labels:
    """The supervised steps of one round: which labels, in which order, how."""

    def __init__(
        self,
        config: LabelsConfig,
        policy: PolicyConfig,
        chat: ChatFormat,
        samples: Sequence[Sample],
        hints: Mapping[str, ProbeResult],
        seed: int,
    ) -> None:
        self.config = config
        self.seed = seed
        failed = [sample for sample in samples if not _mastered(sample, hints)]
        self.groups = groups_of(chat, failed, policy)

    def learn(
        self,
        model: torch.nn.Module,
        optimizer: MasterAdamW,
        turn: int,
        rate: float,
        shared_prefix: bool,
    ) -> tuple[int, float]:
        """The steps after the `turn`-th of GRPO, at `rate` of the peak learning rate.

        Returns how many labels they saw, and the mean loss before each step.
        """
        batches = self.batches(turn)
        score = packed_row if shared_prefix else plain_row
        if not shared_prefix:
            batches = [[one for group in batch for one in group.apart()] for batch in batches]
        with optimizer.aside(self.config.learning_rate * rate):
            losses = [supervised_step(model, optimizer, batch, score) for batch in batches]
        seen = sum(len(group.branches) for batch in batches for group in batch)
        return seen, sum(losses) / max(1, len(losses))

    def batches(self, turn: int) -> list[list[Group]]:
        """Of endless epochs, the batches of one turn: all are known from its number alone."""
        first, last = turn * self.config.steps, (turn + 1) * self.config.steps
        taken: list[list[Group]] = []
        passed = number = 0
        while self.groups and passed < last:
            for batch in epoch(self.groups, self.config.batch_tokens, self.seed, number):
                if first <= passed < last:
                    taken.append(batch)
                passed += 1
            number += 1
        return taken


def _mastered(sample: Sample, hints: Mapping[str, ProbeResult]) -> bool:
    return sample.id in hints and hints[sample.id].match.matched
