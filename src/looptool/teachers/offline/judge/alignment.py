"""Which calls of two moves answer to each other, and how far apart the moves are."""

from __future__ import annotations

from looptool.jsonvalue import values_equal
from looptool.teachers.offline.judge.demands import Path
from looptool.teachers.offline.judge.moves import Read, alike


def one_place(sides: tuple[list[Read], list[Read]]) -> bool:
    """Whether the two moves differ in one place only: an argument, a call, or one call's tool.

    Values that mean the same and are not the same count: ToolMatch has one of them wrong.
    """
    pairs, left = aligned(*sides)
    apart = sum(
        path not in one.leaves
        or path not in other.leaves
        or not values_equal(one.leaves[path].value, other.leaves[path].value)
        for one, other in pairs
        for path in one.leaves.keys() | other.leaves.keys()
        if not is_default(one, other, path)
    )
    return apart + max(len(left[0]), len(left[1])) <= 1


def is_default(one: Read, other: Read, path: Path) -> bool:
    """Whether one side gives the default that the other leaves to the tool.

    The schema's own: of one that only the description tells, ToolMatch knows nothing.
    """
    demand = (one if one.tool else other).demands.at(path)
    given = [call.leaves[path] for call in (one, other) if path in call.leaves]
    return len(given) == 1 and demand.filled and alike(given[0].value, demand.default)


def aligned(
    one: list[Read], other: list[Read]
) -> tuple[list[tuple[Read, Read]], tuple[list[Read], list[Read]]]:
    """Calls of one tool paired, the most alike first; and what stays unpaired on each side."""
    rest, pairs, alone = list(other), [], []
    candidates = sorted(
        ((_distance(a, b), i, j) for i, a in enumerate(one) for j, b in enumerate(other)
         if a.call.name == b.call.name)
    )  # fmt: skip
    taken: tuple[set[int], set[int]] = (set(), set())
    for _, i, j in candidates:
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            pairs.append((one[i], other[j]))
    alone = [a for i, a in enumerate(one) if i not in taken[0]]
    rest = [b for j, b in enumerate(other) if j not in taken[1]]
    return pairs, (alone, rest)


def _distance(one: Read, other: Read) -> int:
    paths = one.leaves.keys() | other.leaves.keys()
    return sum(
        path not in one.leaves
        or path not in other.leaves
        or not values_equal(one.leaves[path].value, other.leaves[path].value)
        for path in paths
    )
