from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from looptool.config import Config
from looptool.errors import UserError
from looptool.records import Tally
from looptool.runs.paths import Paths
from looptool.runs.run import Run, stored_config
from looptool.work import Silent

LLM = {"type": "llm", "model": "m", "base_url": "http://x/v1"}


def config(**rest: Any) -> Config:
    return Config.model_validate({"rounds": 2, **rest})


def opened(root: Path, **rest: Any) -> Run:
    return Run(root, config(**rest), Silent())


def begun(root: Path, **rest: Any) -> None:
    """Leave a run with a result."""
    with opened(root, **rest) as run:
        run.once("first", Tally, lambda: one(1))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with opened(tmp_path / "run") as made:
        yield made


def one(number: int) -> Tally:
    return Tally(counts={"n": number})


async def doubled(number: int) -> Tally:
    return one(2 * number)


def mapped(run: Run, numbers: list[int], fn: Any = doubled, **rest: Any) -> list[int]:
    found = run.work.map("step", numbers, fn, key=str, result=Tally, **rest)
    return [tally.counts["n"] for tally in found]


def test_a_value_is_computed_once_and_loaded_ever_after(tmp_path: Path) -> None:
    for number in range(3):
        with opened(tmp_path) as run:
            assert run.once("a/b", Tally, partial(one, number)) == one(0)
            assert run.computed == (number == 0)
            assert run.has("a/b")


def test_a_value_that_failed_is_still_owed(run: Run) -> None:
    def failing() -> Tally:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run.once("a", Tally, failing)
    assert not run.has("a")
    assert run.once("a", Tally, lambda: one(1)) == one(1)


def test_a_value_whose_file_was_emptied_is_named(run: Run) -> None:
    run.once("a", Tally, lambda: one(1))
    run.paths.value("a").write_text("")
    with pytest.raises(UserError, match=r"a\.jsonl is damaged .* remove it and run again"):
        run.once("a", Tally, lambda: one(1))


def test_paths_in_records_follow_the_run_when_it_is_moved(tmp_path: Path) -> None:
    here, there = Paths(tmp_path / "here"), Paths(tmp_path / "there")
    kept = here.portable(str(here.folder("round-1") / "weights"))
    assert there.located(kept) == str(tmp_path / "there/models/round-1/weights")
    for elsewhere in ("owner/model", "/other/model", "./model"):
        assert here.located(here.portable(elsewhere)) == elsewhere


def test_no_records_are_a_value_too(run: Run) -> None:
    assert run.once_all("a", Tally, lambda: []) == []
    assert run.once_all("a", Tally, lambda: [one(1)]) == []


def test_a_forgotten_value_is_owed_again(run: Run) -> None:
    run.once("a", Tally, lambda: one(1))
    run.forget("a")
    run.forget("never there")
    assert run.once("a", Tally, lambda: one(2)) == one(2)


def test_map_gives_results_in_the_order_of_the_items(run: Run) -> None:
    async def later_first(number: int) -> Tally:
        await asyncio.sleep((5 - number) / 200)
        return one(number)

    assert mapped(run, [0, 1, 2, 3, 4], later_first, concurrency=5) == [0, 1, 2, 3, 4]
    assert mapped(run, [4, 0]) == [4, 0], "from the journal"


def test_map_does_only_what_is_owed(tmp_path: Path) -> None:
    asked: list[int] = []

    async def noted(number: int) -> Tally:
        asked.append(number)
        if number == 3 and asked.count(3) == 1:
            raise RuntimeError("the third fails once")
        return one(number)

    with opened(tmp_path) as run, pytest.raises(RuntimeError):
        mapped(run, [1, 2, 3, 4], noted)
    with opened(tmp_path) as run:
        assert mapped(run, [1, 2, 3, 4], noted) == [1, 2, 3, 4]
    assert asked == [1, 2, 3, 3, 4]


def test_two_items_under_one_key_are_a_bug(run: Run) -> None:
    with pytest.raises(AssertionError, match="two items have one key"):
        mapped(run, [1, 1])


def test_rounds_count_from_one(run: Run) -> None:
    assert list(run.rounds()) == [1, 2]


def test_the_config_and_its_provenance_are_there_before_any_work(run: Run) -> None:
    assert stored_config(run.paths) == run.config
    found = json.loads(run.paths.provenance.read_text())
    assert found["packages"]["looptool"] and found["python"] and found["started"]


def test_going_on_keeps_the_first_provenance(tmp_path: Path) -> None:
    begun(tmp_path)
    first = Paths(tmp_path).provenance.read_bytes()
    with opened(tmp_path) as run:
        assert run.paths.provenance.read_bytes() == first


def test_a_changed_config_is_refused_and_the_key_named(tmp_path: Path) -> None:
    begun(tmp_path, train={"steps": 5})
    with pytest.raises(UserError, match=r"train\.steps = 5, not 6") as caught:
        opened(tmp_path, train={"steps": 6})
    assert "\n" not in str(caught.value)
    begun(tmp_path, train={"steps": 5})


@pytest.mark.parametrize(
    "change",
    [{"train": {"lora": {}}}, {"seed": 1}, {"data": {"shares": {"single": 1.0}}},
     {"teacher": LLM}],
    ids=str,
)  # fmt: skip
def test_any_other_change_is_refused_too(tmp_path: Path, change: dict[str, Any]) -> None:
    begun(tmp_path)
    with pytest.raises(UserError, match="was started with"):
        opened(tmp_path, **change)


def test_another_type_of_teacher_is_told_as_that(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(UserError, match=r"teacher\.type = 'offline', not 'llm'"):
        opened(tmp_path, teacher=LLM)


def test_the_plain_path_may_be_taken_where_the_other_is_not_exact(tmp_path: Path) -> None:
    begun(tmp_path)
    with opened(tmp_path, train={"shared_prefix": False}) as run:
        assert not stored_config(run.paths).train.shared_prefix


def test_what_is_known_later_joins_the_provenance(run: Run) -> None:
    before = json.loads(run.paths.provenance.read_text())
    run.note("model_hash", "ab")
    assert json.loads(run.paths.provenance.read_text()) == before | {"model_hash": "ab"}


def test_a_run_may_go_on_longer(tmp_path: Path) -> None:
    begun(tmp_path)
    with opened(tmp_path, rounds=4) as run:
        assert list(run.rounds()) == [1, 2, 3, 4]
        assert stored_config(run.paths).rounds == 4


def test_a_run_cannot_be_made_shorter(tmp_path: Path) -> None:
    begun(tmp_path, rounds=3)
    with pytest.raises(UserError, match="longer, not shorter"):
        opened(tmp_path)


def test_a_budget_may_be_raised(tmp_path: Path) -> None:
    begun(tmp_path, teacher={**LLM, "max_budget": 1.0})
    with opened(tmp_path, teacher={**LLM, "max_budget": 2.0, "concurrency": 3}) as run:
        assert stored_config(run.paths).teacher == run.config.teacher


def test_an_endpoint_may_move(tmp_path: Path) -> None:
    begun(tmp_path, teacher=LLM)
    with opened(tmp_path, teacher={**LLM, "base_url": "http://y/v1"}) as run:
        assert stored_config(run.paths).teacher == run.config.teacher
    with pytest.raises(UserError, match=r"teacher\.model"):
        opened(tmp_path, teacher={**LLM, "model": "another"})


def test_a_run_without_results_takes_any_config(tmp_path: Path) -> None:
    with opened(tmp_path, teacher=LLM) as run:
        run.put("bill", one(1))
        run.note("from", "before")
    with opened(tmp_path, rounds=1, teacher={**LLM, "model": "another"}) as run:
        assert stored_config(run.paths) == run.config
        assert "from" not in json.loads(run.paths.provenance.read_text())


def test_a_refused_config_leaves_the_run_free(tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(UserError):
        opened(tmp_path, seed=9)
    begun(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rounds": 0}'])
def test_a_damaged_config_is_named(tmp_path: Path, text: str) -> None:
    begun(tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json"):
        opened(tmp_path)


HOLD = """
import sys, time
from pathlib import Path
from looptool.config import Config
from looptool.records import Tally
from looptool.runs.run import Run
from looptool.work import Silent

async def slow(number):
    if number == 3:
        print("working", flush=True)
        time.sleep(60)
    return Tally(counts={"n": number})

with Run(Path(sys.argv[1]), Config(rounds=2), Silent()) as run:
    run.work.map("step", [1, 2, 3, 4], slow, key=str, result=Tally)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of a run in `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "working\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_process_is_refused_and_told_who_holds_the_run(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(UserError, match=f"in use by process {holder.pid}"):
        opened(tmp_path)


def test_after_kill_9_the_run_goes_on_with_what_is_owed(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    asked: list[int] = []

    async def noted(number: int) -> Tally:
        asked.append(number)
        return one(number)

    with opened(tmp_path) as run:
        assert mapped(run, [1, 2, 3, 4], noted) == [1, 2, 3, 4]
    assert asked == [3, 4]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: cannot be written .*--run"):
        opened(tmp_path / "file")


def test_what_a_step_did_stands_in_the_log(run: Run) -> None:
    run.say("seed: 3 samples [not markup]")
    assert run.paths.log.read_text() == "seed: 3 samples [not markup]\n"
