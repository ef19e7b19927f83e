"""Which part a value plays: what stands before it, against the name of its parameter."""

from __future__ import annotations

from typing import Any

from looptool.teachers.offline.judge.demands import Demand
from looptool.teachers.offline.judge.evidence import Reading
from looptool.teachers.offline.judge.words import meets, root, roots, tokens

_HINTS = {
    "from": "from origin source departure start begin since sender base old",
    "leaving": "from origin departure source start",
    "departing": "from origin departure source start",
    "starting": "from start begin origin since",
    "between": "from start origin min minimum first",
    "since": "from start since begin after",
    "after": "from start after since min",
    "to": "to destination target arrival end until recipient receiver into max new due",
    "into": "to target destination into",
    "until": "to end until deadline max expiry due",
    "till": "to end until deadline max",
    "through": "to end until",
    "by": "deadline due end until by author artist creator",
    "before": "end before until deadline max to",
    "under": "max maximum limit upper budget most",
    "below": "max maximum limit upper budget",
    "within": "radius max distance limit",
    "most": "max maximum limit",
    "over": "min minimum lower least",
    "above": "min minimum lower",
    "least": "min minimum lower",
    "than": "min max minimum maximum",
    "named": "name title label",
    "called": "name title label",
    "for": "recipient guest patient customer name duration date",
    "with": "participant attendee with partner contact",
    "about": "subject topic query",
}


def role_of(value: Any, demand: Demand, reading: Reading) -> int:
    """2 if the words around the value name the parameter, 1 if they hint at it, -1 if they hint
    at another part, 0 if they say nothing.
    """
    words = reading.words
    wanted = tokens(str(value))
    if not wanted:
        return 0
    name = roots(demand.words)
    best: list[int] = []
    for at in range(len(words) - len(wanted) + 1):
        if list(words[at : at + len(wanted)]) != wanted:
            continue
        before = words[max(0, at - 3) : at]
        after = words[at + len(wanted) : at + len(wanted) + 2]
        best.append(_around(before, after, name))
    return max(best, default=0)


def _around(before: tuple[str, ...], after: tuple[str, ...], name: frozenset[str]) -> int:
    if any(meets(root(word), name) for word in (*before, *after)):
        return 2
    for word in reversed(before[-2:]):
        hint = _HINTS.get(word)
        if hint is not None:
            return 1 if roots(hint.split()) & name or set(hint.split()) & name else -1
    return 0
