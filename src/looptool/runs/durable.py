"""`looptool.work.Work` that survives the process: results are appended to journals in a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from looptool.runs.store import Journal
from looptool.work import Progress, complete, each, ticking

Item = TypeVar("Item")
Result = TypeVar("Result")


class DurableWork:
    """Each result is kept as it comes; done again, `map` does only what is owed."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder = folder
        self.progress = progress

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
        """See `looptool.work.Work.map`; the results are in `folder`/`name`.jsonl."""
        keys = [key(item) for item in items]
        assert len(set(keys)) == len(keys), f"{name}: two items have one key"
        with Journal(self.folder / f"{name}.jsonl", result) as journal:
            owed = [item for item, k in zip(items, keys, strict=True) if k not in journal.done]
            total = sum(size(item) for item in items)
            done = total - sum(size(item) for item in owed)
            shown: Counter[str] = Counter()
            with self.progress.task(name, total, done) as bar:

                async def made(item: Item) -> Result:
                    def count(num: int) -> None:
                        shown[key(item)] += num
                        bar.advance(num)

                    with ticking(count):
                        return await fn(item)

                def finished(item: Item, value: Result) -> None:
                    journal.append(key(item), value)
                    bar.advance(size(item) - shown[key(item)])

                if owed:
                    complete(lambda: each(owed, made, finished, concurrency))
            return [journal.done[k] for k in keys]
