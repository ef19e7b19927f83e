"""Samples that are too long for a policy: nothing of them can be learned, and each would cost."""

from __future__ import annotations

from collections.abc import Iterable

from looptool.chat.base import ChatFormat
from looptool.config import Config
from looptool.records import Sample

TOO_LONG = "too_long_for_policy"
"""Why a sample was rejected."""


def too_long(chat: ChatFormat, samples: Iterable[Sample], config: Config) -> set[str]:
    """The ids of the samples whose prompt or label the policy may not read or write whole.

    A label longer than a rollout (`train.max_completion_tokens`) can never be rewarded, one longer
    than an answer (`policy.max_new_tokens`) never be found mastered.
    """
    longest_prompt = config.policy.max_prompt_tokens
    longest_label = config.policy.max_new_tokens
    if config.train.steps:
        longest_label = min(longest_label, config.train.max_completion_tokens)
    return {
        sample.id
        for sample in samples
        if len(chat.completion_ids(sample.label)) > longest_label
        or len(chat.prompt_ids(sample.tools, sample.context)) > longest_prompt
    }
