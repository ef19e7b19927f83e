"""Dates and times of day, in any form that people or schemas write them."""

from __future__ import annotations

import re
from functools import lru_cache

MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september",
          "october", "november", "december")  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Day = tuple[int | None, int, int]
"""Year (None if it was not said), month, day."""

_MONTH = {name: number for number, name in enumerate(MONTHS, start=1)}
_MONTH |= {name[:3]: number for number, name in enumerate(MONTHS, start=1)} | {"sept": 9}
_NAMES = "|".join(sorted(_MONTH, key=len, reverse=True))
_ORDINAL = r"(?:st|nd|rd|th)?"
_YEAR = r"(?:,? ?(?:of )?(\d{4})\b)?"
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
_UNBROKEN = re.compile(r"(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?!\d)")
_MONTH_DAY = re.compile(rf"\b({_NAMES})\.? (?:the )?(\d{{1,2}}){_ORDINAL}\b{_YEAR}", re.I)
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}}){_ORDINAL}(?: of)?[ -]({_NAMES})\b\.?{_YEAR}", re.I)
_RELATIVE = re.compile(
    r"\b(today|tonight|tomorrow|yesterday|now|ago|next|last|this|coming|upcoming|weekend|"
    + "|".join(WEEKDAYS)
    + r")\b",
    re.I,
)
_CLOCK = re.compile(
    r"(?<![\d:.])(\d{1,2}):(\d{2})(?::\d{2})?(?!\d)(?:\.\d+)?(?: ?([ap])\.?m\b)?"
    r"|(?<![\d:.])(\d{1,2})\.(\d{2}) ?([ap])\.?m\b",
    re.I,
)
_HOUR = re.compile(r"(?<![\d:.])(\d{1,2}) ?([ap])\.?m\b", re.I)
_HOUR_NAMES = "one two three four five six seven eight nine ten eleven twelve"
_HOURS = {word: number for number, word in enumerate(_HOUR_NAMES.split(), start=1)}
_SPOKEN = re.compile(
    r"\b(?:(half|quarter|a quarter|ten|twenty|five|\d{1,2}(?: minutes)?) (past|after|to|before) )?"
    rf"({'|'.join(_HOURS)}|\d{{1,2}})(?: ?o'?clock)?"
    r"(?: (?:in the (morning|afternoon|evening)|at (night)))?",
    re.I,
)
_MINUTES = {"half": 30, "quarter": 15, "a quarter": 15, "ten": 10, "twenty": 20, "five": 5}


@lru_cache(maxsize=8192)
def days(text: str) -> frozenset[Day]:
    """Every date in the text; an ambiguous one (03/04/2025) in both readings."""
    found: set[Day] = set()
    for year, _, month, day in _YEAR_FIRST.findall(text):
        found.add((int(year), int(month), int(day)))
    for year, month, day in _UNBROKEN.findall(text):
        found.add((int(year), int(month), int(day)))
    for first, _, second, year in _YEAR_LAST.findall(text):
        found |= {(int(year), int(second), int(first)), (int(year), int(first), int(second))}
    for name, day, year in _MONTH_DAY.findall(text):
        found.add((int(year) if year else None, _MONTH[name.lower()], int(day)))
    for day, name, year in _DAY_MONTH.findall(text):
        found.add((int(year) if year else None, _MONTH[name.lower()], int(day)))
    return frozenset(day for day in found if 1 <= day[1] <= 12 and 1 <= day[2] <= 31)


def blank_moments(text: str) -> str:
    """The text without its dates and clock times, whose figures are no quantities."""
    for pattern in (_YEAR_FIRST, _YEAR_LAST, _MONTH_DAY, _DAY_MONTH, _CLOCK, _HOUR):
        text = pattern.sub(" ; ", text)
    return text


def same_day(one: Day, other: Day) -> bool:
    """Equal where both say something."""
    return one[1:] == other[1:] and (one[0] == other[0] or None in (one[0], other[0]))


def is_relative(text: str) -> bool:
    """Whether the text speaks of a day that only a calendar can tell."""
    return _RELATIVE.search(text) is not None


@lru_cache(maxsize=8192)
def times(text: str) -> frozenset[int]:
    """Every time of day in the text, in minutes; one without am or pm in both readings."""
    found: set[int] = set()
    for colon_hour, colon_minute, colon_half, *dotted in _CLOCK.findall(text):
        hour, minute, half = (colon_hour, colon_minute, colon_half) if colon_hour else dotted
        found |= _readings(int(hour), int(minute), half, written=True)
    for hour, half in _HOUR.findall(text):
        found |= _readings(int(hour), 0, half, written=True)
    for match in _SPOKEN.finditer(text):
        found |= _spoken(match)
    if re.search(r"\b(noon|midday)\b", text, re.I):
        found.add(12 * 60)
    if re.search(r"\bmidnight\b", text, re.I):
        found.add(0)
    return frozenset(found)


@lru_cache(maxsize=8192)
def clock(value: str) -> int | None:
    """The time of day that a whole argument states: "18:30", "18:30:00", "6:30 PM", "18h30"."""
    match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})(?::\d{2}(?:\.\d+)?)?\s*(?:([ap])\.?m\.?)?(?:z)?\s*",
                         value, re.I)  # fmt: skip
    if match is None:
        return None
    return next(iter(_readings(int(match[1]), int(match[2]), match[3] or "", written=True)), None)


def month_number(text: str) -> int | None:
    """3 for "March" or "mar"."""
    return _MONTH.get(text.strip().strip(".").lower())


def _readings(hour: int, minute: int, half: str, written: bool) -> set[int]:
    if hour > 24 or minute > 59:
        return set()
    if half:
        return {(hour % 12 + (12 if half.lower() == "p" else 0)) * 60 + minute}
    if written or hour > 12:
        return {hour % 24 * 60 + minute}
    return {hour % 12 * 60 + minute, (hour % 12 + 12) * 60 + minute}


def _spoken(match: re.Match[str]) -> set[int]:
    lead, side, said, part, night = match.groups()
    if not (side or part or night or "clock" in match.group().lower()):
        return set()
    hour = _HOURS.get(said.lower()) or (int(said) if said.isdigit() else 0)
    if not 1 <= hour <= 12:
        return set()
    minutes = 0
    if side:
        amount = _MINUTES.get(lead.lower())
        amount = int(lead.split()[0]) if amount is None else amount
        minutes = amount if side.lower() in ("past", "after") else -amount
    both = {hour % 12 * 60 + minutes, (hour % 12 + 12) * 60 + minutes}
    if part and part.lower() == "morning":
        both = {min(both)}
    elif part or night:
        both = {max(both)}
    return {minute % 1440 for minute in both}
