"""A candidate move, read: its calls, their leaves, and what each of them stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looptool.jsonvalue import values_equal
from looptool.records import Label, Match, Mismatch, Tool, ToolCall
from looptool.teachers.offline.judge.demands import Demands, Path, demands_of
from looptool.teachers.offline.judge.evidence import Evidence
from looptool.teachers.offline.judge.grounding import Grounds, Support, code_names, ground
from looptool.teachers.offline.judge.moments import days, month_number, same_day
from looptool.teachers.offline.judge.words import holds, normal
from looptool.toolmatch import validate_call

_MAX_DEPTH = 12
_ARTICLE = re.compile(r"^(the|a|an) (?=.)")
_AS_BEFORE = Grounds(Support.DERIVED, "it is as in the call before")


@dataclass(frozen=True)
class Leaf:
    """One argument that is no object, with its grounds."""

    path: Path
    value: Any
    grounds: Grounds

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Read:
    """One call, with its validity and its leaves."""

    call: ToolCall
    tool: Tool | None
    demands: Demands
    valid: Match
    leaves: dict[Path, Leaf]

    def worst(self) -> Leaf | None:
        """The leaf that the conversation speaks against, if any."""
        found = [leaf for leaf in self.leaves.values() if leaf.grounds.support is Support.AGAINST]
        return found[0] if found else None


def read_move(move: Label, tools: Sequence[Tool], evidence: Evidence) -> list[Read]:
    """The calls of a move."""
    by_name = {tool.name: tool for tool in tools}
    return [_read(call, by_name.get(call.name), evidence) for call in move.calls]


def values_of(calls: Sequence[Read]) -> list[Any]:
    """All values of the calls, the items of lists one by one."""
    return [value for call in calls for leaf in call.leaves.values() for value in atoms(leaf.value)]


def atoms(value: Any) -> list[Any]:
    """The items of a list; any other value alone."""
    return list(value) if isinstance(value, list) else [value]


def alike(one: Any, other: Any) -> bool:
    """Whether two values mean the same: by value, by words, by date."""
    if values_equal(one, other):
        return True
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one).lower() == str(other).lower()
    a, b = (_ARTICLE.sub("", normal(str(value))) for value in (one, other))
    if a and a == b:
        return True
    first, second = days(str(one)), days(str(other))
    return bool(first) and any(same_day(x, y) for x in first for y in second) and a[10:] == b[10:]


def spoken_for(value: Any, others: Sequence[Any]) -> bool:
    """Whether the value, or each of its items, is among the others, or a part of one of them."""
    return all(any(_covers(other, each) for other in others) for each in atoms(value))


def _covers(other: Any, value: Any) -> bool:
    if alike(other, value):
        return True
    if isinstance(value, bool) or isinstance(other, bool):
        return False
    said, whole = normal(str(value)), normal(str(other))
    if holds(whole, said) or (isinstance(other, str) and said in code_names(other)):
        return True
    return isinstance(other, int) and month_number(str(value)) == other


def _read(call: ToolCall, tool: Tool | None, evidence: Evidence) -> Read:
    if tool is None:
        unknown = Match(
            matched=False, reason=Mismatch.UNKNOWN_TOOL, detail=f"there is no tool {call.name}"
        )
        return Read(call, None, Demands(), unknown, {})
    demands = demands_of(tool)
    leaves = {
        path: Leaf(path, value, ground(value, demands.at(path), evidence))
        for path, value in _flat(call.arguments, demands, ())
    }
    for earlier in evidence.before:
        if earlier.name == call.name:
            for path, value in _flat(earlier.arguments, demands, ()):
                leaf = leaves.get(path)
                if (
                    leaf
                    and leaf.grounds.support < Support.DERIVED
                    and values_equal(leaf.value, value)
                ):
                    leaves[path] = Leaf(path, value, _AS_BEFORE)
    return Read(call, tool, demands, validate_call(call, tool), leaves)


def _flat(arguments: Mapping[str, Any], demands: Demands, path: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in arguments.items():
        here = (*path, key)
        if isinstance(value, dict) and len(here) < _MAX_DEPTH and here not in demands.by_path:
            yield from _flat(value, demands, here)
        else:
            yield here, value
