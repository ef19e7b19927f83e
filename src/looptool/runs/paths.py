"""Where everything in a run directory is. No other module joins these names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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

    def journal(self, name: str) -> Path:
        """What a step has worked through so far."""
        return self.root / "work" / f"{name}.jsonl"

    def folder(self, name: str) -> Path:
        """A step's own files, such as checkpoints."""
        return self.root / "models" / name
