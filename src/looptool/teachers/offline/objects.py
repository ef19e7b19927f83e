"""How people list objects: "2 of SKU-4411 and 1 of SKU-9032", "a leg from Oslo and another …"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any

from looptool.seed.surfaces import join_list, say
from looptool.seed.units import singular
from looptool.teachers.offline.phrase import starts_with_vowel
from looptool.teachers.offline.sense import Slot

COUNTED = 0.7
"""How often things that have a number are counted rather than described."""
_COUNT = re.compile(r"^(quantity|qty|count|units|pieces|copies|num|number)$|^(num|number)_of_")
_NO_THING = ("bool", "list", "integer", "number", "money", "percent", "duration", "coordinates")


def say_objects(slot: Slot, value: tuple[Mapping[str, Any], ...], rng: Random) -> str:
    """All objects of a list, every value of theirs said: a noun phrase."""
    parts = {part.name: part for part in slot.parts}
    style = rng.getrandbits(32)
    if (pair := _thing_and_count(parts, value)) and rng.random() < COUNTED:
        thing, count = (parts[name] for name in pair)
        return join_list([f"{_said(count, o, style)} of {_said(thing, o, style)}" for o in value],
                         rng)  # fmt: skip
    noun = _noun(slot.label)
    article = "an" if starts_with_vowel(noun) else "a"
    listed = [
        f"{'another' if n else f'{article} {noun}'} {_described(parts, each, style)}"
        for n, each in enumerate(value)
    ]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])}, and {listed[-1]}"


def _thing_and_count(
    parts: Mapping[str, Slot], value: tuple[Mapping[str, Any], ...]
) -> tuple[str, str] | None:
    """The two parts of objects that are so many of something."""
    names = list(value[0])
    counts = [n for n in names if parts[n].param.kind == "integer" and _COUNT.search(n)]
    things = [n for n in names if parts[n].param.kind not in _NO_THING]
    return (things[0], counts[0]) if len(names) == 2 and counts and things else None


def _described(parts: Mapping[str, Slot], value: Mapping[str, Any], style: int) -> str:
    """As in: from Oslo to Rome with seat A1 and fare class economy, including meals."""
    given = [parts[name] for name in value]
    ways = [part for part in given if _is_way(part)]
    switches = [part for part in given if part.param.kind == "bool"]
    named = [_named(p, value, style) for p in given if p not in ways and p not in switches]
    way = " ".join(f"{p.label.split()[0]} {_said(p, value, style)}" for p in ways)
    rest = f"with {', '.join(named[:-1])}{' and ' if named[1:] else ''}{named[-1]}" if named else ""
    plain = f"{way} {rest}".strip()
    return ", ".join(filter(None, (plain, *(_said(p, value, style) for p in switches))))


def _is_way(part: Slot) -> bool:
    """Whether the label says where from or where to: "from city"."""
    place = part.param.kind in ("city", "country", "place", "address")
    return place and part.label.split()[0] in ("from", "to")


def _named(part: Slot, value: Mapping[str, Any], style: int) -> str:
    said = _said(part, value, style)
    if part.param.kind == "list":
        return f"{part.label} ({said})"  # its "and" is not ours
    return said if part.param.kind == "id" else f"{part.label} {said}"


def _said(part: Slot, value: Mapping[str, Any], style: int) -> str:
    """The value of one part; those of like objects are said alike."""
    rng, each = Random(style), value[part.name]
    if part.parts:
        return say_objects(part, each, rng)
    said = say(part.param, each, rng, "the")
    return f"'{said}'" if part.param.kind == "text" else said


def _noun(label: str) -> str:
    """One of what the label names: "order lines" → "order line"; of a "basket" an "item"."""
    one = singular(label)
    return one if one != label else "item"
