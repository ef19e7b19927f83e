"""The Constraint Tree: how an operation is cast into a function schema.

A draw fixes naming, the optional parameters that stay, nesting, how defaults and enums are
written. `cast` applies it to a leaf of the Context Tree; `Constraints.words` states it for a
language model.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from looptool.records import Tool
from looptool.seed.dice import dice, weighted
from looptool.seed.property_schemas import Manner, draw_manner, property_schema
from looptool.seed.vocabulary import Operation, Param

COORDINATES = (("latitude", "longitude"), ("lat", "lon"), ("lat", "lng"))


@dataclass(frozen=True)
class Constraints:
    """One draw; probabilities are meant per parameter."""

    naming: str
    parameter_case: str
    alias: float
    keep_optional: float
    nest: bool
    manner: Manner
    strict: bool
    coordinates: str

    def words(self) -> tuple[str, ...]:
        """The draw, as instructions to whoever writes the tool."""
        optional = "all", "some", "none"
        kept = optional[0 if self.keep_optional > 0.8 else 2 if self.keep_optional < 0.2 else 1]
        lines = [
            f"Name the function in {self.naming} style and its parameters in "
            f"{self.parameter_case} case.",
            f"Keep {kept} of the optional parameters.",
            {
                "schema": "State defaults with the `default` keyword.",
                "text": "State defaults in the descriptions only.",
                "nowhere": "State no defaults.",
            }[self.manner.default_in],
        ]
        if self.nest:
            lines.append("Group parameters that belong together in a nested object.")
        if self.manner.enum_as_text > 0.5:
            lines.append("List allowed values in the description, without `enum`.")
        return tuple(lines)


def draw_constraints(seed: int) -> Constraints:
    """The same draw for the same seed."""
    rng = dice("constraints", seed)
    naming = weighted(rng, {"snake": 0.55, "camel": 0.2, "dotted": 0.2, "pascal": 0.05})
    camel = naming in ("camel", "pascal") or (naming == "dotted" and rng.random() < 0.15)
    return Constraints(
        naming=naming,
        parameter_case="camel" if camel and rng.random() < 0.85 else "snake",
        alias=rng.choice((0.0, 0.3, 0.6)),
        keep_optional=rng.choice((0.0, 0.3, 0.5, 0.7, 1.0, 1.0)),
        nest=rng.random() < 0.35,
        manner=draw_manner(rng),
        strict=rng.random() < 0.1,
        coordinates=weighted(rng, {"object": 0.45, "numbers": 0.35, "array": 0.12, "string": 0.08}),
    )


def cast(operation: Operation, group: str, seed: int) -> Tool:
    """The operation as a tool, by the draw of `seed`."""
    drawn, rng = draw_constraints(seed), dice("cast", seed)
    name = rng.choice((operation.name, *operation.names))
    params = {
        key: param
        for key, param in operation.params.items()
        if not param.optional or rng.random() < drawn.keep_optional
    }
    named = _property_names(operation, params, drawn, rng)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for key, param in params.items():
        for path, schema in _places(named[key], param, drawn, rng):
            holder, needed = properties, required
            if drawn.nest and param.within and _shared(param.within, params):
                outer = in_case(param.within, drawn.parameter_case)
                holder, needed = _nested(properties, required, outer, param.within)
            holder[path] = schema
            if not param.optional:
                needed.append(path)
    for key in list(properties):
        if properties[key].get("type") == "object" and properties[key].get("required"):
            required.extend([key] if key not in required else [])
    schema = {
        "type": "object",
        "properties": properties,
        "required": _in_order(required, properties),
    }
    if drawn.strict:
        schema["additionalProperties"] = False
    return Tool(
        name=function_name(name, group, drawn.naming),
        description=rng.choice(operation.does),
        parameters=schema,
    )


def function_name(snake: str, group: str, naming: str) -> str:
    """`search_flights` of group `flights`: searchFlights, SearchFlights, flights.search_flights."""
    match naming:
        case "camel" | "pascal":
            return in_case(snake, naming)
        case "dotted":
            return f"{group}.{snake}"
    return snake


def in_case(snake: str, case: str) -> str:
    """`a_b` in "snake", "camel" or "pascal" case."""
    if case == "snake":
        return snake
    first, *rest = snake.split("_")
    head = first.capitalize() if case == "pascal" else first
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def snake_case(name: str) -> str:
    """`flights.searchFlights` → `flights_search_flights`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def _property_names(
    operation: Operation, params: dict[str, Param], drawn: Constraints, rng: Random
) -> dict[str, str]:
    """Aliases that could mean two of the operation's parameters are not used."""
    meanings = Counter(list(operation.params))
    for key, param in operation.params.items():
        meanings.update(set(param.names) - {key})
        meanings.update({param.within} if param.within else ())
    chosen: dict[str, str] = {}
    for key, param in params.items():
        aliases = [name for name in param.names if meanings[name] == 1]
        use_alias = aliases and rng.random() < drawn.alias
        chosen[key] = in_case(rng.choice(aliases) if use_alias else key, drawn.parameter_case)
    return chosen


def _places(
    name: str, param: Param, drawn: Constraints, rng: Random
) -> list[tuple[str, dict[str, Any]]]:
    if param.kind != "coordinates":
        return [(name, property_schema(param, name, drawn.manner, rng))]
    about = rng.choice(param.about)
    number = {"type": "number"}
    if drawn.coordinates == "array":
        pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
        return [(name, {**pair, "description": f"{about} As [latitude, longitude]."})]
    if drawn.coordinates == "string":
        return [(name, {"type": "string", "description": f"{about} Written 'latitude,longitude'."})]
    north, east = rng.choice(COORDINATES)
    if drawn.coordinates == "object":
        both = {
            north: {**number, "description": "Latitude in degrees."},
            east: {**number, "description": "Longitude in degrees."},
        }
        return [
            (
                name,
                {
                    "type": "object",
                    "description": about,
                    "properties": both,
                    "required": [north, east],
                },
            )
        ]
    return [
        (f"{name}_{part}", {**number, "description": f"{word} of this: {about}"})
        for part, word in ((north, "Latitude"), (east, "Longitude"))
    ]


def _shared(within: str, params: dict[str, Param]) -> bool:
    return sum(param.within == within for param in params.values()) > 1


def _nested(
    properties: dict[str, Any], required: list[str], outer: str, within: str
) -> tuple[dict[str, Any], list[str]]:
    inner = properties.setdefault(
        outer,
        {
            "type": "object",
            "description": f"{within.replace('_', ' ').capitalize()}.",
            "properties": {},
            "required": [],
        },
    )
    return inner["properties"], inner["required"]


def _in_order(required: list[str], properties: dict[str, Any]) -> list[str]:
    return [name for name in properties if name in required]
