"""What a text gives as evidence for an argument: its words, numbers, dates and times."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from looptool.records import Message
from looptool.seed.kinds import MONTHS
from looptool.seed.plain_schema import plain
from looptool.seed.pools import names_of

_ONE_WORDS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
"""
_ONES = _ONE_WORDS.split()
_TENS = {
    w: 10 * n
    for n, w in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2
    )
}
_WORD_NUMBERS: dict[str, float] = {
    **{w: n for n, w in enumerate(_ONES)},
    **_TENS,
    "hundred": 100,
    "thousand": 1000,
    "dozen": 12,
    "once": 1,
    "twice": 2,
    "half": 0.5,
    "a": 1,
    "an": 1,
    "million": 1_000_000,
    "quarter": 0.25,
    "first": 1,
    "second": 2,
    "third": 3,
}
_MONTH = {name.lower(): n for n, name in enumerate(MONTHS, 1)}
_MONTH |= {name[:3].lower(): n for n, name in enumerate(MONTHS, 1)} | {"sept": 9}
_MONTH_RE = "|".join(sorted(_MONTH, key=len, reverse=True))
_MONTH_NAME = re.compile(rf"\b({_MONTH_RE})\b", re.I)
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?|(?<=[^\W\d_])\d+(?:\.\d+)?|-?\d+(?:\.\d+)?")
_ISO = re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_SLASHED = re.compile(r"\b(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})\b")
_MONTH_FIRST = re.compile(rf"\b({_MONTH_RE})\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})", re.I)
_DAY_FIRST = re.compile(
    rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH_RE})\.?,? (\d{{4}})", re.I
)
_CLOCK = re.compile(r"\b(\d{1,2})(?:[:.](\d{2}))?(?::\d{2})?(?:\s*([ap])\.?m\b)?", re.I)
_SPOKEN_CLOCK = re.compile(
    r"\b(?:(half|quarter) (past|to) )?([a-z]+|\d{1,2})(?: o'clock)? "
    r"(in the morning|in the afternoon|in the evening|at night)",
    re.I,
)
_UNIT_FACTORS = (1, 60, 3600, 24, 1440, 86400, 7, 12, 1000, 100, 0.01, 1 / 60)
_MIXED = re.compile(
    r"(\d+|an?|one) (hour|minute|day|week|year)s?,? (?:and )?(\d+) (minute|second|hour|day|month)s?"
)
_RATIO = {
    ("hour", "minute"): 60,
    ("minute", "second"): 60,
    ("day", "hour"): 24,
    ("week", "day"): 7,
    ("year", "month"): 12,
}


@dataclass(frozen=True)
class Evidence:
    """What can be read off a text."""

    text: str
    numbers: frozenset[float]
    dates: frozenset[str]
    times: frozenset[str]


def normal(text: str) -> str:
    """Lower case, words and numbers only, one space between."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def read_context(context: tuple[Message, ...]) -> Evidence:
    """The evidence of what users and tools said."""
    return read("\n".join(m.content for m in context if m.role in ("user", "tool", "system")))


@lru_cache(maxsize=64)
def read(text: str) -> Evidence:
    """The evidence of a text."""
    return Evidence(
        text=normal(text),
        numbers=frozenset(_numbers(text)),
        dates=frozenset(_dates(text)),
        times=frozenset(_times(text)),
    )


def _numbers(text: str) -> Iterator[float]:
    for found in _NUMBER.findall(text):
        number = found.replace(",", "").rstrip(".")
        if number not in ("", "-"):
            yield float(number)
            yield abs(float(number))
    words = re.findall(r"[a-z]+", text.lower())
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word in _WORD_NUMBERS:
            yield _WORD_NUMBERS[word]
            if word in _TENS and after in _WORD_NUMBERS:
                yield _TENS[word] + _WORD_NUMBERS[after]
            if after in ("hundred", "thousand", "million", "dozen"):
                yield _WORD_NUMBERS[word] * _WORD_NUMBERS[after]
    for match in re.finditer(r"(\d+|[a-z]+)(?: [a-z]+)? and a half", text.lower()):
        whole = match.group(1)
        yield (float(whole) if whole.isdigit() else _WORD_NUMBERS.get(whole, 1)) + 0.5
    for first, larger, second, smaller in _MIXED.findall(text.lower()):
        factor = _RATIO.get((larger, smaller))
        if factor:
            yield (float(first) if first.isdigit() else 1.0) * factor + float(second)
    for name in _MONTH_NAME.findall(text):
        yield float(_MONTH[name.lower()])


def _dates(text: str) -> Iterator[str]:
    for year, month, day in _ISO.findall(text):
        yield f"{year}-{int(month):02d}-{int(day):02d}"
    for first, second, year in _SLASHED.findall(text):
        yield f"{year}-{int(second):02d}-{int(first):02d}"
        yield f"{year}-{int(first):02d}-{int(second):02d}"
    for name, day, year in _MONTH_FIRST.findall(text):
        yield f"{year}-{_MONTH[name.lower()]:02d}-{int(day):02d}"
    for day, name, year in _DAY_FIRST.findall(text):
        yield f"{year}-{_MONTH[name.lower()]:02d}-{int(day):02d}"


def _times(text: str) -> Iterator[str]:
    for hour, minute, half in _CLOCK.findall(text):
        h = int(hour)
        if h < 24:
            h = h % 12 + (12 if half.lower() == "p" else 0) if half else h
            yield f"{h:02d}:{minute or '00'}"
    if re.search(r"\bnoon\b|\bmidday\b", text, re.I):
        yield "12:00"
    if re.search(r"\bmidnight\b", text, re.I):
        yield "00:00"
    for fraction, side, hour, part in _SPOKEN_CLOCK.findall(text):
        h = int(hour if hour.isdigit() else _WORD_NUMBERS.get(hour.lower(), -1))
        if 0 < h <= 12:
            past = {"half": 30, "quarter": 15}.get(fraction.lower(), 0)
            total = (h % 12 + (0 if "morning" in part.lower() else 12)) * 60
            total += -past if side.lower() == "to" else past
            yield f"{total // 60 % 24:02d}:{total % 60:02d}"


def supports(
    evidence: Evidence,
    value: Any,
    schema: Mapping[str, Any] | bool,
    root: Mapping[str, Any] | None = None,
) -> bool:
    """Whether an argument can have come from the text. What needs understanding (switches, closed
    sets of values) is taken on trust. `root` is what references point into, by default `schema`.
    """
    if value is None or isinstance(value, bool) or not isinstance(schema, Mapping):
        return True
    if "enum" in schema or "const" in schema:
        return True
    root = schema if root is None else root
    schema = plain(schema, root)
    if value in (schema.get("enum") or ()) or value == schema.get("const"):
        return True
    if isinstance(value, list):
        items = schema.get("items")
        about = {"description": schema.get("description", "")}
        each_schema = {**about, **items} if isinstance(items, dict) else about
        return all(supports(evidence, each, each_schema, root) for each in value)
    if isinstance(value, dict):
        inner = schema.get("properties", {})
        return all(
            supports(evidence, each, inner.get(name, {}), root) for name, each in value.items()
        )
    if isinstance(value, int | float):
        return abs(value) <= sys.float_info.max and _supports_number(evidence, float(value))
    return _supports_text(evidence, value, str(schema.get("description", "")))


def _supports_number(evidence: Evidence, value: float) -> bool:
    if value in evidence.numbers:
        return True
    return any(
        abs(number * factor - value) < 1e-6 * max(1, abs(value))
        for number in evidence.numbers
        for factor in _UNIT_FACTORS
    )


def _supports_text(evidence: Evidence, value: str, description: str) -> bool:
    words = normal(value)
    if words in evidence.text or f"'{value}'" in description:
        return True
    day, clock = next(_dates(value), None), _clock_of(value)
    if day or clock:
        dated = day is None or not evidence.dates.isdisjoint(_dates(value))
        return dated and (clock is None or clock in evidence.times)
    if any(normal(name) in evidence.text for name in names_of(value)):
        return True
    parts = words.split()
    return bool(parts) and all(part in evidence.text for part in parts)


def _clock_of(value: str) -> str | None:
    match = re.search(r"(?:^|[T ])(\d{1,2}:\d{2})(?::\d{2})?(?: ?([AP])M)?", value)
    if match is None:
        return None
    clock = f"{match.group(1)} {match.group(2)}m" if match.group(2) else match.group(1)
    return next(_times(clock), None)
