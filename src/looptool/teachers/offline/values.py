"""Values for slots, in canonical form: those of a request go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

from looptool.seed.kinds import draw, draw_other
from looptool.teachers.offline.sense import Slot

_DISTINCT = ("city", "country", "person", "currency", "language", "place", "company", "id")
_TELLING = (*_DISTINCT, "text", "email", "phone", "url", "address")
"""Kinds of which no two objects of a list have the same value: they tell the objects apart."""
_EXTRA = 0.5
"""How often the objects of a list are given an optional part."""


def draw_values(
    slots: Mapping[str, Slot],
    names: Iterable[str],
    rng: Random,
    fixed: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Values for the named slots that go together: start before end, two cities unlike."""
    values: dict[str, Any] = {}
    for name in names:
        if fixed and name in fixed:
            values[name] = fixed[name]
            continue
        slot = slots[name]
        value = draw_slot(slot, rng)
        for _ in range(8):
            if slot.param.kind not in _DISTINCT or value not in values.values():
                break
            value = draw_slot(slot, rng)
        values[name] = value
    _put_in_order(slots, values, set(fixed or ()), rng)
    return values


def draw_slot(slot: Slot, rng: Random) -> Any:
    """A value that the slot may have; a list of objects is a tuple of their values by slot."""
    return _draw_objects(slot, rng) if slot.parts else draw(slot.param, rng)


def draw_other_for(slot: Slot, rng: Random, taken: tuple[Any, ...]) -> Any:
    """A value unlike those in `taken`, or None if none was found."""
    if not slot.parts:
        return draw_other(slot.param, rng, taken)
    drawn = (draw_slot(slot, rng) for _ in range(8))
    return next((value for value in drawn if value not in taken), None)


def _draw_objects(slot: Slot, rng: Random) -> tuple[dict[str, Any], ...]:
    """One to three objects, each with the same parts, as far as the schema lets it be so few."""
    parts = {part.name: part for part in slot.parts}
    names = [part.name for part in slot.parts if part.required or rng.random() < _EXTRA]
    names = names or [rng.choice(slot.parts).name]
    least, most = round(slot.param.min or 1), round(slot.param.max or 1)
    if len(names) > 3 or any(parts[name].parts for name in names):
        most = max(least, min(most, 2))  # they are long enough
    number = min(most, max(least, rng.choice((1, 2, 2, 2, 3))))
    found: list[dict[str, Any]] = []
    for _ in range(8 * number):
        if len(found) == number:
            break
        values = draw_values(parts, names, rng)
        telling = [name for name in names if parts[name].param.kind in _TELLING] or names
        if not any(any(values[n] == o[n] for n in telling) for o in found):
            found.append(values)
    return tuple(found)


def _put_in_order(
    slots: Mapping[str, Slot], values: dict[str, Any], fixed: set[str], rng: Random
) -> None:
    order = [name for name in slots if name in values and name not in fixed]
    by_kind: dict[str, list[str]] = {}
    for name in order:
        by_kind.setdefault(slots[name].param.kind, []).append(name)
    _put_days_in_order(slots, values, fixed, rng)
    for kind in ("time", "datetime", "year"):
        _sort(values, by_kind.get(kind, []))
    for name in order:
        if name.startswith("min_") and (high := "max_" + name[4:]) in values:
            _sort(values, [name, high])


def _put_days_in_order(
    slots: Mapping[str, Slot], values: dict[str, Any], fixed: set[str], rng: Random
) -> None:
    days = [n for n, slot in slots.items() if n in values and slot.param.kind == "date"]
    for earlier, later in pairwise(days):
        gap = timedelta(days=rng.randint(1, 20))
        if later not in fixed:
            values[later] = (date.fromisoformat(values[earlier]) + gap).isoformat()
        elif earlier not in fixed:
            values[earlier] = (date.fromisoformat(values[later]) - gap).isoformat()


def _sort(values: dict[str, Any], names: list[str]) -> None:
    for name, value in zip(names, sorted(values[name] for name in names), strict=True):
        values[name] = value
