"""Ctrl-C ends asynchronous work whole, whenever it comes."""

import asyncio
import gc
import signal
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from looptool.work import complete


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Python's own handler: a test run in the background inherits an ignored SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "not given back"
    signal.signal(signal.SIGINT, before)


class Work:
    """Waits for a minute, and says what became of it."""

    def __init__(self, interrupts: int = 0) -> None:
        self.interrupts = interrupts
        self.told: list[str] = []

    async def __call__(self) -> str:
        self.told.append("begun")
        try:
            for _ in range(self.interrupts):
                signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            self.told.append("ended")
        return "done"


def test_what_is_made_comes_back_and_errors_pass() -> None:
    async def seven() -> int:
        return 7

    async def fails() -> None:
        raise ValueError("no")

    assert complete(seven) == 7
    with pytest.raises(ValueError, match="no"):
        complete(fails)


def test_ctrl_c_cancels_the_work_and_is_raised_when_it_has_ended() -> None:
    work = Work(interrupts=1)
    with pytest.raises(KeyboardInterrupt):
        complete(work)
    assert work.told == ["begun", "ended"]


@pytest.mark.parametrize("moment", ["made", "closed"])
def test_ctrl_c_as_the_loop_is_made_or_closed_leaves_nothing_behind(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, name = {
        "made": (asyncio.BaseEventLoop, "__init__"),
        "closed": (asyncio.BaseEventLoop, "close"),
    }[moment]
    real = getattr(at, name)

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return real(*args, **kwargs)

    async def seven() -> int:
        return 7

    monkeypatch.setattr(at, name, interrupted)
    work = Work()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(KeyboardInterrupt):
            complete(work if moment == "made" else seven)
        gc.collect()
    assert not heard
    assert work.told == (["begun", "ended"] if moment == "made" else [])


def test_a_second_ctrl_c_is_raised_at_once() -> None:
    told: list[str] = []

    async def stubborn() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.append("cancelled")
        signal.raise_signal(signal.SIGINT)
        told.append("went on")

    with pytest.raises(KeyboardInterrupt):
        complete(stubborn)
    assert told == ["cancelled"]


def test_who_handles_ctrl_c_otherwise_goes_on_handling_it() -> None:
    heard: list[int] = []

    async def interrupted() -> int:
        signal.raise_signal(signal.SIGINT)
        return 7

    ours = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        assert complete(interrupted) == 7
    finally:
        signal.signal(signal.SIGINT, ours)
    assert heard == [signal.SIGINT]


def test_other_threads_leave_ctrl_c_alone() -> None:
    async def seven() -> int:
        return 7

    made: list[int] = []
    thread = threading.Thread(target=lambda: made.append(complete(seven)))
    thread.start()
    thread.join()
    assert made == [7]
