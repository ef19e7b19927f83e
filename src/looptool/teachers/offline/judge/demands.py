"""What a schema asks of a value beyond its type: read from keywords, and from the description."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from looptool.records import Tool
from looptool.seed.plain_schema import referred
from looptool.teachers.offline.judge.quantities import SECONDS, time_unit
from looptool.teachers.offline.judge.words import name_tokens, tokens

Path = tuple[str, ...]
_DEEPEST = 8

_PATTERN = re.compile(r"\b(?:[YMD]{2,4})(?:[-/. ]?(?:[YMD]{2,4})){2}\b")
_CLOCK = re.compile(r"\bh{1,2}:mm(:ss)?", re.I)
_HALVES = re.compile(r"\b(?:am/pm|12[- ]hour)", re.I)
_CODE = re.compile(r"\bcodes?\b|\bISO[ -]?\d", re.I)
_FRACTION = re.compile(
    r"\bfraction\b|\bas a decimal\b(?! number)|"
    r"\b(?:between )?0(?:\.0)? ?(?:and|to|-|–) ?1(?:\.0)?\b(?!\d)",
    re.I,
)
_QUOTED = re.compile(r"['\"‘“`]([^'\"’”`]{1,60})['\"’”`]")
_CLOSED = re.compile(
    r"\b(one of|allowed|either|possible|valid|supported|accepted|choices?|options?)\b", re.I
)
_DEFAULT = re.compile(
    r"\bdefaults? (?:to |is |value |= ?)?['\"`]?([\w.+-]+)|['\"`]?([\w.+-]+)['\"`]? by default",
    re.I,
)
_SHAPES = {"phone": r"\d", "telephone": r"\d", "mobile": r"\d", "email": "@", "url": r"\."}
_UNIT = re.compile(r"\bin (?:whole )?([a-z]+)\b|\bnumber of ([a-z]+)\b|\(([a-z]+)\)", re.I)


@dataclass(frozen=True, slots=True)
class Demand:
    """What is known of the value at one path of a tool's arguments.

    `closed` are the only values allowed (empty: any), `day` a date pattern such as "DD/MM/YYYY",
    `unit` the time unit that a number counts, `shape` what a text of its sort cannot be without (a
    regular expression), `default` what the tool takes where nothing is given, `filled` whether the
    schema says so and not only the description, `words` those of the parameter's own name, `fields`
    what an object in a list holds, by path from there.
    """

    path: Path = ()
    kind: str = ""
    about: str = ""
    required: bool = False
    closed: tuple[Any, ...] = ()
    day: str = ""
    seconds: bool | None = None
    halves: bool = False
    code: bool = False
    fraction: bool = False
    shape: str = ""
    unit: str | None = None
    default: Any = None
    filled: bool = False
    words: tuple[str, ...] = ()
    items: Demand | None = None
    fields: tuple[Demand, ...] = ()
    known: bool = False

    def field(self, path: Path) -> Demand:
        """Of the objects in a list: the demand of a value in one of them."""
        known = next((each for each in self.fields if each.path == path), None)
        return known or Demand(path=path, words=tuple(name_tokens(path[-1])))

    def within(self) -> Iterator[Demand]:
        """This one, and those of what the objects of a list hold."""
        yield self
        for inner in self.items.fields if self.items else ():
            yield from inner.within()

    @property
    def is_telling(self) -> bool:
        """Whether the schema says more of the value than its type and what it is about."""
        return bool(self.closed or self.day or self.shape or self.code) or self.seconds is not None


@dataclass(frozen=True, slots=True)
class Demands:
    """The demands of a tool, by path; `ANY` where the schema says nothing."""

    by_path: dict[Path, Demand] = field(default_factory=dict)

    def at(self, path: Path) -> Demand:
        return self.by_path.get(path) or Demand(path=path, words=tuple(name_tokens(path[-1])))


def demands_of(tool: Tool) -> Demands:
    """Every leaf of the tool's parameters."""
    return Demands({demand.path: demand for demand in _leaves(tool.parameters, (), tool, ())})


def _leaves(
    schema: Mapping[str, Any], path: Path, tool: Tool, around: tuple[int, ...]
) -> Iterator[Demand]:
    """`around` are the objects that this one stands in, by their properties: one in itself is a
    leaf of which nothing is known.
    """
    properties = schema.get("properties")
    if not isinstance(properties, dict) or len(around) > _DEEPEST:
        return
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    around = (*around, id(properties))
    for name, raw in properties.items():
        inner = _plain(raw, tool)
        here = (*path, name)
        held = inner.get("properties")
        if isinstance(held, dict) and id(held) not in around:
            yield from _leaves(inner, here, tool, around)
        else:
            yield _demand(inner, here, name in needed, tool, around)


def _plain(raw: Any, tool: Tool) -> dict[str, Any]:
    """The schema, references, a sole branch beside null and a nullable type spelled out."""
    schema = dict(referred(raw, tool.parameters))
    for keyword in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(keyword)
        if isinstance(branches, list):
            kept = [b for b in branches if isinstance(b, dict) and b.get("type") != "null"]
            if len(kept) == 1:
                branch = referred(kept[0], tool.parameters)
                schema = {**branch, **{k: v for k, v in schema.items() if k != keyword}}
    kind = schema.get("type")
    if isinstance(kind, list):
        schema["type"] = next((k for k in kind if k != "null"), "")
    return schema


def _demand(
    schema: dict[str, Any], path: Path, required: bool, tool: Tool, around: tuple[int, ...]
) -> Demand:
    about = schema.get("description")
    about = about if isinstance(about, str) else ""
    kind = schema.get("type")
    kind = kind if isinstance(kind, str) else ""
    form = schema.get("format")
    pattern = _PATTERN.search(about)
    clock = _CLOCK.search(about)
    items = schema.get("items")
    words = tuple(name_tokens(path[-1]))
    demand = Demand(
        path=path,
        kind=kind,
        about=about,
        required=required,
        closed=_closed(schema, about),
        day=pattern.group() if pattern else ("YYYY-MM-DD" if form == "date" else ""),
        seconds=bool(clock.group(1)) if clock else None,
        halves=bool(_HALVES.search(about)),
        code=bool(_CODE.search(about)) and kind in ("string", "array", ""),
        shape=next((shape for word in reversed(words) if (shape := _SHAPES.get(word))), ""),
        fraction=bool(_FRACTION.search(about)) or schema.get("maximum") in (1, 1.0),
        unit=_unit(words, about) if kind in ("integer", "number", "string", "") else None,
        default=_default(schema, about),
        filled="default" in schema,
        words=words,
        known=True,
    )
    if kind == "array":
        inner = _plain(items, tool)
        held = inner.get("properties")
        if not isinstance(held, dict):
            if len(around) > _DEEPEST:  # a list of lists of …
                return replace(demand, closed=())
            around = (*around, id(items))
            inner = {**inner, "description": f"{about} {inner.get('description', '')}".strip()}
            return replace(demand, items=_demand(inner, path, required, tool, around), closed=())
        if id(held) not in around:
            fields = tuple(_leaves(inner, (), tool, around))
            item = Demand(path=path, kind="object", words=words, fields=fields, known=True)
            return replace(demand, items=item, closed=())
    return demand


def _closed(schema: dict[str, Any], about: str) -> tuple[Any, ...]:
    allowed = schema.get("enum")
    if isinstance(allowed, list):
        return tuple(allowed)
    if "const" in schema:
        return (schema["const"],)
    for sentence in re.split(r"(?<=[.;])\s", about):
        quoted = _QUOTED.findall(sentence)
        if len(quoted) >= 2 and _CLOSED.search(sentence):
            return tuple(quoted)
    return ()


def _unit(words: tuple[str, ...], about: str) -> str | None:
    for word in reversed(words):
        unit = time_unit(word)
        if unit and len(word) > 2 and word not in SECONDS:
            return unit  # a singular is a part of a date: year, day
    for found in _UNIT.findall(about):
        unit = next((u for word in found if len(word) > 2 and (u := time_unit(word))), None)
        if unit:
            return unit
    units = {u for word in tokens(about) if len(word) > 2 and (u := time_unit(word))}
    return units.pop() if len(units) == 1 else None


def _default(schema: dict[str, Any], about: str) -> Any:
    if "default" in schema:
        return schema["default"]
    found = _DEFAULT.search(about)
    if not found:
        return None
    text = (found.group(1) or found.group(2)).strip(".")
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
