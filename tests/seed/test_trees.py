from __future__ import annotations

import re

import pytest

from looptool.seed.checks import same_tool
from looptool.seed.constraint_tree import cast, draw_constraints, function_name, snake_case
from looptool.seed.context_tree import Leaf, held_out_branches, leaves
from looptool.seed.dice import dice
from looptool.seed.kinds import draw
from looptool.seed.surfaces import say
from looptool.seed.vocabulary import DOMAINS, read_domain
from looptool.teachers.offline.sense import recognise
from looptool.toolmatch import check_tool, validate_call

LEAVES = list(leaves())
PATHS = [leaf.path for leaf in LEAVES]


@pytest.mark.parametrize("path", sorted(DOMAINS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_vocabulary_file_loads(path: object) -> None:
    assert read_domain(path).groups  # type: ignore[arg-type]


@pytest.mark.parametrize("leaf", LEAVES[::7], ids=lambda leaf: leaf.operation.name)
def test_a_cast_tool_is_valid_and_known_again_from_its_schema(leaf: Leaf) -> None:
    for seed in range(12):
        tool = cast(leaf.operation, leaf.group, seed)
        check_tool(tool)
        sense = recognise(tool)
        assert sense is not None
        assert sense.operation.name == leaf.operation.name
        assert sense.required() == {n for n, p in leaf.operation.params.items() if not p.optional}


@pytest.mark.parametrize("leaf", LEAVES[::7], ids=lambda leaf: leaf.operation.name)
def test_every_value_can_be_said_and_obeys_the_schema(leaf: Leaf) -> None:
    for seed in range(8):
        rng = dice(leaf.path, seed)
        sense = recognise(tool := cast(leaf.operation, leaf.group, seed))
        assert sense is not None
        values = {name: draw(slot.param, rng) for name, slot in sense.slots.items()}
        assert validate_call(sense.call(values), tool).matched
        assert all(say(sense.slots[n].param, v, rng).strip() for n, v in values.items())


def test_no_text_has_a_noun_beside_a_slot_that_the_slot_may_bring_along() -> None:
    seen = 0
    for leaf in LEAVES:
        for name, param in leaf.operation.params.items():
            nouns = {noun for way in param.around for noun in re.findall(r"[a-z]{3,}", way)}
            for text in (*leaf.operation.asks, *leaf.operation.says):
                before, slot, after = text.partition(f"{{{name}}}")
                beside = {before.split(" ")[-2:][0], after.lstrip("] ").split(" ")[0].strip("].,?")}
                assert not slot or not (nouns - {"the"}) & beside, text
                seen += bool(param.around and slot)
    assert seen > 300


def test_held_out_branches_follow_the_share_and_the_seed() -> None:
    branches = {(leaf.domain, leaf.group) for leaf in LEAVES}
    held = held_out_branches(PATHS, 0.2, 1)
    assert held <= branches
    assert abs(len(held) / len(branches) - 0.2) < 0.02
    assert held == held_out_branches(PATHS, 0.2, 1) != held_out_branches(PATHS, 0.2, 2)


def test_naming_styles_are_drawn_and_reversible() -> None:
    assert {draw_constraints(seed).naming for seed in range(60)} == {
        "snake", "camel", "dotted", "pascal",
    }  # fmt: skip
    assert function_name("book_a_room", "rooms", "camel") == "bookARoom"
    assert function_name("book_room", "rooms", "dotted") == "rooms.book_room"
    assert snake_case("getHTTPStatus") == "get_http_status"


def test_near_duplicates_are_seen() -> None:
    leaf = LEAVES[0]
    assert same_tool(cast(leaf.operation, leaf.group, 1), cast(leaf.operation, leaf.group, 1))
    assert not same_tool(
        cast(leaf.operation, leaf.group, 1), cast(LEAVES[5].operation, LEAVES[5].group, 1)
    )
