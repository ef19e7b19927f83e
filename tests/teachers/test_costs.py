"""What a run keeps of its teacher: the estimate before it, and the bill of every step."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from looptool.config import Config, LlmTeacherConfig, SeedConfig
from looptool.runs.run import Run
from looptool.runs.store import read_records
from looptool.steps import Steps, _step
from looptool.teachers.base import Bill, Teacher, ToolBrief
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.teaching import Teaching
from looptool.work import Silent

from .scripted_model import play
from .scripted_server import Script, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Script(model=play)) as started:
        yield started


def opened(folder: Path, server: Server) -> Run:
    teacher = LlmTeacherConfig(base_url=server.url, model="m", price_in=2, price_out=10)
    data = SeedConfig(tools=8, samples=20, held_out_samples=5, domains=("sailing",))
    return Run(folder, Config(rounds=1, teacher=teacher, data=data), Silent())


def said(run: Run) -> list[str]:
    return run.paths.log.read_text().splitlines() if run.paths.log.exists() else []


class Short(Steps):
    """Two steps: one asks the teacher for a tool, the other for nothing."""

    @_step
    def ask(self: Steps, number: int) -> None:
        brief = ToolBrief(path=("a", "b", "c"), seed=number)
        assert asyncio.run(self.teacher.write_tool(brief))

    @_step
    def rest(self: Steps) -> None:
        return None


def test_a_step_that_paid_says_the_bill_and_keeps_it(tmp_path: Path, server: Server) -> None:
    with opened(tmp_path / "run", server) as run:
        do = Short(run)
        do.rest()
        assert said(run) == []
        do.ask(1)
        (line,) = said(run)
        assert line.startswith("teacher: 1 calls paid so far, 100 tokens in, 10 out, cost 0.0003")
        assert "(tool writer 100 + 10 = 0.0003)" in line
        do.ask(1)  # out of the cache: nothing new is paid
        do.rest()
        assert said(run) == [line]
        do.ask(2)
    with opened(tmp_path / "run", server) as again:
        Short(again).ask(2)
        assert len(said(again)) == 2
        (bill,) = read_records(again.paths.value("bill"), Bill)
    assert bill.total().calls == sum(server.seen.paid.values()) == 2
    assert bill.total().cost == pytest.approx(2 * (100 * 2 + 10 * 10) / 1e6)


def test_a_step_that_fails_is_billed_all_the_same(tmp_path: Path, server: Server) -> None:
    class Failing(Short):
        @_step
        def fail(self: Steps) -> None:
            Short.ask(self, 1)
            asyncio.run(self.teacher.write_tool(ToolBrief(path=("a", "b", "c"), seed=2)))
            raise KeyboardInterrupt

    with opened(tmp_path / "run", server) as run, pytest.raises(KeyboardInterrupt):
        Failing(run).fail()
    (bill,) = read_records(run.paths.value("bill"), Bill)
    assert bill.total().calls == 2


def test_the_forecast_is_said_once_in_one_line(tmp_path: Path, server: Server) -> None:
    with opened(tmp_path / "run", server) as run:
        Teaching(run).forecast()
        (line,) = said(run)
        assert line.startswith("estimate: about ") and "cost" in line
        paid = sum(server.seen.paid.values())
    with opened(tmp_path / "run", server) as again:
        Teaching(again).forecast()
        assert said(again) == [line]
        again.forget("forecast")  # as if it had been cut off before it was said
        Teaching(again).forecast()
        assert said(again)[1].partition(";")[0] == line.partition(";")[0]
    assert sum(server.seen.paid.values()) == paid


def test_what_costs_nothing_has_neither_forecast_nor_bill(tmp_path: Path) -> None:
    teacher: Teacher = OfflineTeacher()
    assert teacher.bill() is None and asyncio.run(teacher.forecast(Config(), Silent())) is None
    with Run(tmp_path / "run", Config(), Silent()) as run:
        teaching = Teaching(run)
        teaching.forecast()
        teaching.settle()
        assert said(run) == [] and not list(run.paths.root.glob("*.jsonl"))
