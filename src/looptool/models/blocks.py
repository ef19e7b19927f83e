"""How the queries of a row are cut into blocks for `models.blockwise`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ROWS = 96
"""Queries a block: enough for the products' rate, few enough that scores stay in the cache."""


@dataclass(frozen=True)
class Block:
    """Queries `first` to `end` of a row, which are whole sequences or a part of one.

    They see the keys `prefix` (a range, empty for what continues nothing), those from `start` on
    that stand before the block, and inside it, causally, those of their own sequence: `lengths`
    says how many of the block's queries belong to each.
    """

    first: int
    end: int
    prefix: tuple[int, int]
    start: int
    lengths: tuple[int, ...]


def sequence(
    start: int, length: int, first: int = 0, prefix: tuple[int, int] = (0, 0)
) -> list[Block]:
    """Blocks of one causal sequence, whose queries from number `first` on are computed."""
    ends = itertools.pairwise([*range(start + first, start + length, ROWS), start + length])
    return [Block(a, b, prefix, start, (b - a,)) for a, b in ends]


def tree(start: int, prefix: int, branches: Sequence[int]) -> list[Block]:
    """Blocks of a prefix that lies at `start`, and of its branches behind it.

    Short branches share a block; where there is only one branch, both are one sequence.
    """
    if len(branches) == 1:
        return sequence(start, prefix + branches[0])
    blocks = sequence(start, prefix)
    keys, at = (start, start + prefix), start + prefix
    for together in _packed(branches):
        total = sum(together)
        if len(together) == 1:
            blocks += sequence(at, total, prefix=keys)
        else:
            blocks.append(Block(at, at + total, keys, at, tuple(together)))
        at += total
    return blocks


def _packed(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Neighbours of at most ROWS together; what is longer stands alone."""
    together: list[int] = []
    for length in lengths:
        if together and sum(together) + length > ROWS:
            yield together
            together = []
        together.append(length)
    yield together
