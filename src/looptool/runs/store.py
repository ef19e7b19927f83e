"""Records on disk: JSON lines, appended as they come or replaced as a whole.

A file stands alone. Each distinct tool is written once, as a line `{"tool": HASH, "schema": …}`
before the first record that uses it, and records refer to it by hash: a hundred thousand samples
over a thousand tools stay small. A last line that was cut off (kill -9, power cut) is dropped
on reading and overwritten on appending.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from looptool.errors import UserError
from looptool.records import Tool
from looptool.tooltable import ToolTable

T = TypeVar("T")

SYNC_SECONDS = 1.0
"""At most so much work is lost in a power cut; a killed process loses none."""


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` with `data`: after a crash it holds the old bytes or the new, all of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Replace `path` by one line a record, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    table = ToolTable()
    with draft.open("wb") as file:
        for record in records:
            line = _dump(TypeAdapter(type(record)), record, table)
            file.write(_new_tools(table) + line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def read_records(path: Path, kind: type[T]) -> list[T]:
    """The records of a file that `write_records` made; UserError if its end is missing."""
    adapter = TypeAdapter(kind)
    table = ToolTable()
    records, good = [], 0
    for line, end in _lines(path, table):
        good = end
        if line:
            records.append(_parse(adapter, line, path, table))
    if good != path.stat().st_size:  # it was written whole: this is no crash of ours
        raise damaged(path, "it ends in the middle of a line")
    return records


class _Entry(BaseModel, Generic[T]):
    key: str
    value: T


class Journal(Generic[T]):
    """An append-only file of (key, value) lines that survives being cut off anywhere.

    Opening it reads what is there into `done`, values as `kind`.
    """

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path = path
        self.done: dict[str, T] = {}
        self._entry: TypeAdapter[_Entry[T]] = TypeAdapter(_Entry[kind])  # type: ignore[valid-type]
        self._table = ToolTable()
        good = 0
        if path.exists():
            for line, end in _lines(path, self._table):
                good = end
                if line:
                    entry = _parse(self._entry, line, path, self._table)
                    self.done[entry.key] = entry.value
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(good)
        self._file.seek(good)
        self._synced = time.monotonic()

    def append(self, key: str, value: T) -> None:
        """Add one line and hand it to the operating system."""
        entry = _Entry(key=key, value=value)
        line = _dump(self._entry, entry, self._table)
        self._file.write(_new_tools(self._table) + line + b"\n")
        self._file.flush()
        self.done[key] = value
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self._sync()

    def close(self) -> None:
        self._sync()
        self._file.close()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _dump(adapter: TypeAdapter[T], record: T, table: ToolTable) -> bytes:
    line = adapter.dump_json(record, context=table, exclude_defaults=True)
    if b"null" in line:  # which is also how pydantic writes NaN and the infinities
        line = to_json(adapter.dump_python(record, context=table, exclude_defaults=True))
    return line


def _new_tools(table: ToolTable) -> bytes:
    """The lines of the tools that are not yet written."""
    lines = [
        json.dumps({"tool": key, "schema": table.tools[key].as_function()}, ensure_ascii=False)
        for key in table.unwritten
    ]
    table.unwritten.clear()
    return b"".join(line.encode("utf-8", "surrogatepass") + b"\n" for line in lines)


def _lines(path: Path, table: ToolTable) -> Iterator[tuple[bytes, int]]:
    """Each whole line with the offset at which it ends; a tool line is empty and in `table`."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return  # torn: owed again
            end += len(line)
            if line.startswith(b'{"tool"'):
                try:
                    raw = json.loads(line)
                    table.tools[raw["tool"]] = Tool.model_validate(raw["schema"])
                except (ValueError, KeyError) as error:
                    raise damaged(path, error) from None
                line = b""
            yield line, end


def _parse(adapter: TypeAdapter[T], line: bytes, path: Path, table: ToolTable) -> T:
    try:
        return adapter.validate_json(line, context=table)
    except (ValidationError, KeyError) as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: object) -> UserError:
    """What to tell of a file that cannot be read back."""
    what = str(error).splitlines()[0]
    return UserError(
        f"{path} is damaged ({what}); remove it and run again: its step is then redone"
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
