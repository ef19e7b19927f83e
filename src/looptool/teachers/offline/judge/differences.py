"""Two candidate moves, difference by difference: which of them the conversation speaks against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from looptool.jsonvalue import values_equal
from looptool.records import Tool
from looptool.teachers.offline.judge.alignment import aligned
from looptool.teachers.offline.judge.arguments import argument_differences
from looptool.teachers.offline.judge.evidence import Evidence
from looptool.teachers.offline.judge.findings import (
    LABEL,
    LIKELY,
    PREDICTION,
    SURE,
    Finding,
    undecided,
)
from looptool.teachers.offline.judge.fit import around, fits, speaks_of
from looptool.teachers.offline.judge.grounding import Support
from looptool.teachers.offline.judge.loose_ends import continues
from looptool.teachers.offline.judge.moves import Read, atoms, spoken_for, values_of
from looptool.teachers.offline.judge.roles import role_of


def call_differences(
    sides: tuple[list[Read], list[Read]], tools: Sequence[Tool], evidence: Evidence
) -> Iterator[Finding]:
    """The findings on two moves that both call."""
    pairs, left = aligned(*sides)
    for one, other in pairs:
        yield from argument_differences((one, other), sides, evidence)
    for one, other in zip(left[0], left[1], strict=False):
        yield from _other_tool((one, other), sides, tools, evidence)
    common = min(len(left[0]), len(left[1]))
    for side in (PREDICTION, LABEL):
        for extra in left[side][common:]:
            yield from _one_more(side, extra, sides, tools, evidence)


def _other_tool(
    calls: tuple[Read, Read],
    sides: tuple[list[Read], list[Read]],
    tools: Sequence[Tool],
    evidence: Evidence,
) -> Iterator[Finding]:
    same = [continues(call, evidence) for call in calls]
    if same[0] is not same[1]:
        side = LABEL if same[0] else PREDICTION
        why = f"the request goes on from {calls[1 - side].call.name}"
        yield Finding(side, SURE, why, f"Call {calls[1 - side].call.name} again.")
        return
    scores = fits(around(evidence.open, values_of(calls)), tools)
    fit = [scores.get(call.call.name, 0.0) for call in calls]
    bad = [call.worst() for call in calls]
    for side, leaf in enumerate(bad):
        if leaf is not None:
            yield Finding(
                side,
                SURE,
                f"{calls[side].call.name} needs {leaf.name}, but {leaf.grounds.why}",
                f"Call {calls[1 - side].call.name}.",
            )
    lacks = [missed(calls[1 - side], sides[side]) for side in (PREDICTION, LABEL)]
    parts = [_parts_named(call, evidence) for call in calls]
    margin = fit[0] - fit[1] + parts[0] - parts[1]
    told = f"{calls[0].call.name} or {calls[1].call.name}"
    if lacks[0] == lacks[1] and (lacks[0] or abs(margin) < 1):
        if not any(bad):
            yield undecided(told)
        return
    more = lacks[LABEL] - lacks[PREDICTION]
    lead = more or margin
    side = LABEL if lead > 0 else PREDICTION
    strong = margin * more >= 0 and abs(more + margin / 2) >= 1
    # Words alone replace no label; with the names of parameters beside the values they do.
    sure = strong and (side is PREDICTION or more > 0 or parts[PREDICTION] > parts[LABEL] + 1)
    strength = SURE if sure else LIKELY
    if margin * more < 0 and not calls[side].valid.matched:  # it had no chance to say more
        why = f"the words of the request fit {calls[side].call.name} better"
        yield Finding(1 - side, LIKELY, why, "")
    yield Finding(
        side,
        strength,
        f"{calls[side].call.name} serves the request less than {calls[1 - side].call.name}",
        f"Call {calls[1 - side].call.name}.",
    )


def _parts_named(call: Read, evidence: Evidence) -> int:
    """How well the words around the call's values go with the names of its parameters."""
    return sum(
        role_of(leaf.value, call.demands.at(leaf.path), evidence.said)
        for leaf in call.leaves.values()
        if isinstance(leaf.value, str)
    )


def adds_nothing(call: Read, other: Read) -> bool:
    """Whether another call of the same tool gives all that this one gives."""
    return call.call.name == other.call.name and all(
        spoken_for(leaf.value, values_of([other])) for leaf in call.leaves.values()
    )


def missed(call: Read, other: list[Read]) -> int:
    """How many of the call's values were asked for and stand nowhere in the other side's calls."""
    known = values_of(other)
    return sum(
        leaf.grounds.open
        and leaf.grounds.support >= Support.DERIVED
        and not spoken_for(value, known)
        for leaf in call.leaves.values()
        for value in atoms(leaf.value)
    )


def _one_more(
    side: int,
    extra: Read,
    sides: tuple[list[Read], list[Read]],
    tools: Sequence[Tool],
    evidence: Evidence,
) -> Iterator[Finding]:
    """One side makes a call more."""
    name = extra.call.name
    worst = extra.worst()
    needless = Finding(side, SURE, f"the call of {name} was not asked for", f"Do not call {name}.")
    if worst is not None:
        yield needless._replace(why=f"{name} needs {worst.name}, but {worst.grounds.why}")
        return
    rest = [call for call in sides[side] if call is not extra]
    if any(values_equal(extra.call.arguments, call.call.arguments) and name == call.call.name
           for call in rest):  # fmt: skip
        yield needless._replace(why=f"{name} is called twice with the same arguments")
    elif any(adds_nothing(extra, call) for call in rest):
        yield needless._replace(why=f"another call of {name} says the same and more")
    elif missed(extra, sides[1 - side]):
        why = f"a call of {name} is missing, which may be asked for"
        yield Finding(1 - side, LIKELY, why, f"Call {name} too.")
    elif extra.tool and not speaks_of(evidence.open, extra.tool):
        yield needless._replace(why=f"nothing in the request speaks of {name}")
    else:
        yield needless._replace(strength=LIKELY)
