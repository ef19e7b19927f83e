"""Whether a tool's schema is sound, and whether a call obeys it. No schema can make these hang."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from looptool.errors import UserError
from looptool.jsonvalue import shorten
from looptool.records import Match, Mismatch, Tool, ToolCall
from looptool.toolshape import Shape, tool_facts

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Errors = Iterator["ValidationError"]

MAX_REFERENCES = 10_000
"""References followed in one validation; more is a schema that multiplies itself."""
PATTERN_SECONDS = 0.1
"""Time for one pattern on one string; what takes longer is no evidence against a call."""
MAX_PATTERN = 2_000
MAX_REPEATS = 20_000
"""Patterns that are longer, or repeat more, are not tried at all: compiling them would hang."""

SEVERITY = {reason: rank for rank, reason in enumerate(Mismatch)}
"""Of several reasons, the one of the lowest rank is told."""

_REPEAT = re.compile(r"\{(\d*),?(\d*)\}")
_FORMATS = ("date", "email", "ipv4", "ipv6", "uuid")
_REASONS = {
    "required": Mismatch.MISSING_ARGUMENT,
    "dependentRequired": Mismatch.MISSING_ARGUMENT,
    "additionalProperties": Mismatch.UNKNOWN_ARGUMENT,
    "type": Mismatch.WRONG_TYPE,
}
_TYPES = {
    "dict": "object",
    "map": "object",
    "float": "number",
    "double": "number",
    "int": "integer",
    "long": "integer",
    "str": "string",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "none": "null",
}


def validate_call(call: ToolCall, tool: Tool) -> Match:
    """Whether a call obeys its tool's schema: `matched` if it does, else why not. Never raises.

    Unknown arguments count as in ToolMatch (`Shape.closed`). The formats date, email, ipv4, ipv6
    and uuid are checked. A pattern that takes too long is not held against the call; a schema
    that cannot be applied (`check_tool` says why) accepts no call: BAD_CALL.
    """
    if call.name != tool.name:
        return Match(
            matched=False, reason=Mismatch.UNKNOWN_TOOL, detail=f"{call.name} is not {tool.name}"
        )
    try:
        json.dumps(call.arguments, allow_nan=False)
    except (ValueError, RecursionError):
        detail = f"{call.name}: the arguments are no JSON"
        return Match(matched=False, reason=Mismatch.WRONG_VALUE, detail=detail)
    facts = tool_facts(tool)
    unknown = next(_unknown(call.arguments, facts.arguments, call.name), None)
    if unknown:
        detail = f"{unknown}: the schema has no such argument"
        return Match(matched=False, reason=Mismatch.UNKNOWN_ARGUMENT, detail=detail)
    _references.set([0])
    try:
        problems = [_problem(error) for error in facts.validator.iter_errors(call.arguments)]
    except Exception as error:
        # What is no schema can fail in any way inside jsonschema; only `check_tool` can tell.
        detail = f"the schema of {tool.name} cannot be applied ({type(error).__name__})"
        return Match(matched=False, reason=Mismatch.BAD_CALL, detail=detail)
    if not problems:
        return Match(matched=True)
    reason, where, what = min(problems, key=lambda problem: SEVERITY[problem[0]])
    return Match(matched=False, reason=reason, detail=f"{call.name}{where}: {what}")


def check_tool(tool: Tool) -> None:
    """Raises `UserError` unless the tool's `parameters` are a JSON Schema of an object.

    References must lead somewhere within the schema. The one-line message names the tool, the
    place and the mend.
    """
    from jsonschema import FormatChecker
    from jsonschema.exceptions import SchemaError, best_match

    parameters = tool.parameters
    if parameters.get("type", "object") != "object":
        raise _unsound(tool, "type", 'arguments are always an object; write "type": "object"')
    draft = _draft(parameters)
    try:
        # Patterns are ECMA 262 regular expressions: Python's `re` is not the one to judge them.
        metaschema = draft(draft.META_SCHEMA, format_checker=FormatChecker(formats=()))
        error = best_match(metaschema.iter_errors(parameters))
        broken = None if error else next(_broken_references(parameters), None)
    except RecursionError:
        raise _unsound(tool, "", "is nested too deeply; flatten it") from None
    except (SchemaError, ValueError, TypeError, AttributeError, LookupError) as failure:
        raise _unsound(tool, "", f"is no JSON Schema ({failure})") from None
    if error:
        raise _unsound(tool, _path(error)[1:], _mend(error))
    if broken:
        mend = f"{shorten(broken)} leads nowhere; put that schema under $defs of the parameters"
        raise _unsound(tool, "$ref", mend)


def check_tools(tools: Sequence[Tool]) -> None:
    """Raises `UserError` for the first unsound tool, or the first name that is given twice."""
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            raise UserError(f"two tools are named {tool.name!r}: rename one of them")
        seen.add(tool.name)
        check_tool(tool)


def safe_validator(schema: Mapping[str, Any]) -> Validator:
    """A validator that fetches nothing and bounds the cost of patterns and references."""
    from jsonschema import FormatChecker
    from referencing.jsonschema import EMPTY_REGISTRY

    validator: Validator = _bounded(_draft(schema))(
        schema, registry=EMPTY_REGISTRY, format_checker=FormatChecker(_FORMATS)
    )
    return validator


def _unsound(tool: Tool, place: str, mend: str) -> UserError:
    where = f"parameters.{place}" if place else "parameters"
    message = " ".join(f"tool {tool.name!r}: {where}: {mend}".split())
    return UserError(message if len(message) <= 400 else message[:399] + "…")


def _mend(error: ValidationError) -> str:
    name = error.instance
    if isinstance(name, str) and error.absolute_path and error.absolute_path[-1] == "type":
        better = _TYPES.get(name.lower())
        if name.lower() == "any":
            return '"any" is no JSON Schema type; leave "type" out'
        return f'{shorten(name)} is no JSON Schema type; write "{better or "string"}"'
    return f"{error.message[:200]}; write it as JSON Schema 2020-12 has it"


def _draft(schema: Mapping[str, Any]) -> Any:
    """The jsonschema class for the draft that the schema names, 2020-12 by default."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    named = isinstance(schema.get("$schema"), str)
    return validator_for(schema, default=Draft202012Validator) if named else Draft202012Validator


def _broken_references(schema: Mapping[str, Any]) -> Iterator[str]:
    from referencing import Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

    root = Resource.from_contents(schema, default_specification=DRAFT202012)
    todo = [(root, EMPTY_REGISTRY.resolver_with_root(root))]
    while todo:
        resource, resolver = todo.pop()
        contents = resource.contents
        for keyword in ("$ref", "$dynamicRef"):
            if isinstance(contents, dict) and isinstance(contents.get(keyword), str):
                try:
                    resolver.lookup(contents[keyword])
                except Unresolvable:
                    yield contents[keyword]
        todo += [(child, resolver.in_subresource(child)) for child in resource.subresources()]


def _problem(error: ValidationError) -> tuple[Mismatch, str, str]:
    while error.context:
        # An optional argument is often written as `anyOf: [X, null]`: what X says is the news.
        inner = [c for c in error.context if c.validator != "type" or c.relative_path]
        if not inner:
            return Mismatch.WRONG_TYPE, _path(error), _message(error)
        error = inner[0]
    reason = _REASONS.get(str(error.validator), Mismatch.WRONG_VALUE)
    return reason, _path(error), _message(error)


def _message(error: ValidationError) -> str:
    text = " ".join(error.message.split())
    return text if len(text) <= 200 else text[:199] + "…"


def _path(error: ValidationError) -> str:
    steps = error.absolute_path
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _unknown(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """The paths of the arguments that the schema does not declare."""
    if isinstance(value, dict):
        for key, child in value.items():
            if shape.closed and key not in shape.properties:
                yield f"{path}.{key}"
            else:
                yield from _unknown(child, shape.child(key), f"{path}.{key}")
    elif isinstance(value, list) and shape.items is not None:
        for index, child in enumerate(value):
            yield from _unknown(child, shape.items, f"{path}[{index}]")


_references: ContextVar[list[int]] = ContextVar("references")


@cache
def _bounded(draft: Any) -> Any:
    from jsonschema.validators import extend

    bounded: dict[str, Any] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        # Not asserted: jsonschema would try patterns on keys here, without a limit.
        "unevaluatedProperties": _nothing,
    }
    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        if keyword in draft.VALIDATORS:
            bounded[keyword] = _counted(draft.VALIDATORS[keyword])
    return extend(draft, bounded)  # type: ignore[no-untyped-call]


def _counted(follow: Any) -> Any:
    def keyword(validator: Any, ref: Any, instance: Any, schema: Any) -> Errors:
        count = _references.get()
        count[0] += 1
        if count[0] > MAX_REFERENCES:
            raise ValueError("too many references")
        yield from follow(validator, ref, instance, schema) or ()

    return keyword


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Errors:
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and _found(pattern, instance) is False:
        yield ValidationError(f"{shorten(instance)} does not match {shorten(pattern)}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Errors:
    if isinstance(instance, dict):
        for pattern, subschema in patterns.items():
            for key, value in instance.items():
                if _found(pattern, key):
                    yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _additional_properties(validator: Any, extra: Any, instance: Any, schema: Any) -> Errors:
    from jsonschema.exceptions import ValidationError

    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    for key, value in instance.items():
        # A pattern that cannot be tried (None) may have matched.
        if key in schema.get("properties", {}) or any(
            _found(p, key) is not False for p in patterns
        ):
            continue
        if isinstance(extra, dict):
            yield from validator.descend(value, extra, path=key)
        elif extra is False:
            yield ValidationError(f"the schema has no argument {shorten(key)}")


def _nothing(validator: Any, value: Any, instance: Any, schema: Any) -> Errors:
    return iter(())


def _found(pattern: Any, text: str) -> bool | None:
    """Whether the pattern is found in the text; None if that cannot be told in time."""
    import regex  # type: ignore[import-untyped]

    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        return None
    counts = (int(count) for pair in _REPEAT.findall(pattern) for count in pair if count)
    if math.prod(counts) > MAX_REPEATS:
        return None
    try:
        return regex.search(pattern, text, timeout=PATTERN_SECONDS) is not None
    except (regex.error, TimeoutError, OverflowError, RecursionError, MemoryError):
        return None
