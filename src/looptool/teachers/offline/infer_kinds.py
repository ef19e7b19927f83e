"""Which semantic kind a JSON Schema property is, judged by all that it says of itself."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from looptool.records import Tool
from looptool.seed.constraint_tree import snake_case
from looptool.seed.pools import pools
from looptool.seed.realise import is_fraction
from looptool.seed.vocabulary import Param
from looptool.teachers.offline.sense import is_point, words_of

USUAL_OBJECTS, MOST_OBJECTS = 3, 8
"""How many objects a request lists at the most, and how many where the schema wants more."""
_FAR = 1e12
"""Nobody asks for more of anything."""
_PATH = Path(__file__).parent / "texts.toml"
_UNITS = ("seconds", "minutes", "hours", "days", "weeks", "months", "years")
UNIT_WORDS = {"km": "km", "kg": "kg", "cm": "cm", "mm": "mm", "meters": "meters", "miles": "miles",
              "gb": "GB", "mb": "MB", "lbs": "lbs", "mph": "mph", "kmh": "km/h", "ml": "ml",
              "feet": "feet", "inches": "inches", "celsius": "°C", "fahrenheit": "°F"}  # fmt: skip
_EXAMPLE = re.compile(
    r"(?:e\.g\.,?|for example,?|such as|like|i\.e\.,?|example:)\s+(.{1,120})", re.I
)
_FORMATS = {
    "date": "date",
    "date-time": "datetime",
    "time": "time",
    "email": "email",
    "uri": "url",
    "url": "url",
}
# The first pattern that is found in the snake_case name decides; words are whole.
_BY_NAME: tuple[tuple[str, str], ...] = (
    (r"e?mail(_address)?$|^recipient_email", "email"),
    (r"phone|mobile_number|telephone", "phone"),
    (r"\burl\b|_url|^link|website|webhook", "url"),
    (r"datetime|timestamp|date_time", "datetime"),
    (r"(^|_)(date|day|birthday|dob|deadline)$|^date_|_on$", "date"),
    (r"(^|_)time$|^time_of|_at$", "time"),
    (r"weekday|day_of_week", "weekday"),
    (r"^(address|street)|_address$", "address"),
    (r"(^|_)country($|_name)", "country"),
    (r"^(location|city|town|destination|origin|from_city|to_city)|_(city|location|town)$", "city"),
    (r"currency", "currency"),
    (r"language|(^|_)lang$|locale", "language"),
    (r"colou?r", "color"),
    (r"landmark|venue|place|attraction", "place"),
    (r"company|employer|organi[sz]ation|manufacturer|vendor", "company"),
    (
        r"(customer|user|passenger|guest|patient|employee|contact|recipient|person|client|owner|"
        r"driver|student|teacher|doctor|author|assignee|first_and_last|full)_?name$|^(assignee|author|"
        r"recipient|attendee|guest|patient|employee|organizer|sender|customer|client|buyer)$",
        "person",
    ),
    (r"(^|_)(id|uuid|sku|isbn)$|_(number|no|code|ref|reference)$|^(id|code)$", "id"),
)


def infer_param(
    name: str, schema: Mapping[str, Any], tool: Tool, is_pair: bool = False
) -> Param | None:
    """What a property means; None if it cannot be said in words (objects of unknown shape)."""
    about = (str(schema.get("description") or words_of(name)),)
    if is_pair or is_point(schema):
        return _param(kind="coordinates", about=about)
    if schema.get("enum") or "const" in schema:
        return _enum(name, schema, about)
    match schema.get("type", "string"):
        case "boolean" | "bool":
            return _bool(name, about)
        case "integer" | "number" | "float" | "int":
            return _numeric(name, schema, about, tool)
        case "array":
            return _array(name, schema, about, tool)
        case "string":
            return _string(name, schema, about, tool)
    return None


def param_of_objects(name: str, schema: Mapping[str, Any]) -> Param | None:
    """A list of objects, whose parts are slots of their own; `min` and `max` say how many. None
    where the schema allows no number of them that people say.
    """
    about = (str(schema.get("description") or words_of(name)),)
    least = max(1, math.ceil(_bound(schema, "minItems", 1)))
    most = math.floor(_bound(schema, "maxItems", MOST_OBJECTS))
    if least > min(most, MOST_OBJECTS):
        return None
    return _param(kind="list", about=about, min=least, max=min(most, max(least, USUAL_OBJECTS)))


def _param(**fields: Any) -> Param:
    blank: dict[str, Any] = {
        "names": (),
        "optional": False,
        "default": None,
        "min": None,
        "max": None,
        "step": None,
        "unit": None,
        "values": {},
        "yes": (),
        "no": (),
        "noun": None,
        "of": None,
        "within": None,
    }
    return Param.model_construct(**{**blank, **fields})


def _enum(name: str, schema: Mapping[str, Any], about: tuple[str, ...]) -> Param | None:
    allowed = [
        str(value)
        for value in schema.get("enum", [schema.get("const")])
        if value is not None and not isinstance(value, dict | list)
    ]
    shouted = all(value.isupper() for value in allowed) and any(len(v) > 4 for v in allowed)
    values = {value: (_spoken(value, name, shouted),) for value in allowed}
    return _param(kind="enum", about=about, values=values) if values else None


def _spoken(value: str, name: str, shouted: bool) -> str:
    """An enum's value as words: HIGH_PRIORITY of `priority` is "high"."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_ -]*", value):
        return value
    words = re.split(r"[_ -]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", value).strip("_- "))
    if len(words) > 1 and words[-1].lower() in name.split("_"):
        words = words[:-1]
    return " ".join(words).lower() if shouted else " ".join(words)


def _bool(name: str, about: tuple[str, ...]) -> Param:
    words = words_of(name)
    first, _, rest = words.partition(" ")
    if first in ("include", "show", "return", "with", "use", "enable", "allow", "add") and rest:
        verb = {"with": "with", "show": "showing", "return": "returning"}.get(first)
        verb = verb or (first[:-1] if first.endswith("e") else first) + "ing"
        yes = (f"{verb} {rest}",)
        no = (f"without {rest}" if first == "with" else f"not {verb} {rest}",)
    elif first in ("is", "has", "are", "only"):
        yes = (f"with {rest or words} set to true",)
        no = (f"with {rest or words} set to false",)
    else:
        yes = (f"with {words} turned on",)
        no = (f"with {words} turned off",)
    return _param(kind="bool", about=about, yes=yes, no=no)


def _array(
    name: str, schema: Mapping[str, Any], about: tuple[str, ...], tool: Tool
) -> Param | None:
    items = schema.get("items")
    if not isinstance(items, dict):
        items = {"type": "string"}
    merged = {"description": schema.get("description", ""), **items}
    singular = name[:-1] if name.endswith("s") and not name.endswith("ss") else name
    item = infer_param(singular, merged, tool)
    if item is None or item.kind in ("list", "bool", "coordinates"):
        return None
    return item.model_copy(update={"kind": "list", "of": item.kind, "about": about})


def _numeric(
    name: str, schema: Mapping[str, Any], about: tuple[str, ...], tool: Tool
) -> Param | None:
    text, tokens = f"{name} {about[0]}".lower(), set(name.split("_"))
    whole = schema.get("type") in ("integer", "int")
    is_year = "year" in tokens and "years" not in tokens and "duration" not in text
    allowed = _allowed(schema, whole or is_year)
    if allowed[0] > allowed[1]:
        return None
    low, high = _bounds(name, schema, allowed)
    if is_year:
        low, high = _moved(1990, 2025, allowed)
        return _param(kind="year", about=about, min=low, max=high)
    if tokens & {"month"} and whole:
        return _param(kind="month", about=about)
    if name.endswith(("_id", "_number")) and whole and "number of" not in text:
        return _param(kind="id", about=about, noun=_noun(name, tool))
    unit = next((u for u in _UNITS if u in tokens or re.search(rf"\bin {u}\b|\b{u}\)", text)), None)
    if unit and (tokens & {"duration", "length", "time", "term", "period", "timeout", unit}):
        low, high = _moved(1, min(high, 48), allowed)
        return _param(kind="duration", about=about, unit=unit, min=low, max=high)
    if re.search(r"percent|%", text) and not re.search(r"0 (to|and) 1\b", text):
        if is_fraction(schema):  # said as 5%, given and bounded as 0.05
            low, high = _moved(0, 100, (allowed[0] * 100, allowed[1] * 100))
        else:
            low, high = _moved(0, min(100, high), allowed)
        return _param(kind="percent", about=about, min=low, max=high)
    if is_fraction(schema) and not whole:
        low, high = _moved(0.05, 0.95, allowed)
        return _param(kind="number", about=about, min=low, max=high)
    measure = next((UNIT_WORDS[word] for word in name.split("_")[1:] if word in UNIT_WORDS), None)
    if measure:
        kind = "integer" if whole else "number"
        return _param(kind=kind, about=about, unit=measure, min=low, max=high)
    if re.search(r"\busd\b|dollars|\$", text):
        return _param(kind="money", about=about, min=min(max(1, low), high), max=high)
    return _param(kind="integer" if whole else "number", about=about, min=low, max=high)


def _bounds(
    name: str, schema: Mapping[str, Any], allowed: tuple[float, float]
) -> tuple[float, float]:
    """The range to draw from, within what is allowed: usual numbers of what the name says."""
    guess = (1, 100)
    for pattern, bounds in (
        (
            r"limit|count|quantity|num_|guests|people|adults|page|nights|days|players|top_|max_results",
            (1, 12),
        ),
        (r"(^|_)age$", (18, 80)),
        (r"price|cost|budget|amount|salary|income|loan|principal", (10, 5000)),
        (r"rate|probability|ratio", (1, 12)),
        (r"rating|stars|score", (1, 5)),
        (r"temperature", (5, 40)),
    ):
        if re.search(pattern, name):
            guess = bounds
            break
    low = _bound(schema, "minimum", guess[0])
    high = _bound(schema, "maximum", max(low + 9, guess[1]))
    low, high = _moved(high - 9 if high < low else low, high, allowed)
    return low, min(high, low + 100_000)


def _moved(low: float, high: float, allowed: tuple[float, float]) -> tuple[float, float]:
    """What is allowed of a range; where nothing is, the nearest ten that are."""
    least, most = allowed
    if low > most:
        return max(least, most - 9), most
    if high < least:
        return least, min(least + 9, most)
    return max(low, least), min(high, most)


def _allowed(schema: Mapping[str, Any], whole: bool) -> tuple[float, float]:
    """The least and the greatest number that the schema allows."""
    least, above = (_bound(schema, key, -_FAR) for key in ("minimum", "exclusiveMinimum"))
    most, below = (_bound(schema, key, _FAR) for key in ("maximum", "exclusiveMaximum"))
    if whole:
        least, above = math.ceil(least), math.floor(above) + 1
        most, below = math.floor(most), math.ceil(below) - 1
    else:
        gap = min(0.5, (min(most, below) - max(least, above)) / 4)
        above, below = above + gap, below - gap
    return max(least, above), min(most, below)


def _bound(schema: Mapping[str, Any], key: str, otherwise: float) -> float:
    bound = schema.get(key)
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return otherwise
    return max(-_FAR, min(_FAR, bound))


def _string(name: str, schema: Mapping[str, Any], about: tuple[str, ...], tool: Tool) -> Param:
    kind = _FORMATS.get(str(schema.get("format", "")))
    text = about[0].lower()
    if kind is None and re.search(r"city and state|city, state|city, st\b", text):
        cities = {f"{city}, {state}": (f"{city}, {state}",) for city, state in pools().us_cities}
        return _param(kind="text", about=about, values=cities)
    if kind is None and name in ("unit", "units") and "celsius" in text:
        return _param(
            kind="enum",
            about=about,
            values={"celsius": ("Celsius",), "fahrenheit": ("Fahrenheit",)},
        )
    kind = kind or next((k for pattern, k in _BY_NAME if re.search(pattern, name)), None)
    if kind == "time" and re.search(r"yyyy", text):
        kind = "datetime"
    if kind is None and re.search(r"yyyy-mm-dd", text):
        kind = "datetime" if "hh" in text else "date"
    if kind == "id":
        return _param(kind="id", about=about, noun=_noun(name, tool))
    if kind is None or (kind == "datetime" and not re.search(r"yyyy|iso|date", f"{text} {name}")):
        return _param(kind="text", about=about, values=_texts(name, schema, text))
    return _param(kind=kind, about=about)


def _noun(name: str, tool: Tool) -> str:
    words = [
        word
        for word in name.split("_")
        if word not in ("id", "uuid", "number", "no", "ref", "reference", "code")
    ]
    if words:
        return " ".join(words)
    parts = snake_case(tool.name).split("_")
    return parts[-1][:-1] if parts[-1].endswith("s") else parts[-1]


def _texts(name: str, schema: Mapping[str, Any], about: str) -> dict[str, tuple[str, ...]]:
    """Examples of an open string: the schema's own, else a pool by name."""
    own = [
        value
        for value in (*schema.get("examples", ()), *_examples(str(schema.get("description", ""))))
        if isinstance(value, str) and value
    ]
    pool = next((values for pattern, values in text_pools() if re.search(pattern, name)), None)
    pool = pool or next(
        (values for pattern, values in text_pools() if re.search(pattern, about)), None
    )
    chosen = [*own, *(pool or (() if len(own) > 2 else text_pools()[-1][1]))]
    return {value: (value,) for value in dict.fromkeys(chosen)}


def _examples(description: str) -> list[str]:
    found = _EXAMPLE.search(description)
    if found is None:
        return []
    quoted = re.findall(r"['\"`]([^'\"`]{1,40})['\"`]", found.group(1))
    if quoted:
        return quoted
    first = re.split(r"[.;)]", found.group(1))[0]
    parts = re.split(r",\s*(?:or |and )?|\s+or\s+|\s+and\s+", first)
    return [part.strip() for part in parts if 0 < len(part.strip()) <= 30]


@cache
def text_pools() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(pattern of names, texts), the last one for any name."""
    raw = tomllib.loads(_PATH.read_text(encoding="utf-8"))
    return tuple((pool["names"], tuple(pool["values"])) for pool in raw["pool"])
