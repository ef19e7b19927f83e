"""A worker process in the checkers' environment, spoken to in JSON lines."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Self

from looptool.errors import UserError


class Worker:
    """Runs one of the `*_worker.py` scripts by the checkers' interpreter, until closed.

    What the official code prints goes to `log`. `folder` is where it may write.
    """

    def __init__(self, python: Path, script: Path, name: str, folder: Path, log: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_path = log
        self._log = log.open("a", encoding="utf-8")
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("PYTHON") and not key.endswith(("_KEY", "_TOKEN"))
        }
        environment |= {"BFCL_PROJECT_ROOT": str(folder), "PYTHONIOENCODING": "utf-8"}
        self._process = subprocess.Popen(
            [str(python), str(script), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            cwd=folder,
            env=environment,
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """The answer to one request; UserError naming the log if the official code fails."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise UserError(f"the official checker ended early; {self._log_path} says why")
        reply = json.loads(line)
        if "error" in reply:
            raise UserError(f"the official checker failed ({reply['error']}); see {self._log_path}")
        return reply["ok"]

    def close(self) -> None:
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):  # it has ended before
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
