"""From any tool to its sense: recognised if the vocabulary made it, else inferred."""

from __future__ import annotations

from dataclasses import replace

from looptool.records import Tool
from looptool.teachers.offline.infer import core_phrase, infer, plain_asks
from looptool.teachers.offline.sense import Sense, recognise

_MOST = 4096
_SENSES: dict[int, tuple[Tool, Sense | None]] = {}


def understand(tool: Tool) -> Sense | None:
    """The sense of a tool; None if there is nothing sensible to say to it. Remembered."""
    known = _SENSES.get(id(tool))
    if known is not None and known[0] is tool:
        return known[1]
    sense = recognise(tool)
    if sense is not None:
        core = core_phrase(tool)
        if len(sense.required()) <= 4 and not core.startswith("run ") and " and " not in core:
            sense = replace(sense, plain_asks=tuple(plain_asks(tool, sense.slots)))
    sense = sense or infer(tool)
    if len(_SENSES) >= _MOST:
        _SENSES.clear()
    _SENSES[id(tool)] = (tool, sense)
    return sense
