from __future__ import annotations

import re

import pytest

from looptool.records import Seed
from looptool.seed.dice import dice
from looptool.seed.evidence import read, supports
from looptool.seed.kinds import draw
from looptool.seed.pools import pools
from looptool.seed.property_schemas import draw_manner, property_schema
from looptool.seed.realise import realise
from looptool.seed.surfaces import say
from looptool.seed.units import singular
from looptool.seed.vocabulary import Param
from looptool.teachers.offline.phrase import starts_with_vowel, tidy


def param(kind: str, **fields: object) -> Param:
    return Param.model_validate({"kind": kind, "about": "x", **fields})


def ways(of: Param, value: object, before: str = "") -> set[str]:
    return {say(of, value, dice(n), before) for n in range(300)}


def test_plain_forms_lead() -> None:
    price = param("money", min=1, max=2000)
    said = [say(price, 1200, dice(n)) for n in range(300)]
    assert sum(text in ("$1200", "$1,200") for text in said) > 150
    assert "1200 dollars" in said or "1,200 dollars" in said


@pytest.mark.parametrize(
    ("value", "expected"), [(90, "an hour and a half"), (120, "2 hours"), (60, "an hour")]
)
def test_durations_are_also_said_in_larger_units(value: int, expected: str) -> None:
    assert expected in ways(param("duration", unit="minutes", min=5, max=200), value)


def test_an_article_never_follows_a_determiner() -> None:
    said = ways(param("duration", unit="days", min=1, max=9), 7, "another ")
    assert not any(text.startswith(("a ", "an ")) for text in said)


def test_units_agree_with_their_number() -> None:
    guests = param("integer", min=1, max=9, unit="guests")
    assert ways(guests, 1) == {"1 guest", "one guest"}
    assert singular("checked bags") == "checked bag"
    assert singular("pieces of luggage") == "piece of luggage"
    assert say(param("number", min=0, max=9, unit="kg"), 4.5, dice(2)) in (
        "4.5 kg",
        "4.5 kilograms",
    )


def test_a_value_is_also_said_inside_words_that_are_not_part_of_it() -> None:
    breed = param("text", values=list("abcdef"), around=["the ~ breed", "the breed ~"])
    assert ways(breed, "a", "of ") == {"a"}, "what is measured by a word stays beside it"
    assert ways(breed, "a", "buy ") == {"a", "the a breed", "the breed a"}
    assert ways(breed, "a", "named '") == {"a"}
    assert ways(param("city"), "Oslo") == {"Oslo", "the city of Oslo"}
    orchard = param("text", values=["<the> orchard", *"bcdef"], around="the ~ field")
    assert ways(orchard, "orchard") == {"the orchard"}


def test_lists_of_numbers_are_said_as_data_are_written() -> None:
    scores = param("list", of="integer", min=1, max=3)
    assert ways(scores, (3, 1, 3)) == {"[3, 1, 3]", "3, 1, 3", "3, 1 and 3", "3, 1, and 3"}
    drawn = [draw(scores, dice(n)) for n in range(50)]
    assert any(len(set(each)) < len(each) for each in drawn), "data repeat themselves"
    large = param("list", of="money", min=1, max=9000)
    assert not any(re.search(r"\d,\d", text) for text in ways(large, (7200, 1000)))
    point = param("list", of="number", size=2, min=-5, max=5, step=0.5)
    assert ways(point, (3, -4.5)) == {"(3, -4.5)", "[3, -4.5]"}
    assert {len(draw(point, dice(n))) for n in range(50)} == {2}


@pytest.mark.parametrize("clock", ["00:00", "07:15", "12:00", "12:30", "18:30", "23:05"])
def test_every_way_to_say_a_time_can_be_read_back(clock: str) -> None:
    assert all(clock in read(f"at {text} tomorrow").times for text in ways(param("time"), clock))


@pytest.mark.parametrize("clock", ["90:00", "25:30", "25:30 PM"])
def test_a_clock_beyond_the_day_is_read_as_text(clock: str) -> None:
    assert supports(read(f"for {clock} of play"), clock, {"type": "string"})
    assert not supports(read("for an hour"), clock, {"type": "string"})


@pytest.mark.parametrize("day", ["2025-03-03", "2024-12-31", "2026-05-22"])
def test_every_way_to_say_a_date_can_be_read_back(day: str) -> None:
    assert all(day in read(f"on {text}, please").dates for text in ways(param("date"), day))


@pytest.mark.parametrize(
    ("kind", "value", "schema", "expected"),
    [
        ("date", "2025-03-09", {"type": "string"}, "2025-03-09"),
        ("date", "2025-03-09", {"description": "Day (DD/MM/YYYY)."}, "09/03/2025"),
        ("time", "18:30", {"description": "Format: h:MM AM/PM."}, "6:30 PM"),
        ("datetime", "2025-03-09T18:30", {"description": "ISO 8601"}, "2025-03-09T18:30:00"),
        ("datetime", "2025-03-09T18:30", {"description": "YYYY-MM-DD HH:MM"}, "2025-03-09 18:30"),
        ("percent", 15, {"type": "number", "description": "As a fraction."}, 0.15),
        ("percent", 15, {"description": "As a decimal (0.05 for 5%)."}, 0.15),
        ("percent", 15, {"type": "number", "description": "In percent."}, 15),
        ("city", "Lyon", {"description": "Format: City, State or City, Country."}, "Lyon, France"),
        ("city", "Lyon, France", {"description": "As city, country."}, "Lyon, France"),
        ("city", "Lyon", {"description": "City."}, "Lyon"),
        ("month", 3, {"type": "integer"}, 3),
        ("month", 3, {"type": "string"}, "March"),
        ("language", "French", {"description": "ISO 639-1 code."}, "fr"),
        ("language", "French", {"description": "Target language."}, "French"),
        ("weekday", "Monday", {"type": "string", "enum": ["monday", "tuesday"]}, "monday"),
        ("coordinates", (1.5, 2.5), {"type": "array"}, [1.5, 2.5]),
    ],
)
def test_the_schema_decides_how_a_value_is_written(
    kind: str, value: object, schema: dict[str, object], expected: object
) -> None:
    assert realise(param(kind), value, schema) == expected


def test_a_city_comes_now_and_then_with_what_it_lies_in() -> None:
    rng = dice("cities")
    drawn = [draw(param("city"), rng) for _ in range(400)]
    placed = [city.split(", ") for city in drawn if ", " in city]
    assert 20 < len(placed) < 120
    assert all(pools().cities[city] == land for city, land in placed)


def test_a_city_with_what_it_lies_in_is_supported_by_its_name() -> None:
    text = {"type": "string"}
    assert supports(read("a table in Lyon"), "Lyon, France", text)
    assert not supports(read("a table in Lyon"), "Lyon, Spain", text)
    assert not supports(read("a table in Rome"), "Lyon, France", text)


def test_articles_and_stops() -> None:
    assert starts_with_vowel("orange") and starts_with_vowel("hour") and starts_with_vowel("8")
    assert not starts_with_vowel("unique") and not starts_with_vowel("European")
    assert tidy("find  a room , please") == "find a room, please"


def test_requests_are_clean(seed: Seed) -> None:
    said = [m.content for s in (*seed.train, *seed.held_out) for m in s.context if m.role == "user"]
    flaws = re.compile(r"[{}]|\b(a|an|the) (a|an|the)\b| ,|\.\?|\?\.|,,|\$\$|%%|\ba [aei]\w")
    assert [text for text in said if flaws.search(text)] == []


def test_an_article_is_said_and_not_given() -> None:
    field = param("text", values=["<the> orchard", "<my> plot", "bed 4", "x < 3", "a", "b"])
    assert {"orchard", "plot", "bed 4", "x < 3"} < {draw(field, dice(n)) for n in range(200)}
    assert ways(field, "orchard") == {"the orchard"}
    assert ways(field, "bed 4") == {"bed 4"}


def test_a_percentage_is_given_as_its_description_says() -> None:
    rate = param("percent", about=["Yearly rate, in percent.", "Yearly rate (%)."])
    told = set()
    for n in range(60):
        schema = property_schema(rate, "rate", draw_manner(dice(n)), dice(n))
        told.add(schema["description"])
        in_percent = "in percent" in schema["description"] or "(%)" in schema["description"]
        assert realise(rate, 5, schema) == (5 if in_percent else 0.05)
    assert {"Yearly rate, in percent.", "Yearly rate. As a decimal (0.05 for 5%)."} < told
    named = {
        property_schema(rate, "rate_percent", draw_manner(dice(n)), dice(n))["description"]
        for n in range(60)
    }
    assert named == {"Yearly rate, in percent.", "Yearly rate (%)."}
