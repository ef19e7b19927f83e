"""The rule judge: which of two moves is right, told from tools and conversation alone."""

from looptool.teachers.offline.judge.rules import RuleJudge

__all__ = ["RuleJudge"]
