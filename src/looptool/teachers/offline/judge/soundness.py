"""Whether a prediction, against which nothing speaks, is sure enough to take a label's place."""

from __future__ import annotations

from looptool.records import Label
from looptool.teachers.offline.judge.alignment import aligned, one_place
from looptool.teachers.offline.judge.evidence import Evidence
from looptool.teachers.offline.judge.grounding import Support
from looptool.teachers.offline.judge.moments import days
from looptool.teachers.offline.judge.moves import Leaf, Read, alike, atoms, spoken_for, values_of
from looptool.teachers.offline.judge.words import holds, normal


def unsure(
    prediction: Label, sides: tuple[list[Read], list[Read]], evidence: Evidence
) -> str | None:
    """What leaves it open that the prediction is right where the label is wrong; None if nothing.

    A label is rarely off in two places, a prediction often: where they differ in more than one,
    the label's fault does not make the prediction right.
    """
    own, label = sides
    if not own:
        if not prediction.content.strip():
            return "the prediction says nothing"
        refusal = "?" not in prediction.content and not evidence.done
        if refusal and any(_asked_for(leaf) for call in label for leaf in call.leaves.values()):
            return "the label gives what was asked for"
        return None
    if not one_place(sides):
        return "the two differ in more than one place"
    pairs, (alone, _) = aligned(own, label)
    for call in alone:
        if not well_founded(call):
            return f"whether {call.call.name} has all that it needs"
        if unnamed := [leaf.name for leaf in call.leaves.values() if _no_identifier(leaf, call)]:
            return f"whether {unnamed[0]} was said"
    done = [value for call in evidence.done for value in call.arguments.values()]
    for call in alone:
        values = [each for each in values_of([call]) if not isinstance(each, bool)]
        if done and spoken_for(values, done):
            return f"whether {call.call.name} asks for anything new"
    if alone and (unused := _unused(own, evidence)):
        return f"what {unused} was said for"
    new = [(leaf, call) for call in alone for leaf in call.leaves.values()]
    for call, other in pairs:
        left_out = [leaf for path, leaf in other.leaves.items() if path not in call.leaves]
        if unmet := [leaf.name for leaf in left_out if _another_was_said(leaf, other, evidence)]:
            return f"what was said of {unmet[0]}"
        new += [
            (leaf, call)
            for path, leaf in call.leaves.items()
            if path not in other.leaves or not alike(leaf.value, other.leaves[path].value)
        ]
    return next((why for leaf, call in new if (why := _said_once(leaf, call, evidence))), None)


def well_founded(call: Read) -> bool:
    """Valid, and every required value said."""
    return call.valid.matched and all(
        leaf.grounds.support >= Support.DERIVED
        for path, leaf in call.leaves.items()
        if call.demands.at(path).required
    )


def _asked_for(leaf: Leaf) -> bool:
    return leaf.grounds.open and leaf.grounds.support >= Support.DERIVED


def _another_was_said(leaf: Leaf, call: Read, evidence: Evidence) -> bool:
    """Whether the request holds another value that the argument could take."""
    if days(str(leaf.value)):
        return bool(evidence.open.days)
    options = [normal(str(each)) for each in call.demands.at(leaf.path).closed]
    own = normal(str(leaf.value))
    return any(option != own and holds(evidence.open.normal, option) for option in options)


def _no_identifier(leaf: Leaf, call: Read) -> bool:
    """Whether a text is given as a record's identifier and cannot be one."""
    names = call.demands.at(leaf.path).words
    text = leaf.value if isinstance(leaf.value, str) else ""
    return bool(text) and names[-1:] == ("id",) and not any(char.isdigit() for char in text)


def _unused(calls: list[Read], evidence: Evidence) -> str | None:
    """A number or code of the request that neither the calls nor those already made hold."""
    values = [leaf.value for call in calls for leaf in call.leaves.values()]
    values += [value for call in evidence.done for value in call.arguments.values()]
    held = normal(" ".join(str(item) for value in values for item in atoms(value)))
    said = normal(evidence.open.undated.text)
    return next(
        (word for word in said.split() if any(map(str.isdigit, word)) and not holds(held, word)),
        None,
    )


def _said_once(leaf: Leaf, call: Read, evidence: Evidence) -> str | None:
    """One thing said cannot be meant by two arguments of a call."""
    said = normal(str(leaf.value))
    if isinstance(leaf.value, bool) or f" {evidence.said.normal} ".count(f" {said} ") != 1:
        return None
    others = [each for each in call.leaves.values() if each is not leaf]
    twice = [each.name for each in others if normal(str(each.value)) == said]
    return f"{leaf.name} and {twice[0]} have one value, which was said once" if twice else None
