"""The little world behind the tools: the same call has the same answer, and what an answer said of
a thing stays true of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from looptool.conversation import result_value
from looptool.jsonvalue import content_hash
from looptool.records import Message, ToolCall
from looptool.seed.dice import dice
from looptool.seed.kinds import draw
from looptool.seed.vocabulary import Param
from looptool.teachers.offline.sense import Sense

SEARCHES = ("search", "find", "list", "browse", "lookup", "look", "query", "discover", "suggest")
_ASKING = (
    "get",
    "check",
    "calculate",
    "compute",
    "track",
    "compare",
    "convert",
    "estimate",
    "show",
    "read",
    "view",
    "fetch",
    "analyze",
    "predict",
    "count",
    "measure",
    "solve",
    "evaluate",
)
_RANGES = {"integer": (1, 90), "number": (1, 90), "money": (15, 900), "duration": (5, 120)}
_BY_FIELD = {
    "rating": (1, 5),
    "stars": (1, 5),
    "age": (18, 64),
    "year": (1990, 2025),
    "gpa": (1, 4),
    "temperature": (2, 34),
    "days": (1, 14),
    "hours": (1, 12),
    "rank": (1, 20),
}


def is_search(sense: Sense) -> bool:
    """Whether the tool answers with a list of things to choose from."""
    verb = sense.operation.name.split("_")[0]
    return verb in SEARCHES and any(kind == "id" for kind in sense.operation.returns.values())


def asks_only(sense: Sense) -> bool:
    """Whether the tool tells something rather than does something."""
    return sense.operation.name.split("_")[0] in (*SEARCHES, *_ASKING)


def respond(sense: Sense, call: ToolCall, seed: int, before: Iterable[Message] = ()) -> str:
    """The tool's result as JSON text."""
    rng = dice("world", seed, call.name, content_hash(call.arguments))
    known = _known(before)
    given = _given(sense, call.arguments)
    if not is_search(sense):
        return json.dumps(_thing(sense, given, known, rng), ensure_ascii=False)
    things = [_thing(sense, {}, known, rng) for _ in range(rng.choice((2, 2, 3)))]
    return json.dumps({"results": things}, ensure_ascii=False)


def things_in(result: str) -> list[dict[str, Any]]:
    """The objects that a result speaks of; none in an error."""
    value = result_value(result)
    if not isinstance(value, dict) or "error" in value:
        return []
    things = value.get("results", [value])
    return [thing for thing in things if isinstance(thing, dict)]


def _thing(
    sense: Sense, given: Mapping[str, Any], known: Mapping[str, dict[str, Any]], rng: Random
) -> dict[str, Any]:
    thing: dict[str, Any] = {}
    returns: Mapping[str, str | list[str]] = sense.operation.returns or {"status": ["success"]}
    facts: dict[str, Any] = {}
    for value in given.values():
        facts |= known.get(str(value), {})
    for field, kind in returns.items():
        drawn = _draw(field, kind, rng)
        thing[field] = given.get(field, facts.get(field, drawn))
    return thing


def _draw(field: str, kind: str | list[str], rng: Random) -> Any:
    if isinstance(kind, list):
        return rng.choice(kind)
    low, high = _RANGES.get(kind, (None, None))
    if kind in ("integer", "number"):
        low, high = next((r for n, r in _BY_FIELD.items() if n in field.split("_")), (low, high))
    noun = field.removesuffix("_id").replace("_", " ")
    param = Param.model_construct(
        kind=kind,
        min=low,
        max=high,
        noun=noun,
        unit="minutes" if kind == "duration" else None,
        step=None,
        default=None,
        no=("no",),
        yes=("yes",),
        values={"ok": ("ok",)},
    )
    value = draw(param, rng) if kind != "list" else ["first", "second"]
    return list(value) if isinstance(value, tuple) else value


def _given(sense: Sense, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of the call by slot."""
    given: dict[str, Any] = {}
    for slot in sense.slots.values():
        value: Any = arguments
        for key in slot.places[0].path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict | list):
            given[slot.name] = value
    return given


def _known(before: Iterable[Message]) -> dict[str, dict[str, Any]]:
    """What earlier results said, by the id of what they said it of."""
    known: dict[str, dict[str, Any]] = {}
    for message in before:
        if message.role == "tool":
            for thing in things_in(message.content):
                for field, value in thing.items():
                    if field.endswith("_id"):
                        known.setdefault(str(value), {}).update(thing)
    return known
