"""What a user wants of one tool: values for its slots, and the words for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

from looptool.records import ToolCall
from looptool.seed.kinds import draw
from looptool.seed.surfaces import say
from looptool.teachers.offline.manners import Voice
from looptool.teachers.offline.phrase import VERBATIM, Wording, begins_verbatim, choose, fill
from looptool.teachers.offline.sense import Sense, Slot

_DISTINCT = ("city", "country", "person", "currency", "language", "place", "company", "id")


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


def draw_values(
    sense: Sense,
    slots: Mapping[str, Slot] | tuple[str, ...],
    rng: Random,
    fixed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Values for the named slots that go together: start before end, two cities unlike."""
    values: dict[str, Any] = {}
    for name in slots:
        if fixed and name in fixed:
            values[name] = fixed[name]
            continue
        param = sense.slots[name].param
        value = draw(param, rng)
        for _ in range(8):
            if param.kind not in _DISTINCT or value not in values.values():
                break
            value = draw(param, rng)
        values[name] = value
    _put_in_order(sense, values, set(fixed or ()), rng)
    return values


def _put_in_order(sense: Sense, values: dict[str, Any], fixed: set[str], rng: Random) -> None:
    order = [name for name in sense.slots if name in values and name not in fixed]
    by_kind: dict[str, list[str]] = {}
    for name in order:
        by_kind.setdefault(sense.slots[name].param.kind, []).append(name)
    _put_days_in_order(sense, values, fixed, rng)
    for kind in ("time", "datetime", "year"):
        _sort(values, by_kind.get(kind, []))
    for name in order:
        if name.startswith("min_") and (high := "max_" + name[4:]) in values:
            _sort(values, [name, high])


def _put_days_in_order(sense: Sense, values: dict[str, Any], fixed: set[str], rng: Random) -> None:
    days = [n for n, slot in sense.slots.items() if n in values and slot.param.kind == "date"]
    for earlier, later in pairwise(days):
        gap = timedelta(days=rng.randint(1, 20))
        if later not in fixed:
            values[later] = (date.fromisoformat(values[earlier]) + gap).isoformat()
        elif earlier not in fixed:
            values[earlier] = (date.fromisoformat(values[later]) - gap).isoformat()


def _sort(values: dict[str, Any], names: list[str]) -> None:
    for name, value in zip(names, sorted(values[name] for name in names), strict=True):
        values[name] = value


def surface(slot: Slot, value: Any, voice: Voice, before: str = "") -> str:
    """What is said for a slot's value; the same voice says all dates, say, in one way."""
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
    values = draw_values(sense, ordered, rng, fixed)
    said: dict[str, str] = dict(spoken or {})

    def say_slot(name: str, before: str) -> tuple[str, bool]:
        if name not in said:
            said[name] = surface(sense.slots[name], values[name], voice, before)
        return said[name], sense.slots[name].param.kind in VERBATIM

    text = fill(wording, say_slot)
    start = begins_verbatim(wording, sense, said)
    return Clause(Goal(sense, values), text, wording.command, start, said)
