"""Tokens and money by role, and where they end."""

from __future__ import annotations

from collections import defaultdict

from looptool.config import LlmTeacherConfig
from looptool.teachers.base import Bill, Expense
from looptool.teachers.llm.cache import CallCache
from looptool.teachers.llm.calls import Answer, StoppedError

_MILLION = 1_000_000


class Ledger:
    """What a run has paid, this process and those before it; kept in its call cache.

    `total` is that, all roles together; `served` grows by answers out of the cache as well.
    """

    def __init__(self, config: LlmTeacherConfig, cache: CallCache) -> None:
        self._config = config
        self._cache = cache
        self._by_role = defaultdict(Expense, cache.spent())
        self.total = sum(self._by_role.values(), Expense())
        self.served = self.total

    def by_role(self) -> dict[str, Expense]:
        """What each role has cost so far."""
        return dict(sorted(self._by_role.items()))

    def enter(self, key: str | None, answer: Answer, role: str, model: str) -> None:
        """Write down a paid call and, under its key, its answer; None keeps no answer."""
        spent = self._price(answer)
        self._cache.put(key, answer, role, model, spent.cost)
        self._by_role[role] += spent
        self.total += spent
        self.served += spent

    def replay(self, answer: Answer) -> None:
        """Count an answer out of the cache among those served; it is not paid again."""
        self.served += self._price(answer)

    def refuse(self, key: str, role: str, fault: str, last: bool) -> None:
        """Write down that a paid answer would not do; `last` if its piece of work is given up."""
        self._cache.refuse(key, role, fault, last)

    def _price(self, answer: Answer) -> Expense:
        tokens_in, tokens_out = answer.prompt_tokens, answer.completion_tokens
        cost = tokens_in * self._config.price_in + tokens_out * self._config.price_out
        return Expense(
            calls=1,
            prompt_tokens=tokens_in,
            completion_tokens=tokens_out,
            cost=cost / _MILLION,
        )

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

    def bill(self) -> Bill | None:
        """What was paid, by role; None if nothing was."""
        roles = {role: spent.rounded() for role, spent in self.by_role().items()}
        return Bill(roles=roles, unusable=self._cache.unusable()) if roles else None
