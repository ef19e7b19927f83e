from __future__ import annotations

import io

import pytest
from rich.console import Console

from looptool.runs.progress import Shown, clock


def shown(terminal: bool) -> tuple[Shown, io.StringIO]:
    file = io.StringIO()
    return Shown(Console(file=file, force_terminal=terminal, width=100, highlight=False)), file


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock; the last value is now."""
    now = [0.0]
    monkeypatch.setattr("looptool.runs.progress.time.monotonic", lambda: now[-1])
    return now


def test_a_log_gets_a_line_now_and_then_with_rate_and_time_left(time: list[float]) -> None:
    shower, file = shown(terminal=False)
    with shower.task("probe", total=100, done=20) as bar:
        for _ in range(40):
            time.append(time[-1] + 1)
            bar.advance(note="3 mastered")
    assert file.getvalue().splitlines() == [
        "probe: 35/100 1.0/s, 1:05 left  3 mastered",
        "probe: 50/100 1.0/s, 0:50 left  3 mastered",
    ]


def test_slow_work_tells_seconds_an_item(time: list[float]) -> None:
    shower, file = shown(terminal=False)
    with shower.task("train", total=4) as bar:
        time.append(20.0)
        bar.advance()
    assert file.getvalue() == "train: 1/4 20.0 s each, 1:00 left\n"


def test_a_terminal_gets_a_bar() -> None:
    shower, file = shown(terminal=True)
    with shower.task("probe", total=3) as bar:
        bar.advance(2, "loss 0.1 [odd]")
    assert "probe" in file.getvalue() and "2/3" in file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_line_is_shown_as_it_is(terminal: bool) -> None:
    shower, file = shown(terminal)
    shower.say("[red]x[/red] " + "long " * 40)
    assert "[red]x[/red]" in file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (187, "3:07"), (3750, "1:02:30")]
)
def test_the_clock_reads_as_clocks_do(seconds: float, text: str) -> None:
    assert clock(seconds) == text
