from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from looptool import cli
from looptool.runs.lock import lock
from looptool.runs.paths import Paths


def looptool(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "looptool", *args], cwd=cwd, capture_output=True, text=True
    )


def refused(*args: str, cwd: Path) -> str:
    """The one line on stderr of a command that ends with exit code 2."""
    done = looptool(*args, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("looptool: ")
    return lines[0]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "my.toml"
    path.write_text("rounds = 2\n")
    return path


def test_help_names_every_step(tmp_path: Path) -> None:
    done = looptool("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in (
        "run",
        "seed",
        "warm-start",
        "train",
        "probe",
        "verify",
        "expand",
        "merge",
        "report",
    ):
        assert name in done.stdout


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, looptool.cli; "
        "print(*{'torch', 'transformers', 'trl', 'pydantic', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_missing_config_is_one_line(tmp_path: Path) -> None:
    assert "none.toml: no such config" in refused("run", "none.toml", cwd=tmp_path)


def test_an_unknown_key_is_one_line_that_names_it(tmp_path: Path, config: Path) -> None:
    config.write_text("[train]\nstepz = 1\n")
    assert "train.stepz: unknown key" in refused("run", "my.toml", cwd=tmp_path)
    assert not (tmp_path / "runs").exists(), "nothing is begun"


def test_a_wrong_override_is_one_line(tmp_path: Path, config: Path) -> None:
    assert "data.label_noise" in refused(
        "run", "my.toml", "-o", "data.label_noise=-1", cwd=tmp_path
    )


def test_a_directory_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    assert "is no run" in refused("report", ".", cwd=tmp_path)
    assert "is no run" in refused("run", ".", cwd=tmp_path)


def test_a_run_named_twice_is_one_line(tmp_path: Path) -> None:
    assert "leave --run out" in refused("run", ".", "--run", "other", cwd=tmp_path)


def test_a_place_that_cannot_hold_a_run_is_one_line(tmp_path: Path, config: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused("run", "my.toml", "--run", "file/run", cwd=tmp_path)
    assert "file/run: cannot be written" in line and "--run" in line


def test_a_run_in_use_is_one_line(tmp_path: Path, config: Path) -> None:
    root = tmp_path / "runs" / "my"
    root.mkdir(parents=True)
    with lock(Paths(root).lock):
        assert "is in use by process" in refused("run", "my.toml", cwd=tmp_path)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run"], "Missing argument 'config'; see `"),
        (["run", "my.toml", "--frob"], "No such option: --frob; see `"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_one_line(tmp_path: Path, args: list[str], told: str) -> None:
    assert told in refused(*args, cwd=tmp_path)


def test_no_arguments_show_the_help(tmp_path: Path) -> None:
    done = looptool(cwd=tmp_path)
    assert done.returncode == 2
    assert "calibrate" in done.stdout and not done.stderr


def test_ctrl_c_is_answered_with_how_to_go_on(tmp_path: Path, config: Path) -> None:
    config.write_text("[data]\ntools = 60\nsamples = 3000\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "looptool", "seed", "my.toml"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # A test run in the background hands on an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    begun = Paths(tmp_path / "runs/my").work / "seed-train-0.jsonl"
    while process.poll() is None and not begun.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    assert process.returncode == 2
    assert told == "looptool: stopped; the same command goes on from here\n"


@pytest.mark.parametrize("holds", [[], ["config.json", "pytorch_model.bin"]], ids=str)
def test_a_missing_model_is_one_line_before_any_work(
    tmp_path: Path, config: Path, holds: list[str]
) -> None:
    (tmp_path / "policy").mkdir()
    for name in holds:
        (tmp_path / "policy" / name).write_text("{}")
    line = refused("run", "my.toml", "-o", 'policy.model="./policy"', cwd=tmp_path)
    assert "policy: no" in line and ("safetensors" in line if holds else "config.json" in line)
    assert not (tmp_path / "runs/my/seed").exists()


def test_debug_shows_where_it_came_from(tmp_path: Path) -> None:
    done = looptool("--debug", "run", "none.toml", cwd=tmp_path)
    assert done.returncode != 0
    assert "Traceback" in done.stderr and "no such config" in done.stderr


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "goes on from here"),
        (OSError(28, "No space left on device", "runs/x"), "make room"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "make room"),
        (OSError(30, "Read-only file system", "runs/x"), "runs/x"),
        (PermissionError(13, "Permission denied", "runs/x/a"), "runs/x/a): change its perm"),
    ],
)
def test_interrupts_and_full_disks_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    told: str,
) -> None:
    def stopped(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", stopped)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    line = capsys.readouterr().err
    assert told in line and line.count("\n") == 1
