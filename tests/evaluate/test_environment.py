"""What the official checkers run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.evaluate import environment
from looptool.evaluate.environment import cache_folder
from looptool.work import Silent


def test_every_package_is_pinned_and_brings_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str]) -> None:
        ran.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir()

    monkeypatch.setattr(environment, "_run", run)
    environment.checker_python(tmp_path, Silent())
    installs = [command[command.index("install") + 1 :] for command in ran if "install" in command]
    assert installs and all("--no-deps" in words for words in installs)
    packages = [word for words in installs for word in words if not word.startswith("-")]
    assert all("==" in package for package in packages)
    assert len({package.partition("==")[0] for package in packages}) == len(packages) > 30


def test_a_cache_folder_means_the_same_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cache_folder(Path("cache")) == tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", "xdg")
    assert cache_folder() == tmp_path / "xdg/looptool"
