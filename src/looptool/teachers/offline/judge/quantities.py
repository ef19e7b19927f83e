"""Numbers and quantities, as people write them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise


def _counted(text: str, first: int = 0, step: int = 1) -> dict[str, float]:
    """Number words in order, with their values."""
    return {word: float(first + step * n) for n, word in enumerate(text.split())}


_SMALL = _counted(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = _counted("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_SUFFIXES = {"k": 1e3, "m": 1e6, "mn": 1e6, "bn": 1e9, "b": 1e9}
_ORDINALS = _counted(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth", 1
)
_FIXED = {"once": 1.0, "twice": 2.0, "thrice": 3.0, "couple": 2.0, "pair": 2.0, "both": 2.0,
          "single": 1.0, "double": 2.0, "triple": 3.0, "dozen": 12.0, "half": 0.5,
          "quarter": 0.25, "none": 0.0}  # fmt: skip
_HARDLY = ("a", "an", "once", "twice", "both")
SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0,
           "month": 2629746.0, "year": 31556952.0}  # fmt: skip
_SHORT_UNITS = {
    "sec": "second", "secs": "second", "s": "second", "min": "minute", "mins": "minute",
    "hr": "hour", "hrs": "hour", "h": "hour", "d": "day", "wk": "week", "wks": "week",
    "yr": "year", "yrs": "year", "mo": "month",
}  # fmt: skip
_PIECE = re.compile(
    r"(?P<number>(?<![\w.])(?<![^\W_]-)[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)"
    r"(?P<suffix>(?:st|nd|rd|th|k|m|mn|bn|b)(?![^\W\d_]))?|(?P<word>[^\W\d_]+)|(?P<sign>%)",
)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in a text; `unit` is a time unit, in the singular, where one follows.

    `implied` if no number was named: "first", "a week", "twice". `parts` are what the text names of
    a sum.
    """

    value: float
    unit: str | None = None
    implied: bool = False
    parts: tuple[Amount, ...] = ()


@lru_cache(maxsize=4096)
def amounts(text: str) -> tuple[Amount, ...]:
    """Every number in the text, in digits or in words, and every sum of a mixed duration."""
    found: list[Amount] = []
    pieces = [match for match in _PIECE.finditer(text.casefold())]
    index = 0
    while index < len(pieces):
        value, after = _number_at(pieces, index)
        if value is None:
            index += 1
            continue
        implied = _word(pieces, index) in (*_ORDINALS, *_HARDLY)
        value, unit, after = _with_half(pieces, value, after)
        found.append(Amount(value, unit, implied))
        index = after
    return tuple(found + _mixed(found))


def time_unit(word: str) -> str | None:
    """The unit in full and singular, as in hrs → hour; None if the word is no unit of time."""
    word = word.casefold()
    word = _SHORT_UNITS.get(word, word.removesuffix("s"))
    return word if word in SECONDS else None


def same_number(one: float, other: float) -> bool:
    """Equal up to the rounding of a conversion; a number beyond all floats equals none."""
    try:
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    except OverflowError:
        return False


def _number_at(pieces: list[re.Match[str]], index: int) -> tuple[float | None, int]:
    piece = pieces[index]
    if piece["number"]:
        return _digits(pieces, index)
    word = piece["word"] or ""
    if word in _ORDINALS and word != "second":
        return _ORDINALS[word], index + 1
    if word in ("a", "an") and index + 1 < len(pieces):
        return _after_article(pieces, index)
    if word in _FIXED:
        return _fraction_of(pieces, index, _FIXED[word])
    if word in _SMALL or word in _TENS:
        return _spelled(pieces, index)
    return None, index


def _digits(pieces: list[re.Match[str]], index: int) -> tuple[float | None, int]:
    value = float(pieces[index]["number"].replace(",", "").replace("−", "-"))
    value *= _SUFFIXES.get(pieces[index]["suffix"] or "", 1.0)
    following = _word(pieces, index + 1)
    if following in _SCALES:
        return value * _SCALES[following], index + 2
    if following == "dozen":
        return value * 12, index + 2
    return (value if math.isfinite(value) else None), index + 1


def _after_article(pieces: list[re.Match[str]], index: int) -> tuple[float | None, int]:
    word = _word(pieces, index + 1)
    if word in _FIXED:
        return _FIXED[word], index + 2
    if word in _SCALES:
        return _SCALES[word], index + 2
    return (1.0, index + 1) if time_unit(word) and len(word) > 2 else (None, index)


def _fraction_of(pieces: list[re.Match[str]], index: int, value: float) -> tuple[float | None, int]:
    if value < 1 and _word(pieces, index + 1) in ("a", "an"):
        if _word(pieces, index + 2) == "dozen":
            return 12 * value, index + 3
        return value, index + 2
    return value, index + 1


def _spelled(pieces: list[re.Match[str]], index: int) -> tuple[float | None, int]:
    total, current = 0.0, 0.0
    while index < len(pieces):
        word = _word(pieces, index)
        if word in _SMALL and (not current or current % 10 == 0):
            current += _SMALL[word]
        elif word in _TENS and current % 100 == 0:
            current += _TENS[word]
        elif word == "hundred" and current:
            current *= 100
        elif word in _SCALES and current:
            total, current = total + current * _SCALES[word], 0.0
        elif word == "dozen" and current:
            current *= 12
        elif word == "and" and current >= 100 and _word(pieces, index + 1) in (*_SMALL, *_TENS):
            pass
        else:
            break
        index += 1
    return total + current, index


def _with_half(
    pieces: list[re.Match[str]], value: float, index: int
) -> tuple[float, str | None, int]:
    """Reads "… and a half", before or after a unit of time."""
    value, index = _plus_half(pieces, value, index)
    unit = time_unit(_word(pieces, index))
    if unit:
        value, index = _plus_half(pieces, value, index + 1)
    return value, unit, index


def _plus_half(pieces: list[re.Match[str]], value: float, index: int) -> tuple[float, int]:
    if [_word(pieces, index + n) for n in range(3)] == ["and", "a", "half"]:
        return value + 0.5, index + 3
    return value, index


def _word(pieces: list[re.Match[str]], index: int) -> str:
    return (pieces[index]["word"] or "") if index < len(pieces) else ""


def _mixed(found: list[Amount]) -> list[Amount]:
    """The sums of durations like 2 hours and 30 minutes, which is also 9000 seconds."""
    sums = []
    for one, other in pairwise(found):
        if one.unit and other.unit and SECONDS[one.unit] > SECONDS[other.unit]:
            seconds = one.value * SECONDS[one.unit] + other.value * SECONDS[other.unit]
            sums.append(Amount(seconds, "second", parts=(one, other)))
    return sums
