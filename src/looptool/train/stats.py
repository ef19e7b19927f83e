"""What a round of GRPO did, step by step."""

from __future__ import annotations

from looptool.records import Record


class StepStats(Record):
    """One batch of completions and the update made from it.

    `groups_used` are of mixed reward.
    `tokens_forwarded` is what the update put through the model; `tokens_plain` what it would have
    been with every completion behind its own copy of the prompt and no group left out.
    """

    step: int
    mean_reward: float
    groups_right: int
    groups_wrong: int
    groups_used: int
    completions: int
    completion_tokens: int
    truncated: int
    tokens_forwarded: int
    tokens_plain: int
    rollout_seconds: float
    update_seconds: float

    @property
    def groups(self) -> int:
        """All groups that were drawn."""
        return self.groups_right + self.groups_wrong + self.groups_used


class TrainStats(Record):
    """All steps of one training, oldest first, and the samples that no rollout could fit."""

    steps: tuple[StepStats, ...] = ()
    too_long: int = 0

    def summary(self) -> str:
        """One line for the log."""
        if not self.steps:
            return "no steps"
        right = sum(step.groups_right for step in self.steps)
        wrong = sum(step.groups_wrong for step in self.steps)
        used = sum(step.groups_used for step in self.steps)
        groups = sum(step.groups for step in self.steps)
        forwarded = sum(step.tokens_forwarded for step in self.steps)
        plain = sum(step.tokens_plain for step in self.steps)
        fifth = max(1, len(self.steps) // 5)
        first = sum(step.mean_reward for step in self.steps[:fifth]) / fifth
        last = sum(step.mean_reward for step in self.steps[-fifth:]) / fifth
        left_out = f", {self.too_long} samples too long" if self.too_long else ""
        return (
            f"{len(self.steps)} batches, mean reward {first:.2f} to {last:.2f}, "
            f"{used} of {groups} groups taught something "
            f"({right} all right, {wrong} all wrong), "
            f"{1 - forwarded / plain:.0%} of the update's tokens saved{left_out}"
        )
