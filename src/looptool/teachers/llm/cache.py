"""Every paid answer, by the content of its call, in SQLite: nothing is paid twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from looptool.errors import UserError
from looptool.teachers.llm.calls import Answer

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, text TEXT NOT NULL, thought TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    role TEXT, model TEXT, calls INTEGER, prompt_tokens INTEGER, completion_tokens INTEGER,
    cost REAL, PRIMARY KEY (role, model)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Spent:
    """Calls that were paid for, their tokens and their price."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )


class CallCache:
    """Answers and the books, in one file. A killed process loses nothing that was written.

    Raises UserError where the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named():
            self._database = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._database.executescript(_TABLES)

    def get(self, key: str) -> Answer | None:
        """The answer to the call of this key, if it was ever paid for."""
        with self._named():
            row = self._database.execute(
                "SELECT text, thought, prompt_tokens, completion_tokens FROM answers WHERE key = ?",
                (bytes.fromhex(key),),
            ).fetchone()
        return Answer(*row) if row else None

    def put(self, key: str | None, answer: Answer, role: str, model: str, cost: float) -> None:
        """Enter what was paid and, under `key`, the answer, together; None keeps no answer."""
        tokens = answer.prompt_tokens, answer.completion_tokens
        with self._named():
            self._database.execute("BEGIN IMMEDIATE")
            if key is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
                    (bytes.fromhex(key), answer.text, answer.thought, *tokens),
                )
            self._database.execute(
                "INSERT INTO spent VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT (role, model) DO UPDATE "
                "SET calls = calls + 1, prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
                "completion_tokens = completion_tokens + excluded.completion_tokens, "
                "cost = cost + excluded.cost",
                (role, model, *tokens, cost),
            )
            self._database.execute("COMMIT")

    def spent(self) -> dict[tuple[str, str], Spent]:
        """What was paid so far, by role and model."""
        with self._named():
            rows = self._database.execute("SELECT * FROM spent").fetchall()
        return {(role, model): Spent(*rest) for role, model, *rest in rows}

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UserError(
                f"{self._path} cannot be used ({error}); make room and run the same command again"
            ) from None
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"{self._path} is damaged ({error}); remove it and run again: "
                "its calls are then paid again"
            ) from None
