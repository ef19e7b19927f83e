"""Whether a prediction, against which nothing speaks, is sure enough to take a label's place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from looptool.jsonvalue import values_equal
from looptool.records import Label, Mismatch, Tool
from looptool.teachers.offline.judge import fit
from looptool.teachers.offline.judge.alignment import aligned, is_default, one_place
from looptool.teachers.offline.judge.demands import Path
from looptool.teachers.offline.judge.evidence import Evidence
from looptool.teachers.offline.judge.grounding import Support
from looptool.teachers.offline.judge.loose_ends import (
    better_tool,
    continues,
    exchangeable,
    follows_up,
    is_anothers,
    is_behind_another,
    is_made_up,
    is_own_name,
    is_stray_day,
    more_to_do,
    nearly_right,
    option_said,
    options_said,
    passed_over,
    repeats,
    rewritten,
    speaks_of,
    unfilled,
)
from looptool.teachers.offline.judge.moments import days
from looptool.teachers.offline.judge.moves import Leaf, Read, atoms, spoken_for, values_of
from looptool.teachers.offline.judge.words import asks_back, meets, normal


def unsure(
    prediction: Label,
    sides: tuple[list[Read], list[Read]],
    tools: Sequence[Tool],
    evidence: Evidence,
) -> str | None:
    """What leaves it open that the prediction is right where the label is wrong; None if nothing.

    A label is rarely off in two places, a prediction often: where they differ in more than one,
    the label's fault does not make the prediction right.
    """
    own, label = sides
    if not own:
        return _unsure_refusal(prediction, label, evidence)
    if _says_the_same(own, label):
        return None
    if any(call.valid.reason is Mismatch.WRONG_TYPE for call in label):
        return "whether more than a type is wrong"
    if not one_place(sides):
        return "the two differ in more than one place"
    if unused := passed_over(own, evidence):
        return f"what {unused} was said for"
    pairs, (alone, replaced) = aligned(own, label)
    doubts = chain(
        (_unsure_call(call, replaced, tools, evidence) for call in alone),
        (_unsure_change(call, other, tools, evidence) for call, other in pairs),
    )
    return next((why for why in doubts if why), None)


def _says_the_same(own: list[Read], label: list[Read]) -> bool:
    """Whether the two differ in the type of values alone: one of them breaks the schema."""
    pairs, unpaired = aligned(own, label)
    return not any(unpaired) and all(
        _written(call, other) == _written(other, call) for call, other in pairs
    )


def _written(call: Read, beside: Read) -> dict[Path, list[str]]:
    """A call's values as texts, a single one as a list of one, one with commas as several; not the
    defaults that the other call leaves to the tool.
    """
    given = {path: leaf for path, leaf in call.leaves.items() if not is_default(call, beside, path)}
    return {
        path: [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
        for path, values in ((path, _items(leaf.value)) for path, leaf in given.items())
    }


def _items(value: object) -> list[object]:
    return list(value.split(", ")) if isinstance(value, str) else atoms(value)


def _unsure_refusal(prediction: Label, label: list[Read], evidence: Evidence) -> str | None:
    if not prediction.content.strip():
        return "the prediction says nothing"
    asking = asks_back(prediction.content)
    if any(call.valid.reason is Mismatch.MISSING_ARGUMENT for call in label):
        return "what the label left out"
    refusal = not asking and not evidence.done
    meant = [call for call in label if not _is_one_value(call) or _tool_is_named(call, evidence)]
    if refusal and any(
        _asked_for(leaf) and not no_identifier(leaf, call) and not _by_chance(leaf, call, evidence)
        for call in meant
        for leaf in call.leaves.values()
    ):
        return "the label gives what was asked for"
    if refusal and evidence.resumed:
        return "the assistant has asked for what it needs"
    if refusal and any(option_said(call, evidence) for call in label):
        return "one of the allowed values was said"
    if not asking and more_to_do(label, evidence):
        return "whether the request has another step"
    return None


def _unsure_call(
    call: Read, replaced: list[Read], tools: Sequence[Tool], evidence: Evidence
) -> str | None:
    """Of a call that stands for another of the label, or beside all of them."""
    name = call.call.name
    if not well_founded(call):
        return f"whether {name} has all that it needs"
    if unnamed := [leaf.name for leaf in call.leaves.values() if no_identifier(leaf, call)]:
        return f"whether {unnamed[0]} was said"
    done = evidence.done_values
    values = [each for each in values_of([call]) if not isinstance(each, bool)]
    if done and spoken_for(values, done):
        return f"whether {name} asks for anything new"
    if (left_out := unfilled(call, evidence)) or (left_out := option_said(call, evidence)):
        return f"what was said of {left_out}"
    if better := better_tool(call, tools, evidence):
        return f"whether {better} would serve better than {name}"
    if _for_nothing(call, replaced, evidence):
        return f"whether the request speaks of {name}"
    lost = [leaf.name for other in replaced for leaf in other.leaves.values()
            if _asked_for(leaf) and not spoken_for(leaf.value, [*values, *done])]  # fmt: skip
    if lost:
        return f"what the label's {lost[0]} was said for"
    if as_before := [leaf.name for leaf in call.leaves.values() if _changed(leaf, call, evidence)]:
        return f"whether {as_before[0]} changes"
    if follows_up(call, evidence) or any(nearly_right(other, evidence) for other in replaced):
        return f"whether {name} is the tool"
    return _unsure_leaves(list(call.leaves.values()), call, None, evidence)


def _unsure_change(
    call: Read, other: Read, tools: Sequence[Tool], evidence: Evidence
) -> str | None:
    """Of a call that stands for one of the label's with other arguments."""
    said = any(leaf.grounds.support >= Support.DERIVED for leaf in other.leaves.values())
    if not said and not nearly_right(other, evidence) and _for_nothing(call, [other], evidence):
        return f"whether the request speaks of {call.call.name}"
    for path, leaf in other.leaves.items():
        if path in call.leaves or is_default(other, call, path):
            continue
        if _another_was_said(leaf, other, evidence) or speaks_of(path, other, evidence):
            return f"what was said of {leaf.name}"
    new = [
        leaf
        for path, leaf in call.leaves.items()
        if not is_default(call, other, path)
        and (path not in other.leaves or not values_equal(leaf.value, other.leaves[path].value))
    ]
    if new and repeats(call, evidence):
        return f"whether the call of {call.call.name} is to be made again"
    if new and is_made_up(other) and (better := better_tool(call, tools, evidence)):
        return f"whether {better} would serve better than {call.call.name}"
    for leaf in new:
        if not leaf.grounds.open and _of_several(leaf, call, evidence):
            return f"which {leaf.name} of the calls before is meant"
        if exchangeable(leaf, call, other, evidence):
            return f"which of {leaf.name} and another is which"
        further = leaf.path not in other.leaves and not call.demands.at(leaf.path).required
        if further and is_anothers(leaf, call, evidence):
            return f"whether {leaf.name} is what was meant"
    return _unsure_leaves(new, call, other, evidence)


def _unsure_leaves(
    new: list[Leaf], call: Read, other: Read | None, evidence: Evidence
) -> str | None:
    for leaf in new:
        old = other.leaves.get(leaf.path) if other else None
        loose = rewritten(leaf, old, evidence) or is_own_name(leaf, call, old)
        if leaf.grounds.support < Support.DERIVED or loose or is_stray_day(leaf, call):
            return f"whether {leaf.name} was said"
        if why := _said_once(leaf, call, evidence):
            return why
    return None


def _for_nothing(call: Read, replaced: list[Read], evidence: Evidence) -> bool:
    """Whether nothing asked for the call: that another's values are made up says nothing for it."""
    groundless = any(other.worst() for other in replaced)
    if not groundless or call.tool is None or continues(call, evidence):
        return False
    return not any(meets(word, evidence.open.roots) for word in fit.vocabulary(call.tool))


def _changed(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether a call before had another value there, and the user has not asked for this one."""
    given = _given_before(leaf, call, evidence) if len(leaf.path) == 1 else []
    if not given or values_equal(given[-1], leaf.value):
        return False
    return not leaf.grounds.open or is_behind_another(leaf, call, evidence)


def well_founded(call: Read) -> bool:
    """Valid, and every required value said."""
    return call.valid.matched and all(
        leaf.grounds.support >= Support.DERIVED
        for path, leaf in call.leaves.items()
        if call.demands.at(path).required
    )


def _is_one_value(call: Read) -> bool:
    """Whether the call gives one value as everything."""
    return len(call.leaves) > 1 and len({str(leaf.value) for leaf in call.leaves.values()}) == 1


def _tool_is_named(call: Read, evidence: Evidence) -> bool:
    return call.tool is not None and fit.speaks_of(evidence.open, call.tool)


def _asked_for(leaf: Leaf) -> bool:
    return leaf.grounds.open and leaf.grounds.support >= Support.DERIVED


def _by_chance(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether a number is all that the request and a tool have in common, which speaks of nothing
    that it does: "draw x^2 from -8 to 2" has the 2 of a greatest common divisor.
    """
    bare = isinstance(leaf.value, int | float)
    return bare and call.tool is not None and not fit.speaks_of(evidence.open, call.tool)


def _of_several(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether earlier calls of the tool have several values in that place."""
    given = _given_before(leaf, call, evidence)
    return any(not values_equal(value, given[0]) for value in given[1:])


def _given_before(leaf: Leaf, call: Read, evidence: Evidence) -> list[object]:
    """What earlier calls of the tool have in that place, or in the object around it."""
    first = leaf.path[0]
    return [
        done.arguments[first]
        for done in evidence.before
        if done.name == call.call.name and first in done.arguments
    ]


def _another_was_said(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether the request holds another value that the argument could take, its default apart."""
    if days(str(leaf.value)):
        return bool(evidence.open.days)
    demand = call.demands.at(leaf.path)
    known = {normal(str(leaf.value)), normal(str(demand.default))}
    return any(normal(str(option)) not in known for option in options_said(demand, evidence))


def no_identifier(leaf: Leaf, call: Read) -> bool:
    """Whether a text is given as a record's identifier and cannot be one, without a digit."""
    names = call.demands.at(leaf.path).words
    text = leaf.value if isinstance(leaf.value, str) else ""
    return bool(text) and names[-1:] == ("id",) and not any(char.isdigit() for char in text)


def _said_once(leaf: Leaf, call: Read, evidence: Evidence) -> str | None:
    """One thing said cannot be meant by two arguments of a call."""
    said = normal(str(leaf.value))
    if isinstance(leaf.value, bool) or f" {evidence.said.normal} ".count(f" {said} ") != 1:
        return None
    others = [each for each in call.leaves.values() if each is not leaf]
    twice = [each.name for each in others if _one_thing(said, normal(str(each.value)))]
    return f"{leaf.name} and {twice[0]} have one value, which was said once" if twice else None


def _one_thing(said: str, other: str) -> bool:
    """Whether both texts are one, up to an article: "sticky leaves", "the sticky leaves"."""
    return said == other or said == f"the {other}" or other == f"the {said}"
