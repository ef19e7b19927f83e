"""ToolMatch: whether a prediction is the labelled move. Reward, probe and evaluation call it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from looptool.jsonvalue import json_type, shorten, values_equal
from looptool.records import Label, Match, Mismatch, ParsedOutput, Tool, ToolCall
from looptool.toolcheck import SEVERITY, check_tool, check_tools, validate_call
from looptool.toolshape import ANY, NO_DEFAULT, Shape, tool_facts

__all__ = ["check_tool", "check_tools", "match", "same_move", "validate_call", "values_equal"]

_MATCHED = Match(matched=True)
_SCALARS = frozenset({str, int, float, bool, type(None)})


def match(prediction: ParsedOutput, label: Label, tools: Sequence[Tool]) -> Match:
    """Whether the prediction makes exactly the label's calls, and if not, why. Never raises.

    Calls match as a multiset; names exactly; arguments by JSON value (`values_equal`) with two
    liberties that only the schema grants: an optional argument given its `default` equals leaving
    it out, at any depth, and strings may differ in spelling where `format` is `uuid` or
    `date-time` or the schema says `"x-match": "casefold"`. A defect, an unknown tool or an
    argument that the tool does not declare never matches. A label without calls matches every
    sound output that does not begin a call; text beside calls is allowed.

    Of several differences the nearest miss is reported, its argument by path.
    """
    if prediction.defect is not Mismatch.NONE:
        return Match(matched=False, reason=prediction.defect, detail=prediction.detail)
    if not label.calls:
        if not prediction.begins_call and not prediction.calls:
            return _MATCHED
        names = ", ".join(call.name for call in prediction.calls)
        return _mismatch(Mismatch.UNEXPECTED_CALL, f"called {names}" if names else "")
    if not prediction.calls:
        return _mismatch(Mismatch.MISSING_CALL, f"expected {label.calls[0].name}")
    try:
        return _match_calls(prediction.calls, label.calls, tools)
    except RecursionError:
        return _mismatch(Mismatch.WRONG_VALUE, "nested too deeply to compare")


def same_move(label: Label, truth: Label, tools: Sequence[Tool]) -> bool:
    """Whether `match` takes one label for the other. Never raises."""
    said = ParsedOutput(calls=label.calls, content=label.content, begins_call=bool(label.calls))
    return match(said, truth, tools).matched


def _match_calls(
    got: tuple[ToolCall, ...], want: tuple[ToolCall, ...], tools: Sequence[Tool]
) -> Match:
    shapes: dict[str, Shape] = {}
    for call in got:
        if call.name not in shapes:
            tool = next((tool for tool in tools if tool.name == call.name), None)
            if tool is None:
                return _mismatch(Mismatch.UNKNOWN_TOOL, f"there is no tool {call.name}")
            shapes[call.name] = tool_facts(tool).arguments
    if len(got) != len(want):
        detail = f"{len(got)} calls, expected {len(want)}"
        return _mismatch(Mismatch.WRONG_NUMBER_OF_CALLS, detail)
    # Being the same call is an equivalence, so taking the first equal one is never wrong.
    left = dict(enumerate(want))
    misses: list[tuple[ToolCall, dict[int, Iterator[_Difference]]]] = []
    for call in got:
        found: dict[int, Iterator[_Difference]] = {}
        for index, other in left.items():
            if call.name != other.name:
                continue
            differences = _differences(call.arguments, other.arguments, shapes[call.name])
            first = next(differences, None)
            if first is None:
                del left[index]
                break
            # The rest is looked for only if this pair is still there to be reported.
            found[index] = chain([first], differences)
        else:
            misses.append((call, found))
    if not misses:
        return _MATCHED
    near = [(call.name, list(found[i])) for call, found in misses for i in found if i in left]
    if near:
        return _nearest_miss(near)
    detail = f"called {misses[0][0].name}, expected {next(iter(left.values())).name}"
    return _mismatch(Mismatch.WRONG_TOOL, detail)


def _nearest_miss(misses: list[tuple[str, list[_Difference]]]) -> Match:
    """The worst difference of the two unmatched calls of one tool that differ least."""
    name, differences = min(misses, key=lambda miss: len(miss[1]))
    worst = min(differences, key=lambda difference: SEVERITY[difference.reason])
    return _mismatch(worst.reason, f"{name}{worst.path}: {worst.detail()}")


def _mismatch(reason: Mismatch, detail: str) -> Match:
    return Match(matched=False, reason=reason, detail=detail)


class _Difference(NamedTuple):
    """One difference; the values are kept and put into words only if it is the one reported."""

    reason: Mismatch
    path: str
    got: Any = None
    want: Any = None

    def detail(self) -> str:
        match self.reason:
            case Mismatch.UNKNOWN_ARGUMENT:
                return "the schema has no such argument"
            case Mismatch.EXTRA_ARGUMENT:
                return f"{shorten(self.got)}, expected none"
            case Mismatch.MISSING_ARGUMENT:
                return f"missing, expected {shorten(self.want)}"
        if isinstance(self.got, list) and isinstance(self.want, list):
            return f"{len(self.got)} items, expected {len(self.want)}"
        return f"{shorten(self.got)}, expected {shorten(self.want)}"


def _same(got: Any, want: Any, shape: Shape) -> bool:
    return next(_differences(got, want, shape), None) is None


def _differences(got: Any, want: Any, shape: Shape) -> Iterator[_Difference]:
    """Every way in which two values differ as arguments of this shape; none if they do not."""
    if isinstance(got, dict) and isinstance(want, dict):
        yield from _object_differences(got, want, shape)
    elif isinstance(got, list) and isinstance(want, list):
        yield from _array_differences(got, want, shape)
    elif not _same_scalar(got, want, shape):
        yield _Difference(_kind(got, want), "", got, want)


def _kind(got: Any, want: Any) -> Mismatch:
    same_type = json_type(got) == json_type(want)
    return Mismatch.WRONG_VALUE if same_type else Mismatch.WRONG_TYPE


def _object_differences(
    got: dict[str, Any], want: dict[str, Any], shape: Shape
) -> Iterator[_Difference]:
    properties = shape.properties
    for key, value in got.items():
        if shape.closed and key not in properties:
            yield _Difference(Mismatch.UNKNOWN_ARGUMENT, f".{key}", value)
        elif key in want:
            other = want[key]
            # Most arguments are equal scalars: said here, a generator is saved for each.
            if type(value) is type(other) and type(value) in _SCALARS and value == other:
                continue
            child = shape.child(key)
            if isinstance(value, dict | list):
                for inner in _differences(value, other, child):
                    yield inner._replace(path=f".{key}{inner.path}")
            elif not _same_scalar(value, other, child):
                yield _Difference(_kind(value, other), f".{key}", value, other)
        elif not _is_default(value, key, shape):
            yield _Difference(Mismatch.EXTRA_ARGUMENT, f".{key}", value)
    if got.keys() != want.keys():
        for key, value in want.items():
            if key not in got and not _is_default(value, key, shape):
                yield _Difference(Mismatch.MISSING_ARGUMENT, f".{key}", None, value)


def _is_default(value: Any, key: str, shape: Shape) -> bool:
    default = shape.optional_default(key)
    return default is not NO_DEFAULT and _same(value, default, shape.child(key))


def _array_differences(got: list[Any], want: list[Any], shape: Shape) -> Iterator[_Difference]:
    if len(got) != len(want):
        yield _Difference(Mismatch.WRONG_VALUE, "", got, want)
        return
    for index, (value, other) in enumerate(zip(got, want, strict=True)):
        for inner in _differences(value, other, shape.items or ANY):
            yield inner._replace(path=f"[{index}]{inner.path}")


def _same_scalar(got: Any, want: Any, shape: Shape) -> bool:
    if values_equal(got, want):
        return True
    if shape.spelling is None or not (isinstance(got, str) and isinstance(want, str)):
        return False
    return shape.spelling(got) == shape.spelling(want)
