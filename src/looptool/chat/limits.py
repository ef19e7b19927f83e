"""Samples that are too long for a policy: nothing of them can be learned, and each would cost."""

from __future__ import annotations

from collections.abc import Iterable

from looptool.chat.base import ChatFormat
from looptool.config import PolicyConfig
from looptool.records import Sample

TOO_LONG = "too_long_for_policy"
"""Why a sample was rejected."""


def too_long(chat: ChatFormat, samples: Iterable[Sample], policy: PolicyConfig) -> set[str]:
    """The ids of the samples whose prompt or label the policy may not read or write whole.

    A label longer than an answer (`policy.max_new_tokens`) can never be found mastered.
    """
    return {
        sample.id
        for sample in samples
        if len(chat.completion_ids(sample.label)) > policy.max_new_tokens
        or len(chat.prompt_ids(sample.tools, sample.context)) > policy.max_prompt_tokens
    }
