"""Whether the offline teacher can write calls of a tool at all, and if not, why."""

from __future__ import annotations

from looptool.records import Tool
from looptool.seed.dice import dice
from looptool.teachers.offline.infer_slots import Unspeakable, infer_slots
from looptool.teachers.offline.understand import understand
from looptool.teachers.offline.values import draw_values
from looptool.toolmatch import validate_call

_DRAWS = 8
"""Calls that are tried, with and without what is optional."""


def why_unusable(tool: Tool) -> str | None:
    """Why no request for this tool can be written, in a few words; None if one can."""
    sense = understand(tool)
    if sense is None:
        try:
            infer_slots(tool)
        except Unspeakable as reason:
            return str(reason)
    assert sense is not None, "what has slots has a sense"
    detail = ""
    for n in range(_DRAWS):
        names = sense.slots if n % 2 else sorted(sense.required(), key=list(sense.slots).index)
        values = draw_values(sense.slots, names, dice("usable", tool.name, n))
        found = validate_call(sense.call(values), tool)
        if found.matched:
            return None
        detail = found.detail
    return f"no value was found that its schema allows: {detail}"
