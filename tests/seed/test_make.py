from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from looptool.config import SeedConfig
from looptool.errors import UserError
from looptool.records import Sample, Scenario, Seed, Turn
from looptool.runs.durable import DurableWork
from looptool.seed.checks import fault_of
from looptool.seed.context_tree import held_out_branches, leaves
from looptool.seed.make import make_seed, request_key
from looptool.seed.tools import read_tools
from looptool.teachers.base import DialogueBrief
from looptool.teachers.offline.sense import recognise
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.work import InMemory, Silent


def truths(seed: Seed) -> list[Sample]:
    spoilt = {planted.sample_id for planted in seed.planted}
    return [sample for sample in seed.train if sample.id not in spoilt]


@pytest.mark.parametrize("side", ["train", "held_out"])
def test_every_scenario_comes_at_its_share(seed: Seed, small: SeedConfig, side: str) -> None:
    samples = getattr(seed, side)
    counts = Counter(sample.scenario for sample in samples)
    for scenario, share in small.shares.items():
        assert abs(counts[scenario] / len(samples) - share) < 0.02


def test_the_same_seed_makes_the_same_samples() -> None:
    config = SeedConfig(tools=60, samples=60, held_out_samples=20, label_noise=0.1)
    one = make_seed(config, 3, OfflineTeacher(3), InMemory())
    other = make_seed(config, 3, OfflineTeacher(3), InMemory())
    assert one == other
    assert one != make_seed(config, 4, OfflineTeacher(4), InMemory())


def test_every_label_obeys_the_rules(seed: Seed) -> None:
    assert [fault_of(sample) for sample in (*truths(seed), *seed.held_out)].count(None) == len(
        truths(seed)
    ) + len(seed.held_out)


def test_ids_are_unique_and_follow_from_the_content(seed: Seed) -> None:
    samples = (*seed.train, *seed.held_out)
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples[:50]:
        born = Sample.create(sample.tools, sample.context, sample.label, sample.scenario)
        assert born.id == sample.id


def test_no_request_is_on_both_sides(seed: Seed) -> None:
    train = {request_key(sample) for sample in seed.train}
    assert train.isdisjoint(request_key(sample) for sample in seed.held_out)


def test_no_branch_is_on_both_sides(seed: Seed, small: SeedConfig) -> None:
    def branches(samples: tuple[Sample, ...]) -> set[tuple[str, str]]:
        senses = [recognise(tool) for sample in samples for tool in sample.tools]
        return {(sense.domain, sense.group) for sense in senses if sense}

    assert branches(seed.train).isdisjoint(branches(seed.held_out))
    paths = [leaf.path for leaf in leaves()]
    assert branches(seed.held_out) <= held_out_branches(paths, small.held_out_share, 7)


def test_noise_is_planted_at_its_rate_in_training_only(seed: Seed, small: SeedConfig) -> None:
    assert len(seed.planted) == round(small.label_noise * small.samples)
    assert {planted.sample_id for planted in seed.planted} <= {s.id for s in seed.train}
    counts = Counter(planted.error for planted in seed.planted)
    assert len(counts) == 6
    assert max(counts.values()) - min(counts.values()) <= 4


def test_singles_often_have_one_tool_and_often_distractors(seed: Seed) -> None:
    alone = [len(s.tools) == 1 for s in seed.train if s.scenario is Scenario.SINGLE]
    assert 0.25 < sum(alone) / len(alone) < 0.75


def test_irrelevant_and_missing_are_labelled_without_a_call(seed: Seed) -> None:
    irrelevant = [s for s in seed.held_out if s.scenario is Scenario.IRRELEVANT]
    assert all(not sample.label.calls and sample.label.content for sample in irrelevant)
    missing = [s for s in truths(seed) if s.scenario is Scenario.MISSING_PARAMETER]
    asked = [s for s in missing if not s.label.calls and s.context[-1].role == "user"]
    assert asked and len(asked) < len(missing)


def test_training_dialogues_share_lists_of_tools_and_held_out_ones_do_not() -> None:
    def lists_of_tools(side: str, shared: int) -> int:
        config = SeedConfig(tools=60, samples=60, held_out_samples=60, dialogues_per_toolset=shared)
        made = make_seed(config, 3, OfflineTeacher(3), InMemory())
        return len({tuple(tool.name for tool in sample.tools) for sample in getattr(made, side)})

    assert lists_of_tools("train", 4) < 0.7 * lists_of_tools("train", 1)
    assert lists_of_tools("held_out", 4) == lists_of_tools("held_out", 1)


def test_samples_over_one_list_of_tools_are_neighbours(seed: Seed) -> None:
    lists = [tuple(tool.hash() for tool in sample.tools) for sample in seed.train]
    runs = 1 + sum(one != other for one, other in pairwise(lists))
    assert runs == len(set(lists)) < len(lists)


def test_requests_name_about_as_many_optional_arguments_as_they_leave_out(seed: Seed) -> None:
    named: Counter[bool] = Counter()
    for sample in truths(seed):
        schemas: dict[str, Any] = {tool.name: tool.parameters for tool in sample.tools}
        for call in sample.label.calls:
            schema = schemas[call.name]
            optional = schema.get("properties", {}).keys() - set(schema.get("required", ()))
            named.update(name in call.arguments for name in optional)
    assert 0.37 < named[True] / named.total() < 0.63, named


def test_what_is_no_call_and_no_small_talk_begins_with_one_word(seed: Seed) -> None:
    begun = Counter(
        sample.label.content.partition(" ")[0].partition("'")[0]
        for sample in truths(seed)
        if not sample.label.calls and sample.scenario is not Scenario.CHAT
    )
    assert set(begun) == {"I"} and begun.total() > 30


def test_the_context_tree_is_large_enough() -> None:
    found = list(leaves())
    assert len({leaf.domain for leaf in found}) >= 25
    assert len(found) >= 400


def test_own_tools_give_samples_of_every_scenario(own_seed: Seed) -> None:
    assert {sample.scenario for sample in own_seed.train} == set(Scenario)
    called = {call.name for sample in own_seed.train for call in sample.label.calls}
    assert called == {tool.name for sample in own_seed.train for tool in sample.tools}
    assert all(fault_of(sample) is None for sample in own_seed.train)


def test_one_empty_tool_cannot_give_thousands(tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text('[{"name": "ping", "description": "Ping."}]')
    config = SeedConfig(samples=3000, held_out_samples=10, tools_file=str(path))
    with pytest.raises(UserError, match="the tools gave"):
        make_seed(config, 0, OfflineTeacher(), InMemory())


def test_a_teacher_that_seldom_succeeds_is_asked_until_it_has_given_enough() -> None:
    class Weak(OfflineTeacher):
        async def accept(self, sample: Sample) -> str | None:
            return None if int(sample.id[:2], 16) < 38 else "no"

    config = SeedConfig(tools=60, samples=40, held_out_samples=10, shares={Scenario.SINGLE: 1.0})
    made = make_seed(config, 0, Weak(), InMemory())
    assert (len(made.train), len(made.held_out)) == (40, 10)
    assert made.rejected["judge: no"] > 100


def test_a_scenario_that_a_teacher_cannot_play_is_given_up_after_a_few_dialogues() -> None:
    class OneCall(OfflineTeacher):
        played = 0

        async def plan(self, brief: DialogueBrief) -> tuple[Turn, ...]:
            if brief.needs[-1] is Scenario.SINGLE:
                return await super().plan(brief)
            self.played += 1
            return ()

    shares = {Scenario.SINGLE: 0.8, Scenario.PARALLEL: 0.2}
    config = SeedConfig(tools=60, samples=30, held_out_samples=1, shares=shares)
    teacher = OneCall()
    made = make_seed(config, 0, teacher, InMemory())
    assert {sample.scenario for sample in made.train} == {Scenario.SINGLE}
    assert teacher.played < 10
    assert made.rejected["scenario_not_possible"] == 6


def tool_with(parameters: str, rest: str = "") -> str:
    return f'[{{"name": "get_it", "description": "Get it.", "parameters": {parameters}{rest}}}]'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "holds no list of tools"),
        ("{", "not readable as JSON"),
        ("[] []", "more text after the list"),
        ("[" * 100_000, "nested too deeply"),
        ('{"tools": ' * 200 + "[]" + "}" * 200, "nested too deeply"),
        ('[{"description": "nameless"}]', "tool 1: name"),
        ('[{"name": "\\ud800"}]', "lone surrogate"),
        (tool_with('{"properties": {"n": {"enum": ["\\udc00"]}}}'), "lone surrogate"),
        (tool_with('{"properties": {"n": {"default": NaN}}}'), "NaN is not JSON"),
        (tool_with("{}", ', "name": "twice"'), "a key is given twice"),
        (tool_with('{"type": "strin"}'), "tool 'get_it': parameters.type"),
        ('[{"name": "a", "inputSchema": {}}]', 'write its inputSchema as "parameters"'),
        ('[{"name": "a"}, {"name": "a"}]', "two tools are named 'a'"),
    ],
)
def test_a_bad_tools_file_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "tools.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"tools\.json") as caught:
        read_tools(path)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "properties",
    [
        {"n": True, "m": {"type": "string"}},
        {"n": {"type": "integer", "minimum": 10**400}},
        {"n": {"type": "integer", "default": 10**400}},
        {"n": {"type": "number", "maximum": -1e308}},
        {"n": {"type": "integer", "minimum": 10, "maximum": 5}},
        {"n": {"type": "integer", "exclusiveMinimum": 1e300}},
        {"n": {"enum": [1, True, None, {"a": 1}, [2]]}},
        {"(": {"type": "string"}, "__class__": {"type": "string"}, "": {"type": "string"}},
    ],
    ids=str,
)
def test_no_schema_however_odd_stops_the_seed(tmp_path: Path, properties: dict[str, Any]) -> None:
    """The odd tool may give no samples; the ordinary one beside it does."""
    odd = {"type": "object", "properties": properties, "required": list(properties)}
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [
        {"name": "get_odd", "description": "Get the oddity.", "parameters": odd},
        {"name": "get_weather", "description": "Get the weather of a city.", "parameters": city},
    ]
    path = tmp_path / "tools.json"
    path.write_text(json.dumps(tools))
    config = SeedConfig(samples=20, held_out_samples=4, tools_file=str(path))
    made = make_seed(config, 0, OfflineTeacher(), InMemory())
    assert len(made.train) == 20


def test_a_seed_does_not_go_on_with_tools_that_were_changed_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    city = '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'
    path.write_text(tool_with(city))
    config = SeedConfig(samples=5, held_out_samples=2, tools_file=str(path))
    work = DurableWork(tmp_path / "work", Silent())
    begun = make_seed(config, 0, OfflineTeacher(), work)
    path.write_text("\n" + tool_with(city))
    assert make_seed(config, 0, OfflineTeacher(), work) == begun
    path.write_text(tool_with(city.replace("city", "town")))
    with pytest.raises(UserError, match=r"tools\.json: its tools were changed"):
        make_seed(config, 0, OfflineTeacher(), work)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text('\ufeff [{"name": "ping"}]\n', encoding="utf-8")
    assert [written.tool.name for written in read_tools(path)] == ["ping"]
