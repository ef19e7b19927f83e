"""Lists of objects: how the offline teacher asks for them, and how the rule judge reads them."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest
from tests.teachers.bookings import judged, move, says

from looptool.records import Sample, Scenario, Tool, Verdict
from looptool.seed.checks import fault_of
from looptool.seed.dialogues import samples_of, simulate
from looptool.seed.dice import dice
from looptool.teachers.base import DialogueBrief
from looptool.teachers.offline.objects import say_objects
from looptool.teachers.offline.sense import Slot
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.teachers.offline.understand import understand
from looptool.teachers.offline.usable import why_unusable
from looptool.teachers.offline.values import draw_slot

TEXT, WHOLE, SWITCH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}


def holds(*required: str, **properties: Any) -> dict[str, Any]:
    wanted = list(required or properties)
    return {"type": "object", "properties": properties, "required": wanted}


def many(items: Any, **rest: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **rest}


def tool(name: str, about: str, parameters: dict[str, Any]) -> Tool:
    return Tool(name=name, description=about, parameters=parameters)


ORDER = tool(
    "create_order",
    "Create an order for a customer.",
    holds(customer=TEXT, lines=many(holds(sku=TEXT, quantity=WHOLE))),
)
TRIP = tool(
    "plan_trip",
    "Plan a trip.",
    {
        **holds("legs", legs=many({"$ref": "#/$defs/Leg"}, minItems=2), note=TEXT),
        "$defs": {
            "Leg": holds(
                "from_city", "to_city", "day",
                from_city=TEXT, to_city=TEXT, day={"type": "string", "format": "date"},
                seat={"$ref": "#/$defs/Seat"}, flexible=SWITCH,
            ),
            "Seat": {"type": "string", "enum": ["AISLE_SEAT", "WINDOW_SEAT"]},
        },
    },
)  # fmt: skip
CART = tool(
    "update_cart",
    "Update a cart.",
    holds(add=many(holds(product=TEXT, count=WHOLE)), remove=many(holds(product_id=TEXT))),
)
SHIP = tool(
    "ship_boxes",
    "Ship boxes.",
    holds(boxes=many(holds(
        weight_kg={"type": "number"}, size=holds(width=WHOLE, height=WHOLE),
        contents=many(holds(name=TEXT, quantity=WHOLE)), tags=many(TEXT),
    ))),
)  # fmt: skip
ROUTE = tool(
    "find_route",
    "Find a route through waypoints.",
    holds(waypoints=many(holds(lat={"type": "number"}, lng={"type": "number"}))),
)


def played(one: Tool, seed: int, *needs: Scenario) -> list[Sample]:
    brief = DialogueBrief(id="t", tools=(one,), needs=needs, domain="own", seed=seed)
    dialogue = asyncio.run(simulate(brief, OfflineTeacher()))
    return samples_of(dialogue) if dialogue else []


@pytest.mark.parametrize("one", [ORDER, TRIP, CART, SHIP, ROUTE], ids=lambda one: one.name)
def test_every_value_of_the_objects_is_said_in_whatever_scenario(one: Tool) -> None:
    lists: list[list[Any]] = []
    for seed in range(8):
        for needs in (
            (Scenario.SINGLE,),
            (Scenario.MISSING_PARAMETER,),
            (Scenario.PARALLEL,),
            (Scenario.SINGLE, Scenario.MULTI_TURN),
        ):
            for sample in played(one, seed, *needs):
                assert fault_of(sample) is None, sample.context[-1].content
                assert asyncio.run(OfflineTeacher().accept(sample)) is None
                values = [v for call in sample.label.calls for v in call.arguments.values()]
                lists += [value for value in values if isinstance(value, list)]
    assert {len(each) for each in lists} > {2}
    assert all(isinstance(item, dict) and item for each in lists for item in each)


def lines_of(order: Tool) -> Slot:
    sense = understand(order)
    assert sense is not None
    return next(slot for slot in sense.slots.values() if slot.parts)


def test_so_many_of_a_thing_are_counted_or_described() -> None:
    value = ({"sku": "SU-4411", "quantity": 2}, {"sku": "SU-9032", "quantity": 1})
    said = {say_objects(lines_of(ORDER), value, Random(seed)) for seed in range(40)}
    assert "2 of sku SU-4411 and 1 of sku SU-9032" in said
    assert (
        "a line with sku SU-4411 and quantity 2, and another with sku SU-9032 and quantity 1"
        in (said)
    )


def test_a_way_is_said_as_one_and_a_switch_at_the_end() -> None:
    leg = {"from_city": "Oslo", "to_city": "Rome", "day": "2025-03-09", "seat": "AISLE_SEAT"}
    said = {say_objects(lines_of(TRIP), (leg | {"flexible": True},), Random(n)) for n in range(20)}
    assert (
        "a leg from Oslo to Rome with day 2025-03-09 and seat aisle, with flexible turned on"
        in (said)
    )


@pytest.mark.parametrize(
    ("bounds", "numbers"),
    [
        ({}, {1, 2, 3}),
        ({"minItems": 5}, {5}),
        ({"maxItems": 1}, {1}),
        ({"minItems": 2, "maxItems": 2}, {2}),
    ],
    ids=str,
)
def test_as_many_objects_are_drawn_as_the_schema_lets_there_be(
    bounds: dict[str, int], numbers: set[int]
) -> None:
    lines = many(holds(sku=TEXT, quantity=WHOLE), **bounds)
    slot = lines_of(tool("create_order", "Create an order.", holds(lines=lines)))
    drawn = [draw_slot(slot, dice(seed)) for seed in range(40)]
    assert {len(each) for each in drawn} == numbers


def test_no_two_objects_of_a_list_go_by_one_name() -> None:
    swatches = many(holds(city=TEXT, width=WHOLE), minItems=8)
    slot = lines_of(tool("place_swatches", "Place swatches.", holds(swatches=swatches)))
    for seed in range(40):
        drawn = draw_slot(slot, dice(seed))
        assert len({each["city"] for each in drawn}) == len(drawn) == 8


ANYTHING = {"type": "object"}
NODE = {"$ref": "#/$defs/N"}
TREE = {**holds(root=NODE), "$defs": {"N": holds(children=many(NODE))}}


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (holds(payload=ANYTHING), "payload is an object whose schema names no properties"),
        (holds(at=holds(meta=ANYTHING)), "at.meta is an object whose schema names no properties"),
        (holds(rows=many(ANYTHING)), "rows is a list of objects whose schema names no properties"),
        (holds(rows=many(holds(cell=ANYTHING))), "rows[].cell is an object whose schema names no"),
        (holds(grid=many(many(WHOLE))), "grid is a list of lists"),
        (holds(rows=many(holds(n=WHOLE), minItems=50)), "rows is a list of more objects"),
        (TREE, "root.children[].children is a list of objects nested too deeply"),
        (holds(pin={"type": "string", "pattern": "^[0-9]{6}$"}), "does not match"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_why_a_tool_cannot_be_asked_for_is_told(parameters: dict[str, Any], reason: str) -> None:
    assert reason in (why_unusable(tool("do_it", "Do it.", parameters)) or "")


@pytest.mark.parametrize(
    "parameters",
    [
        holds("name", name=TEXT, payload=ANYTHING),
        holds("name", name=TEXT, rows=many(ANYTHING)),
        holds("rows", rows=many(holds("n", n=WHOLE, meta=ANYTHING))),
        holds(options={"type": "object", "properties": {"page": WHOLE}}),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_left_out_where_it_is_optional(parameters: dict[str, Any]) -> None:
    assert why_unusable(tool("do_it", "Do it.", parameters)) is None


ASKED = says("Create an order for Maria Lopez, with 2 of sku SU-4411 and 1 of sku SU-9032.")


def order(first: int, second: int, sku: str = "SU-4411") -> Any:
    lines = [{"sku": sku, "quantity": first}, {"sku": "SU-9032", "quantity": second}]
    return move("create_order", customer="Maria Lopez", lines=lines)


def test_a_value_that_nobody_said_is_found_in_a_list_of_objects() -> None:
    for wrong in (order(7, 1), order(2, 1, "SU-4499")):
        assert judged(ASKED, order(2, 1), wrong, [ORDER]).verdict is Verdict.LABEL_WRONG
        assert judged(ASKED, wrong, order(2, 1), [ORDER]).verdict is Verdict.PRED_WRONG


def test_numbers_that_changed_places_replace_no_label() -> None:
    assert judged(ASKED, order(1, 2), order(2, 1), [ORDER]).verdict is Verdict.UNDECIDED


def test_words_for_a_referenced_choice_are_no_invention() -> None:
    trip = says("Plan a trip with a leg from Oslo to Rome with seat aisle and day 2025-03-09.")
    leg = {"from_city": "Oslo", "to_city": "Rome", "day": "2025-03-09"}
    right, wrong = (
        move("plan_trip", legs=[{**leg, "seat": seat}]) for seat in ("AISLE_SEAT", "WINDOW_SEAT")
    )
    assert judged(trip, right, wrong, [TRIP]).verdict is not Verdict.PRED_WRONG
    assert judged(trip, wrong, right, [TRIP]).verdict is not Verdict.LABEL_WRONG
