"""Reproducible chance: every draw is seeded by what it is for, never by what came before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

Face = TypeVar("Face")


def stable(*parts: object) -> int:
    """A 64-bit number that depends on the text of the parts alone, in every process."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest())


def dice(*parts: object) -> Random:
    """A generator seeded by `parts`."""
    return Random(stable(*parts))


def weighted(rng: Random, weights: Mapping[Face, float]) -> Face:
    """One key, drawn by weight; at least one weight is positive."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def shuffled(rng: Random, items: Sequence[Face]) -> list[Face]:
    """The items in a drawn order."""
    return rng.sample(list(items), len(items))
