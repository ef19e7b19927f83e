"""JSON values, read strictly, compared by what they mean (RFC 8259), and identified."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

MAX_DEPTH = 128
"""Deeper values are refused: the run's files could not be read back past about 190 levels."""


def read_json(text: str, start: int = 0) -> tuple[Any, int]:
    """The JSON value that begins at `text[start]`, and the index after it.

    Stricter than `json`: NaN and infinities, numbers beyond a double's range, a key given twice,
    lone surrogates and more than `MAX_DEPTH` levels are errors. Numbers written with a fraction
    or an exponent are doubles, others exact integers.

    Raises:
        ValueError: there is no such value; the message says why.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    source = text[start:end]
    if source.count("[") + source.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ValueError("nested too deeply")
    # Only an escape can smuggle in half of a surrogate pair; it cannot be stored as UTF-8.
    if "\\u" in source or not source.isascii():
        try:
            _write(value).encode()
        except UnicodeEncodeError:
            raise ValueError("lone surrogate in a string") from None
    return value, end


def values_equal(a: Any, b: Any) -> bool:
    """Whether two JSON values are the same value.

    Key order does not matter, array order does; `1` is `1.0`, `true` is not `1`, `"1"` is not
    `1`, integers compare exactly (with floats too), NaN equals nothing, itself included.
    """
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and a.keys() == b.keys()
            and all(values_equal(value, b[key]) for key, value in a.items())
        )
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(values_equal, a, b))
    # bool is a subclass of int in Python, and True == 1.
    return (a is True) is (b is True) and (a is False) is (b is False) and bool(a == b)


def json_type(value: Any) -> str:
    """The JSON type of a value: null, boolean, number, string, array or object."""
    return _TYPES.get(type(value), "object")


def shorten(value: Any, limit: int = 60) -> str:
    """The value as JSON on one line, cut off at `limit` characters, for messages."""
    if isinstance(value, int) and value.bit_length() > 4 * limit:
        return "a very large integer"  # Python refuses to write more than 4300 digits
    try:
        text = _write(value)
    except (ValueError, RecursionError, TypeError):
        return f"<{json_type(value)}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return depth


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is given twice")
    return value


def _double(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("number out of range")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_double, parse_constant=_no_constant
)
_write = json.JSONEncoder(ensure_ascii=False).encode
_TYPES = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
}


def content_hash(value: Any) -> str:
    """16 hex digits of the SHA-256 of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
