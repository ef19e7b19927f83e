"""Teachers: whatever writes data and judges it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from looptool.config import Config
    from looptool.runs.paths import Paths
    from looptool.teachers.base import Teacher


def load_teacher(config: Config, paths: Paths) -> Teacher:
    """The teacher that a run's config names; an LLM's calls are cached in the run."""
    if config.teacher.type == "llm":
        from looptool.teachers.llm import LlmTeacher

        return LlmTeacher(config.teacher, config.seed, paths)

    from looptool.teachers.offline.teacher import OfflineTeacher

    return OfflineTeacher(config.seed)
