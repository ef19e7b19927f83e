"""What a user wants of one tool: values for its slots, and the words for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from looptool.records import ToolCall
from looptool.seed.surfaces import say
from looptool.teachers.offline.manners import Voice
from looptool.teachers.offline.objects import say_objects
from looptool.teachers.offline.phrase import Wording, begins_verbatim, choose, fill, is_verbatim
from looptool.teachers.offline.sense import Sense, Slot
from looptool.teachers.offline.values import draw_values


@dataclass(frozen=True, slots=True)
class Goal:
    """A wanted call: the slots that are given, and their canonical values."""

    sense: Sense
    values: Mapping[str, Any]

    def call(self) -> ToolCall:
        return self.sense.call(self.values)


@dataclass(frozen=True, slots=True)
class Clause:
    """A goal in words. `command`: an imperative clause that still wants its sentence."""

    goal: Goal
    text: str
    command: bool
    verbatim_start: bool
    surfaces: dict[str, str] = field(default_factory=dict)


def surface(slot: Slot, value: Any, voice: Voice, before: str = "") -> str:
    """What is said for a slot's value; the same voice says all dates, say, in one way."""
    if slot.parts:
        return say_objects(slot, value, Random(voice.style))
    return say(slot.param, value, Random(voice.style), before)


def express(
    sense: Sense,
    voice: Voice,
    rng: Random,
    need: set[str] | None = None,
    ban: set[str] | None = None,
    fixed: Mapping[str, Any] | None = None,
    spoken: Mapping[str, str] | None = None,
    commands_only: bool = False,
    wording: Wording | None = None,
) -> Clause | None:
    """A goal and its words: with the slots of `need` (by default the required ones), without those
    of `ban`, with `fixed` values where given; `spoken` are words that stand for a value ("that
    booking"). None if the vocabulary has no such text.
    """
    wanted = sense.required() if need is None else need
    wording = wording or choose(sense, wanted, ban or set(), rng, commands_only)
    if wording is None:
        return None
    ordered = tuple(name for name in sense.slots if name in wording.slots)
    values = draw_values(sense.slots, ordered, rng, fixed)
    said: dict[str, str] = dict(spoken or {})

    def say_slot(name: str, before: str) -> tuple[str, bool]:
        if name not in said:
            said[name] = surface(sense.slots[name], values[name], voice, before)
        return said[name], is_verbatim(sense.slots[name].param)

    text = fill(wording, say_slot)
    start = begins_verbatim(wording, sense, said)
    return Clause(Goal(sense, values), text, wording.command, start, said)
