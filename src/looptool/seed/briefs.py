"""Which dialogues to simulate so that the scenarios come out at their shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from looptool.config import SeedConfig
from looptool.records import Sample, Scenario
from looptool.seed.dice import dice, stable, weighted
from looptool.seed.toolsets import Shelf, absent_tools, tools_of, toolset
from looptool.teachers.base import DialogueBrief

Needs = tuple[Scenario, ...]
_S = Scenario
# The flows that give samples of a scenario, by weight.
FLOWS: dict[Scenario, dict[Needs, float]] = {
    _S.SINGLE: {(_S.SINGLE,): 1.0},
    _S.PARALLEL: {(_S.PARALLEL,): 1.0},
    _S.SEQUENTIAL: {(_S.SEQUENTIAL,): 1.0},
    _S.MULTI_TURN: {
        (_S.SINGLE, _S.MULTI_TURN): 0.45,
        (_S.SINGLE, _S.MULTI_TURN, _S.MULTI_TURN): 0.35,
        (_S.PARALLEL, _S.MULTI_TURN): 0.1,
        (_S.MISSING_PARAMETER, _S.MULTI_TURN): 0.1,
    },
    _S.MISSING_PARAMETER: {(_S.MISSING_PARAMETER,): 1.0},
    _S.IRRELEVANT: {(_S.IRRELEVANT,): 0.88, (_S.SINGLE, _S.IRRELEVANT): 0.12},
    _S.CHAT: {(_S.CHAT,): 0.7, (_S.SINGLE, _S.CHAT): 0.3},
}
# Samples of its scenario that one dialogue gives, roughly.
YIELD = {
    _S.SINGLE: 1.0,
    _S.PARALLEL: 0.9,
    _S.SEQUENTIAL: 1.2,
    _S.MULTI_TURN: 1.7,
    _S.MISSING_PARAMETER: 1.6,
    _S.IRRELEVANT: 0.95,
    _S.CHAT: 0.95,
}
CLOSING_SHARE = 0.12


class Quota:
    """How many samples of each scenario are wanted, and how many there are."""

    def __init__(self, total: int, shares: Mapping[Scenario, float]) -> None:
        exact = {scenario: total * share for scenario, share in shares.items()}
        self.wanted = {scenario: int(number) for scenario, number in exact.items()}
        by_rest = sorted(exact, key=lambda s: self.wanted[s] - exact[s])
        for scenario in by_rest[: total - sum(self.wanted.values())]:
            self.wanted[scenario] += 1
        self.taken: Counter[Scenario] = Counter()
        self._closings: Counter[Scenario] = Counter()

    def take(self, sample: Sample) -> bool:
        """Count the sample if there is room for it; answers that only report what a tool
        returned have little.
        """
        scenario = sample.scenario
        wanted = self.wanted.get(scenario, 0)
        if self.taken[scenario] >= wanted:
            return False
        if not sample.label.calls and sample.context[-1].role == "tool":
            if self._closings[scenario] >= round(CLOSING_SHARE * wanted):
                return False
            self._closings[scenario] += 1
        self.taken[scenario] += 1
        return True

    def owed(self, scenario: Scenario) -> int:
        return self.wanted.get(scenario, 0) - self.taken[scenario]

    def settle_for_singles(self, instead_of: Iterable[Scenario]) -> int:
        """Want single calls in place of what is still owed of these; how many that are."""
        owed = {s: self.owed(s) for s in instead_of if s is not Scenario.SINGLE}
        for scenario, number in owed.items():
            self.wanted[scenario] -= number
        self.wanted[Scenario.SINGLE] = self.wanted.get(Scenario.SINGLE, 0) + sum(owed.values())
        return sum(owed.values())


def make_briefs(
    config: SeedConfig, quota: Quota, shelf: Shelf, seed: int, side: str, batch: int
) -> list[DialogueBrief]:
    """Briefs for what the quota still owes; single calls come last, as other flows give some.

    In training, consecutive briefs of a scenario share a toolset, as the config says: prompts that
    begin alike are trained and decoded at a lower price. Held-out dialogues each have their own,
    so that they stay independent.
    """
    owed: dict[Scenario, int] = {
        s: quota.owed(s) for s in FLOWS if s is not _S.SINGLE and quota.owed(s) > 0
    }
    if batch or not owed:
        owed[_S.SINGLE] = quota.owed(_S.SINGLE)
    share = config.dialogues_per_toolset if side == "train" else 1
    return [
        _brief(config, shelf, scenario, f"{side}/{batch}/{scenario.value}", n, n // share, seed)
        for scenario, number in owed.items()
        if number > 0
        for n in range(round(number / YIELD[scenario] * (1.05 + 0.15 * batch)) + 1)
    ]


def _brief(
    config: SeedConfig,
    shelf: Shelf,
    scenario: Scenario,
    series: str,
    number: int,
    set_number: int,
    seed: int,
) -> DialogueBrief:
    name = f"{series}/{number}"
    shared = dice("toolset", seed, series, set_number)
    core = shared.choice(shelf.tools)
    tools = toolset(shelf, core, scenario, config.distractors, shared)
    rng = dice("brief", seed, name)
    needs = weighted(rng, FLOWS[scenario])
    absent = absent_tools(shelf, tools, rng) if _S.IRRELEVANT in needs else []
    return DialogueBrief(
        id=name,
        tools=tools_of(tools),
        needs=needs,
        domain=core.path[0],
        seed=stable("dialogue", seed, name) >> 16,
        absent=tools_of(absent),
        tool_error=rng.random() < config.tool_errors,
        closing=rng.random() < 2 * CLOSING_SHARE,
    )
