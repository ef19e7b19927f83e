"""The command line: `looptool run`, one subcommand for each step, and what surrounds them."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from looptool.errors import UserError
from looptool.evaluate.command import evaluate
from looptool.serve.command import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looptool.runs.run import Run

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train language models to call tools, in a loop that learns from its own failures.",
)

ConfigOrRun = Annotated[Path, typer.Argument(help="A TOML config, or the directory of a run.")]
Overrides = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads the annotation at run time)
    typer.Option("-o", help="Change one key: -o train.steps=10. May be repeated."),
]
RunDir = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--run", help="Run directory; runs/NAME of the config unless given."),
]

MENDS = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "make it writable",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.ENOTDIR: "move away the file that stands in its place",
    errno.EISDIR: "move away the folder that stands in its place",
}
"""What a user can do about an OSError that is theirs to mend."""

FULL = ("No space left on device", "database or disk is full")
"""How libraries that raise no OSError (safetensors, SQLite) say that the disk is full."""

STEPS = {
    "seed": "Write tools and dialogues, plant noise, hold branches out.",
    "warm_start": "Teach the format to a model that cannot call tools yet.",
    "train": "GRPO on the current dataset.",
    "probe": "Which samples does the model master, which does it fail?",
    "verify": "Judge each failure: is the label wrong, or the model?",
    "expand": "Make new samples from the verified failures.",
    "merge": "Put the next round's dataset together.",
}


@app.command()
def run(config: ConfigOrRun, o: Overrides = None, run: RunDir = None) -> None:
    """Turn the whole loop; on a run that exists, go on where it stopped."""
    with _opened(config, o, run) as opened:
        from looptool.loop import loop

        _show(opened, loop(opened))


def _step_command(name: str) -> Callable[[Path, list[str] | None, Path | None], None]:
    def command(config: ConfigOrRun, o: Overrides = None, run: RunDir = None) -> None:
        with _opened(config, o, run, until=name) as opened:
            from looptool.loop import loop
            from looptool.steps import Finished

            try:
                loop(opened)
            except Finished:
                return
            opened.progress.say(f"{name}: nothing owed, the run is complete")

    return command


for _name, _about in STEPS.items():
    app.command(_name.replace("_", "-"), help=f"{_about} Does the steps before it that are owed.")(
        _step_command(_name)
    )


@app.command()
def calibrate(config: ConfigOrRun, o: Overrides = None, run: RunDir = None) -> None:
    """Measure the judge: errors of known kinds beside right moves; makes the seed if it is owed."""
    with _opened(config, o, run) as opened:
        from rich.console import Console

        from looptool.steps import Steps
        from looptool.verify.calibrate import calibration_table

        Console(highlight=False).print(calibration_table(Steps(opened).calibration))


@app.command()
def report(run: Annotated[Path, typer.Argument(help="The directory of a run.")]) -> None:
    """Write report.html anew from what a run holds, and show the table of rounds."""
    from looptool.report.page import write_report
    from looptool.runs.paths import Paths
    from looptool.runs.run import stored_config

    paths = Paths(run)
    stored_config(paths)
    write_report(paths)
    _table(paths.root, paths.report)


app.command("eval")(evaluate)
app.command()(serve)


@contextmanager
def _opened(
    config: Path, overrides: list[str] | None, root: Path | None, until: str | None = None
) -> Iterator[Run]:
    from looptool.config import load_config
    from looptool.runs.paths import Paths
    from looptool.runs.run import Run, stored_config

    if config.is_dir():
        if root is not None:
            raise UserError(f"{config} is a run already; leave --run out")
        root, settings = config, stored_config(Paths(config), overrides or ())
    else:
        root, settings = root or Path("runs") / config.stem, load_config(config, overrides or ())
    with Run(root, settings, until=until) as opened:
        yield opened


def _show(run: Run, page: Path) -> None:
    _table(run.paths.root, page)


def _table(root: Path, page: Path) -> None:
    from rich.console import Console

    from looptool.report.table import rounds_table
    from looptool.runs.paths import Paths

    console = Console(highlight=False)
    console.print(rounds_table(Paths(root)))
    console.print(f"report: {page}", soft_wrap=True, markup=False)


def main() -> None:
    """Run the command line: 0 done, 2 stopped, or the user can mend it."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    else:  # libraries speak there to developers, not to users
        warnings.simplefilter("ignore", FutureWarning)
    try:
        # Typer's own endings differ between its versions, and none is one line.
        if app(standalone_mode=False) == 130:
            raise KeyboardInterrupt
    except UserError as error:
        if debug:
            raise
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped; the same command goes on from here", 2)
    except OSError as error:
        if debug or error.errno not in MENDS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        told = f"{os.strerror(error.errno)}{where}: {MENDS[error.errno]}"
        _fail(f"{told} and run the same command again", 2)
    except Exception as error:
        if not debug and any(said in str(error) for said in FULL):
            _fail(f"{error}: make room and run the same command again", 2)
        if not hasattr(error, "format_message"):
            raise
        # What Typer says of a wrong command line; it has shown the help if it says nothing.
        said = str(error.format_message()).rstrip(".")
        _fail(f"{said}; see `{_asked(error)} --help`" if said else "", 2)


def _asked(error: Exception) -> str:
    return str(getattr(getattr(error, "ctx", None), "command_path", "looptool"))


def _fail(message: str, code: int) -> None:
    if message:
        print(f"looptool: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
