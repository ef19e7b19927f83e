"""What ToolMatch needs to know of a tool's JSON Schema, worked out once a tool."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from looptool.records import Tool

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

Spelling = Callable[[str], str]
"""Maps all spellings of one value to one string."""

NO_DEFAULT = object()


@dataclass(slots=True, eq=False)
class Shape:
    """The part of a schema that says when two values are the same argument.

    `closed` objects take only the keys in `properties`: those that declare properties and do not
    allow others (`additionalProperties`, `patternProperties`). That is stricter than JSON Schema,
    where silence allows anything: an argument that a tool does not declare is a made-up one.
    """

    properties: dict[str, Shape] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    closed: bool = False
    others: Shape | None = None
    items: Shape | None = None
    default: Any = NO_DEFAULT
    spelling: Spelling | None = None

    def optional_default(self, key: str) -> Any:
        """The value that leaving out `key` stands for, or `NO_DEFAULT`."""
        child = self.properties.get(key)
        return NO_DEFAULT if child is None or key in self.required else child.default

    def child(self, key: str) -> Shape:
        """The shape of the value under `key`."""
        return self.properties.get(key) or self.others or ANY


ANY = Shape()
"""The shape of a value of which the schema says nothing."""


class ToolFacts:
    """What is worked out once for a tool: the shape of its arguments and a validator."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters
        try:
            self.arguments = _Reader(parameters).shape(parameters)
        except RecursionError:
            self.arguments = ANY

    @cached_property
    def validator(self) -> Validator:
        """A jsonschema validator of the arguments that no schema can make hang."""
        from looptool.toolcheck import safe_validator

        return safe_validator(self._parameters)


_known: dict[int, tuple[weakref.ref[Tool], ToolFacts]] = {}


def tool_facts(tool: Tool) -> ToolFacts:
    """The facts of a tool, cached for as long as that object lives. Tools are not mutated."""
    key = id(tool)
    entry = _known.get(key)
    if entry is not None and entry[0]() is tool:
        return entry[1]
    facts = ToolFacts(tool.parameters)
    _known[key] = (weakref.ref(tool, lambda _: _known.pop(key, None)), facts)
    return facts


class _Reader:
    """Reads shapes out of one schema; recursive `$ref`s become cycles of shapes."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._shapes: dict[int, Shape] = {}

    def shape(self, schema: Any) -> Shape:
        if not isinstance(schema, dict) or not schema:
            return ANY
        if id(schema) not in self._shapes:
            shape = self._shapes[id(schema)] = Shape()
            self._fill(shape, schema)
        return self._shapes[id(schema)]

    def _fill(self, shape: Shape, schema: dict[str, Any]) -> None:
        opened = False
        for part, certain in self._parts(schema):
            # Where the schema leaves alternatives, only the names of arguments are taken from
            # them: their values are compared exactly.
            for name, child in _mapping(part, "properties").items():
                shape.properties.setdefault(name, self.shape(child) if certain else ANY)
            opened |= _opens(part, certain)
            if not certain:
                continue
            if isinstance(part.get("required"), list):
                shape.required |= {name for name in part["required"] if isinstance(name, str)}
            shape.others = shape.others or self._child(part, "additionalProperties")
            shape.items = shape.items or self._child(part, "items")
            shape.spelling = shape.spelling or _spelling(part)
            if shape.default is NO_DEFAULT and "default" in part:
                shape.default = part["default"]
            shape.closed |= "properties" in part or part.get("additionalProperties") is False
        shape.closed = (shape.closed or bool(shape.properties)) and not opened

    def _child(self, part: dict[str, Any], key: str) -> Shape | None:
        return self.shape(part[key]) if isinstance(part.get(key), dict) else None

    def _parts(self, schema: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
        """The schemas that apply to the same value, and whether each surely does.

        A sole branch beside `null` surely does: `anyOf: [X, null]` is how an optional X is
        written by most generators.
        """
        todo: list[tuple[Any, bool]] = [(schema, True)]
        seen: set[int] = set()
        while todo:
            part, certain = todo.pop(0)
            if not isinstance(part, dict) or id(part) in seen:
                continue
            seen.add(id(part))
            yield part, certain
            if "$ref" in part:
                todo.append((pointed_at(self._root, part["$ref"]), certain))
            todo += [(branch, certain) for branch in _list(part, "allOf")]
            for keyword in ("anyOf", "oneOf"):
                branches = [b for b in _list(part, keyword) if b != {"type": "null"}]
                todo += [(branch, certain and len(branches) == 1) for branch in branches]
            todo += [(part.get(key), False) for key in ("then", "else")]


def pointed_at(root: Mapping[str, Any], ref: Any) -> Any:
    """The schema at a pointer into the same document; None for any other reference."""
    if not isinstance(ref, str) or not ref.startswith("#"):
        return None
    node: Any = root
    for step in unquote(ref[1:]).split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            index = int(step) if _INDEX.fullmatch(step) else len(node)
            node = node[index] if index < len(node) else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node


def _opens(part: dict[str, Any], certain: bool) -> bool:
    """Whether this part lets an object have keys that are not declared."""
    extra = part.get("additionalProperties")
    if extra is True or isinstance(extra, dict) or "patternProperties" in part:
        return True
    free_form = part.get("type") == "object" and "properties" not in part
    return free_form and not certain and extra is not False


def _mapping(part: dict[str, Any], key: str) -> dict[str, Any]:
    value = part.get(key)
    return value if isinstance(value, dict) else {}


def _list(part: dict[str, Any], key: str) -> list[Any]:
    value = part.get(key)
    return value if isinstance(value, list) else []


_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII
)


def _uuid(text: str) -> str:
    """RFC 9562: the hexadecimal digits are read without regard to case."""
    return text.lower() if _UUID.fullmatch(text) else text


def _date_time(text: str) -> str:
    """RFC 3339: `T` and `Z` in either case, `Z` is `+00:00`, trailing zeros say nothing.

    The same instant in another offset stays another value: the local time may matter.
    """
    found = _DATE_TIME.fullmatch(text)
    if not found:
        return text
    date, time, fraction, offset = found.groups()
    offset = "+00:00" if offset in "Zz" else offset
    return f"{date}T{time}.{(fraction or '').rstrip('0')}{offset}"


_FORMATS: dict[str, Spelling] = {"uuid": _uuid, "date-time": _date_time}


def _spelling(part: dict[str, Any]) -> Spelling | None:
    if part.get("x-match") == "casefold":
        return str.casefold
    name = part.get("format")
    return _FORMATS.get(name) if isinstance(name, str) else None
