"""Guided decoding: a row says only what a grammar allows.

The model chooses first. Only where its choice is not allowed is the mask of allowed tokens
computed and the choice made again among them: the result is that of masking every step, greedy or
sampled (a draw that is kept if allowed and else made again among the allowed has just the
distribution of the latter), and costs microseconds a token.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from looptool.chat.grammar import move_grammar

if TYPE_CHECKING:
    import torch
    from llguidance import LLMatcher, LLTokenizer

    from looptool.chat.base import ChatFormat
    from looptool.records import Tool

logger = logging.getLogger(__name__)


class Guide(Protocol):
    """What one row may say from where it is."""

    def fork(self) -> Guide:
        """Another one at the same place."""
        ...

    def admit(self, tokens: Sequence[int]) -> int:
        """How many of the tokens, from the first on, are allowed; these count as said."""
        ...

    def allowed(self, size: int) -> torch.Tensor:
        """Which tokens may come next: (size,), bool, on the CPU."""
        ...


class Guides:
    """Makes guides for the tokenizer of a chat format."""

    def __init__(self, format: ChatFormat) -> None:
        self._format = format

    def moves(
        self, tools: Sequence[Tool], *, must_call: bool = False, most: int | None = None
    ) -> Guide | None:
        """The guide to a move with `tools`; None where all may be said (see `move_grammar`)."""
        grammar = move_grammar(self._format, tools, must_call=must_call, most=most)
        if grammar is None:
            return None
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            logger.warning("guided decoding gave up, %s", _first_line(matcher.get_error()))
            return None
        return _Matched(matcher, self._format.stop_ids)

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        from llguidance.hf import from_tokenizer

        return from_tokenizer(self._format.tokenizer, eos_token=sorted(self._format.stop_ids))


class _Matched:
    """A guide by llguidance. A grammar too complex for its limits holds nothing any more."""

    def __init__(self, matcher: LLMatcher, stop_ids: frozenset[int]) -> None:
        self._matcher = matcher
        self._stop_ids = stop_ids

    def fork(self) -> Guide:
        return _Matched(self._matcher.deep_copy(), self._stop_ids)

    def admit(self, tokens: Sequence[int]) -> int:
        num = self._matcher.try_consume_tokens(list(tokens))
        if self._gave_up():
            return len(tokens)
        # Where nothing but the end can follow, the matcher has ended and takes no token more.
        ends = num < len(tokens) and tokens[num] in self._stop_ids and self._matcher.is_stopped()
        return num + ends

    def allowed(self, size: int) -> torch.Tensor:
        import torch

        mask = torch.zeros(size, dtype=torch.bool)
        bits = self._matcher.compute_bitmask()
        if self._gave_up():
            return ~mask
        octets = torch.frombuffer(bytearray(bits), dtype=torch.uint8)
        flags = (octets[:, None] >> torch.arange(8, dtype=torch.uint8) & 1).flatten()[:size]
        mask[: len(flags)] = flags.bool()
        return mask

    def _gave_up(self) -> bool:
        if not self._matcher.is_error():
            return False
        logger.warning("guided decoding gave up, %s", _first_line(self._matcher.get_error()))
        return True


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")[:200]
