"""How a stage works through many items without knowing where the results are kept.

A run gives its stages a `Work` that appends each result to disk as it comes, shows progress and,
on resume, does only what is owed (`runs.run.Run`). `InMemory` is the one for a script or a test.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Bar(Protocol):
    """One piece of long work on show; leave it as a context manager."""

    def advance(self, num: int = 1, note: str = "") -> None:
        """So many more are done; `note` (a figure or two) stands beside the rate."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Progress(Protocol):
    """Where long work shows how far it is."""

    def task(self, name: str, total: int, done: int = 0) -> Bar:
        """A bar for `total` items, `done` of which were done before."""
        ...

    def say(self, line: str) -> None:
        """One plain line."""
        ...


_TICK: ContextVar[Callable[[int], None]] = ContextVar("tick", default=lambda num: None)


def tick(num: int = 1) -> None:
    """Say that `num` of what the item at hand counts for are done: its bar need not wait for it."""
    _TICK.get()(num)


@contextmanager
def ticking(count: Callable[[int], None]) -> Iterator[None]:
    """Within it, `tick` calls `count`."""
    token = _TICK.set(count)
    try:
        yield
    finally:
        _TICK.reset(token)


class Work(Protocol):
    """Results come back in the order of `items`, whatever the order in which they were made."""

    def map(
        self,
        name: str,
        items: Sequence[Item],
        fn: Callable[[Item], Awaitable[Result]],
        *,
        key: Callable[[Item], str],
        result: type[Result],
        size: Callable[[Item], int] = ...,
        concurrency: int = 1,
    ) -> list[Result]:
        """Await `fn` on each item that has no result yet, at most `concurrency` at once.

        `key` names an item, uniquely within `name`; `result` is the type that results are read
        back as; `size` is what an item counts for on the bar.
        """
        ...


class Silent:
    """Progress that shows nothing."""

    def task(self, name: str, total: int, done: int = 0) -> Self:
        return self

    def say(self, line: str) -> None:
        return None

    def advance(self, num: int = 1, note: str = "") -> None:
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class InMemory:
    """Work whose results are kept nowhere."""

    def map(
        self,
        name: str,
        items: Sequence[Item],
        fn: Callable[[Item], Awaitable[Result]],
        *,
        key: Callable[[Item], str],
        result: type[Result],
        size: Callable[[Item], int] = lambda item: 1,
        concurrency: int = 1,
    ) -> list[Result]:
        made: dict[str, Result] = {}
        complete(
            lambda: each(
                items, fn, lambda item, value: made.update({key(item): value}), concurrency
            )
        )
        return [made[key(item)] for item in items]


def complete(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """`asyncio.run` of what `work` makes; Ctrl-C cancels it and is raised once it has ended.

    Python's own way has moments, as the loop is made or closed, in which Ctrl-C leaves half a loop
    or a coroutine that nobody awaits, of which warnings then tell. A second Ctrl-C is
    raised at once.
    """
    interrupts = 0
    task: asyncio.Task[Any] | None = None

    def interrupt(*_: object) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            raise KeyboardInterrupt
        if task and not task.done():
            task.get_loop().call_soon_threadsafe(task.cancel)

    async def main() -> Result:
        nonlocal task
        task = asyncio.current_task()
        if interrupts and task:
            task.cancel()
        return await work()

    if not _ctrl_c_is_ours():
        return asyncio.run(main())
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        result = asyncio.run(main())
    except asyncio.CancelledError:
        if not interrupts:
            raise
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt
    return result


def _ctrl_c_is_ours() -> bool:
    """Whether nobody else handles it; only the main thread may."""
    main = threading.current_thread() is threading.main_thread()
    return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def each(
    items: Iterable[Item],
    fn: Callable[[Item], Awaitable[Result]],
    done: Callable[[Item, Result], object],
    concurrency: int,
) -> None:
    """Run `fn` over `items`, `concurrency` at a time; the first error stops all and is raised."""
    pending = iter(items)
    errors: list[BaseException] = []

    async def worker() -> None:
        for item in pending:
            if errors:
                return
            try:
                value = await fn(item)
            except BaseException as error:
                errors.append(error)
                raise
            done(item, value)

    workers = [asyncio.create_task(worker()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
