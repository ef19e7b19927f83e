"""Tools of one's own that take lists of objects, and those that nobody can ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from looptool.config import SeedConfig
from looptool.errors import UserError
from looptool.records import ErrorType, Label, Scenario, Seed, Tool, ToolCall
from looptool.seed.dice import dice
from looptool.seed.evidence import read, supports
from looptool.seed.make import make_seed
from looptool.seed.noise import plant
from looptool.seed.tools import read_tools, usable
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.teachers.offline.understand import understand
from looptool.toolmatch import same_move
from looptool.work import InMemory

TEXT = {"type": "string"}


def function(name: str, about: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": about, "parameters": parameters}


LINE = function("line", "", sku=TEXT, quantity={"type": "integer"})["parameters"]
ORDER = function(
    "create_order", "Create an order.", customer=TEXT, lines={"type": "array", "items": LINE}
)
EVENT = function("store_event", "Store an event.", payload={"type": "object"})
PING = function("ping", "Check that the service is alive.")


def seed_of(folder: Path, *tools: dict[str, Any], samples: int = 24) -> tuple[Seed, list[str]]:
    path = folder / "tools.json"
    path.write_text(json.dumps(tools))
    config = SeedConfig(samples=samples, held_out_samples=6, tools_file=str(path))
    said: list[str] = []
    return make_seed(config, 0, OfflineTeacher(), InMemory(), said.append), said


def test_a_tool_that_takes_a_list_of_objects_gives_every_kind_of_call(tmp_path: Path) -> None:
    made, said = seed_of(tmp_path, ORDER)
    calling = [sample for sample in made.train if sample.label.calls]
    assert {Scenario.SINGLE, Scenario.PARALLEL, Scenario.MULTI_TURN} <= {
        sample.scenario for sample in calling
    }
    assert all(call.arguments["lines"] for s in calling for call in s.label.calls)
    assert said == []


@pytest.mark.parametrize(
    "schema",
    [
        {"description": "Probability of heads, between 0 and 1."},
        {"description": "Discount percentage as a decimal (0.05 for 5%)."},
        {"description": "Share of the shape, in percent.", "minimum": 0.05, "maximum": 1},
    ],
)
def test_fractions_are_asked_for_as_their_schema_takes_them(
    tmp_path: Path, schema: dict[str, Any]
) -> None:
    flip = function("flip_coin", "Flip a coin.", probability={"type": "number", **schema})
    made, said = seed_of(tmp_path, flip)
    calls = [call for sample in made.train for call in sample.label.calls]
    given = {float(str(call.arguments.get("probability", 0.5))) for call in calls}
    assert len(given) > 5 and all(0 <= value <= 1 for value in given)
    assert max(given) > 0.5 and said == []


def test_a_list_of_lists_without_end_is_no_obstacle(tmp_path: Path) -> None:
    tree = {"$ref": "#/$defs/tree"}
    tool = function("store_note", "Store a note.", note=TEXT)
    tool["parameters"]["properties"]["tree"] = tree
    tool["parameters"]["$defs"] = {"tree": {"type": "array", "items": tree}}
    made, _ = seed_of(tmp_path, tool)
    assert any(sample.label.calls for sample in made.train)


def test_values_that_could_be_taken_for_each_other_are_named() -> None:
    day = {"type": "string", "format": "date"}
    parcel = function("send_parcel", "Send a parcel.", sender_name=TEXT, recipient_name=TEXT)
    trip = function("find_trips", "Find trips.", start_date=day, date=day)
    for raw in (parcel, trip):
        sense = understand(Tool.model_validate(raw))
        assert sense is not None
        for ask in sense.operation.asks:
            leads = re.findall(r"\[?([^\[\]{}]*)\{", ask)
            assert len(leads) == len(set(leads)) == 2, ask
            assert " on " not in leads, ask


def test_a_tool_that_nobody_can_ask_for_is_left_out_and_named_in_one_line(tmp_path: Path) -> None:
    made, said = seed_of(tmp_path, ORDER, EVENT)
    assert {tool.name for sample in made.train for tool in sample.tools} == {"create_order"}
    (line,) = said
    assert "tools.json: 1 of 2 tools left out" in line and "\n" not in line
    assert "store_event (payload is an object whose schema names no properties)" in line


def test_too_few_samples_name_the_tools_that_were_left_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the tools gave .*written for store_event \(payload"):
        seed_of(tmp_path, PING, EVENT, samples=3000)


def test_tools_none_of_which_can_be_asked_for_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tools\.json: .* none of the tools: store_event \(payl"):
        seed_of(tmp_path, EVENT)


def test_of_many_tools_left_out_a_few_are_named_and_the_others_counted(tmp_path: Path) -> None:
    many = [{**EVENT, "name": f"store_{n}"} for n in range(12)]
    _, (line,) = seed_of(tmp_path, ORDER, *many)
    assert "12 of 13 tools" in line and line.endswith("and 4 more")
    assert "store_7" in line and "store_8" not in line


def test_a_teacher_that_takes_any_tool_gets_them_all(tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([EVENT]))
    tools = read_tools(path)
    said: list[str] = []
    assert usable(str(path), tools, object(), said.append) == (tools, "")
    assert said == []


def test_a_closed_set_counts_as_one_wherever_the_schema_keeps_it() -> None:
    rows = {"type": "array", "items": {"$ref": "#/$defs/Row"}}
    row = {"properties": {"rank": {"anyOf": [{"$ref": "#/$defs/Rank"}, {"type": "null"}]}}}
    root = {"properties": {"rows": rows}, "$defs": {"Row": row, "Rank": {"enum": ["P1", "P2"]}}}
    said = read("a row of the highest urgency")
    assert supports(said, {"rows": [{"rank": "P1"}]}, root)
    assert not supports(said, {"rows": [{"rank": "P7"}]}, root)


def test_errors_are_planted_within_objects_too(tmp_path: Path) -> None:
    made, _ = seed_of(tmp_path, ORDER)
    sample = next(s for s in made.train if s.scenario is Scenario.SINGLE)
    call = sample.label.calls[0]
    lines: Any = [{"sku": "SU-4411", "quantity": 2}]
    right = Label(calls=(ToolCall(name=call.name, arguments={**call.arguments, "lines": lines}),))
    sample = sample.model_copy(update={"label": right})
    changed = set()
    for n in range(30):
        wrong = plant(sample, ErrorType.WRONG_VALUE, dice(n))
        assert wrong is not None and not same_move(wrong, right, sample.tools)
        found: Any = wrong.calls[0].arguments["lines"]
        (line,) = found
        changed |= {key for key in line if line[key] != lines[0][key]}
    assert changed == {"sku", "quantity"}
    assert right.calls[0].arguments["lines"] == [{"sku": "SU-4411", "quantity": 2}]
