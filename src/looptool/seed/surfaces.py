"""How people say a value: mostly plainly, sometimes in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

from looptool.seed.dice import weighted
from looptool.seed.kinds import MONTHS, NUMERIC, item_of
from looptool.seed.pools import pools
from looptool.seed.units import LONG_UNITS, SIGNS, plain_number, singular, with_unit
from looptool.seed.vocabulary import VALUE, Param

WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_SPOKEN = {"$": ("dollars", "USD"), "€": ("euros", "EUR"), "£": ("pounds", "GBP")}
_MEASURED = (
    "another",
    "the",
    "next",
    "last",
    "first",
    "of",
    "extra",
    "past",
    "top",
    "every",
    "a",
    "additional",
    "more",
    "least",
    "most",
    "these",
    "those",
    "my",
    "our",
)


AROUND = 0.15
"""How often a value is said with a noun that is not part of it: "the city of Oslo"."""
_AROUND = {
    "city": (f"the city of {VALUE}",),
    "company": (f"the company {VALUE}",),
    "language": (f"the {VALUE} language",),
}
_ARTICLE = re.compile(r"(an?|the|my|our|your|some|any) ", re.I)


def say(param: Param, value: Any, rng: Random, before: str = "") -> str:
    """The value as a person would say it after the words `before`.

    What it means can be read from the text and the schema's description alone.
    """
    last = before.rstrip().rsplit(" ", 1)[-1].lower()
    said = _SAYS[param.kind](param, value, rng, last)
    around = param.around or _AROUND.get(param.kind, ())
    spaced = not before or before[-1].isspace()
    free = spaced and (last not in _MEASURED or last in ("a", "the", "my", "our"))
    if not around or not free or _ARTICLE.match(said) or rng.random() > AROUND:
        return said
    return rng.choice(around).replace(VALUE, said)


def join_list(items: list[str], rng: Random) -> str:
    """["a", "b", "c"] → "a, b and c", with or without the last comma."""
    if len(items) < 2:
        return "".join(items)
    comma = "," if len(items) > 2 and rng.random() < 0.4 else ""
    return f"{', '.join(items[:-1])}{comma} and {items[-1]}"


def _counted(param: Param, value: Any, rng: Random, before: str) -> str:
    unit = param.unit or ""
    if unit in LONG_UNITS and rng.random() < 0.15:
        unit = LONG_UNITS[unit]
    return with_unit(_numeral(value, rng, bool(unit) and len(unit) > 3), value, unit)


def _numeral(value: float, rng: Random, words: bool) -> str:
    if value == int(value) and 0 < value < len(WORDS) and words and rng.random() < 0.25:
        return WORDS[int(value)]
    if abs(value) >= 1000 and rng.random() < 0.35:
        return f"{value:,}"
    return plain_number(value)


def _money(param: Param, value: Any, rng: Random, before: str) -> str:
    unit = param.unit or "$"
    sign = SIGNS.get(unit.lower())
    cents = value != int(value)
    digits = f"{value:,.2f}" if cents else _numeral(value, rng, False)
    if sign is None:
        return with_unit(digits, value, unit)
    style = weighted(rng, {"sign": 7, "word": 1.6, "code": 0.8, "cents": 0.3})
    if sign not in _SPOKEN or style == "sign":
        return f"{sign}{digits}"
    if style == "cents" and not cents:
        return f"{sign}{digits}.00"
    word, code = _SPOKEN[sign]
    spoken = singular(word) if value == 1 else word
    return f"{digits} {code if style == 'code' else spoken}"


def _percent(param: Param, value: Any, rng: Random, before: str) -> str:
    return plain_number(value) + ("%" if rng.random() < 0.75 else " percent")


_LARGER = {
    "seconds": ("minutes", 60),
    "minutes": ("hours", 60),
    "hours": ("days", 24),
    "days": ("weeks", 7),
    "months": ("years", 12),
}


def _duration(param: Param, value: Any, rng: Random, before: str) -> str:
    unit = param.unit or "minutes"
    larger, factor = _LARGER.get(unit, ("", 0))
    if factor and value >= factor and before not in _MEASURED and rng.random() < 0.3:
        return _rounded_duration(value, unit, larger, factor, rng)
    if value == 1 and before not in _MEASURED and rng.random() < 0.4:
        return f"{'an' if unit == 'hours' else 'a'} {singular(unit)}"
    return with_unit(_numeral(value, rng, True), value, unit)


def _rounded_duration(value: Any, unit: str, larger: str, factor: int, rng: Random) -> str:
    whole, rest = divmod(value, factor)
    if rest == 0:
        one = f"{'an' if larger == 'hours' else 'a'} {singular(larger)}"
        return one if whole == 1 else f"{_numeral(whole, rng, True)} {larger}"
    if rest * 2 == factor and larger in ("hours", "minutes"):
        article = "an" if larger == "hours" else "a"
        return (
            f"{article} {singular(larger)} and a half"
            if whole == 1
            else f"{_numeral(whole, rng, True)} and a half {larger}"
        )
    if larger == "hours":
        return f"{with_unit(str(whole), whole, larger)} and {with_unit(str(rest), rest, unit)}"
    return with_unit(plain_number(value), value, unit)


def ordinal(day: int) -> str:
    """3 → "3rd"."""
    ending = "th" if 10 < day % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _date(param: Param, value: str, rng: Random, before: str) -> str:
    year, month, day = (int(part) for part in value.split("-"))
    name, short = MONTHS[month - 1], MONTHS[month - 1][:3]
    ways = {
        value: 2.0,
        f"{name} {day}, {year}": 4.0,
        f"{day} {name} {year}": 1.5,
        f"{name} {ordinal(day)}, {year}": 1.5,
        f"{short} {day}, {year}": 0.7,
    }
    if before not in _MEASURED:
        ways[f"the {ordinal(day)} of {name} {year}"] = 0.4
    return weighted(rng, ways)


_HOURS = ("twelve", *WORDS[1:12])


def _time(param: Param, value: str, rng: Random, before: str) -> str:
    hour, minute = (int(part) for part in value.split(":"))
    half = "am" if hour < 12 else "pm"
    twelve = (hour - 1) % 12 + 1
    short = f"{twelve} {half}" if minute == 0 else f"{twelve}:{minute:02d} {half}"
    ways = {value: 3.0, short: 4.0, short.replace(" ", ""): 0.8, short.upper(): 1.0}
    if (hour, minute) in ((12, 0), (0, 0)):
        ways["noon" if hour else "midnight"] = 3.0
    if before not in _MEASURED and minute in (0, 15, 30) and hour:
        part = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "at night"
        part = "in the evening" if 18 <= hour < 22 else part
        lead = {0: "", 15: "quarter past ", 30: "half past "}[minute]
        if (hour, minute) != (12, 0):
            ways[f"{lead}{_HOURS[hour % 12]} {part}"] = 0.5
    return weighted(rng, ways)


def _datetime(param: Param, value: str, rng: Random, before: str) -> str:
    day, clock = value.split("T")
    if rng.random() < 0.12:
        return f"{day} {clock}"
    said_day, said_time = _date(param, day, rng, "the"), _time(param, clock, rng, "the")
    if before == "at" or (before != "on" and rng.random() < 0.3):
        return f"{said_time} on {said_day}"
    return f"{said_day} at {said_time}"


def _coordinates(param: Param, value: tuple[float, float], rng: Random, before: str) -> str:
    latitude, longitude = value
    if rng.random() < 0.6:
        return f"{latitude}, {longitude}"
    return f"latitude {latitude} and longitude {longitude}"


def _text(param: Param, value: str, rng: Random, before: str) -> str:
    return rng.choice([way for way in param.values.get(value, ()) if value in way] or [value])


def _enum(param: Param, value: str, rng: Random, before: str) -> str:
    return rng.choice(param.values[value])


def _bool(param: Param, value: bool, rng: Random, before: str) -> str:
    return rng.choice(param.yes if value else param.no)


def _id(param: Param, value: str, rng: Random, before: str) -> str:
    noun = param.noun or "item"
    if noun.rsplit(" ", 1)[-1].lower() in ("number", "id", "code", "key"):
        return f"{noun} {value}"
    ways = {f"{noun} {value}": 8.0, f"{noun} ID {value}": 0.7}
    if before not in _MEASURED:
        ways[f"the {noun} with ID {value}"] = 0.4
        ways[f"the {noun} {value}"] = 0.7
    return weighted(rng, ways)


def _currency(param: Param, value: str, rng: Random, before: str) -> str:
    return rng.choice(pools().currencies[value])


def _list(param: Param, value: tuple[Any, ...], rng: Random, before: str) -> str:
    item, style = item_of(param), rng.getrandbits(32)
    says = _SAYS[item.kind]
    said = [says(item, each, Random(style), "" if n else before) for n, each in enumerate(value)]
    if item.kind in NUMERIC:  # in a list 1,000 would be two numbers
        said = [re.sub(r"(?<=\d),(?=\d{3})", "", each) for each in said]
    if not all(re.fullmatch(r"-?[\d.]+", each) for each in said):
        return join_list(said, rng)
    if param.size is not None:
        return weighted(rng, {f"({', '.join(said)})": 6, f"[{', '.join(said)}]": 3})
    ways = {f"[{', '.join(said)}]": 3, ", ".join(said): 3, join_list(said, rng): 4}
    return weighted(rng, ways)


def _as_written(param: Param, value: Any, rng: Random, before: str) -> str:
    return str(value)


_SAYS: dict[str, Callable[[Param, Any, Random, str], str]] = {
    "text": _text,
    "enum": _enum,
    "bool": _bool,
    "integer": _counted,
    "number": _counted,
    "money": _money,
    "percent": _percent,
    "duration": _duration,
    "date": _date,
    "time": _time,
    "datetime": _datetime,
    "year": _as_written,
    "month": lambda param, value, rng, before: MONTHS[value - 1],
    "weekday": _as_written,
    "city": _as_written,
    "country": _as_written,
    "place": _as_written,
    "address": _as_written,
    "coordinates": _coordinates,
    "person": _as_written,
    "company": _as_written,
    "email": _as_written,
    "phone": _as_written,
    "url": _as_written,
    "currency": _currency,
    "language": _as_written,
    "color": _as_written,
    "id": _id,
    "list": _list,
}
