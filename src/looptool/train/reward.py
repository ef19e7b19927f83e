"""The reward: 1 where ToolMatch says that the completion is the label, else 0."""

from __future__ import annotations

from collections.abc import Sequence

from looptool.chat import ChatFormat
from looptool.records import Sample
from looptool.toolmatch import match


def fits(chat: ChatFormat, sample: Sample, longest: int) -> bool:
    """Whether a rollout of `longest` tokens can be rewarded: whether it can say the label."""
    return len(chat.completion_ids(sample.label)) <= longest


def reward(chat: ChatFormat, sample: Sample, completions: Sequence[Sequence[int]]) -> list[float]:
    """Rewards of a group's completions (token ids, stop token included)."""
    parsed = (chat.parse(chat.decode(completion)) for completion in completions)
    return [float(match(each, sample.label, sample.tools).matched) for each in parsed]
