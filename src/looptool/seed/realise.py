"""How a value stands in a call: decided by the parameter's schema, as a careful reader would."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import JsonValue

from looptool.seed.kinds import MONTHS, WEEKDAYS, item_of
from looptool.seed.pools import pools
from looptool.seed.units import plain_number
from looptool.seed.vocabulary import Param

DATE_FORMAT = re.compile(
    r"YYYY-MM-DD|DD/MM/YYYY|MM/DD/YYYY|DD\.MM\.YYYY|DD-MM-YYYY|MM-DD-YYYY|YYYY/MM/DD|YYYYMMDD", re.I
)
_SPACED_DATETIME = re.compile(r"YYYY-MM-DD HH:MM", re.I)
_SECONDS = re.compile(r"HH:MM:SS", re.I)
_MINUTES = re.compile(r"HH:MM(?!:SS)", re.I)
_TWELVE_HOURS = re.compile(r"AM/PM|12-hour", re.I)
_CODE = re.compile(r"\bcodes?\b|\bISO\b", re.I)
_WITH_LAND = re.compile(r"\bcity, (state|country)\b", re.I)
_FRACTION = re.compile(r"fraction|as a decimal\b|between 0 and 1\b|0 to 1\b|0-1\b", re.I)

Schema = Mapping[str, Any]


def realise(param: Param, value: Any, schema: Schema) -> JsonValue:
    """The JSON of a canonical value under the parameter's schema."""
    if param.kind == "list":
        items = schema.get("items")
        item_schema = items if isinstance(items, Mapping) else {}
        item_schema = {"description": schema.get("description", ""), **item_schema}
        return [realise(item_of(param), each, item_schema) for each in value]
    json_value = _REALISE.get(param.kind, _as_is)(param, value, schema)
    return _in_type(_in_enum(json_value, schema), schema)


def description_of(schema: Schema) -> str:
    """The description, or nothing."""
    text = schema.get("description", "")
    return text if isinstance(text, str) else ""


def _in_enum(value: JsonValue, schema: Schema) -> JsonValue:
    allowed = schema.get("enum")
    if not isinstance(allowed, list) or value in allowed:
        return value
    key = _normal(value)
    return next((each for each in allowed if _normal(each) == key), value)


def _normal(value: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(value).lower())


def _in_type(value: JsonValue, schema: Schema) -> JsonValue:
    match schema.get("type"):
        case "integer" if isinstance(value, str) and value.isdecimal():
            return int(value)
        case "integer" if isinstance(value, float):
            return round(value)
        case "number" if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
            return float(value) if "." in value else int(value)
        case "string" if isinstance(value, int | float) and not isinstance(value, bool):
            return plain_number(value)
    return value


def _as_is(param: Param, value: Any, schema: Schema) -> JsonValue:
    return value  # type: ignore[no-any-return]


def _date(param: Param, value: str, schema: Schema) -> JsonValue:
    found = DATE_FORMAT.search(description_of(schema))
    if found is None:
        return value
    year, month, day = value.split("-")
    written = found.group().upper()
    return written.replace("YYYY", year).replace("MM", month).replace("DD", day)


def _time(param: Param, value: str, schema: Schema) -> JsonValue:
    text = description_of(schema)
    if _TWELVE_HOURS.search(text):
        hour, minute = (int(part) for part in value.split(":"))
        return f"{(hour - 1) % 12 + 1}:{minute:02d} {'AM' if hour < 12 else 'PM'}"
    return f"{value}:00" if _SECONDS.search(text) else value


def _datetime(param: Param, value: str, schema: Schema) -> JsonValue:
    text = description_of(schema)
    day, clock = value.split("T")
    seconds = "" if _MINUTES.search(text) else ":00"
    return f"{day}{' ' if _SPACED_DATETIME.search(text) else 'T'}{clock}{seconds}"


def _month(param: Param, value: int, schema: Schema) -> JsonValue:
    return value if schema.get("type") in ("integer", "number") else MONTHS[value - 1]


def _weekday(param: Param, value: str, schema: Schema) -> JsonValue:
    if schema.get("type") in ("integer", "number"):
        return WEEKDAYS.index(value) + 1
    return value


def _coded(table: Mapping[str, str], value: str, schema: Schema) -> JsonValue:
    allowed = schema.get("enum")
    named = isinstance(allowed, list) and value in allowed
    if not named and (_CODE.search(description_of(schema)) or (allowed and value in table)):
        return table.get(value, value)
    return value


def _city(param: Param, value: str, schema: Schema) -> JsonValue:
    land = pools().cities.get(value)
    return f"{value}, {land}" if land and _WITH_LAND.search(description_of(schema)) else value


def is_fraction(schema: Schema) -> bool:
    """Whether 5% is given as 0.05."""
    return schema.get("maximum") in (1, 1.0) or bool(_FRACTION.search(description_of(schema)))


def _percent(param: Param, value: float, schema: Schema) -> JsonValue:
    return round(value / 100, 6) if is_fraction(schema) else value


def _coordinates(param: Param, value: tuple[float, float], schema: Schema) -> JsonValue:
    match schema.get("type"):
        case "array":
            return list(value)
        case "object":
            names = list(schema.get("properties", {}))
            return dict(zip(names, value, strict=False))
    return f"{value[0]},{value[1]}"


_REALISE: dict[str, Callable[[Param, Any, Schema], JsonValue]] = {
    "date": _date,
    "time": _time,
    "datetime": _datetime,
    "month": _month,
    "weekday": _weekday,
    "percent": _percent,
    "city": _city,
    "coordinates": _coordinates,
    "country": lambda param, value, schema: _coded(pools().countries, value, schema),
    "language": lambda param, value, schema: _coded(pools().languages, value, schema),
}
