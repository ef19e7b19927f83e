"""The pools of `pools.toml`: cities, people, companies … that values are drawn from."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PATH = Path(__file__).parent / "pools.toml"


@dataclass(frozen=True)
class Pools:
    """Names by what they name. A city maps to its country or US state, a country or language to
    its ISO code, the ISO code of a currency to what people call it.
    """

    cities: dict[str, str]
    us_cities: tuple[tuple[str, str], ...]
    countries: dict[str, str]
    languages: dict[str, str]
    currencies: dict[str, tuple[str, ...]]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    company_stems: tuple[str, ...]
    company_suffixes: tuple[str, ...]
    places: tuple[str, ...]
    place_stems: tuple[str, ...]
    place_types: tuple[str, ...]
    streets: tuple[str, ...]
    domains: tuple[str, ...]
    pages: tuple[str, ...]
    hosts: tuple[str, ...]
    colors: tuple[str, ...]


def names_of(code: str) -> tuple[str, ...]:
    """What the code of a country, a language or a currency stands for, and "Austin, TX"."""
    known = pools()
    city, _, land = code.partition(", ")
    if land and known.cities.get(city) == land:
        return (city,)
    tables = (known.countries, known.languages)
    names = [name for table in tables for name, each in table.items() if each == code]
    return (*names, *known.currencies.get(code, ()))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in re.split(r"[,\n]", text) if name.strip())


@cache
def pools() -> Pools:
    """Read once."""
    raw = tomllib.loads(PATH.read_text(encoding="utf-8"))
    us_cities = tuple(
        (city, state) for state, names in raw["us_cities"].items() for city in _names(names)
    )
    cities = {city: land for land, names in raw["cities"].items() for city in _names(names)}
    cities |= {city: state for city, state in us_cities if city not in cities}
    return Pools(
        cities=cities,
        us_cities=us_cities,
        countries=raw["countries"],
        languages=raw["languages"],
        currencies={code: _names(names) for code, names in raw["currencies"].items()},
        first_names=_names(raw["people"]["first"]),
        last_names=_names(raw["people"]["last"]),
        company_stems=_names(raw["companies"]["stem"]),
        company_suffixes=_names(raw["companies"]["suffix"]),
        places=_names(raw["places"]["names"]),
        place_stems=_names(raw["places"]["stem"]),
        place_types=_names(raw["places"]["type"]),
        streets=_names(raw["addresses"]["street"]),
        domains=_names(raw["web"]["domains"]),
        pages=_names(raw["web"]["pages"]),
        hosts=_names(raw["web"]["hosts"]),
        colors=_names(raw["colors"]["names"]),
    )
