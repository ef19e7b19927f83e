"""Which tool's answer feeds which other tool: ids that are returned here and taken there."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from looptool.seed.kinds import id_style
from looptool.teachers.offline.sense import Sense, Slot
from looptool.teachers.offline.world import is_search, things_in


@dataclass(frozen=True, slots=True)
class Link:
    """`field` of the first tool's answer goes into `slot` of the second."""

    first: Sense
    second: Sense
    field: str
    slot: Slot


def links(senses: tuple[Sense, ...]) -> list[Link]:
    """All links among the tools."""
    return [
        link
        for first in senses
        for second in senses
        if first is not second and (link := link_between(first, second))
    ]


def link_between(first: Sense, second: Sense) -> Link | None:
    """The link from one tool to another, if there is one."""
    if first.domain != second.domain:
        return None
    for slot in second.slots.values():
        if slot.param.kind != "id" or len(slot.places) != 1:
            continue
        for field, kind in first.operation.returns.items():
            if (
                kind == "id"
                and _same_thing(field, slot)
                and not _takes(first, slot)
                and _fits(field, slot)
            ):
                return Link(first, second, field, slot)
    return None


def _same_thing(field: str, slot: Slot) -> bool:
    noun = (slot.param.noun or "").replace(" ", "_").replace("-", "_")
    thing = field.removesuffix("_id")
    return field == slot.name or field in slot.param.names or thing in (noun, f"{noun}_id")


def _fits(field: str, slot: Slot) -> bool:
    """A parameter that is a number takes only ids of digits."""
    if slot.places[0].schema.get("type") not in ("integer", "number"):
        return True
    return id_style(field.removesuffix("_id").replace("_", " ")) == "digits"


def _takes(sense: Sense, slot: Slot) -> bool:
    return any(
        s.param.kind == "id" and s.param.noun == slot.param.noun for s in sense.slots.values()
    )


def point_at(link: Link, result: str, rng: Random) -> tuple[str, str] | None:
    """(what the user says for one thing of the result, its id), or None if it holds none."""
    things = [thing for thing in things_in(result) if link.field in thing]
    noun = link.slot.param.noun or "one"
    if not things:
        return None
    if len(things) == 1 or not is_search(link.first):
        words = rng.choice(
            (f"that {noun}", f"that {noun}", f"the {noun}", f"the new {noun}")
            if not is_search(link.first)
            else (f"that {noun}",)
        )
        return words, str(things[0][link.field])
    price = next((f for f, kind in link.first.operation.returns.items() if kind == "money"), None)
    if price and rng.random() < 0.4:
        cheapest = min(things, key=lambda thing: float(thing[price]))
        if sum(thing[price] == cheapest[price] for thing in things) == 1:
            return f"the cheapest {noun}", str(cheapest[link.field])
    words = rng.choice((f"the first {noun}", f"the first {noun} you find"))
    return words, str(things[0][link.field])
