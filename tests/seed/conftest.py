"""A small seed, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.config import SeedConfig
from looptool.records import Seed
from looptool.seed.make import make_seed
from looptool.teachers.offline.teacher import OfflineTeacher
from looptool.work import InMemory


@pytest.fixture(scope="session")
def small() -> SeedConfig:
    return SeedConfig(tools=240, samples=500, held_out_samples=150, label_noise=0.2)


@pytest.fixture(scope="session")
def seed(small: SeedConfig) -> Seed:
    return make_seed(small, 7, OfflineTeacher(7), InMemory())


@pytest.fixture(scope="session")
def own_seed() -> Seed:
    own = str(Path(__file__).parent / "own_tools.json")
    config = SeedConfig(samples=200, held_out_samples=60, tools_file=own)
    return make_seed(config, 1, OfflineTeacher(1), InMemory())
