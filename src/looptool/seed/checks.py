"""Rules that every tool and every sample obeys; what breaks one is rejected and counted."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from looptool.records import Sample, Tool
from looptool.seed.constraint_tree import snake_case
from looptool.seed.evidence import read_context, supports
from looptool.toolmatch import validate_call

MAX_MESSAGE = 4000
_UNRESOLVED = re.compile(r"\{[A-Za-z_]\w*\}|\[[^\]\n]*\{|\{[^}\n]*\]")
_IDLE_WORDS = """
a an the of for to in on by and or with is are be its it get set given this that from at as one
all
"""
_IDLE = frozenset(_IDLE_WORDS.split())


class Fault(StrEnum):
    """Why a generated tool or sample was rejected by rule."""

    NO_TOOL = "no_tool"
    DUPLICATE_TOOL = "near_duplicate_tool"
    NO_DIALOGUE = "no_dialogue"
    NO_SCENARIO = "scenario_not_possible"
    UNKNOWN_TOOL = "unknown_tool"
    INVALID_CALL = "invalid_call"
    UNGROUNDED = "ungrounded_argument"
    UNRESOLVED = "unresolved_slot"
    EMPTY = "empty_text"
    TOO_LONG = "too_long"
    REPEATED_CALL = "repeated_call"
    DUPLICATE = "duplicate_sample"
    HELD_OUT = "repeats_a_held_out_request"


def fault_of(sample: Sample) -> Fault | None:
    """The first rule that the sample breaks, or None."""
    for message in sample.context:
        if message.role == "user" and not message.content.strip():
            return Fault.EMPTY
        if len(message.content) > MAX_MESSAGE:
            return Fault.TOO_LONG
        if message.role == "user" and _UNRESOLVED.search(message.content):
            return Fault.UNRESOLVED
    if not sample.label.calls:
        text = sample.label.content
        return Fault.EMPTY if not text.strip() else Fault.UNRESOLVED if "{" in text else None
    return _fault_of_calls(sample)


def _fault_of_calls(sample: Sample) -> Fault | None:
    tools = {tool.name: tool for tool in sample.tools}
    evidence = read_context(sample.context)
    for n, call in enumerate(sample.label.calls):
        tool = tools.get(call.name)
        if tool is None:
            return Fault.UNKNOWN_TOOL
        if not validate_call(call, tool).matched:
            return Fault.INVALID_CALL
        if not supports(evidence, call.arguments, tool.parameters):
            return Fault.UNGROUNDED
        if call in sample.label.calls[:n]:
            return Fault.REPEATED_CALL
    return None


def alike(one: Tool, other: Tool) -> bool:
    """Whether two tools could serve the same request, judged by name and description."""
    if snake_case(one.name) == snake_case(other.name):
        return True
    a, b = _terms(one.name, one.description), _terms(other.name, other.description)
    shared = len(a & b)
    return shared >= 3 and shared / len(a | b) > 0.5


def same_tool(one: Tool, other: Tool) -> bool:
    """Near-duplicates: alike in name, description and parameters."""
    if snake_case(one.name) != snake_case(other.name):
        return one.description == other.description and _parameters(one) == _parameters(other)
    return _overlap(_parameters(one), _parameters(other)) > 0.6


def _parameters(tool: Tool) -> frozenset[str]:
    properties = tool.parameters.get("properties", {})
    return frozenset(map(snake_case, properties)) if isinstance(properties, dict) else frozenset()


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))


@lru_cache(maxsize=8192)
def _terms(name: str, description: str) -> frozenset[str]:
    words = re.findall(r"[a-z]+", f"{snake_case(name).replace('_', ' ')} {description.lower()}")
    return frozenset(_stem(word) for word in words if word not in _IDLE)


def _stem(word: str) -> str:
    for ending in ("ings", "ing", "ies", "es", "ed", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 3:
            return word[: -len(ending)]
    return word
