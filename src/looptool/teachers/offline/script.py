"""The script of a dialogue: who says what, turn by turn. It depends on the brief alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random

from looptool.records import Label, Message, Scenario, ToolCall, Turn
from looptool.teachers.base import DialogueBrief
from looptool.teachers.offline.goals import Goal
from looptool.teachers.offline.manners import Voice
from looptool.teachers.offline.sense import Sense
from looptool.teachers.offline.world import respond


@dataclass(frozen=True, slots=True)
class Step:
    """One move of the assistant and what the tools answer to it."""

    label: Label
    results: tuple[str, ...] = ()


@dataclass(slots=True)
class Beat:
    """One turn of the plan: what the user says, and the assistant's steps."""

    turn: Turn
    said: str
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """A script in the making, and what its later turns can refer to: the last goal, `settled` if
    none beside it was of the same tool, and the results.
    """

    brief: DialogueBrief
    senses: tuple[Sense, ...]
    absent: tuple[Sense, ...]
    rng: Random
    voice: Voice
    beats: list[Beat] = field(default_factory=list)
    goal: Goal | None = None
    settled: bool = True
    results: list[str] = field(default_factory=list)
    error_due: bool = False

    def beat(self, need: Scenario, said: str, *goals: Goal) -> Beat:
        """A new turn of the plan."""
        tools = tuple(dict.fromkeys(goal.sense.tool.name for goal in goals))
        wants = "; ".join(f"{g.sense.tool.name}({json.dumps(g.call().arguments)})" for g in goals)
        beat = Beat(Turn(need=need, tools=tools, intent=wants or need.value), said)
        self.beats.append(beat)
        return beat

    def peek(self, goal: Goal, ahead: list[str]) -> str:
        """What the tool will answer once the results `ahead` have come."""
        before = [*self._results_so_far(), *(Message(role="tool", content=r) for r in ahead)]
        return respond(goal.sense, goal.call(), self.brief.seed, before)

    def act(self, beat: Beat, *goals: Goal) -> list[str]:
        """The assistant calls, the tools answer."""
        calls = tuple(goal.call() for goal in goals)
        results = [
            respond(goal.sense, call, self.brief.seed, self._results_so_far())
            for goal, call in zip(goals, calls, strict=True)
        ]
        beat.steps.append(Step(Label(calls=calls), tuple(results)))
        self.goal, self.results = goals[-1], results
        self.settled = sum(goal.sense is goals[-1].sense for goal in goals) == 1
        return results

    def fail(self, beat: Beat, call: ToolCall, error: str) -> None:
        """The assistant calls, and the tool answers with an error."""
        answer = json.dumps({"error": error}, ensure_ascii=False)
        beat.steps.append(Step(Label(calls=(call,)), (answer,)))

    def say(self, beat: Beat, label: Label) -> None:
        """The assistant speaks, which ends the turn."""
        beat.steps.append(Step(label))

    def _results_so_far(self) -> list[Message]:
        return [
            Message(role="tool", content=result)
            for beat in self.beats
            for step in beat.steps
            for result in step.results
        ]
