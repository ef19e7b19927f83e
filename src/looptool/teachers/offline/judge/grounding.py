"""Whether an argument's value has come from the conversation."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any, NamedTuple

from looptool.jsonvalue import shorten
from looptool.seed.pools import names_of, pools
from looptool.seed.units import LONG_UNITS
from looptool.teachers.offline.judge.demands import Demand, Path
from looptool.teachers.offline.judge.evidence import Evidence, Reading
from looptool.teachers.offline.judge.moments import (
    WEEKDAYS,
    clock,
    days,
    is_relative,
    month_number,
    same_day,
)
from looptool.teachers.offline.judge.quantities import SECONDS, same_number
from looptool.teachers.offline.judge.words import (
    NEGATIONS,
    STOP,
    holds,
    meets,
    name_tokens,
    normal,
    root,
    roots,
    tokens,
    word_set,
)


class Support(IntEnum):
    """How far the conversation speaks for a value."""

    AGAINST = 0
    """It speaks for another, or says nothing where this must have been said."""
    UNSAID = 1
    """Nothing speaks for it, but it could be said in other words."""
    DERIVED = 2
    """It follows from what was said."""
    STATED = 3
    """It was said."""


class Grounds(NamedTuple):
    """The support of a value and why; `open` if the user's open request gives it,
    `fresh` if that or a tool's answer to it does.
    """

    support: Support
    why: str = ""
    open: bool = False
    fresh: bool = False


def ground(value: Any, demand: Demand, evidence: Evidence) -> Grounds:
    """The grounds of one argument's value."""
    if isinstance(value, list):
        return _ground_list(value, demand, evidence)
    if isinstance(value, dict):
        return _all([_ground_within(v, demand, (key,), evidence) for key, v in value.items()])
    if value is None:
        return Grounds(Support.UNSAID)
    form = wrong_form(value, demand)
    if form:
        return Grounds(Support.AGAINST, form)
    readings = ((evidence.open, True, True), (evidence.fresh, False, True))
    for reading, is_open, is_fresh in (*readings, (evidence.said, False, False)):
        support, why = _in_reading(value, demand, reading)
        if support > Support.UNSAID:
            return Grounds(support, why, is_open, is_fresh)
    return Grounds(support, why)


def wrong_form(value: Any, demand: Demand) -> str:
    """In which way the value is not written as the schema asks; empty if it is."""
    if demand.closed and not isinstance(value, list | dict) and value not in demand.closed:
        return f"{shorten(value)} is none of the allowed values"
    if not isinstance(value, str):
        if demand.fraction and isinstance(value, int | float) and abs(value) > 1:
            return f"{shorten(value)} is no fraction between 0 and 1"
        return ""
    if demand.day and days(value) and not _follows(value, demand.day):
        return f"{shorten(value)} is not written as {demand.day}"
    minutes = clock(value.rpartition("T")[2] if "T" in value else value.rpartition(" ")[2])
    if minutes is not None and demand.seconds is not None and not demand.halves:
        long = re.search(r"\d:\d\d:\d\d", value) is not None
        if long is not demand.seconds:
            return f"{shorten(value)} is not written as HH:MM{':SS' if demand.seconds else ''}"
    if demand.halves and re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", value):
        return f"{shorten(value)} lacks AM or PM"
    if demand.code and (" " in value or normal(value) in _coded_names()):
        return f"{shorten(value)} is a name, not a code"
    if demand.day and not days(value) and not is_relative(value):
        return f"{shorten(value)} is no date"
    if demand.shape and not re.search(demand.shape, value):
        return f"{shorten(value)} is no {' '.join(demand.words)}"
    return ""


def _follows(value: str, pattern: str) -> bool:
    written = re.escape(pattern).replace("YYYY", r"\d{4}").replace("MM", r"\d{2}")
    return re.match(written.replace("DD", r"\d{2}").replace("YY", r"\d{2}"), value) is not None


def _in_reading(value: Any, demand: Demand, reading: Reading) -> tuple[Support, str]:
    if isinstance(value, bool):
        return _switch(value, demand, reading)
    if isinstance(value, int | float):
        return _number(value, demand, reading)
    if demand.closed:
        return _choice(value, demand, reading)
    return _text(value, demand, reading)


def _ground_list(value: list[Any], demand: Demand, evidence: Evidence) -> Grounds:
    item = demand.items or Demand(path=demand.path, words=demand.words)
    return _all([ground(each, item, evidence) for each in value], "an empty list")


def _ground_within(value: Any, demand: Demand, path: Path, evidence: Evidence) -> Grounds:
    """The grounds of what an object holds that is no leaf itself, as one in a list."""
    if isinstance(value, dict):
        inner = value.items()
        return _all([_ground_within(v, demand, (*path, key), evidence) for key, v in inner])
    found = ground(value, demand.field(path), evidence)
    if isinstance(value, bool) and found.support is Support.AGAINST:
        return found._replace(support=Support.UNSAID)  # it may have been said of another object
    return found


def _all(inner: list[Grounds], nothing: str = "") -> Grounds:
    """The grounds of several values together: as good as the worst of them."""
    if not inner:
        return Grounds(Support.UNSAID, nothing)
    least = min(inner, key=lambda g: g.support)
    return Grounds(
        least.support, least.why, all(g.open for g in inner), all(g.fresh for g in inner)
    )


# Numbers


def _number(value: float, demand: Demand, reading: Reading) -> tuple[Support, str]:
    try:
        value = float(value)
    except OverflowError:
        return Support.AGAINST, "so large a number was never said"
    if demand.unit and (support := _duration(value, demand.unit, reading)) is not None:
        return support, f"{value:g} {demand.unit}s"
    dated = {"day", "month", "year", "hour", "minute"} & set(demand.words)
    for amount in reading.amounts if dated else reading.undated.amounts:
        timed = demand.unit is not None and amount.unit is not None
        if amount.implied and not (timed or _COUNTED & set(demand.words)):
            continue
        if demand.fraction and same_number(amount.value, value * 100):
            return Support.STATED, "a percentage as a fraction"
        if same_number(amount.value, value):
            return Support.STATED, f"{value:g} was said"
    if _named_number(value, demand, reading):
        return Support.STATED, "a month or weekday as a number"
    if demand.unit is None and _converted(value, reading):
        return Support.DERIVED, "a duration in another unit"
    if value == 1 and {"a", "an", "one", "another"} & set(reading.words):
        return Support.UNSAID, "one, perhaps"
    return Support.AGAINST, f"{value:g} stands nowhere in the conversation"


_COUNTED = word_set("index position rank place floor number round page order level nth episode")


def _duration(value: float, unit: str, reading: Reading) -> Support | None:
    """How durations in the text speak for `value` units; None if they say nothing of it."""
    figures = reading.undated.amounts
    timed = [amount for amount in figures if amount.unit]
    seconds = value * SECONDS[unit]
    for amount in timed:
        if amount.unit and same_number(amount.value * SECONDS[amount.unit], seconds):
            return Support.STATED
        if amount.unit == "month" and unit == "year" and same_number(amount.value, value * 12):
            return Support.STATED
        if amount.unit == "year" and unit == "month" and same_number(amount.value * 12, value):
            return Support.STATED
    bare = any(not a.unit and same_number(a.value, value) for a in figures)
    if not bare and any(same_number(amount.value, value) for amount in timed):
        return Support.AGAINST
    return None


def _converted(value: float, reading: Reading) -> bool:
    return any(
        amount.unit and same_number(amount.value * SECONDS[amount.unit] / SECONDS[unit], value)
        for amount in reading.amounts
        for unit in ("second", "minute", "hour", "day", "week")
    )


def _named_number(value: float, demand: Demand, reading: Reading) -> bool:
    about = {*demand.words, *tokens(demand.about)}
    if "month" in about and any(month_number(word) == value for word in reading.words):
        return True
    weekdays = [n for n, day in enumerate(WEEKDAYS) if day in reading.words]
    return bool(about & {"day", "weekday"}) and any(value in (n, n + 1) for n in weekdays)


# Texts


def _text(value: str, demand: Demand, reading: Reading) -> tuple[Support, str]:
    said = normal(value)
    if not said:
        return (Support.STATED, "") if value.strip() in reading.text else (Support.UNSAID, "")
    moment = _moment(value, reading)
    if moment is not None:
        return moment
    if holds(reading.normal, said):
        return _literal(said, value, reading)
    if any(holds(reading.normal, name) for name in code_names(value)):
        return Support.STATED, f"{shorten(value)} is the code of what was said"
    squeezed = said.replace(" ", "")
    if len(squeezed) >= 4 and squeezed in reading.squeezed and _is_exact(value):
        return Support.DERIVED, f"{shorten(value)}, written otherwise"
    numbers = re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", value)
    if numbers:
        return _number(float(value), demand, reading)
    pair = re.fullmatch(r"\s*(-?\d+\.\d+)\s*,\s*(-?\d+\.\d+)\s*", value)
    if pair:
        found = [_number(float(each), demand, reading)[0] for each in pair.groups()]
        return min(found), "coordinates"
    return _paraphrase(said, value, reading)


def _literal(said: str, value: str, reading: Reading) -> tuple[Support, str]:
    """A text that stands there word for word, unless it stands there for something else."""
    if all(word in STOP for word in said.split()) and (
        value.islower() or reading.only_opens(value, 2) or not reading.writes(value)
    ):
        return Support.AGAINST, f"{shorten(value)} is said, but as no value"
    if value[0].isupper() and reading.only_opens(value):
        return Support.UNSAID, f"{shorten(value)} only begins a sentence"
    if not holds(reading.undated.normal, said):
        return Support.AGAINST, f"{shorten(value)} is said, but as part of a date or time"
    return Support.STATED, f"{shorten(value)} was said"


def _paraphrase(said: str, value: str, reading: Reading) -> tuple[Support, str]:
    if _is_exact(value):
        return Support.AGAINST, f"{shorten(value)} stands nowhere in the conversation"
    meant = roots(said.split())
    known = [word for word in meant if meets(word, reading.roots)]
    if meant and len(known) == len(meant):
        same = all(word in reading.roots for word in meant)
        return (Support.DERIVED if same else Support.UNSAID), f"the words of {shorten(value)}"
    if known and len(meant) >= 3:
        return Support.UNSAID, f"some words of {shorten(value)}"
    return Support.AGAINST, f"{shorten(value)} stands nowhere in the conversation"


def _is_exact(value: str) -> bool:
    """Whether only its very characters will do: ids, addresses, anything with digits in it."""
    return bool(re.search(r"\d|@|://", value)) or ("_" in value and " " not in value)


def _moment(value: str, reading: Reading) -> tuple[Support, str] | None:
    """The grounds of a date, a time or both; None if the value is neither."""
    wanted = days(value)
    at = re.search(r"(?:^|[T ])(\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]\.?m\.?)?)", value, re.I)
    minutes = clock(at.group(1)) if at else None
    if (not wanted and minutes is None) or len(value) > 40:
        return None
    if wanted and not any(same_day(one, other) for one in wanted for other in reading.days):
        if is_relative(reading.text) and not reading.days:
            return Support.UNSAID, "a day that only a calendar can tell"
        return Support.AGAINST, f"the date {shorten(value)} was never said"
    if minutes is not None and minutes not in reading.times:
        if wanted and minutes == 0:
            return Support.DERIVED, f"the date of {shorten(value)} was said"
        return Support.AGAINST, f"the time of {shorten(value)} was never said"
    return Support.STATED, f"{shorten(value)} was said in another form"


def code_names(value: str) -> list[str]:
    """What a code of a country, a language or a currency stands for, in normal form."""
    return [normal(name) for name in names_of(value)]


def _coded_names() -> frozenset[str]:
    known = pools()
    return frozenset(normal(name) for table in (known.countries, known.languages) for name in table)


# Closed sets and switches


def _choice(value: str, demand: Demand, reading: Reading) -> tuple[Support, str]:
    """A value of a closed set, against the others of it."""
    scores = {each: _spoken(each, reading) for each in map(str, demand.closed)}
    mine = scores.get(str(value), 0.0)
    best = max(scores.values(), default=0.0)
    if mine >= 1 and not any(
        score > mine and holds(" ".join(name_tokens(other)), " ".join(name_tokens(value)))
        for other, score in scores.items()
    ):
        return Support.STATED, f"{shorten(value)} was said"
    if mine >= 0.5:
        return Support.DERIVED, f"part of {shorten(value)} was said"
    if best >= 1:
        other = max(scores, key=lambda each: scores[each])
        return Support.UNSAID, f"{shorten(other)} was said, not {shorten(value)}"
    return Support.UNSAID, f"nothing speaks for {shorten(value)}"


def _spoken(choice: str, reading: Reading) -> float:
    """2 if its words stand together in the text, 1 if all do, else the share that does."""
    words = name_tokens(choice)
    if len(choice) == 1 or choice.casefold() in STOP:
        return 1.5 if re.search(rf"\b{re.escape(choice)}\b", reading.text) else 0.0
    if holds(reading.normal, " ".join(words)):
        return 2.0 if len(words) > 1 else 1.5
    spelled_out = LONG_UNITS.get(choice) or LONG_UNITS.get(choice.upper())
    if spelled_out and roots(tokens(spelled_out)) <= reading.roots:
        return 1.5
    if any(holds(reading.normal, name) for name in code_names(choice)):
        return 1.5
    meant = frozenset(root(word) for word in words if word not in STOP)
    if not meant:
        return 0.0
    squeezed = "".join(words)
    if len(squeezed) >= 4 and squeezed in reading.squeezed:
        return 1.0
    return sum(1.0 if word in reading.roots else 0.8 * meets(word, reading.roots)
               for word in meant) / len(meant)  # fmt: skip


_SWITCHING = word_set("is include including included has have with show allow enable only use can")


def _switch(value: bool, demand: Demand, reading: Reading) -> tuple[Support, str]:
    """A boolean: on if the text has the parameter's words, off if it has them behind a "no"."""
    meant = roots(word for word in demand.words if word not in NEGATIONS | _SWITCHING)
    turned = bool(NEGATIONS & set(demand.words)) or (demand.words[:1] == ("non",))
    words = reading.words
    spoken = [at for at, word in enumerate(words) if word not in STOP and meets(root(word), meant)]
    met = frozenset(root(words[at]) for at in spoken)
    if not spoken or not all(meets(word, met) for word in meant):
        return Support.UNSAID, f"nothing was said of {' '.join(demand.words)}"
    around = {
        word for at in spoken for word in (*words[max(0, at - 4) : at], *words[at + 1 : at + 3])
    }
    negated = bool(NEGATIONS & around)
    if (negated is turned) is value:
        return Support.DERIVED, f"{' '.join(demand.words)} was spoken of"
    return Support.AGAINST, f"{' '.join(demand.words)} was spoken of otherwise"
