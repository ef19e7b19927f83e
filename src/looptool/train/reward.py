"""The reward: 1 where ToolMatch says that the completion is the label, else 0."""

from __future__ import annotations

from collections.abc import Sequence

from looptool.chat import ChatFormat
from looptool.records import Match, Sample
from looptool.toolmatch import match


def reward(
    chat: ChatFormat, sample: Sample, completions: Sequence[Sequence[int]]
) -> tuple[list[float], list[Match]]:
    """Rewards of a group's completions (token ids, stop token included), and their reasons."""
    reasons = [
        match(chat.parse(chat.decode(completion)), sample.label, sample.tools)
        for completion in completions
    ]
    return [float(reason.matched) for reason in reasons], reasons
