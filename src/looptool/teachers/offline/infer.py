"""The sense of a tool that nobody introduced: its parameters' kinds from names, types, formats and
descriptions; the ways to ask for it from the grammar of its name and description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from looptool.records import Tool
from looptool.seed.constraint_tree import snake_case
from looptool.seed.vocabulary import Operation, Param
from looptool.teachers.offline.infer_kinds import infer_param
from looptool.teachers.offline.sense import Sense, Slot, paired, property_places, words_of

VERBS = frozenset(
    """get find search list fetch show check look calculate compute create add make book order buy
    cancel delete remove update change set send schedule convert translate estimate generate play
    start stop open close track compare plan reserve retrieve return describe analyze predict
    determine simulate solve evaluate sort filter query recommend suggest summarize read write
    upload download share invite assign register apply pay transfer withdraw deposit refund post
    publish draw plot measure count verify validate test run execute launch deploy restart resize
    scale lock unlock turn adjust enable disable mute connect join leave record log review rate
    report request submit approve reject confirm extend renew move copy rename merge split archive
    restore export import import print identify classify detect extract parse format encode decode
    encrypt decrypt compress resolve lookup locate navigate call text email message notify remind
    subscribe unsubscribe follow like rent sell trade file print monitor view display""".split()
)
_CUT = re.compile(
    r"\s+(?:given|based on|using|according to|by providing|with optional|provided)\b.*"
    r"|\s+(?:in|for|on|to|from|with|by|at|between|of|within)\s+(?:an?|one|some|given|specified|"
    r"specific|certain|particular|the (?:given|specified|provided))\s+(?!triangle|circle|rectangle|"
    r"list|set)\S.*"
    r"|\s*[,;:(].*|\s+(?:that|which|including)\b.*",
    re.I | re.S,
)


def infer(tool: Tool) -> Sense | None:
    """The sense of any tool; None if a required parameter cannot be spoken of."""
    slots: dict[str, Slot] = {}
    for name, places in paired(list(property_places(tool.parameters))):
        required = all(place.required for place in places)
        param = infer_param(name, places[0].schema, tool, is_pair=len(places) == 2)
        if param is None:
            if required:
                return None
            continue
        if not required:
            param = param.model_copy(update={"optional": True})
        label = words_of(places[0].path[-1] if len(places) == 1 else name)
        slots[name] = Slot(name, param, places, required, label)
    if _unspoken(tool, slots):
        return None
    params = {name: slot.param for name, slot in slots.items()}
    operation = Operation.model_construct(
        name=snake_case(tool.name),
        names=(),
        does=(tool.description,),
        asks=tuple(_asks(tool, slots)),
        says=tuple(_says(tool, slots)),
        params=params,
        returns=_returns(tool, params),
        errors=("The request could not be processed.",),
    )
    group = snake_case(tool.name.rsplit(".", 1)[0]) if "." in tool.name else "own"
    return Sense(tool, operation, "own", group, slots, known=False)


def _unspoken(tool: Tool, slots: Mapping[str, Slot]) -> bool:
    """Whether something required stands in no slot (objects of unknown shape)."""
    spoken = {place.path[0] for slot in slots.values() for place in slot.places}
    required = tool.parameters.get("required", [])
    return not isinstance(required, list) or not set(map(str, required)) <= spoken


def core_phrase(tool: Tool) -> str:
    """What the tool does, as a short imperative: "calculate the area of a triangle"."""
    words = snake_case(tool.name.rsplit(".", 1)[-1]).split("_")
    first = re.split(r"(?<=[a-z)])[.!]\s|\.$|\n", tool.description.strip())[0]
    verb, _, rest = first.partition(" ")
    base = _base(verb.lower())
    if base and rest:
        core = _CUT.sub("", f" {rest}").strip()
        if 0 < len(core.split()) <= 9:
            return f"{_plain_verb(base)} {core}"
    if words[0] in VERBS and len(words) > 1:
        return f"{_plain_verb(words[0])} the {' '.join(words[1:])}"
    if words[-1] in VERBS and len(words) > 1:
        return f"{words[-1]} the {' '.join(words[:-1])}"
    return f"run {' '.join(words)}" if words[0] not in VERBS else f"{words[0]} this"


def _plain_verb(verb: str) -> str:
    return {"retrieve": "get", "return": "get", "fetch": "get"}.get(verb, verb)


def _base(verb: str) -> str | None:
    for form in (verb, verb[:-1], verb[:-2], verb[:-3] + "y"):
        if form in VERBS and (form == verb or verb.endswith("s")):
            return form
    return None


def _asks(tool: Tool, slots: Mapping[str, Slot]) -> list[str]:
    core = core_phrase(tool)
    required = [slot for slot in slots.values() if slot.required]
    optional = [slot for slot in slots.values() if not slot.required]
    natural = "".join(f"[{_clause(slot)}]" for slot in [*required, *optional])
    named = "".join(f"[, {_labelled(slot)}]" for slot in [*required, *optional])
    asks = [core + natural, core + natural, core + named]
    if 1 <= len(required) <= 3 and all(slot.param.kind != "bool" for slot in required):
        pairs = " and ".join(f"{{{slot.name}}} as the {slot.label}" for slot in required)
        asks.append(f"{core} using {pairs}" + "".join(f"[{_clause(slot)}]" for slot in optional))
    return asks


def _says(tool: Tool, slots: Mapping[str, Slot]) -> list[str]:
    core = core_phrase(tool)
    natural = "".join(f"[{_clause(slot)}]" for slot in slots.values())
    given = "".join(f"[ The {slot.label} is {{{slot.name}}}.]" for slot in slots.values()
                    if slot.param.kind != "bool")  # fmt: skip
    rest = "".join(f"[{_clause(slot)}]" for slot in slots.values() if slot.param.kind == "bool")
    says = [f"I need some help: {core}{natural}.", f"I want to {core}{rest}.{given}"]
    words = core.split(" ", 1)
    if words[0] in ("get", "find", "calculate", "compute", "show", "check") and len(words) > 1:
        thing = words[1] if words[1].startswith(("the ", "a ", "an ")) else f"the {words[1]}"
        verb = "are" if re.search(r"[^s]s$", thing.split(" of ")[0].split(" for ")[0]) else "is"
        says.append(f"What {verb} {thing}{natural}?")
        says.append(f"What {verb} {thing}{rest}?{given}")
    return says


def _clause(slot: Slot) -> str:
    """How the value follows what is asked: " in Paris", " from Oslo", " with a base of 10"."""
    name, slot_text, kind = slot.name, f"{{{slot.name}}}", slot.param.kind
    tokens = set(name.split("_"))
    if kind == "bool":
        return f", {slot_text}"
    if tokens & {"from", "origin", "source", "departure", "start"} and kind not in ("id", "text"):
        return f" from {slot_text}"
    if tokens & {"to", "destination", "target", "arrival", "end", "until"} and kind != "text":
        return f" {'until' if kind in ('date', 'time', 'datetime') else 'to'} {slot_text}"
    prepositions = {
        "city": "in", "country": "in", "place": "at", "address": "at", "date": "on",
        "datetime": "on", "time": "at", "year": "in", "month": "in", "weekday": "on",
        "person": "for", "company": "for", "id": "for", "currency": "in", "language": "in",
        "coordinates": "at", "url": "for", "email": "for", "phone": "for", "duration": "for",
        "color": "in",
    }  # fmt: skip
    if kind in prepositions:
        return f" {prepositions[kind]} {slot_text}"
    return f", {_labelled(slot)}"


def _labelled(slot: Slot) -> str:
    text = f"{{{slot.name}}}"
    if slot.param.kind == "bool":
        return text
    quoted = f"'{text}'" if slot.param.kind == "text" else text
    return f"{slot.label} {quoted}"


def _returns(tool: Tool, params: Mapping[str, Param]) -> dict[str, Any]:
    """A guess at what comes back: an id of the thing made or found."""
    words = snake_case(tool.name.rsplit(".", 1)[-1]).split("_")
    makers = (
        "create",
        "add",
        "book",
        "open",
        "search",
        "find",
        "list",
        "schedule",
        "order",
        "reserve",
    )
    if words[0] in makers and len(words) > 1:
        noun = words[-1][:-1] if words[-1].endswith("s") else words[-1]
        if f"{noun}_id" not in params:
            return {f"{noun}_id": "id", "status": ["ok", "active", "confirmed"]}
    return {"status": ["success", "completed"], "value": "number"}
