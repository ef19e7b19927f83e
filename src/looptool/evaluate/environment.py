"""The official checkers' own environment: made once under a cache folder, every version pinned.

They need old libraries that must not meet LoopTool's, so they never run in this process. Only a
worker script runs there, spoken to in JSON lines (`worker.py`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from looptool.errors import UserError
from looptool.jsonvalue import content_hash
from looptool.runs.lock import lock
from looptool.work import Progress

BFCL = "bfcl-eval==2025.8.6"
"""The last wheel of BFCL v3, data included; later ones are v4, with other answers and averages."""

# All that is installed: what these need is among them, and `bfcl-eval` itself declares much that it
# does not need here and that does not install together. What ACEBench's `eval_main.py` needs
# (pandas, openpyxl) is there too. Versions as tested together, on Python 3.11.
PINS = (
    BFCL,
    "annotated-doc==0.0.7",
    "annotated-types==0.8.0",
    "anyio==4.16.0",
    "certifi==2026.10.18",
    "charset-normalizer==3.5.2",
    "et-xmlfile==2.0.0",
    "filelock==3.20.0",
    "h11==0.16.0",
    "httpcore2==2.16.2",
    "httpx2==2.16.2",
    "idna==3.20",
    "jiter==0.19.0",
    "markdown-it-py==4.3.0",
    "mdurl==0.1.2",
    "mpmath==1.3.0",
    "numpy==1.26.4",
    "openai==3.54.0",
    "openpyxl==3.1.5",
    "overrides==7.7.0",
    "pandas==3.0.6",
    "pydantic-core==2.50.4",
    "pydantic==2.14.3",
    "pygments==2.21.0",
    "python-dateutil==4.0.0",
    "python-dotenv==1.2.4",
    "requests==2.34.2",
    "rich==15.0.0",
    "shellingham==1.5.4",
    "sniffio==1.3.1",
    "tabulate==0.10.0",
    "tenacity==9.2.1",
    "tqdm==4.70.1",
    "tree-sitter-java==0.21.0",
    "tree-sitter-javascript==0.21.4",
    "tree-sitter==0.21.3",
    "truststore==0.10.5",
    "typer==0.29.2",
    "typing-extensions==4.16.0",
    "typing-inspection==0.4.5",
    "tzdata==2026.6",
    "urllib3==2.8.0",
)
PYTHONS = ((3, 11), (3, 12))
"""numpy 1.26 has wheels for these and older ones."""


def cache_folder(given: Path | None = None) -> Path:
    """Where LoopTool keeps what can be made again: `given`, else `looptool` in the XDG cache."""
    if given is not None:
        return given.expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "looptool"


def checker_python(cache: Path, progress: Progress) -> Path:
    """The interpreter of the checkers' environment, which is made on first use (about 270 MB).

    Raises UserError if it cannot be made; what was half made is made again.
    """
    folder = cache / f"checkers-{content_hash(list(PINS))[:8]}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists() and python.exists():
        return python
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with lock(cache / f"{folder.name}.lock"):
            if not (ready.exists() and python.exists()):
                progress.say(f"making the official checkers' environment in {folder} (once)")
                _make(folder)
                ready.touch()
    except OSError as error:
        raise UserError(f"{cache}: {error.strerror}; choose another with --cache") from None
    return python


def _make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run([_interpreter(), "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"]
    _run([*pip, "--no-deps", *PINS])


def _interpreter() -> str:
    """A Python that the pinned wheels exist for: this one, or one on the path."""
    if sys.version_info[:2] in PYTHONS:
        return sys.executable
    for major, minor in PYTHONS:
        if found := shutil.which(f"python{major}.{minor}"):
            return found
    raise UserError("the official checkers need Python 3.11 or 3.12 on the path: install one")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        wrong = [line for line in said if line.lower().startswith("error")] or said or ["no output"]
        raise UserError(
            "the official checkers' environment could not be made "
            f"({wrong[0]}); it needs the package index once, then run the same command again"
        )
