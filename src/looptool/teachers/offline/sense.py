"""What the offline teacher knows about a tool: its operation, and what each parameter means.

Tools that the vocabulary made are recognised by name, description and parameter names; of any
other tool the sense is inferred (`infer`). Both need the schema alone, so that a tool from a file
means the same in every process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import JsonValue

from looptool.records import Tool, ToolCall
from looptool.seed.constraint_tree import snake_case
from looptool.seed.context_tree import Leaf, leaves
from looptool.seed.plain_schema import plain
from looptool.seed.realise import realise
from looptool.seed.vocabulary import Operation, Param

_MAX_DEPTH = 8
LATITUDES, LONGITUDES = ("latitude", "lat"), ("longitude", "lon", "lng", "long")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the arguments a value stands; `part` picks one of a pair of coordinates."""

    path: tuple[str, ...]
    schema: Mapping[str, Any]
    required: bool
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing to say, and its places in the call (two for split coordinates). `parts` are what
    the objects of a list hold: their places begin at the object.
    """

    name: str
    param: Param
    places: tuple[Place, ...]
    required: bool
    label: str
    parts: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True)
class Sense:
    """A tool understood; `known` if it comes from the vocabulary. `plain_asks` are asks made from
    its description and labels alone.
    """

    tool: Tool
    operation: Operation
    domain: str
    group: str
    slots: dict[str, Slot]
    known: bool
    plain_asks: tuple[str, ...] = ()

    def required(self) -> set[str]:
        return {slot.name for slot in self.slots.values() if slot.required}

    def call(self, values: Mapping[str, Any]) -> ToolCall:
        """The call that gives the slots these canonical values."""
        return ToolCall(name=self.tool.name, arguments=_json_object(self.slots.values(), values))


def _json_object(slots: Iterable[Slot], values: Mapping[str, Any]) -> dict[str, Any]:
    """The object that gives the slots these canonical values."""
    made: dict[str, Any] = {}
    for slot in slots:
        if slot.name in values:
            for place in slot.places:
                _put(made, place, _json_of(slot, values[slot.name], place))
    return made


def _put(holder: dict[str, Any], place: Place, value: JsonValue) -> None:
    *outer, last = place.path
    for key in outer:
        holder = holder.setdefault(key, {})
    holder[last] = value


def _json_of(slot: Slot, value: Any, place: Place) -> JsonValue:
    if slot.parts:
        return [_json_object(slot.parts, each) for each in value]
    if place.part is None:
        return realise(slot.param, value, place.schema)
    return value[place.part]  # type: ignore[no-any-return]


def property_places(
    schema: Mapping[str, Any], root: Mapping[str, Any] | None = None
) -> Iterator[Place]:
    """The leaves of an object schema in order. Objects that hold a point are one leaf; what
    stands in an optional object that has required properties of its own is left out.

    `root` is what references point into, by default the schema itself.
    """
    yield from _places(schema, schema if root is None else root, frozenset())


def _places(
    schema: Mapping[str, Any], root: Mapping[str, Any], around: frozenset[int]
) -> Iterator[Place]:
    """`around` are the objects that this one stands in, by their properties: what stands in itself,
    as in a linked list, is left out, and what is nested too deeply.
    """
    required = schema.get("required")
    properties = schema.get("properties", {})
    around |= {id(properties)}
    for name, raw in properties.items():
        value = plain(raw, root)
        needed = isinstance(required, list) and name in required
        inner = value.get("properties")
        if not isinstance(inner, dict) or not inner or is_point(value):
            yield Place((name,), value, needed)
        elif id(inner) in around or len(around) > _MAX_DEPTH:
            continue
        elif needed or not value.get("required"):
            for place in _places(value, root, around):
                yield Place((name, *place.path), place.schema, needed and place.required)


def is_point(schema: Mapping[str, Any]) -> bool:
    """An object of a latitude and a longitude."""
    properties = schema.get("properties")
    names = [snake_case(name) for name in properties] if isinstance(properties, dict) else []
    return len(names) == 2 and names[0] in LATITUDES and names[1] in LONGITUDES


def paired(places: list[Place]) -> list[tuple[str, tuple[Place, ...]]]:
    """Places by the snake_case name of their slot; a latitude and its longitude share one."""
    slots: dict[str, tuple[Place, ...]] = {}
    names = {snake_case(place.path[-1]): place for place in places}
    for place in places:
        name = snake_case(place.path[-1])
        head, _, tail = name.rpartition("_")
        partner = next(
            (names[n] for lon in LONGITUDES if (n := f"{head}_{lon}".strip("_")) in names), None
        )
        if tail in LATITUDES and partner is not None:
            key = head or "location"
            slots[key] = tuple(
                Place(each.path, each.schema, each.required, part)
                for part, each in enumerate((place, partner))
            )
        elif not (tail in LONGITUDES and (head or "location") in slots):
            slots[name if name not in slots else "_".join(map(snake_case, place.path))] = (place,)
    return list(slots.items())


_LONG = {
    "num": "number of",
    "max": "maximum",
    "min": "minimum",
    "qty": "quantity",
    "pct": "percentage",
    "temp": "temperature",
    "desc": "description",
    "msg": "message",
    "addr": "address",
    "lang": "language",
    "std": "standard deviation",
}


def words_of(name: str) -> str:
    """A property name as words: `checkInDate` → "check in date", `num_guests` → "number of
    guests".
    """
    words = snake_case(name).removeprefix("is_").split("_")
    return " ".join(
        "ID" if word == "id" else _LONG.get(word, word) if n == 0 or word != "min" else word
        for n, word in enumerate(words)
    )


def label_of(name: str, canonical: str) -> str:
    """What to call a parameter: by its property name, unless that is cryptic."""
    for each in (name, canonical):
        tokens = snake_case(each).split("_")
        if all(len(token) > 2 or token in ("id", "of", "to", "by", "on", "in") for token in tokens):
            return words_of(each)
    return f"value of {name}" if len(name) == 1 else words_of(canonical)


@cache
def _by_name() -> dict[str, list[Leaf]]:
    found: dict[str, list[Leaf]] = {}
    for leaf in leaves():
        for name in (leaf.operation.name, *leaf.operation.names):
            found.setdefault(_squeezed(name), []).append(leaf)
            found.setdefault(_squeezed(f"{leaf.group}_{name}"), []).append(leaf)
    return found


def recognise(tool: Tool) -> Sense | None:
    """The sense of a tool that the vocabulary made, or None."""
    for leaf in _by_name().get(_squeezed(snake_case(tool.name)), ()):
        if tool.description in leaf.operation.does:
            slots = _known_slots(tool, leaf.operation)
            if slots is not None:
                return Sense(tool, leaf.operation, leaf.domain, leaf.group, slots, known=True)
    return None


def _known_slots(tool: Tool, operation: Operation) -> dict[str, Slot] | None:
    meaning = {_squeezed(n): key for key, param in operation.params.items() for n in param.names}
    meaning |= {_squeezed(key): key for key in operation.params}
    slots: dict[str, Slot] = {}
    for name, places in paired(list(property_places(tool.parameters))):
        key = meaning.get(_squeezed(name))
        if key is None or key in slots:
            return None
        required = all(place.required for place in places)
        label = label_of(places[0].path[-1] if len(places) == 1 else name, key)
        slots[key] = Slot(key, operation.params[key], places, required, label)
    return slots


def _squeezed(name: str) -> str:
    """`product_id_1` and `productId1` are one name."""
    return name.replace("_", "").lower()
