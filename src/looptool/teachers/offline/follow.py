"""Later turns of a dialogue: one value changes, the next operation, carried values."""

from __future__ import annotations

from random import Random

from looptool.seed.dice import weighted
from looptool.teachers.offline.goals import Clause, Goal, express, surface
from looptool.teachers.offline.links import links, point_at
from looptool.teachers.offline.manners import Voice, dress, line
from looptool.teachers.offline.parallel import finish
from looptool.teachers.offline.phrase import sentence
from looptool.teachers.offline.script import Story
from looptool.teachers.offline.sense import Sense, Slot
from looptool.teachers.offline.values import draw_other_for

_NAMES = ("city", "country", "place", "person", "company", "language", "currency", "weekday")
_CHANGEABLE = (
    *_NAMES,
    "date",
    "time",
    "datetime",
    "integer",
    "number",
    "money",
    "percent",
    "duration",
    "enum",
    "id",
    "color",
    "year",
    "month",
)
_CARRIED = {
    "city": "the same city",
    "date": "the same day",
    "person": "the same person",
    "country": "the same country",
    "company": "the same company",
    "place": "the same place",
    "language": "the same language",
    "address": "the same address",
}
_ORDERED = ("date", "time", "datetime", "year")


def follow_up(story: Story) -> tuple[str, Goal] | None:
    """The user's next message and what it wants, given what came before; None if nothing fits."""
    ways = {_change: 0.5, _linked: 0.25, _carried: 0.12, _other: 0.13, _added: 0.07}
    if not story.settled:  # "make it 25%" could mean any of them
        ways = {_other: 1.0}
    while ways:
        way = weighted(story.rng, ways)
        made = way(story)
        if made is not None:
            return made
        del ways[way]
    return None


def _change(story: Story) -> tuple[str, Goal] | None:
    assert story.goal is not None
    return change(story.goal, story.voice, story.rng)


def change(goal: Goal, voice: Voice, rng: Random, key: str = "") -> tuple[str, Goal] | None:
    """A new value for one slot of the goal; `key` picks the phrases ("wrong": a correction)."""
    slots = [goal.sense.slots[name] for name in goal.values]
    slots = [slot for slot in slots if _can_change(slot, slots)]
    if not slots:
        return None
    slot = rng.choice(slots)
    value = draw_other_for(slot, rng, tuple(goal.values.values()))
    if value is None:
        return None
    said = surface(slot, value, voice)
    alone = sum(_alike(slot, each) for each in goal.sense.slots.values()) == 1
    if not alone or slot.parts or slot.param.kind == "year":
        text = line("follow", "named", rng, x=said, label=slot.label)
    elif key:
        text = line("follow", key, rng, x=said)
    elif slot.param.kind in (*_NAMES, "id", "date") and rng.random() < 0.75:
        text = line("follow", "same_kind", rng, x=said)
    elif rng.random() < 0.15:
        text = line("follow", "named", rng, x=said, label=slot.label)
    else:
        text = line("follow", "instead", rng, x=said)
    return sentence(text), Goal(goal.sense, {**goal.values, slot.name: value})


def _can_change(slot: Slot, given: list[Slot]) -> bool:
    kind = slot.param.kind
    if slot.parts:
        return True
    if kind not in _CHANGEABLE or slot.name.startswith(("min_", "max_")):
        return False
    return kind not in _ORDERED or sum(each.param.kind == kind for each in given) == 1


def _alike(slot: Slot, other: Slot) -> bool:
    """Whether a bare value of one could be taken for the other's."""
    counted = ("integer", "number")
    if slot.param.kind in counted and other.param.kind in counted:
        return slot.param.unit == other.param.unit
    return slot.param.kind == other.param.kind


def _linked(story: Story) -> tuple[str, Goal] | None:
    """The next operation on what the last answer returned."""
    rng, last = story.rng, story.goal
    assert last is not None
    found = [link for link in links(story.senses) if link.first is last.sense]
    if not found or not story.results:
        return None
    link = rng.choice(found)
    pointed = point_at(link, story.results[-1], rng)
    if pointed is None:
        return None
    words, value = pointed
    words = words.removesuffix(" you find")
    return _next(link.second, story.voice, rng, {link.slot.name: value}, {link.slot.name: words})


def _carried(story: Story) -> tuple[str, Goal] | None:
    """Another operation, with a value that is said to be the same."""
    last, rng = story.goal, story.rng
    assert last is not None
    for sense in rng.sample(story.senses, len(story.senses)):
        for name, slot in sense.slots.items():
            kind = slot.param.kind
            same = [n for n in last.values if last.sense.slots[n].param.kind == kind]
            rivals = [s for s in sense.slots.values() if s.param.kind == kind]
            if sense is last.sense or kind not in _CARRIED or len(same) != 1 or len(rivals) != 1:
                continue
            need = sense.required() | {name}
            fixed, spoken = {name: last.values[same[0]]}, {name: _CARRIED[kind]}
            return _next(sense, story.voice, rng, fixed, spoken, need)
    return None


def _other(story: Story) -> tuple[str, Goal] | None:
    """Something else that the tools can do."""
    last = story.goal
    senses = [sense for sense in story.senses if last is None or sense is not last.sense]
    if not senses:
        return None
    clause = express(story.rng.choice(senses), story.voice, story.rng)
    return (finish(clause, story.voice, story.rng), clause.goal) if clause else None


def _added(story: Story) -> tuple[str, Goal] | None:
    """The same again, with a switch turned on."""
    goal, rng = story.goal, story.rng
    assert goal is not None
    switches = [
        slot
        for slot in goal.sense.slots.values()
        if slot.param.kind == "bool" and slot.name not in goal.values
    ]
    if not switches:
        return None
    slot = rng.choice(switches)
    text = line("follow", "added", rng, x=surface(slot, True, story.voice))
    return text, Goal(goal.sense, {**goal.values, slot.name: True})


def _next(
    sense: Sense,
    voice: Voice,
    rng: Random,
    fixed: dict[str, object],
    spoken: dict[str, str],
    need: set[str] | None = None,
) -> tuple[str, Goal] | None:
    clause = express(sense, voice, rng, need=need, fixed=fixed, spoken=spoken, commands_only=True)
    if clause is None:
        return None
    return next_message(clause, rng), clause.goal


def next_message(clause: Clause, rng: Random) -> str:
    """A command as a later message."""
    if rng.random() < 0.3:
        return dress(clause.text, "plain", rng, clause.verbatim_start)
    return line("follow", "next", rng, ask=clause.text.rstrip("."))
