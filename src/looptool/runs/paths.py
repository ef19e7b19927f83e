"""Where everything in a run directory is. No other module joins these names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RUN = "{run}/"
"""Stands in records for the directory of the run, which may be moved."""


@dataclass(frozen=True)
class Paths:
    """The layout of one run directory."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config.json"

    @property
    def provenance(self) -> Path:
        return self.root / "provenance.json"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def log(self) -> Path:
        return self.root / "run.log"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def calls(self) -> Path:
        """The cache of the teacher's LLM calls."""
        return self.root / "llm-calls.sqlite"

    def value(self, name: str) -> Path:
        """What a step computed once."""
        return self.root / f"{name}.jsonl"

    @property
    def work(self) -> Path:
        """What steps have worked through so far."""
        return self.root / "work"

    def folder(self, name: str) -> Path:
        """A step's own files, such as checkpoints."""
        return self.root / "models" / name

    def portable(self, path: str) -> str:
        """`path` as a record keeps it: what lies in the run is named from there."""
        place, root = Path(path).absolute(), self.root.absolute()
        return f"{RUN}{place.relative_to(root)}" if place.is_relative_to(root) else path

    def located(self, kept: str) -> str:
        """Where a path that `portable` made is now, also after the run was moved."""
        return str(self.root / kept.removeprefix(RUN)) if kept.startswith(RUN) else kept
