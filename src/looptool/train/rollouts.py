"""Groups of completions: what was sampled for one prompt, what it earned, and as tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from looptool.models.engine import Completion


@dataclass
class Member:
    """One completion of a group: tokens, log-probs at sampling (nan where not sampled), reward."""

    ids: list[int]
    logps: list[float]
    reward: float

    @classmethod
    def label(cls, ids: list[int]) -> Member:
        """A label in the place of a completion: right, and sampled by nobody."""
        return cls(ids, [math.nan] * len(ids), 1.0)


@dataclass
class Rollout:
    """The completions of one sample's prompt and their rewards; with its label, if that joins."""

    index: int
    completions: list[Completion]
    rewards: list[float]
    guided: list[Member] | None = None

    @property
    def teaches(self) -> bool:
        """Whether the members' rewards differ."""
        return self.guided is not None or min(self.rewards) != max(self.rewards)

    def members(self) -> list[Member]:
        """What the update is made of."""
        return self.guided or [
            Member(completion.ids, completion.logps, reward)
            for completion, reward in zip(self.completions, self.rewards, strict=True)
        ]


def advantages(members: Sequence[Member]) -> list[float]:
    """Rewards less the group's mean."""
    mean = sum(member.reward for member in members) / len(members)
    return [member.reward - mean for member in members]


def padded(
    rows: Sequence[Sequence[float]], fill: float, left: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of numbers as one tensor (B, L), and its mask; integers stay integers."""
    width = max((len(row) for row in rows), default=1)
    values = torch.full((len(rows), width), fill)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        at = slice(width - len(row), width) if left else slice(0, len(row))
        values[i, at], mask[i, at] = torch.tensor(row, dtype=values.dtype), 1
    return values, mask
