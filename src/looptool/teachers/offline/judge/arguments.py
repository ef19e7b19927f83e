"""Two calls of one tool, argument by argument: which value the conversation speaks against."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from looptool.jsonvalue import shorten, values_equal
from looptool.teachers.offline.judge.coverage import completes, unexplained
from looptool.teachers.offline.judge.demands import Demand
from looptool.teachers.offline.judge.evidence import Evidence
from looptool.teachers.offline.judge.findings import (
    LABEL,
    LIKELY,
    OPEN,
    PREDICTION,
    SURE,
    Finding,
    undecided,
)
from looptool.teachers.offline.judge.fit import names_in
from looptool.teachers.offline.judge.grounding import Support, ground, wrong_form
from looptool.teachers.offline.judge.loose_ends import keeps, options_said, speaks_of
from looptool.teachers.offline.judge.moments import days, is_relative
from looptool.teachers.offline.judge.moves import Leaf, Read, alike, atoms, spoken_for, values_of
from looptool.teachers.offline.judge.roles import role_of
from looptool.teachers.offline.judge.words import holds, meets, normal, roots, tokens

_NEAR = 3
"""Words on either side of an "or" that name what it joins."""


def argument_differences(
    calls: tuple[Read, Read], sides: tuple[list[Read], list[Read]], evidence: Evidence
) -> Iterator[Finding]:
    """The findings on two calls, the prediction's and the label's, of all calls of both sides."""
    one, other = calls
    for path in sorted(one.leaves.keys() | other.leaves.keys()):
        demand = (one if one.tool else other).demands.at(path)
        a, b = one.leaves.get(path), other.leaves.get(path)
        if a is not None and b is not None:
            if not values_equal(a.value, b.value):
                kept = [
                    keeps(leaf, call, evidence) for leaf, call in zip((a, b), calls, strict=True)
                ]
                side = LABEL if kept[PREDICTION] else PREDICTION
                if kept[0] is not kept[1] and not (a, b)[side].grounds.open:
                    yield _against(side, (a, b))
                else:
                    yield _two_values((a, b), demand, sides, evidence)
        elif a is not None or b is not None:
            side, leaf = (PREDICTION, a) if a is not None else (LABEL, b)
            assert leaf is not None
            found = _given_or_not(side, leaf, demand, calls, sides, evidence)
            if found:
                yield found


# One value against another


def _two_values(
    leaves: tuple[Leaf, Leaf],
    demand: Demand,
    sides: tuple[list[Read], list[Read]],
    evidence: Evidence,
) -> Finding:
    a, b = leaves
    named = f"{a.name}: {shorten(a.value)} or {shorten(b.value)}"
    if alike(a.value, b.value):
        return _same_meaning(leaves, demand, named)
    if isinstance(a.value, list) and isinstance(b.value, list):
        return _two_lists((a, b), demand, evidence, named)
    first, second = a.grounds.support, b.grounds.support
    good = max(first, second)
    if good is Support.UNSAID or first == second == Support.AGAINST:
        if first != second:
            side = PREDICTION if first < second else LABEL
            return Finding(side, LIKELY, leaves[side].grounds.why, f"Leave {a.name} to the user.")
        return undecided(named)
    if min(first, second) is Support.AGAINST:
        side = PREDICTION if first is Support.AGAINST else LABEL
        return _against(side, leaves)
    if min(first, second) is Support.UNSAID:
        side = PREDICTION if first is Support.UNSAID else LABEL
        said = leaves[1 - side]
        only_opens = evidence.said.only_opens(str(leaves[side].value))
        closed = bool(demand.closed) or _misspelt(leaves[side].value, said.value)
        sure = (
            good is Support.STATED
            and (said.grounds.fresh if only_opens else closed and said.grounds.open)
            and not spoken_for(said.value, values_of(sides[side]))
        )
        return _against(side, leaves, SURE if sure else LIKELY)
    return _both_said(leaves, demand, sides, evidence, named)


def _same_meaning(leaves: tuple[Leaf, Leaf], demand: Demand, named: str) -> Finding:
    forms = [wrong_form(leaf.value, demand) for leaf in leaves]
    if bool(forms[0]) is not bool(forms[1]):
        side = PREDICTION if forms[0] else LABEL
        return Finding(side, SURE, forms[side], "Write the value as the schema asks.")
    return Finding(OPEN, -1, f"{named} mean the same")


def _both_said(
    leaves: tuple[Leaf, Leaf],
    demand: Demand,
    sides: tuple[list[Read], list[Read]],
    evidence: Evidence,
    named: str,
) -> Finding:
    """Both values were said: by part and whole, by role, by what else would stay unsaid.

    What was said is not surely wrong, unless the call gives it twice.
    """
    a, b = leaves
    if isinstance(a.value, str) and isinstance(b.value, str):
        cut_off = completes(a.value, b.value, evidence, sides)
        if cut_off is not None:
            return _against(cut_off, leaves, LIKELY)
        texts = sorted((normal(a.value), normal(b.value)), key=len)
        if holds(texts[1], texts[0]) and a.grounds.support is not b.grounds.support:
            return undecided(named)  # "Naples" or, out of two places, "Naples, Spain"
    twice = [_stands_twice(leaf, sides[side]) for side, leaf in enumerate(leaves)]
    if twice[0] is not twice[1]:
        return _against(PREDICTION if twice[0] else LABEL, leaves)
    used = [
        spoken_for(leaf.value, [*values_of(sides[1 - side]), *evidence.done_values])
        for side, leaf in enumerate(leaves)
    ]
    if used[0] is not used[1]:
        return _against(PREDICTION if used[0] else LABEL, leaves, LIKELY)
    if a.grounds.fresh is not b.grounds.fresh:
        return _against(LABEL if a.grounds.fresh else PREDICTION, leaves, LIKELY)
    roles = [role_of(leaf.value, demand, evidence.said) for leaf in leaves]
    if roles[0] != roles[1]:
        return _against(PREDICTION if roles[0] < roles[1] else LABEL, leaves, LIKELY)
    if a.grounds.support is not b.grounds.support:
        side = PREDICTION if a.grounds.support < b.grounds.support else LABEL
        return _against(side, leaves, LIKELY)
    return undecided(named)


def _stands_twice(leaf: Leaf, calls: list[Read]) -> bool:
    """Whether the call that the leaf is of gives its value elsewhere too."""
    own = [call for call in calls if any(each is leaf for each in call.leaves.values())]
    others = [each.value for call in own for each in call.leaves.values() if each is not leaf]
    return spoken_for(leaf.value, others)


def _misspelt(wrong: Any, right: Any) -> bool:
    """Whether one text is the other with a slip of the finger in it."""
    if not (isinstance(wrong, str) and isinstance(right, str)) or len(wrong) > 200:
        return False
    return wrong != right and SequenceMatcher(None, wrong, right).ratio() > 0.85


def _two_lists(
    leaves: tuple[Leaf, Leaf], demand: Demand, evidence: Evidence, named: str
) -> Finding:
    """Two lists: each item that only one of them has is looked up in the conversation."""
    item = demand.items or demand
    votes = [0, 0]
    for side, leaf in enumerate(leaves):
        others = atoms(leaves[1 - side].value)
        for value in atoms(leaf.value):
            if any(alike(value, other) for other in others):
                continue
            support = ground(value, item, evidence).support
            if support is Support.AGAINST:
                votes[side] = max(votes[side], SURE)
            elif support >= Support.DERIVED:
                votes[1 - side] = max(votes[1 - side], SURE)
            else:
                votes[side] = max(votes[side], LIKELY)
    if votes[0] == votes[1]:
        return undecided(named)
    side = PREDICTION if votes[0] > votes[1] else LABEL
    return Finding(
        side,
        votes[side] - votes[1 - side],
        f"the list {leaves[side].name} is not what was said",
        f"Give {leaves[1 - side].name} as {shorten(leaves[1 - side].value)}.",
    )


def _against(side: int, leaves: tuple[Leaf, Leaf], strength: int = SURE) -> Finding:
    wrong, right = leaves[side], leaves[1 - side]
    return Finding(
        side,
        strength,
        f"{wrong.name} is {shorten(wrong.value)}: {wrong.grounds.why or 'not what was said'}",
        f"Give {right.name} as {shorten(right.value)}: {right.grounds.why}.",
    )


# A value against none


def _given_or_not(
    side: int,
    leaf: Leaf,
    demand: Demand,
    calls: tuple[Read, Read],
    sides: tuple[list[Read], list[Read]],
    evidence: Evidence,
) -> Finding | None:
    """One side gives an argument that the other leaves out."""
    if demand.default is not None and alike(leaf.value, demand.default) and not demand.required:
        return Finding(OPEN, -1, f"{leaf.name} is given its default")
    extra = Finding(
        side,
        SURE,
        f"{leaf.name} is given as {shorten(leaf.value)}: {leaf.grounds.why}",
        f"Leave {leaf.name} out.",
    )
    omitted = Finding(
        1 - side,
        SURE,
        f"{leaf.name} is left out, though {shorten(leaf.value)} was asked for",
        f"Give {leaf.name} as {shorten(leaf.value)}.",
    )
    support = leaf.grounds.support
    if demand.required:
        return omitted if support > Support.AGAINST else extra
    if support is Support.AGAINST:
        return extra
    others = [other.value for path, other in calls[side].leaves.items() if path != leaf.path]
    reused = spoken_for(leaf.value, others)
    if support is Support.UNSAID:
        if _of_nothing(leaf, calls[side], evidence):
            return extra
        switched = demand.kind == "boolean" and _takes_alternative(calls[side], evidence)
        told = switched or unexplained(sides[side], evidence, leaf.path)
        return undecided(extra.why) if told else extra
    tool = calls[side].tool
    if demand.closed and tool and roots(tokens(str(leaf.value))) <= names_in(tool, leaf.path):
        return undecided(f"{leaf.name}: {shorten(leaf.value)} may be said of something else")
    if reused:
        return extra._replace(
            strength=SURE if not role_of(leaf.value, demand, evidence.said) else 0
        )
    if spoken_for(leaf.value, [*values_of(sides[1 - side]), *evidence.done_values]):
        return extra._replace(strength=LIKELY)
    wanted = leaf.grounds.open or keeps(leaf, calls[side], evidence)
    sure = wanted and (support is Support.STATED or not demand.closed)
    return omitted if sure else omitted._replace(strength=LIKELY)


def _of_nothing(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether the request speaks of no day, where the value is one, of no such thing, where it is a
    number, or of the default, where it is another choice.
    """
    demand = call.demands.at(leaf.path)
    said = options_said(demand, evidence)
    if said and demand.default is not None:
        return all(alike(each, demand.default) for each in said)
    if days(str(leaf.value)):
        return not is_relative(evidence.open.text)
    number = isinstance(leaf.value, int | float) and not isinstance(leaf.value, bool)
    return number and not speaks_of(leaf.path, call, evidence)


def _takes_alternative(call: Read, evidence: Evidence) -> bool:
    """Whether the request speaks of one of two things that the tool is for (reply or note)."""
    words = tokens(call.tool.description) if call.tool else []
    near = (
        words[max(0, n - _NEAR) : n + _NEAR + 1] for n, word in enumerate(words) if word == "or"
    )
    return any(meets(word, evidence.open.roots) for part in near for word in roots(part))
