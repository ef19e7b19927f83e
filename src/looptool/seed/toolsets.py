"""Which tools stand side by side in a dialogue: the needed ones, and distractors near and far."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from looptool.records import Scenario, Tool
from looptool.seed.checks import alike
from looptool.seed.dice import shuffled, weighted
from looptool.seed.tools import Written

# How often the fewest distractors are drawn; every larger number is as likely as any other.
_FEWEST = 0.5


class Shelf:
    """The tools of one side of the split; `outside` are others, that only irrelevant requests
    are about.
    """

    def __init__(self, tools: Sequence[Written], outside: Sequence[Written] = ()) -> None:
        self.tools = tuple(tools)
        self.outside = tuple(outside)
        self._by_domain: dict[str, list[Written]] = {}
        for tool in tools:
            self._by_domain.setdefault(tool.path[0], []).append(tool)

    def mates(self, one: Written) -> list[Written]:
        """The other operations of its group."""
        domain = self._by_domain[one.path[0]]
        return [t for t in domain if t.path[1] == one.path[1] and t.path != one.path]

    def neighbours(self, one: Written) -> list[Written]:
        """The operations of its domain in other groups."""
        return [t for t in self._by_domain[one.path[0]] if t.path[1] != one.path[1]]


def toolset(
    shelf: Shelf, core: Written, need: Scenario, bounds: tuple[int, int], rng: Random
) -> list[Written]:
    """The tools of a dialogue about `core`, in a drawn order."""
    chosen = [core]
    wanted = weighted(rng, _partners(need))
    _add(chosen, shuffled(rng, shelf.mates(core)), wanted)
    if len(chosen) <= wanted and need in (Scenario.PARALLEL, Scenario.MULTI_TURN):
        _add(chosen, shuffled(rng, shelf.neighbours(core)), wanted + 1 - len(chosen))
    least, most = bounds
    extra = least if rng.random() < _FEWEST else rng.randint(least, most)
    for _ in range(extra):
        near = shelf.mates(core) if rng.random() < 0.6 else shelf.neighbours(core)
        pool = near if rng.random() < 0.65 else list(shelf.tools)
        _add(chosen, shuffled(rng, pool[:]) if len(pool) < 40 else rng.sample(pool, 12), 1)
    return shuffled(rng, chosen)


def absent_tools(shelf: Shelf, present: Sequence[Written], rng: Random) -> list[Written]:
    """Two tools that are not at hand and that none at hand can stand in for, near or far."""
    near = rng.random() < 0.55
    pool = (
        [t for one in present for t in (*shelf.mates(one), *shelf.neighbours(one))] if near else []
    )
    far = shelf.outside if shelf.outside and rng.random() < 0.5 else shelf.tools
    pool = pool if far is shelf.tools else []
    taken: list[Written] = []
    for candidate in (*shuffled(rng, pool), *rng.sample(far, min(20, len(far)))):
        if not any(_clash(candidate, one) for one in present):
            taken.append(candidate)
        if len(taken) == 2:
            break
    return taken


def _partners(need: Scenario) -> dict[int, float]:
    """How many tools of the same group are needed beside the core."""
    match need:
        case Scenario.SEQUENTIAL:
            return {2: 0.4, 3: 0.4, 4: 0.2}
        case Scenario.PARALLEL:
            return {0: 0.2, 1: 0.2, 2: 0.25, 3: 0.35}
        case Scenario.MULTI_TURN:
            return {0: 0.3, 1: 0.3, 2: 0.4}
    return {0: 1.0}


def _add(chosen: list[Written], pool: Sequence[Written], number: int) -> None:
    for candidate in pool:
        if number <= 0:
            return
        if not any(_clash(candidate, one) for one in chosen):
            chosen.append(candidate)
            number -= 1


def _clash(one: Written, other: Written) -> bool:
    return one.path == other.path or one.tool.name == other.tool.name or alike(one.tool, other.tool)


def tools_of(written: Sequence[Written]) -> tuple[Tool, ...]:
    """The tools without their places."""
    return tuple(each.tool for each in written)
