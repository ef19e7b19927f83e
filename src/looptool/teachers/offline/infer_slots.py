"""What there is to say to a tool that nobody introduced: its slots, or why it cannot be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looptool.records import Tool
from looptool.seed.vocabulary import Param
from looptool.teachers.offline.infer_kinds import UNIT_WORDS, infer_param, param_of_objects
from looptool.teachers.offline.sense import Place, Slot, label_of, paired, property_places

_DEEPEST = 2
"""Lists of objects within lists of objects; nobody says more in one breath."""


class Unspeakable(ValueError):
    """A required parameter cannot be said in words; the message names it and says why."""


def infer_slots(tool: Tool) -> dict[str, Slot]:
    """The slots of a tool by name, in the order of its schema. Raises Unspeakable."""
    return _slots(tool.parameters, tool, ())


def _slots(schema: Mapping[str, Any], tool: Tool, around: tuple[int, ...]) -> dict[str, Slot]:
    """The slots of one object; `around` are the objects in lists that it stands in."""
    slots: dict[str, Slot] = {}
    for name, places in paired(list(property_places(schema, tool.parameters))):
        required = all(place.required for place in places)
        try:
            slots[name] = _slot(name, places, required, tool, around)
        except Unspeakable:
            if required:
                raise
    spoken = {place.path[0] for slot in slots.values() for place in slot.places}
    required_names = schema.get("required", [])
    if not isinstance(required_names, list):
        raise Unspeakable("its `required` is no list")
    for name in map(str, required_names):
        if name not in spoken:
            raise Unspeakable(f"{name} says nothing that could be asked for")
    return slots


def _slot(
    name: str, places: tuple[Place, ...], required: bool, tool: Tool, around: tuple[int, ...]
) -> Slot:
    place, where = places[0], ".".join(places[0].path)
    parts: tuple[Slot, ...] = ()
    if items := _items(place.schema):
        parts = _parts(where, items, tool, around)
        param = param_of_objects(name, place.schema)
    else:
        param = infer_param(name, place.schema, tool, is_pair=len(places) == 2)
    if param is None:
        raise Unspeakable(f"{where} is {_obstacle(place.schema)}")
    if not required:
        param = param.model_copy(update={"optional": True})
    label = _label(label_of(place.path[-1] if len(places) == 1 else name, name), param)
    return Slot(name, param, places, required, label, parts)


def _items(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema of the objects that a list holds, if it holds objects of known shape."""
    items = schema.get("items") if schema.get("type") == "array" else None
    properties = items.get("properties") if isinstance(items, dict) else None
    return items if isinstance(properties, dict) and properties else None


def _parts(
    where: str, items: Mapping[str, Any], tool: Tool, around: tuple[int, ...]
) -> tuple[Slot, ...]:
    inside = id(items["properties"])
    if inside in around or len(around) == _DEEPEST:
        raise Unspeakable(f"{where} is a list of objects nested too deeply")
    try:
        parts = tuple(_slots(items, tool, (*around, inside)).values())
    except Unspeakable as error:
        raise Unspeakable(f"{where}[].{error}") from None
    if not parts:
        raise Unspeakable(f"{where} is a list of objects that nothing can be said of")
    return parts


def _obstacle(schema: Mapping[str, Any]) -> str:
    """Why a value of this schema cannot be said in words."""
    match schema.get("type"):
        case "object":
            return "an object whose schema names no properties"
        case "array":
            items = schema.get("items")
            if _items(schema):
                return "a list of more objects, or fewer, than anybody would say"
            inner = items.get("type") if isinstance(items, dict) else None
            return f"a list of {_LISTED.get(str(inner), 'what cannot be said in words')}"
        case "integer" | "number" | "float" | "int":
            return "a number that its bounds do not allow"
    return "a value that cannot be said in words"


_LISTED = {
    "object": "objects whose schema names no properties",
    "array": "lists",
    "boolean": "switches",
}


def _label(words: str, param: Param) -> str:
    """Without the unit that is said with the value: "duration minutes" → "duration"."""
    head, _, last = words.rpartition(" ")
    return (
        head if head and param.unit and last.lower() in (param.unit.lower(), *UNIT_WORDS) else words
    )
