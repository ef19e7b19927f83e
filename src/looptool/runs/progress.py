"""Bars in a terminal, plain lines in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

LOG_SECONDS = 15.0
"""How often a log gets a line from long work."""


class Shown:
    """Progress on a console: a live bar if it is a terminal, a line now and then if not."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)

    def task(self, name: str, total: int, done: int = 0) -> _LiveBar | _LoggedBar:
        kind = _LiveBar if self.console.is_terminal else _LoggedBar
        return kind(self.console, name, total, done)

    def say(self, line: str) -> None:
        self.console.print(line, markup=False)


class _Rate(ProgressColumn):
    """Items a second, or seconds an item."""

    def render(self, task: Task) -> Text:
        return Text(_rate(task.speed or 0.0), style="dim")


class _LiveBar:
    def __init__(self, console: Console, name: str, total: int, done: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            transient=True,
            speed_estimate_period=60,
        )
        self._task = self._progress.add_task(name, total=total, completed=done, note="")

    def advance(self, num: int = 1, note: str = "") -> None:
        self._progress.advance(self._task, num)
        if note:
            self._progress.update(self._task, note=note)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()


class _LoggedBar:
    def __init__(self, console: Console, name: str, total: int, done: int) -> None:
        self._console, self._name, self._total = console, name, total
        self._done, self._before = done, done
        self._started = self._printed = time.monotonic()

    def advance(self, num: int = 1, note: str = "") -> None:
        self._done += num
        now = time.monotonic()
        if now - self._printed < LOG_SECONDS:
            return
        self._printed = now
        speed = (self._done - self._before) / (now - self._started)
        left = (self._total - self._done) / speed if speed else 0.0
        line = f"{self._name}: {self._done}/{self._total} {_rate(speed)}, {clock(left)} left"
        self._console.print(f"{line}  {note}".rstrip(), markup=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


def clock(seconds: float) -> str:
    """Minutes and seconds: "3:07", "1:02:30"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _rate(per_second: float) -> str:
    if not per_second:
        return "-/s"
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"
