"""A run: the directory in which every step of one loop keeps what it made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from looptool.config import Config, check_config
from looptool.errors import UserError
from looptool.records import Record
from looptool.runs.durable import DurableWork
from looptool.runs.lock import lock
from looptool.runs.paths import Paths
from looptool.runs.progress import Shown
from looptool.runs.provenance import provenance
from looptool.runs.store import damaged, read_records, write_atomic, write_records
from looptool.work import Progress, Work

Result = TypeVar("Result")

MAY_CHANGE = (
    "rounds",
    "teacher.concurrency",
    "teacher.max_budget",
    "teacher.max_budget_tokens",
    "teacher.base_url",
    "teacher.api_key_env",
    "teacher.timeout",
    "teacher.retries",
    "teacher.max_tokens",
    "train.checkpoint_every",
    "train.shared_prefix",
)
"""Keys that a run with results may change: how long it goes on, what it may cost, where its
teacher is and how patiently it is asked, how often it is saved, and the plain path for a model
that the shared prefix is not exact for."""


class Run:
    """Durable steps in one directory, which this process alone may write.

    `once` computes a value once and loads it ever after; `work` keeps each result as it comes and
    does only what is owed. Steps therefore just run again, and a finished one costs nothing.
    """

    def __init__(
        self,
        root: Path,
        config: Config,
        progress: Progress | None = None,
        until: str | None = None,
    ) -> None:
        """Open or create the directory; UserError if it is in use or made by another config.

        `until` names the step behind which this process is to stop; `computed` counts the values
        that it has computed itself.
        """
        self.paths = Paths(root)
        self.until = until
        self.computed = 0
        self.progress: Progress = progress or Shown()
        self.work: Work = DurableWork(self.paths.work, self.progress)
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = lock(self.paths.lock)
        except OSError as error:
            raise UserError(
                f"{root}: cannot be written ({error.strerror}); choose another with --run"
            ) from None
        try:
            self._settle(config)
        except BaseException:
            self.close()
            raise
        self.config = config

    def _settle(self, config: Config) -> None:
        if not self.paths.config.exists() or not self._has_results():
            _write_json(self.paths.provenance, provenance(config))
        else:
            before = _flat(stored_config(self.paths).model_dump(mode="json"))
            self._refuse(before, _flat(config.model_dump(mode="json")))
        _write_json(self.paths.config, config.model_dump(mode="json"))

    def _has_results(self) -> bool:
        """Whether anything was made that another config would have made otherwise."""
        bill = self.paths.value("bill")
        return any(path != bill for path in self.paths.root.rglob("*.jsonl"))

    def _refuse(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        changed = sorted(k for k in before | now if before.get(k) != now.get(k))
        if refused := [key for key in changed if key not in MAY_CHANGE]:
            # Another type of teacher has other keys, of which none is what was changed.
            key = "teacher.type" if "teacher.type" in refused else refused[0]
            raise UserError(
                f"{self.paths.root} was started with {key} = {before.get(key)!r}, not "
                f"{now.get(key)!r}; set it back, or start a new run with --run"
            )
        if now["rounds"] < before["rounds"]:
            raise UserError(
                f"{self.paths.root} was started for {before['rounds']} rounds; it can be made "
                f"longer, not shorter ({now['rounds']})"
            )

    def rounds(self) -> Iterator[int]:
        """1, 2, … as many as configured."""
        for number in range(1, self.config.rounds + 1):
            self.progress.say(f"── round {number} of {self.config.rounds}")
            yield number

    def has(self, name: str) -> bool:
        """Whether `once` has this value."""
        return self.paths.value(name).exists()

    def once(self, name: str, kind: type[Result], fn: Callable[[], Result]) -> Result:
        """The record `fn` returns, computed the first time only."""
        kept = self.once_all(name, kind, lambda: [fn()])
        if not kept:
            raise damaged(self.paths.value(name), "it is empty")
        return kept[0]

    def once_all(
        self, name: str, kind: type[Result], fn: Callable[[], Iterable[Result]]
    ) -> list[Result]:
        """The records `fn` returns, computed the first time only."""
        path = self.paths.value(name)
        if not path.exists():
            write_records(path, fn())
            self.computed += 1
        return read_records(path, kind)

    def put(self, name: str, record: Record) -> None:
        """Replace a value that changes as the run goes on, such as its bill."""
        write_records(self.paths.value(name), [record])

    def note(self, name: str, value: Any) -> None:
        """Add to the provenance what is known only now."""
        found = json.loads(self.paths.provenance.read_text(encoding="utf-8"))
        _write_json(self.paths.provenance, found | {name: value})

    def forget(self, name: str) -> None:
        """Owe a value again."""
        self.paths.value(name).unlink(missing_ok=True)

    def say(self, line: str) -> None:
        """One line of what a step did, on the console and in the run's log."""
        self.progress.say(line)
        with self.paths.log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def close(self) -> None:
        """Let another process have the run."""
        with suppress(OSError):
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stored_config(paths: Paths, overrides: Sequence[str] = ()) -> Config:
    """The resolved config of a run; UserError if there is none or it cannot be read."""
    try:
        raw = json.loads(paths.config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{paths.root} is no run: it has no config.json") from None
    except ValueError as error:
        raise UserError(f"{paths.config} is damaged ({error}); start a new run") from None
    return check_config(raw, str(paths.config), overrides)


def _write_json(path: Path, value: Any) -> None:
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    joined: dict[str, Any] = {}
    for key, inner in value.items():
        joined |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return joined
