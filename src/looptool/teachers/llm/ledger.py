"""Tokens and money by role, and where they end."""

from __future__ import annotations

from collections import defaultdict

from looptool.config import LlmTeacherConfig
from looptool.teachers.llm.cache import CallCache, Spent
from looptool.teachers.llm.calls import Answer, StoppedError

_MILLION = 1_000_000


class Ledger:
    """What a run has paid, this process and those before it; kept in its call cache."""

    def __init__(self, config: LlmTeacherConfig, cache: CallCache) -> None:
        self._config = config
        self._cache = cache
        self._by_role = defaultdict(Spent, cache.spent())
        self.total = sum(self._by_role.values(), Spent())
        self.replayed = 0

    def by_role(self) -> dict[str, Spent]:
        """What each role has cost so far."""
        return dict(sorted(self._by_role.items()))

    def enter(self, key: str | None, answer: Answer, role: str, model: str) -> None:
        """Write down a paid call and, under its key, its answer; None keeps no answer."""
        config = self._config
        cost = (
            answer.prompt_tokens * config.price_in + answer.completion_tokens * config.price_out
        ) / _MILLION
        self._cache.put(key, answer, role, model, cost)
        spent = Spent(1, answer.prompt_tokens, answer.completion_tokens, cost)
        self._by_role[role] += spent
        self.total += spent

    def allow(self, in_flight: int) -> None:
        """Raises StoppedError if one more call beside those in flight may break the budget.

        A call is taken to cost what calls have cost on average.
        """
        config, total = self._config, self.total
        share = (in_flight + 1) / max(1, total.calls)
        money, tokens = total.cost * (1 + share), total.tokens * (1 + share)
        if config.max_budget is not None and money > config.max_budget:
            raise StoppedError(
                f"teacher.max_budget: {total.cost:.4g} of {config.max_budget:g} is spent; raise it "
                "and run the same command again to go on"
            )
        if config.max_budget_tokens is not None and tokens > config.max_budget_tokens:
            raise StoppedError(
                f"teacher.max_budget_tokens: {total.tokens:,} of {config.max_budget_tokens:,} "
                "tokens are used; raise it and run the same command again to go on"
            )

    def summary(self) -> str:
        """One line."""
        total = self.total
        price = f", cost {total.cost:.4g}" if total.cost else ""
        return (
            f"teacher: {total.calls:,} calls paid, {total.prompt_tokens:,} tokens in, "
            f"{total.completion_tokens:,} out{price}; {self.replayed:,} calls from the cache"
        )
