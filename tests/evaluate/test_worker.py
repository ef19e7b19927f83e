"""The checkers' process, as the evaluation meets it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from looptool.errors import UserError
from looptool.evaluate.worker import Worker


def test_a_checker_that_has_ended_is_named_with_its_log(tmp_path: Path) -> None:
    script = tmp_path / "ends.py"
    script.write_text("import sys; sys.stdin.readline()")
    with (
        pytest.raises(UserError, match=r"ended early; .*log says why"),
        Worker(Path(sys.executable), script, "m", tmp_path, tmp_path / "log") as worker,
    ):
        for _ in range(3):
            worker.ask("anything", filler="x" * 100_000)
