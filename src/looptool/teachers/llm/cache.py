"""Every paid answer, by the content of its call, in SQLite: nothing is paid twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from looptool.errors import UserError
from looptool.teachers.base import Expense, Unusable
from looptool.teachers.llm.calls import Answer

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, text TEXT NOT NULL, thought TEXT NOT NULL,
    role TEXT, model TEXT, prompt_tokens INTEGER, completion_tokens INTEGER, cost REAL
);
CREATE TABLE IF NOT EXISTS unanswered (
    role TEXT, model TEXT, prompt_tokens INTEGER, completion_tokens INTEGER, cost REAL
);
CREATE TABLE IF NOT EXISTS unusable (
    key BLOB PRIMARY KEY, role TEXT NOT NULL, fault TEXT NOT NULL, last INTEGER NOT NULL
);
"""

_SPENT = """
SELECT role, count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost) FROM (
    SELECT role, prompt_tokens, completion_tokens, cost FROM answers
    UNION ALL SELECT role, prompt_tokens, completion_tokens, cost FROM unanswered
) GROUP BY role
"""


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
        """Enter what was paid and, under `key`, the answer, in one step; None keeps no answer."""
        paid = role, model, answer.prompt_tokens, answer.completion_tokens, cost
        with self._named():
            if key is None:
                self._database.execute("INSERT INTO unanswered VALUES (?, ?, ?, ?, ?)", paid)
            else:
                self._database.execute(
                    "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (bytes.fromhex(key), answer.text, answer.thought, *paid),
                )

    def spent(self) -> dict[str, Expense]:
        """What was paid so far, by role."""
        with self._named():
            rows = self._database.execute(_SPENT).fetchall()
        return {
            role: Expense(calls=calls, prompt_tokens=read, completion_tokens=written, cost=cost)
            for role, calls, read, written, cost in rows
        }

    def refuse(self, key: str, role: str, fault: str, last: bool) -> None:
        """Enter that the answer to a call would not do, once however often it is replayed."""
        with self._named():
            self._database.execute(
                "INSERT OR IGNORE INTO unusable VALUES (?, ?, ?, ?)",
                (bytes.fromhex(key), role, fault, last),
            )

    def unusable(self) -> dict[str, Unusable]:
        """What would not do so far, by role."""
        query = "SELECT role, fault, count(*), sum(last) FROM unusable GROUP BY role, fault"
        with self._named():
            rows = self._database.execute(query).fetchall()
        found: dict[str, Unusable] = {}
        for role, fault, answers, lost in rows:
            found[role] = found.get(role, Unusable()).with_fault(fault, answers, lost)
        return found

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
