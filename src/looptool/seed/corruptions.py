"""The single changes that make a right call wrong, as a careless labeller or model would."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from random import Random
from typing import Any

from looptool.jsonvalue import values_equal
from looptool.records import Message, Sample, Tool, ToolCall

Path = tuple[str | int, ...]
"""Keys of objects and, of objects in a list, their numbers."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INTEGER = re.compile(r"\d{1,300}")
_NAME = re.compile(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+)*")


def misread_value(sample: Sample, n: int, rng: Random) -> ToolCall | None:
    """One value changed, its type kept."""
    call, tool = _at(sample, n)
    found = list(_leaves(call.arguments, tool.parameters if tool else {}))
    for path, value, schema in rng.sample(found, len(found)):
        other = _other_value(value, schema, [v for p, v, _ in found if p != path], sample, rng)
        if other is not None and other != value:
            return _with(call, path, other)
    return None


def drop_argument(sample: Sample, n: int, rng: Random) -> ToolCall | None:
    """One argument left out, and not one that says what its default says."""
    call, tool = _at(sample, n)
    schemas = _properties(tool.parameters) if tool else {}
    missed = [
        name
        for name, value in call.arguments.items()
        if "default" not in (schema := schemas.get(name, {}))
        or not values_equal(schema["default"], value)
    ]
    if not missed:
        return None
    gone = rng.choice(missed)
    return ToolCall(
        name=call.name, arguments={k: v for k, v in call.arguments.items() if k != gone}
    )


def invent_argument(sample: Sample, n: int, rng: Random) -> ToolCall | None:
    """An optional argument that nobody asked for."""
    call, tool = _at(sample, n)
    if tool is None:
        return None
    free = [
        (name, schema)
        for name, schema in _properties(tool.parameters).items()
        if name not in call.arguments and schema.get("type") != "object"
    ]
    if not free:
        return None
    name, schema = rng.choice(free)
    value = made_up(schema, sample.context, rng)
    if value is None or value == schema.get("default"):
        return None
    return ToolCall(name=call.name, arguments={**call.arguments, name: value})


def another_tool(sample: Sample, n: int, rng: Random) -> ToolCall | None:
    """Another tool at hand, with the arguments that fit it."""
    call, _ = _at(sample, n)
    others = [tool for tool in sample.tools if tool.name != call.name]
    if not others:
        return None
    return _refit(call, rng.choice(others), sample.context, rng)


def mistake_type(sample: Sample, n: int, rng: Random) -> ToolCall | None:
    """A value of the wrong JSON type: "3" for 3, a list for a string."""
    call, _ = _at(sample, n)
    found = list(_leaves(call.arguments, {}))
    for path, value, _ in rng.sample(found, len(found)):
        wrong = _mistyped(value, rng)
        if wrong is not None:
            return _with(call, path, wrong)
    return None


def make_up_call(tool: Tool, context: tuple[Message, ...], rng: Random) -> ToolCall | None:
    """A call of the tool with whatever the context offers, invented where it offers nothing."""
    return _refit(ToolCall(name=tool.name), tool, context, rng)


def made_up(schema: Mapping[str, Any], context: tuple[Message, ...], rng: Random) -> Any:
    """A value of the schema's type: one of its enum, else something that was said, else a guess."""
    if schema.get("enum"):
        return rng.choice(
            [value for value in schema["enum"] if value != schema.get("default")] or schema["enum"]
        )
    said = context[-1].content if context else ""
    match schema.get("type", "string"):
        case "boolean":
            return not schema.get("default", False)
        case "integer" | "number":
            numbers = [int(x) for x in re.findall(r"(?<![\d.])\d{1,5}(?![\d.])", said)]
            return rng.choice(numbers or [1, 2, 5, 10, 20])
        case "array":
            items = schema.get("items", {})
            item = made_up(items, context, rng) if isinstance(items, dict) else None
            return None if item is None else [item]
        case "object":
            return {
                name: made_up(inner, context, rng)
                for name, inner in _properties(schema).items()
                if name in schema.get("required", ())
            }
    if "date" in str(schema.get("format", "")) or "YYYY-MM-DD" in str(schema.get("description")):
        return (date(2025, 1, 1) + timedelta(days=rng.randrange(360))).isoformat()
    names = _NAME.findall(said[1:])
    return rng.choice(names) if names else rng.choice(("default", "standard", "general"))


def _refit(
    call: ToolCall, tool: Tool, context: tuple[Message, ...], rng: Random
) -> ToolCall | None:
    arguments: dict[str, Any] = {}
    pool = dict(call.arguments)
    required = tool.parameters.get("required", ())
    for name, schema in _properties(tool.parameters).items():
        if name in pool and _fits(pool[name], schema):
            arguments[name] = pool[name]
        elif isinstance(required, list | tuple) and name in required:
            same = [value for value in pool.values() if _fits(value, schema)]
            value = rng.choice(same) if same else made_up(schema, context, rng)
            if value is None:
                return None
            arguments[name] = value
    return ToolCall(name=tool.name, arguments=arguments)


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "array": (list,),
        "object": (dict,),
        "boolean": (bool,),
    }
    kind = kinds.get(str(schema.get("type", "string")), (str,))
    return isinstance(value, kind) and (bool in kind or not isinstance(value, bool))


def _other_value(
    value: Any, schema: Mapping[str, Any], others: list[Any], sample: Sample, rng: Random
) -> Any:
    """A value that could have been meant instead."""
    allowed = schema.get("enum")
    if isinstance(allowed, list):
        return rng.choice([each for each in allowed if each != value] or [None])
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((value + 1, value - 1, value * 10, value + 10))
    if isinstance(value, float):
        return round(rng.choice((value * 10, value + 1, value / 10)), 6)
    if isinstance(value, str):
        return _other_text(value, [o for o in others if isinstance(o, str)], sample, rng)
    return value[:-1] if isinstance(value, list) and len(value) > 1 else None


def _other_text(value: str, others: list[str], sample: Sample, rng: Random) -> str | None:
    if _DATE.match(value) and (moved := _another_day(value, rng)):
        return moved
    ways = [_one_digit_off(value, rng)] if any(c.isdecimal() for c in value) else []
    ways += [o for o in others if o != value and not _DATE.match(o)]
    ways += [
        name
        for m in sample.context
        if m.role == "user"
        for name in _NAME.findall(m.content[1:])
        if name not in value and value not in name
    ][:3]
    if " " in value:
        ways += [value.rsplit(" ", 1)[0], value.split(" ", 1)[1]]
    if value.isalpha() and len(value) > 4:
        at = rng.randrange(1, len(value) - 1)
        ways.append(value[:at] + value[at + 1 :])
    return rng.choice(ways) if ways else None


def _another_day(value: str, rng: Random) -> str | None:
    """None if the value is no day of the calendar, or the other day is none."""
    try:
        moved = date.fromisoformat(value[:10]) + timedelta(days=rng.choice((-1, 1, 7, 30)))
    except (ValueError, OverflowError):
        return None
    return moved.isoformat() + value[10:]


def _one_digit_off(value: str, rng: Random) -> str:
    at = rng.choice([n for n, char in enumerate(value) if char.isdecimal()])
    return value[:at] + str((int(value[at]) + rng.randint(1, 8)) % 10) + value[at + 1 :]


def _mistyped(value: Any, rng: Random) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) and rng.random() < 0.7 else [value]
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return None


def _at(sample: Sample, n: int) -> tuple[ToolCall, Tool | None]:
    call = sample.label.calls[n]
    return call, next((tool for tool in sample.tools if tool.name == call.name), None)


def _properties(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        return {}
    return {name: inner for name, inner in properties.items() if isinstance(inner, dict)}


def _leaves(
    arguments: Mapping[str, Any], schema: Mapping[str, Any], path: Path = ()
) -> Iterator[tuple[Path, Any, Mapping[str, Any]]]:
    """Every value that is no object, with its path; a list, and what the objects in it hold."""
    properties = _properties(schema)
    for name, value in arguments.items():
        inner = properties.get(name, {})
        if isinstance(value, dict):
            yield from _leaves(value, inner, (*path, name))
            continue
        yield (*path, name), value, inner
        items = inner.get("items")
        for at, each in enumerate(value if isinstance(value, list) else ()):
            if isinstance(each, dict):
                within = items if isinstance(items, dict) else {}
                yield from _leaves(each, within, (*path, name, at))


def _with(call: ToolCall, path: Path, value: Any) -> ToolCall:
    def put(holder: Any, keys: Path) -> Any:
        first, *rest = keys
        inner = put(holder[first], tuple(rest)) if rest else value
        if isinstance(first, int):
            return [*holder[:first], inner, *holder[first + 1 :]]
        return {**holder, first: inner}

    return ToolCall(name=call.name, arguments=put(call.arguments, path))
