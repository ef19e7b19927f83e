"""The Context Tree: domain, group, operation; and which branches training never sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from looptool.seed.dice import dice, shuffled
from looptool.seed.vocabulary import Domain, Operation, read_vocabulary


@dataclass(frozen=True)
class Leaf:
    """An operation and where it hangs."""

    domain: str
    group: str
    operation: Operation

    @property
    def path(self) -> tuple[str, str, str]:
        return self.domain, self.group, self.operation.name


def leaves(vocabulary: tuple[Domain, ...] | None = None) -> Iterator[Leaf]:
    """All leaves, in the order of the vocabulary."""
    for domain in read_vocabulary() if vocabulary is None else vocabulary:
        for group, operation in domain.operations():
            yield Leaf(domain.name, group.name, operation)


def held_out_branches(share: float, seed: int) -> frozenset[tuple[str, str]]:
    """The (domain, group) branches that are held out: `share` of all, by the draw of `seed`.

    About half of them are whole domains, so that both a new corner of a known domain and a wholly
    new one are examined.
    """
    rng = dice("held-out", seed)
    vocabulary = read_vocabulary()
    branches = [(d.name, g.name) for d in vocabulary for g in d.groups]
    wanted = round(share * len(branches))
    held: set[tuple[str, str]] = set()
    for domain in shuffled(rng, vocabulary):
        groups = {(domain.name, group.name) for group in domain.groups}
        if len(held) + len(groups) <= wanted / 2 + 1 and len(groups) <= wanted:
            held |= groups
    for branch in shuffled(rng, branches):
        if len(held) >= wanted:
            break
        held.add(branch)
    return frozenset(held)


def spread(items: list[Leaf], number: int, seed: int) -> list[tuple[Leaf, int]]:
    """`number` leaves, group by group (their operations work together), dealt evenly over the
    domains; with each the how-manieth time it is used.
    """
    groups: dict[tuple[str, str], list[Leaf]] = {}
    for leaf in items:
        groups.setdefault((leaf.domain, leaf.group), []).append(leaf)
    by_domain: dict[str, list[list[Leaf]]] = {}
    for (domain, _), group in shuffled(dice("spread", seed), list(groups.items())):
        by_domain.setdefault(domain, []).append(group)
    order: list[Leaf] = []
    while len(order) < len(items):
        for pile in by_domain.values():
            order.extend(pile.pop() if pile else ())
    if not order:
        return []
    return [(order[n % len(order)], n // len(order)) for n in range(number)]
