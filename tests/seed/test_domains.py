"""A Context Tree over named domains: restricted offline, grown by any other teacher."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.config import Config, SeedConfig, check_config
from looptool.errors import UserError
from looptool.records import Seed, Tool
from looptool.runs.run import Run
from looptool.seed.context_tree import held_out_branches
from looptool.seed.make import make_seed
from looptool.seed.tools import Written, write_tools
from looptool.teachers.base import ToolBrief, TreePath
from looptool.teachers.offline.sense import recognise
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.work import InMemory, Silent, Work


class Gardener:
    """Grows three groups of four operations in any domain but "nothing"; counts what it grew."""

    def __init__(self) -> None:
        self.grown: list[str] = []

    async def grow_domain(self, name: str) -> tuple[TreePath, ...]:
        self.grown.append(name)
        groups = () if name == "nothing" else ("one", "two", "three")
        return tuple((name, group, f"do_{n}") for group in groups for n in range(4))

    async def write_tool(self, brief: ToolBrief) -> Tool | None:
        return Tool(name="_".join(brief.path), description=f"Does {brief.path}.")


def written(domains: tuple[str, ...], gardener: Gardener, work: Work) -> list[list[Written]]:
    config = SeedConfig(tools=12, domains=domains, held_out_share=0.2)
    train, held_out, _ = write_tools(config, 5, gardener, work, 4)
    return [train, held_out]


def branches(tools: list[Written]) -> set[tuple[str, str]]:
    return {tool.path[:2] for tool in tools}


def test_tools_are_written_over_the_grown_tree_and_its_branches_held_out() -> None:
    train, held_out = written(("beekeeping", "sailing"), Gardener(), InMemory())
    assert {tool.path[0] for tool in train} == {"beekeeping", "sailing"}
    assert len(branches(held_out)) == 1 and not branches(train) & branches(held_out)


def test_a_domain_is_grown_once_whatever_stops_the_run(tmp_path: Path) -> None:
    gardener = Gardener()
    results = []
    for _ in range(2):
        with Run(tmp_path / "run", Config(), Silent()) as run:
            results.append(written(("beekeeping", "sailing"), gardener, run.work))
    assert results[0] == results[1] and sorted(gardener.grown) == ["beekeeping", "sailing"]


def test_a_domain_of_which_nothing_comes_is_named() -> None:
    with pytest.raises(UserError, match=r"data\.domains: nothing came of 'nothing'"):
        written(("sailing", "nothing"), Gardener(), InMemory())


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 0), (0.15, 1), (0.6, 2)])
def test_of_a_small_tree_a_branch_is_held_out_all_the_same(share: float, wanted: int) -> None:
    paths = [("sky", group, "watch") for group in ("birds", "clouds", "stars")]
    assert len(held_out_branches(paths, share, 1)) == wanted
    assert not held_out_branches(paths[:1], share, 1)


@pytest.fixture(scope="module")
def two() -> Seed:
    config = SeedConfig(tools=60, samples=80, held_out_samples=20, domains=("Travel", "music"))
    return make_seed(config, 3, OfflineTeacher(3), InMemory())


def test_offline_the_tree_is_restricted_to_the_named_domains(two: Seed) -> None:
    senses = [recognise(tool) for s in (*two.train, *two.held_out) for tool in s.tools]
    assert {sense.domain for sense in senses if sense} == {"travel", "music"}


def test_offline_an_unknown_domain_is_one_clear_error() -> None:
    config = SeedConfig(domains=("travel", "beekeeping"))
    with pytest.raises(UserError, match=r"^data\.domains: .* 'beekeeping'; it knows .*travel"):
        make_seed(config, 0, OfflineTeacher(), InMemory())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"domains": ["a", " A"]}, "stands twice"),
        ({"domains": [" "]}, "is empty"),
        ({"domains": ["a"], "tools_file": "tools.json"}, "leave one of the two out"),
    ],
)
def test_domains_that_cannot_be_meant_are_refused(data: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_config({"data": data}, "a.toml")
