"""What the assistant says when it does not call: questions back, refusals, plain answers."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from looptool.records import Label
from looptool.teachers.offline.manners import line, phrases
from looptool.teachers.offline.sense import Slot
from looptool.teachers.offline.world import things_in


def ask_back(slots: list[Slot], rng: Random) -> Label:
    """A question for one or two missing values."""
    if len(slots) > 1:
        text = line("missing", "ask_two", rng, label=slots[0].label, other=slots[1].label)
        return Label(content=text)
    slot = slots[0]
    if slot.param.kind == "id":
        return Label(content=line("missing", "ask_id", rng, noun=slot.param.noun or slot.label))
    if slot.parts:
        return Label(content=line("missing", "ask_list", rng, label=slot.label))
    unit = slot.param.unit or ""
    counted = slot.param.kind in ("integer", "duration")
    if counted and unit.isalpha() and len(unit) > 3 and unit.endswith("s"):
        return Label(content=line("missing", "ask_count", rng, unit=unit))
    return Label(content=line("missing", "ask_one", rng, label=slot.label))


def refuse(core: str | None, rng: Random) -> Label:
    """A short no; `core` is what was wanted, as an infinitive."""
    if core and rng.random() < 0.35:
        return Label(content=line("refuse", "named", rng, core=core))
    return Label(content=line("refuse", "plain", rng))


def tell_error(error: str, rng: Random) -> Label:
    """The error in the assistant's words."""
    stop = "" if error.endswith((".", "!", "?")) else "."
    return Label(content=line("error", "tell", rng, error=error + stop))


def report(results: list[str], found: bool, rng: Random) -> Label:
    """A plain answer from the results; `found` if the tools told something, not did something."""
    things = [thing for result in results for thing in things_in(result)]
    facts = "; ".join(filter(None, (_facts(thing) for thing in things[:3])))
    if not facts:
        return Label(content=rng.choice(phrases()["close"]["bare"]))
    text = line("close", "found" if found else "done", rng, facts=facts)
    return Label(content=text[:1].upper() + text[1:])


def _facts(thing: dict[str, Any]) -> str:
    shown = [
        f"{_words(field)} {_shown(value)}"
        for field, value in thing.items()
        if not isinstance(value, list | dict)
    ]
    return ", ".join(shown[:3])


def _words(field: str) -> str:
    return re.sub(r" id$", " ID", field.replace("_", " "))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text if re.search(r"[A-Z\d]", text) else text.replace("_", " ")
