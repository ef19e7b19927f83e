from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from looptool.cli import report
from looptool.errors import UserError
from looptool.records import Checkpoint
from looptool.report.table import rounds_table
from looptool.runs.paths import Paths
from looptool.runs.store import write_records

STOPS = [
    "config", "seed", "warm-start", "round-1/train", "round-1/measure", "round-1/probe",
    "round-1/verify", "round-1/expand", "round-1/merge", "round-2/train", "",
]  # fmt: skip


def shown(paths: Paths, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(rounds_table(paths))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, start: str, after: str) -> list[str]:
    """The first line behind `after` that begins with `start`, in words."""
    lines = text[text.index(after) :].splitlines()
    return next(line.split() for line in lines if line.strip().startswith(start))


def test_each_checkpoint_stands_with_its_accuracy_and_interval(build: Callable[..., Paths]) -> None:
    text = shown(build())
    for name in ("base", "warm-start", "round-1", "round-2"):
        words = row(text, name, "Held-out accuracy")
        low, high = map(float, words[2].split("-"))
        assert low <= float(words[1]) <= high
        assert len(words) == 10, "all, interval and seven scenarios"
    assert "round-2 against warm-start" in text


def test_a_round_that_was_undone_stands_with_the_policy_before_it(
    build: Callable[..., Paths],
) -> None:
    paths = build()
    kept = Checkpoint(name="round-1", path="models/round-1/weights", base="base")
    write_records(paths.value("round-2/train/policy"), [kept])
    paths.value("measure/round-2").unlink()  # what is not taken is not measured
    text = shown(paths)
    first, second = (row(text, f"round-{n}", "Held-out accuracy") for n in (1, 2))
    assert second == ["round-2", *first[1:]]


def test_what_a_round_found_adds_up(build: Callable[..., Paths]) -> None:
    text = shown(build())
    words = [int(word) for word in row(text, "1", "What each round found")]
    _, samples, mastered, failed, *verdicts, corrected = words
    assert mastered + failed == samples == 120
    assert sum(verdicts) == failed
    assert corrected == verdicts[1] > 0
    trained = [int(word) for word in row(text, "2", "What each round trained on")[1:]]
    assert sum(trained[:-1]) == trained[-1]


def test_the_bill_and_what_was_left_out_stand_under_the_tables(
    build: Callable[..., Paths],
) -> None:
    text = " ".join(shown(build(size=60)).split())
    assert "50 calls paid so far, 61,000 tokens in, 5,000 out, cost 0.3 (judge 52,000" in text
    assert "3 of 63 samples left out, against BFCL v3 (BFCL v3: question 3)" in text


def test_it_fits_80_columns(build: Callable[..., Paths]) -> None:
    text = shown(build(rounds=12, size=60), width=300)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("until", STOPS)
def test_an_unfinished_run_shows_what_it_has(build: Callable[..., Paths], until: str) -> None:
    text = shown(build(until=until, size=60))
    assert "Held-out accuracy" in text
    assert ("round-1" in text) == (until in STOPS[4:])


def test_a_directory_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        rounds_table(Paths(tmp_path))


def test_looptool_report_writes_the_page_and_shows_the_table(
    build: Callable[..., Paths], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = build(size=40)
    report(paths.root)
    told = capsys.readouterr().out
    assert "Held-out accuracy" in told
    assert told.splitlines()[-1] == f"report: {paths.report}"
    assert paths.report.exists()
