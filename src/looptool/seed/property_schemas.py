"""The JSON Schema of one parameter: type, format, enum, bounds, default, and a description that
says whatever a reader needs to write the value (unit, date format, code).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import Any

from looptool.seed.dice import weighted
from looptool.seed.kinds import MONTHS, WEEKDAYS, id_style, item_of
from looptool.seed.realise import DATE_FORMAT, realise
from looptool.seed.units import LONG_UNITS, SIGNS
from looptool.seed.vocabulary import Param

_FORMATS = {"email": ("email", 0.5), "url": ("uri", 0.4), "date": ("date", 0.4)}
_DATE_FORMATS = {"YYYY-MM-DD": 8.0} | dict.fromkeys(
    ("DD/MM/YYYY", "MM/DD/YYYY", "DD-MM-YYYY", "MM-DD-YYYY", "DD.MM.YYYY"), 0.5
)
_FRACTIONS = 0.4
"""Of the percentages."""
_PERCENT = re.compile(r",? (?:in|as a) percent(?:age)?(?: of [^.,]*)?,?| \(%\)", re.I)
_CLOCK = re.compile(r"HH:MM|ISO|24-hour|AM/PM", re.I)


@dataclass(frozen=True)
class Manner:
    """What all properties of a tool have in common."""

    enum_as_text: float
    default_in: str
    date_format: str
    clock: str
    datetime_format: str


def draw_manner(rng: Random) -> Manner:
    """Mostly the usual ones."""
    return Manner(
        enum_as_text=rng.choice((0.0, 0.0, 0.2, 0.9)),
        default_in=weighted(rng, {"schema": 0.6, "text": 0.25, "nowhere": 0.15}),
        date_format=weighted(rng, _DATE_FORMATS),
        clock=weighted(rng, {"HH:MM": 8, "HH:MM:SS": 1, "h:MM AM/PM": 1}),
        datetime_format=rng.choice(("YYYY-MM-DDTHH:MM:SS", "YYYY-MM-DD HH:MM", "YYYY-MM-DDTHH:MM")),
    )


def property_schema(param: Param, name: str, manner: Manner, rng: Random) -> dict[str, Any]:
    """The schema of `param` under the property name `name`."""
    schema = _typed(param, manner, rng)
    about = rng.choice(param.about)
    if param.kind == "percent" and "perc" not in name.lower() and rng.random() < _FRACTIONS:
        about = _as_fraction(about, rng)
    said = (
        about if not (note := _note(param, name, about, schema, manner, rng)) else f"{about} {note}"
    )
    schema["description"] = said
    if param.kind == "list":
        schema["items"] = _typed(item_of(param), manner, rng)
        if "values_note" in schema["items"]:
            schema["description"] += " " + schema["items"].pop("values_note")
    if "values_note" in schema:
        schema["description"] += " " + schema.pop("values_note")
    if param.optional and param.default is not None and manner.default_in != "nowhere":
        default = _default(param, schema)
        if manner.default_in == "schema":
            schema["default"] = default
        elif "default" not in schema["description"].lower():
            schema["description"] += f" Defaults to {_in_words(default)}."
    return schema


def _as_fraction(about: str, rng: Random) -> str:
    """The description of a rate that is given as 0.05, as many APIs have it, where users say 5%."""
    bare = _PERCENT.sub("", about)
    if "%" in bare or "percent" in bare.lower() or re.search(r"\d", bare):
        return about
    return f"{bare} " + rng.choice(
        ("As a decimal (0.05 for 5%).", "As a fraction between 0 and 1.")
    )


def _default(param: Param, schema: dict[str, Any]) -> Any:
    value = tuple(param.default) if isinstance(param.default, list) else param.default
    try:
        return realise(param, value, schema)
    except (TypeError, ValueError, AttributeError, IndexError):
        return param.default


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)


def _typed(param: Param, manner: Manner, rng: Random) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    match param.kind:
        case "bool":
            schema["type"] = "boolean"
        case "list":
            schema["type"] = "array"
        case "integer" | "year" | "duration":
            schema["type"] = "number" if rng.random() < 0.1 else "integer"
        case "number" | "money" | "percent":
            schema["type"] = "number"
        case "month":
            schema["type"] = "integer" if rng.random() < 0.5 else "string"
        case "id" if id_style(param.noun or "") == "digits" and rng.random() < 0.35:
            schema["type"] = "integer"
        case "enum":
            _enumerate(schema, list(param.values), manner.enum_as_text, rng)
        case "weekday" if rng.random() < 0.6:
            lower = rng.random() < 0.5
            schema["enum"] = [day.lower() if lower else day for day in WEEKDAYS]
    if param.kind == "month" and schema["type"] == "string" and rng.random() < 0.4:
        schema["enum"] = list(MONTHS)
    keyword, share = _FORMATS.get(param.kind, ("", 0.0))
    if rng.random() < share and (keyword != "date" or manner.date_format == "YYYY-MM-DD"):
        schema["format"] = keyword
    _bound(schema, param, rng)
    return schema


def _enumerate(schema: dict[str, Any], keys: list[str], as_text: float, rng: Random) -> None:
    if rng.random() < as_text:
        quoted = ", ".join(f"'{key}'" for key in keys)
        schema["values_note"] = rng.choice((f"One of: {quoted}.", f"Allowed values: {quoted}."))
        return
    plain = all(re.fullmatch(r"[a-z][a-z0-9_]*", key) for key in keys)
    schema["enum"] = [key.upper() for key in keys] if plain and rng.random() < 0.1 else keys


def _bound(schema: dict[str, Any], param: Param, rng: Random) -> None:
    if schema["type"] not in ("integer", "number") or rng.random() > 0.25:
        return
    if param.kind == "month":
        schema |= {"minimum": 1, "maximum": 12}
    elif param.min is not None and param.max is not None and param.kind != "percent":
        schema["minimum"] = int(param.min) if param.min == int(param.min) else param.min
        if rng.random() < 0.6:
            schema["maximum"] = int(param.max) if param.max == int(param.max) else param.max


def _note(
    param: Param, name: str, about: str, schema: dict[str, Any], manner: Manner, rng: Random
) -> str:
    """What the description must still say so that the value can be written."""
    text = f"{name} {about}".lower()
    item = item_of(param) if param.kind == "list" else param
    match item.kind:
        case "date" if not DATE_FORMAT.search(about):
            if schema.get("format") == "date" and rng.random() < 0.4:
                return ""
            written = manner.date_format
            return rng.choice((f"Format: {written}.", f"In {written} format.", f"({written})"))
        case "time" if not _CLOCK.search(about):
            am_pm = "AM" in manner.clock
            return f"Format: {manner.clock}{'' if am_pm else ', 24-hour clock'}."
        case "datetime" if not _CLOCK.search(about):
            return f"Format: {manner.datetime_format}."
        case "duration" if (param.unit or "") not in text:
            return f"In {param.unit}."
        case "percent" if "percent" not in text and "%" not in text:
            return "" if "fraction" in text else "In percent."
        case "month" if schema["type"] == "integer":
            return "As a number from 1 (January) to 12 (December)."
        case "currency" if "code" not in text and "iso" not in text:
            return rng.choice(("ISO 4217 code.", "Three-letter ISO 4217 code, such as USD."))
        case "city" if rng.random() < 0.15:
            return rng.choice(
                (
                    "In the format 'City, State' or 'City, Country'.",
                    "As city, state (or city, country), such as Austin, TX.",
                    "Format: City, State or City, Country, e.g. Lyon, France.",
                )
            )
        case "language" if "code" not in text and rng.random() < 0.15:
            return "ISO 639-1 code."
        case "country" if "code" not in text and rng.random() < 0.1:
            return "ISO 3166-1 alpha-2 code."
        case "number" | "integer" | "money":
            return _unit_note(item, text)
    return ""


def _unit_note(param: Param, text: str) -> str:
    unit = param.unit or ""
    long = LONG_UNITS.get(unit, unit).lower()
    known = unit in LONG_UNITS or (param.kind == "money" and unit)
    if not known or unit.lower() in text or long.rstrip("s") in text:
        return ""
    if param.kind == "money" and SIGNS.get(unit.lower()) == "$":
        return ""
    return f"In {unit}."
