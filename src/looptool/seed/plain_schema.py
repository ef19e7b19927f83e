"""A JSON Schema as far as it can be spoken of: references followed, alternatives settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looptool.toolshape import pointed_at


def plain(raw: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with local `$ref`s, a nullable type or the first of `anyOf` spelled out; the
    items of a list likewise.

    What is no object (`true`, `false`) says nothing: `{}`. A reference is followed once.
    """
    schema = _spelled_out(raw, root, set())
    if isinstance(schema.get("items"), dict):
        schema = {**schema, "items": _spelled_out(schema["items"], root, set())}
    return schema


def referred(raw: Any, root: Mapping[str, Any], followed: set[str] | None = None) -> dict[str, Any]:
    """The schema with what its `$ref`s point at, each followed once; its own keywords go first."""
    schema: dict[str, Any] = raw if isinstance(raw, dict) else {}
    seen = set() if followed is None else followed
    while isinstance(schema.get("$ref"), str):
        rest = {k: v for k, v in schema.items() if k != "$ref"}
        target = None if schema["$ref"] in seen else pointed_at(root, schema["$ref"])
        seen.add(schema["$ref"])
        schema = {**target, **rest} if isinstance(target, dict) else rest
    return schema


def _spelled_out(raw: Any, root: Mapping[str, Any], followed: set[str]) -> dict[str, Any]:
    schema = referred(raw, root, followed)
    for keyword in ("anyOf", "oneOf", "allOf"):
        options = schema.get(keyword)
        kept = [
            option
            for option in (options if isinstance(options, list) else ())
            if isinstance(option, dict) and option.get("type") != "null"
        ]
        if kept:
            rest = {k: v for k, v in schema.items() if k != keyword}
            schema = {**_spelled_out(kept[0], root, followed), **rest}
    kinds = schema.get("type")
    if isinstance(kinds, list):
        schema = {**schema, "type": next((kind for kind in kinds if kind != "null"), "string")}
    return schema
