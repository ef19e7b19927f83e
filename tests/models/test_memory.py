"""Freed memory is kept where that can be had, and nowhere is it an error."""

import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from looptool.models.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
def test_freed_memory_is_not_faulted_in_again() -> None:
    program = """
import resource, torch
from looptool.models.memory import keep_freed_memory
assert keep_freed_memory()
def faults(mib):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(mib * 2**20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(64)
assert faults(32) < 1000, "8,192 pages of 4 KiB"
"""
    # A process of its own: in this one, what other tests freed lies about in pieces.
    own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    subprocess.run([sys.executable, "-c", program], env=own, check=True)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator only")
def test_the_next_stage_starts_without_what_the_last_one_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_"):
        monkeypatch.delenv(name, raising=False)
    assert keep_freed_memory()
    torch.ones(256 * 2**20, dtype=torch.uint8)
    held = resident()
    assert keep_freed_memory()
    assert resident() < held - 200 * 2**20


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def test_the_users_own_settings_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    assert not keep_freed_memory()


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
