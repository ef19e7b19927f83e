"""What of the request a call accounts for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from looptool.teachers.offline.judge.demands import Path
from looptool.teachers.offline.judge.evidence import Evidence
from looptool.teachers.offline.judge.fit import vocabulary
from looptool.teachers.offline.judge.grounding import Support, code_names
from looptool.teachers.offline.judge.moments import MONTHS, WEEKDAYS
from looptool.teachers.offline.judge.moves import Read
from looptool.teachers.offline.judge.quantities import amounts, time_unit
from looptool.teachers.offline.judge.words import (
    STOP,
    holds,
    meets,
    normal,
    root,
    roots,
    tokens,
    word_set,
)

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_JOINTS = word_set(
    """
    in on at for with from to of and or by until between near about over during before after
    since till via through within without
    """
)
_TIMES = word_set(
    """
    am pm noon midnight morning afternoon evening night oclock clock half past
    """
)


def unexplained(calls: Sequence[Read], evidence: Evidence, but: Path = ()) -> frozenset[str]:
    """Words of the request that neither the tools nor the values of the calls account for.

    What the schema says of the parameter at `but` accounts for nothing.

    They may be another way to say what an argument says. Sentences before the first that speaks
    of the call are small talk; where none does ("the same again, but …") all count.
    """
    known = frozenset(word for call in calls if call.tool for word in vocabulary(call.tool, but))
    said = " ".join(
        f"{leaf.value} {' '.join(code_names(str(leaf.value)))}"
        for call in calls
        for leaf in call.leaves.values()
        if leaf.grounds.support >= Support.DERIVED
    )
    given = roots(tokens(said)) | frozenset(tokens(said))
    rest: set[str] = set()
    talk: set[str] = set()
    begun = False
    for sentence in _SENTENCE.split(evidence.open.text):
        words = [word for word in tokens(sentence) if not _is_filler(word)]
        new = {root(w) for w in words} - given
        unknown = {word for word in new if not meets(word, known)}
        begun = begun or len(unknown) < len(words) or len(words) > len(new)
        (rest if begun else talk).update(unknown)
    return frozenset(rest if begun else talk)


def completes(one: str, other: str, evidence: Evidence, sides: Sequence[list[Read]]) -> int | None:
    """Of two texts, one within the other: the side that is wrong, or None.

    A cut-off name is wrong: what follows it in the request belongs to it. Where a joint ("in",
    "with") separates the two, nobody can tell.
    """
    short, long = sorted((normal(one), normal(other)), key=len)
    if short == long or not holds(long, short):
        return None
    side = 0 if normal(one) == short else 1
    before, _, after = f" {long} ".partition(f" {short} ")
    words = short.split()
    if words and (words[-1] in STOP or words[0] in _JOINTS):
        return side
    if any(word in _JOINTS for word in (*before.split()[-1:], *after.split()[:1])):
        return None
    added = [word for word in (before + " " + after).split() if word not in STOP]
    reused = any(holds(normal(str(v)), word) for word in added for v in _others(sides, one, other))
    return None if not added or reused else side


def _others(sides: Sequence[list[Read]], *but: Any) -> list[Any]:
    return [
        leaf.value
        for calls in sides
        for call in calls
        for leaf in call.leaves.values()
        if leaf.value not in but
    ]


def _is_filler(word: str) -> bool:
    return (
        word in STOP
        or word in _TIMES
        or word in MONTHS
        or word in WEEKDAYS
        or word[0].isdigit()
        or len(word) < 2
        or word in {"st", "nd", "rd", "th"}
        or time_unit(word) is not None
        or bool(amounts(word))
    )
