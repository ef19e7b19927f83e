"""The sense of a tool that nobody introduced: its slots, and the ways to ask for it from the
grammar of its name and description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from looptool.records import Tool
from looptool.seed.constraint_tree import snake_case
from looptool.seed.vocabulary import Operation, Param
from looptool.teachers.offline.infer_slots import Unspeakable, infer_slots
from looptool.teachers.offline.phrase import starts_with_vowel
from looptool.teachers.offline.sense import Sense, Slot

_VERB_WORDS = """
place put give tell pull grant mark note trigger toggle assess produce provide supply
get find search list fetch show check look calculate compute create add make book order buy
cancel delete remove update change set send schedule convert translate estimate generate play
start stop open close track compare plan reserve retrieve return describe analyze predict
determine simulate solve evaluate sort filter query recommend suggest summarize read write
upload download share invite assign register apply pay transfer withdraw deposit refund post
publish draw plot measure count verify validate test run execute launch deploy restart resize
scale lock unlock turn adjust enable disable mute connect join leave record log review rate
report request submit approve reject confirm extend renew move copy rename merge split archive
restore export import print identify classify detect extract parse format encode decode encrypt
decrypt compress resolve lookup locate navigate call text email message notify remind subscribe
unsubscribe follow like rent sell trade file monitor view display
"""
VERBS = frozenset(_VERB_WORDS.split())
_MAKERS = ("create", "add", "book", "open", "schedule", "order", "reserve", "make", "submit")
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
    try:
        slots = infer_slots(tool)
    except Unspeakable:
        return None
    params = {name: slot.param for name, slot in slots.items()}
    # Objects in a list go last: whatever followed them would seem to belong to the last of them.
    said = dict(sorted(slots.items(), key=lambda item: bool(item[1].parts)))
    operation = Operation.model_construct(
        name=snake_case(tool.name),
        names=(),
        does=(tool.description,),
        asks=tuple(plain_asks(tool, said)),
        says=tuple(_says(tool, said)),
        params=params,
        returns=_returns(tool, params),
        errors=("The request could not be processed.",),
    )
    group = snake_case(tool.name.rsplit(".", 1)[0]) if "." in tool.name else "own"
    return Sense(tool, operation, "own", group, slots, known=False)


def core_phrase(tool: Tool) -> str:
    """What the tool does, as a short imperative: "calculate the area of a triangle"."""
    words = snake_case(tool.name.rsplit(".", 1)[-1]).split("_")
    first = re.split(r"(?<=[a-z)])[.!]\s|\.$|\n", tool.description.strip())[0]
    verb, _, rest = first.partition(" ")
    base = _base(verb.lower())
    if base and rest:
        for core in (_CUT.sub("", f" {rest}").strip(), rest):
            if 0 < len(core.split()) <= 9:
                return f"{_plain_verb(base)} {core}"
    if words[0] in VERBS and len(words) > 1:
        thing = " ".join(words[1:])
        made = words[0] in _MAKERS and not thing.endswith("s")
        article = _article(thing) if made else "the"
        return f"{_plain_verb(words[0])} {article} {thing}"
    if words[-1] in VERBS and len(words) > 1:
        return f"{words[-1]} the {' '.join(words[:-1])}"
    return f"run {' '.join(words)}"


def _plain_verb(verb: str) -> str:
    return {"retrieve": "get", "return": "get", "fetch": "get", "provide": "get"}.get(verb, verb)


def _base(verb: str) -> str | None:
    forms = [verb, verb[:-1], verb[:-2]] if verb.endswith("s") else [verb]
    forms += [verb[:-3] + "y"] if verb.endswith("ies") else []
    for form in forms:
        if form in VERBS:
            return form
    return None


def plain_asks(tool: Tool, slots: Mapping[str, Slot]) -> list[str]:
    """Ways to ask for the tool made from its description and the labels of its parameters."""
    core, said = core_phrase(tool), list[Slot]()
    direct = core
    for slot in slots.values():
        changed = _said_in_core(direct, slot)
        if changed != direct:
            direct = changed
            said.append(slot)
    required = [slot for slot in slots.values() if slot.required]
    ordered = [*required, *(slot for slot in slots.values() if not slot.required)]
    ordered.sort(key=lambda slot: bool(slot.parts))
    rest = [slot for slot in ordered if slot not in said]
    asks = [direct + _brackets(rest), direct + _brackets(rest, labelled=True)]
    if said:  # the wording for when just that is left out
        asks.append(core + _brackets(rest))
    else:
        asks.append(core + _brackets(ordered))
    plain = [slot for slot in required if slot.param.kind not in ("bool", "id", "list")]
    if not said and plain == required and 1 <= len(required) <= 3:
        pairs = " and ".join(f"{_quoted(slot)} as the {slot.label}" for slot in required)
        asks.append(f"{core} using {pairs}" + _brackets(ordered[len(required) :]))
    if plain == required and required and all(slot.param.kind in _MEASURED for slot in required):
        parts = " and ".join(
            f"{_article(slot.label)} {slot.label} of {{{slot.name}}}" for slot in required
        )
        asks += [f"{core} with {parts}" + _brackets(ordered[len(required) :])] * 2
    return asks


_MEASURED = ("integer", "number", "money", "percent", "duration")


def _article(noun: str) -> str:
    return "an" if starts_with_vowel(noun) else "a"


def _said_in_core(core: str, slot: Slot) -> str:
    """The core with the value in place of its noun: "cancel {order_id}" for "cancel an order"."""
    noun = slot.param.noun if slot.param.kind == "id" else slot.label
    if not slot.required or not noun or slot.param.kind in ("bool", "list"):
        return core
    article, thing = r"\b(?:an?|the|your|this)\s+(?:given |specific |existing )?", re.escape(noun)
    pattern = rf"{article}{thing}(?: of money)?$"
    if slot.param.kind in ("integer", "number", "money"):
        pattern = pattern.removesuffix("$") + r"(?=$|\s)"
    return re.sub(pattern, lambda _: f"{{{slot.name}}}", core, count=1)


def _brackets(slots: list[Slot], labelled: bool = False) -> str:
    clauses = []
    for slot in slots:
        if (labelled and slot.param.kind != "id") or _has_rival(slot, slots):
            clauses.append(f"[, {_labelled(slot)}]")
        else:
            comma = "," if slot.parts and len(slots) > 1 else ""
            clauses.append(f"[{comma}{_clause(slot)}]")
    return "".join(clauses)


def _has_rival(slot: Slot, slots: list[Slot]) -> bool:
    """Whether another value could be meant where it is said by its clause alone: "for Ann for Bo",
    "from May 2 on May 5", or one of several lists.
    """
    if slot.param.kind == "bool":
        return False
    lead = _lead(slot)
    bare = lead == _PREPOSITIONS.get(slot.param.kind)
    return any(
        _lead(other) == lead or (bare and other.param.kind == slot.param.kind)
        for other in slots
        if other is not slot and other.param.kind != "bool"
    )


def _lead(slot: Slot) -> str:
    """What stands before the value in its clause."""
    return _clause(slot).partition("{")[0].strip(" ,")


def _says(tool: Tool, slots: Mapping[str, Slot]) -> list[str]:
    core = core_phrase(tool)
    told = [slot for slot in slots.values() if slot.param.kind not in ("bool", "id")]
    rest = _brackets([slot for slot in slots.values() if slot not in told])
    given = "".join(
        f"[ {slot.label[:1].upper()}{slot.label[1:]}: {_quoted(slot)}.]"
        if slot.parts
        else f"[ The {slot.label} {_be(slot)} {_quoted(slot)}.]"
        for slot in told
    )
    says = [f"I need some help: {core}{_brackets(list(slots.values()))}."]
    says.append(f"I want to {core}{rest}.{given}")
    verb, _, thing = core.partition(" ")
    if verb in ("get", "calculate", "compute", "show", "check") and not thing.startswith("that "):
        thing = thing if thing.startswith(("the ", "a ", "an ")) else f"the {thing}"
        plural = re.search(r"[^s]s$", re.split(r" (?:of|for|in) ", thing)[0])
        says.append(f"What {'are' if plural else 'is'} {thing}{_brackets(list(slots.values()))}?")
        says.append(f"What {'are' if plural else 'is'} {thing}{rest}?{given}")
    return says


def _be(slot: Slot) -> str:
    return "are" if slot.param.kind == "list" and slot.label.endswith("s") else "is"


_FIXED = {
    "since": "since",
    "after": "after",
    "before": "before",
    "until": "until",
    "till": "until",
    "from": "from",
    "origin": "from",
    "source": "from",
    "departure": "from",
    "start": "from",
    "destination": "to",
    "target": "to",
    "to": "to",
    "arrival": "to",
    "end": "until",
}
_TEXT_CLAUSES = (
    (r"location|city|town|region|state$", " in {x}"),
    (r"query|keyword|search|topic|term", " for '{x}'"),
    (r"^name$|_name$", " called {x}"),
    (r"title|subject|headline", " titled '{x}'"),
    (r"message|body|content|text", " saying '{x}'"),
    (r"reason", " with the reason '{x}'"),
    (r"product|item|food|dish|movie|book|song|artist", " for {x}"),
)
_PREPOSITIONS = {
    "city": "in",
    "country": "in",
    "place": "at",
    "address": "at",
    "date": "on",
    "datetime": "on",
    "time": "at",
    "year": "in",
    "month": "in",
    "weekday": "on",
    "person": "for",
    "company": "for",
    "id": "for",
    "currency": "in",
    "language": "in",
    "coordinates": "at",
    "url": "for",
    "email": "for",
    "phone": "for",
    "duration": "for",
    "color": "in",
}


def _clause(slot: Slot) -> str:
    """How the value follows what is asked: in Paris, from Oslo, titled 'Lunch', base 10."""
    text, kind = f"{{{slot.name}}}", slot.param.kind
    if kind == "bool":
        return f", {text}"
    if slot.parts:
        return f" with {text}"
    if kind == "text":
        way = next((way for names, way in _TEXT_CLAUSES if re.search(names, slot.name)), None)
        return way.replace("{x}", text) if way else f", {_labelled(slot)}"
    fixed = next((_FIXED[word] for word in slot.name.split("_") if word in _FIXED), None)
    if fixed and kind in _PREPOSITIONS and kind != "id":
        in_time = kind in ("date", "time", "datetime", "year")
        if in_time or fixed in ("from", "to"):
            return f" {'until' if in_time and fixed == 'to' else fixed} {text}"
    if kind in _PREPOSITIONS:
        return f" {_PREPOSITIONS[kind]} {text}"
    return f", {_labelled(slot)}"


def _labelled(slot: Slot) -> str:
    if slot.param.kind in ("bool", "id"):
        return f"{{{slot.name}}}"
    return f"{slot.label}{':' if slot.parts else ''} {_quoted(slot)}"


def _quoted(slot: Slot) -> str:
    return f"'{{{slot.name}}}'" if slot.param.kind == "text" else f"{{{slot.name}}}"


def _returns(tool: Tool, params: Mapping[str, Param]) -> dict[str, Any]:
    """A guess at what comes back: an id of the thing made or found."""
    words = snake_case(tool.name.rsplit(".", 1)[-1]).split("_")
    if words[0] in (*_MAKERS, "search", "find", "list") and len(words) > 1:
        noun = words[-1][:-1] if words[-1].endswith("s") else words[-1]
        if f"{noun}_id" not in params:
            return {f"{noun}_id": "id", "status": ["ok", "active", "confirmed"]}
    if words[0] in ("get", "calculate", "compute", "convert", "check", "estimate"):
        return {"result": "number"}
    return {"status": ["success", "completed"]}
