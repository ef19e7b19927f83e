"""The Context Tree: domain, group, operation; and which branches training never sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from looptool.seed.dice import dice, shuffled
from looptool.seed.vocabulary import Domain, Operation, read_vocabulary
from looptool.teachers.base import TreePath


@dataclass(frozen=True)
class Leaf:
    """An operation and where it hangs."""

    domain: str
    group: str
    operation: Operation

    @property
    def path(self) -> TreePath:
        return self.domain, self.group, self.operation.name


def leaves(vocabulary: tuple[Domain, ...] | None = None) -> Iterator[Leaf]:
    """All leaves, in the order of the vocabulary."""
    for domain in read_vocabulary() if vocabulary is None else vocabulary:
        for group, operation in domain.operations():
            yield Leaf(domain.name, group.name, operation)


def held_out_branches(
    paths: Iterable[TreePath], share: float, seed: int
) -> frozenset[tuple[str, str]]:
    """The (domain, group) branches of a tree that are held out: `share` of all, by the draw of
    `seed`, and at least one unless that is 0. Never all.

    About half of them are whole domains, so that both a new corner of a known domain and a wholly
    new one are examined.
    """
    rng = dice("held-out", seed)
    branches = list(dict.fromkeys(path[:2] for path in paths))
    domains: dict[str, set[tuple[str, str]]] = {}
    for branch in branches:
        domains.setdefault(branch[0], set()).add(branch)
    wanted = min(max(round(share * len(branches)), int(share > 0)), len(branches) - 1)
    held: set[tuple[str, str]] = set()
    for groups in shuffled(rng, list(domains.values())):
        if len(held) + len(groups) <= wanted / 2 + 1 and len(groups) <= wanted:
            held |= groups
    for branch in shuffled(rng, branches):
        if len(held) >= wanted:
            break
        held.add(branch)
    return frozenset(held)


def spread(paths: Sequence[TreePath], number: int, seed: int) -> list[tuple[TreePath, int]]:
    """`number` leaves, group by group (their operations work together), dealt evenly over the
    domains; with each the how-manieth time it is used.
    """
    groups: dict[tuple[str, str], list[TreePath]] = {}
    for path in paths:
        groups.setdefault(path[:2], []).append(path)
    by_domain: dict[str, list[list[TreePath]]] = {}
    for (domain, _), group in shuffled(dice("spread", seed), list(groups.items())):
        by_domain.setdefault(domain, []).append(group)
    order: list[TreePath] = []
    while len(order) < len(paths):
        for pile in by_domain.values():
            order.extend(pile.pop() if pile else ())
    if not order:
        return []
    return [(order[n % len(order)], n // len(order)) for n in range(number)]
