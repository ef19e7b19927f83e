"""What speaks against one of two candidate moves."""

from __future__ import annotations

from typing import NamedTuple

PREDICTION, LABEL = 0, 1
"""Sides of a finding."""
OPEN = -1
"""Side of a difference that nothing decides, or that is none."""
SURE, LIKELY = 2, 1
"""Strengths of a finding."""


class Finding(NamedTuple):
    """What speaks against one side, or a difference that nothing decides (strength 0) or that makes
    none (-1).
    """

    side: int
    strength: int
    why: str
    mend: str = ""


def undecided(why: str) -> Finding:
    """A difference of which nothing can be said."""
    return Finding(OPEN, 0, why)
