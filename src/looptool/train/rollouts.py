"""Groups of completions: what was sampled for one prompt, what it earned, and as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from looptool.models.engine import Completion


@dataclass
class Rollout:
    """The completions of one sample's prompt and their rewards."""

    index: int
    completions: list[Completion]
    rewards: list[float]

    @property
    def teaches(self) -> bool:
        """Whether the rewards differ."""
        return min(self.rewards) != max(self.rewards)

    @property
    def advantages(self) -> list[float]:
        """Rewards less the group's mean."""
        mean = sum(self.rewards) / len(self.rewards)
        return [reward - mean for reward in self.rewards]


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
