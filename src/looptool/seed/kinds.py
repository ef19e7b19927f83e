"""Values of semantic kinds, in one canonical form each.

Canonical forms: dates "2025-03-09", times "18:30", date-times "2025-03-09T18:30", durations in the
parameter's unit, coordinates (latitude, longitude), lists as tuples, enum values by key. How a
value is said is `surfaces.say`, how it stands in a call is `realise.realise`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any

from looptool.seed.dice import stable
from looptool.seed.pools import pools
from looptool.seed.vocabulary import Param

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
NUMERIC = ("integer", "number", "money", "percent")
"""Kinds whose values come twice in a list as they do in data."""
_FIRST_DAY = date(2024, 1, 1)
_NUM_DAYS = 3 * 365


def draw(param: Param, rng: Random) -> Any:
    """A value that the parameter may have, in canonical form."""
    return _DRAWS[param.kind](param, rng)


def draw_other(param: Param, rng: Random, taken: tuple[Any, ...]) -> Any:
    """A value unlike those in `taken`, or None if none was found."""
    for _ in range(30):
        value = draw(param, rng)
        if value not in taken:
            return value
    return None


def id_style(noun: str) -> str:
    """How ids of this noun look, everywhere: "hex", "digits", "dash", "snake" or "plain"."""
    if noun.endswith(("commit", "hash", "revision")):
        return "hex"
    styles = ("digits", "dash", "dash", "dash", "snake", "plain")
    return styles[stable("id", noun) % len(styles)]


def draw_id(noun: str, rng: Random) -> str:
    """An id such as "BK-2041", in the style of its noun."""
    words = noun.replace("-", " ").split() or ["id"]
    letters = "".join(w[0] for w in words) if len(words) > 1 else (words[0][0] + words[0][-1])
    match id_style(noun):
        case "hex":
            return f"{rng.getrandbits(28):07x}"
        case "digits":
            return str(rng.randint(10_000, 999_999))
        case "snake":
            return f"{words[-1].lower()[:4]}_{rng.getrandbits(24):06x}"
        case "plain":
            return f"{letters.upper()}{rng.randint(10_000, 99_999)}"
        case _:
            return f"{letters.upper()}-{rng.randint(1000, 9999)}"


def draw_date(rng: Random) -> str:
    """A day of the years 2024 to 2026."""
    return (_FIRST_DAY + timedelta(days=rng.randrange(_NUM_DAYS))).isoformat()


def draw_time(rng: Random) -> str:
    """Mostly a waking hour, mostly on the hour or the half."""
    hour = rng.choice((7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, rng.randrange(24)))
    return f"{hour:02d}:{rng.choice((0, 0, 0, 30, 30, 15, 45, rng.randrange(0, 60, 5))):02d}"


def draw_person(rng: Random) -> str:
    """First and last name."""
    return f"{rng.choice(pools().first_names)} {rng.choice(pools().last_names)}"


def _text(param: Param, rng: Random) -> str:
    key = rng.choice(list(param.values))
    ways = param.values[key]
    spelled_out = key.replace("_", " ") in ways
    return key if spelled_out or any(key in way for way in ways) else ways[0]


def _enum(param: Param, rng: Random) -> str:
    return rng.choice(list(param.values))


def _bool(param: Param, rng: Random) -> bool:
    if not param.no:
        return True
    return rng.random() < (0.3 if param.default is True else 0.75)


def _between(param: Param, low: float, high: float) -> tuple[float, float]:
    """The least and the greatest value; `low` and `high` where the parameter does not say."""
    return low if param.min is None else param.min, high if param.max is None else param.max


def _integer(param: Param, rng: Random) -> float:
    least, most = _between(param, 0, 100)
    low, high = math.ceil(least), math.floor(most)
    if low > high:
        return _number(param, rng)
    step = max(1, round(param.step or _round_step(low, high, rng)))
    start = low if param.step else -(-low // step) * step
    return start + step * rng.randrange(max(0, high - start) // step + 1)


def _round_step(low: int, high: int, rng: Random) -> int:
    """People say 40 more often than 37."""
    if high - low <= 24 or rng.random() < 0.3:
        return 1
    return 5 if high - low <= 200 else 50 if high - low <= 5000 else 500


def _number(param: Param, rng: Random) -> float:
    low, high = _between(param, 0.0, 100.0)
    step = param.step or (0.05 if high - low < 2 else 0.5 if high - low > 60 else 0.1)
    value = round(low + step * rng.randrange(int((high - low) / step + 1e-9) + 1), 4)
    return int(value) if value == int(value) else value


def _money(param: Param, rng: Random) -> float:
    low, high = _between(param, 1, 1000)
    if param.step:
        return _number(param, rng)
    if high < 100 and rng.random() < 0.4:
        return round(rng.uniform(low, high), 2)
    return _integer(param, rng)


def _percent(param: Param, rng: Random) -> float:
    low, high = _between(param, 0, 100)
    if param.step or high - low < 8:
        return _number(param.model_copy(update={"min": low, "max": high}), rng)
    least = math.ceil(low)
    whole = rng.randrange(least, math.floor(high) + 1)
    return whole if rng.random() < 0.4 else max(least, whole - whole % 5)


def _duration(param: Param, rng: Random) -> float:
    low, high = _between(param, 1, 10)
    usual = {"minutes": (15, 30, 45, 60, 90, 120), "seconds": (30, 60, 90, 120)}
    common = [n for n in usual.get(param.unit or "", ()) if low <= n <= high]
    if common and rng.random() < 0.6:
        return rng.choice(common)
    return _integer(param.model_copy(update={"min": low, "max": high}), rng)


def _datetime(param: Param, rng: Random) -> str:
    return f"{draw_date(rng)}T{draw_time(rng)}"


def _year(param: Param, rng: Random) -> int:
    low, high = _between(param, 1990, 2025)
    return rng.randint(round(low), round(high))


def _city(param: Param, rng: Random) -> str:
    """The name, now and then with what it lies in: "Austin, TX"."""
    city, land = rng.choice(list(pools().cities.items()))
    return f"{city}, {land}" if rng.random() < 0.15 else city


def _place(param: Param, rng: Random) -> str:
    if rng.random() < 0.6:
        return rng.choice(pools().places)
    return f"{rng.choice(pools().place_stems)} {rng.choice(pools().place_types)}"


def _address(param: Param, rng: Random) -> str:
    street = f"{rng.randint(1, 240)} {rng.choice(pools().streets)}"
    return street if rng.random() < 0.5 else f"{street}, {rng.choice(list(pools().cities))}"


def _company(param: Param, rng: Random) -> str:
    return f"{rng.choice(pools().company_stems)} {rng.choice(pools().company_suffixes)}"


def _email(param: Param, rng: Random) -> str:
    first, last = draw_person(rng).lower().replace("'", "").split(" ", 1)
    name = rng.choice((f"{first}.{last}", f"{first[0]}{last}", first, f"{first}_{last}"))
    return f"{name}@{rng.choice(pools().domains)}"


def _phone(param: Param, rng: Random) -> str:
    a, b = rng.randint(201, 989), rng.randint(100, 199)
    return rng.choice((f"+1-{a}-555-0{b}", f"({a}) 555-0{b}", f"+44 20 7946 0{b}", f"{a}-555-0{b}"))


def _url(param: Param, rng: Random) -> str:
    host = rng.choice(pools().hosts)
    return (
        f"https://{host}" if rng.random() < 0.3 else f"https://{host}/{rng.choice(pools().pages)}"
    )


def _coordinates(param: Param, rng: Random) -> tuple[float, float]:
    digits = rng.choice((2, 4, 4))
    return round(rng.uniform(-55, 68), digits), round(rng.uniform(-170, 175), digits)


def _list(param: Param, rng: Random) -> tuple[Any, ...]:
    item = item_of(param)
    if param.of in NUMERIC:
        number = param.size or rng.choice((2, 3, 4, 4, 5, 5, 6, 8))
        return tuple(draw(item, rng) for _ in range(number))
    taken: tuple[Any, ...] = ()
    for _ in range(param.size or rng.choice((1, 2, 2, 2, 3, 3, 4))):
        value = draw_other(item, rng, taken)
        taken = taken if value is None else (*taken, value)
    return taken


def item_of(param: Param) -> Param:
    """What one item of a list means."""
    assert param.of is not None
    return param.model_copy(update={"kind": param.of, "of": None, "size": None, "optional": False})


_DRAWS: dict[str, Callable[[Param, Random], Any]] = {
    "text": _text,
    "enum": _enum,
    "bool": _bool,
    "integer": _integer,
    "number": _number,
    "money": _money,
    "percent": _percent,
    "duration": _duration,
    "date": lambda param, rng: draw_date(rng),
    "time": lambda param, rng: draw_time(rng),
    "datetime": _datetime,
    "year": _year,
    "month": lambda param, rng: rng.randint(1, 12),
    "weekday": lambda param, rng: rng.choice(WEEKDAYS),
    "city": _city,
    "country": lambda param, rng: rng.choice(list(pools().countries)),
    "place": _place,
    "address": _address,
    "coordinates": _coordinates,
    "person": lambda param, rng: draw_person(rng),
    "company": _company,
    "email": _email,
    "phone": _phone,
    "url": _url,
    "currency": lambda param, rng: rng.choice(list(pools().currencies)),
    "language": lambda param, rng: rng.choice(list(pools().languages)),
    "color": lambda param, rng: rng.choice(pools().colors),
    "id": lambda param, rng: draw_id(param.noun or "item", rng),
    "list": _list,
}
