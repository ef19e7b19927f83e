"""How a stage works through many items without knowing where the results are kept.

A run gives its stages a `Work` that appends each result to disk as it comes, shows progress and,
on resume, asks only for what is owed (`runs.run.Run`). `InMemory` is the one for a script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Work(Protocol):
    """Results come back in the order of `items`, whatever the order in which they were made.

    `key` names an item, uniquely within `name`; `result` is the type that results are read back as.
    """

    def map(
        self,
        name: str,
        items: Sequence[Item],
        fn: Callable[[Item], Awaitable[Result]],
        *,
        key: Callable[[Item], str],
        result: type[Result],
        concurrency: int = 1,
    ) -> list[Result]:
        """Await `fn` on each item, at most `concurrency` at once."""
        ...

    def stream(
        self,
        name: str,
        items: Sequence[Item],
        fn: Callable[[Sequence[Item]], Iterable[tuple[str, Result]]],
        *,
        key: Callable[[Item], str],
        result: type[Result],
    ) -> list[Result]:
        """Give `fn` all the owed items; it yields (key, result) in any order, as they come."""
        ...


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
        concurrency: int = 1,
    ) -> list[Result]:
        made: dict[str, Result] = {}
        asyncio.run(
            each(items, fn, lambda item, value: made.update({key(item): value}), concurrency)
        )
        return [made[key(item)] for item in items]

    def stream(
        self,
        name: str,
        items: Sequence[Item],
        fn: Callable[[Sequence[Item]], Iterable[tuple[str, Result]]],
        *,
        key: Callable[[Item], str],
        result: type[Result],
    ) -> list[Result]:
        made = dict(fn(items))
        return [made[key(item)] for item in items]


async def each(
    items: Iterable[Item],
    fn: Callable[[Item], Awaitable[Result]],
    done: Callable[[Item, Result], object],
    concurrency: int,
) -> None:
    """Run `fn` over `items`, `concurrency` at a time; the first error stops all and is raised."""
    pending = iter(items)

    async def worker() -> None:
        for item in pending:
            done(item, await fn(item))

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())
