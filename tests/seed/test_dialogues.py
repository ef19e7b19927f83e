from __future__ import annotations

import asyncio

from looptool.records import Label, Message, Sample, Scenario, Tool, ToolCall, Turn
from looptool.seed.checks import Fault, fault_of
from looptool.seed.dialogues import samples_of, simulate
from looptool.teachers.base import DialogueBrief, Scene

TOOL = Tool(
    name="ring",
    description="Ring a person.",
    parameters={
        "type": "object",
        "properties": {"who": {"type": "string"}, "times": {"type": "integer"}},
        "required": ["who"],
    },
)
BRIEF = DialogueBrief(id="d", tools=(TOOL,), needs=(Scenario.SINGLE,), domain="x", seed=0)


class Scripted:
    """Agents that play given moves, as a language model would: without a script behind them."""

    def __init__(self, moves: list[Label | None], answers: list[str]) -> None:
        self.moves, self.answers = moves, answers

    async def plan(self, brief: DialogueBrief) -> tuple[Turn, ...]:
        return tuple(Turn(need=need) for need in brief.needs)

    async def speak(self, scene: Scene) -> str | None:
        return "Ring Anna three times."

    async def move(self, scene: Scene) -> Label | None:
        return self.moves.pop(0)

    async def answer(self, scene: Scene, call: ToolCall) -> str:
        return self.answers.pop(0)


def call(**arguments: object) -> Label:
    return Label(calls=(ToolCall.model_validate({"name": "ring", "arguments": arguments}),))


def test_every_certain_move_becomes_a_sample_with_what_came_before() -> None:
    agents = Scripted([call(who="Anna"), Label(content="Done.")], ['{"ok": true}'])
    dialogue = asyncio.run(simulate(BRIEF, agents))
    assert dialogue is not None
    first, last = samples_of(dialogue)
    assert [m.role for m in first.context] == ["user"]
    assert [m.role for m in last.context] == ["user", "assistant", "tool"]
    assert last.label == Label(content="Done.")


def test_an_uncertain_move_ends_the_dialogue_and_is_no_sample() -> None:
    dialogue = asyncio.run(simulate(BRIEF, Scripted([call(who="Anna"), None], ['{"ok": true}'])))
    assert dialogue is not None
    assert len(samples_of(dialogue)) == 1
    assert asyncio.run(simulate(BRIEF, Scripted([None], []))) is None


def test_a_dialogue_whose_closing_nobody_needs_ends_with_its_last_calls() -> None:
    brief = BRIEF.model_copy(update={"closing": False})
    agents = Scripted([call(who="Anna")], [])
    dialogue = asyncio.run(simulate(brief, agents))
    assert dialogue is not None
    assert [sample.label for sample in samples_of(dialogue)] == [call(who="Anna")]


def test_calls_that_others_may_follow_are_answered_in_any_case() -> None:
    no_end = {"closing": False}
    for update in ({"needs": (Scenario.SEQUENTIAL,)}, {"tool_error": True}):
        brief = BRIEF.model_copy(update=no_end | update)
        agents = Scripted([call(who="Anna"), Label(content="Done.")], ['{"ok": true}'])
        dialogue = asyncio.run(simulate(brief, agents))
        assert dialogue is not None
        assert len(samples_of(dialogue)) == 2


def test_the_turn_that_repairs_an_error_is_the_sample() -> None:
    agents = Scripted([call(who="Ana"), call(who="Anna"), None], ['{"error": "?"}', '{"ok": 1}'])
    dialogue = asyncio.run(simulate(BRIEF, agents))
    assert dialogue is not None
    (sample,) = samples_of(dialogue)
    assert sample.label == call(who="Anna")
    assert len(sample.context) == 3


def test_rules_name_what_is_wrong() -> None:
    def fault(label: Label, said: str = "Ring Anna three times.") -> Fault | None:
        context = (Message(role="user", content=said),)
        return fault_of(Sample.create((TOOL,), context, label, Scenario.SINGLE))

    assert fault(call(who="Anna", times=3)) is None
    assert fault(call(who="Bob")) is Fault.UNGROUNDED
    assert fault(call(who="Anna", times=4)) is Fault.UNGROUNDED
    assert fault(call(times=3)) is Fault.INVALID_CALL
    assert fault(call(who="Anna", volume=3)) is Fault.INVALID_CALL
    assert fault(Label(calls=(ToolCall(name="sing"),))) is Fault.UNKNOWN_TOOL
    assert fault(Label(calls=call(who="Anna").calls * 2)) is Fault.REPEATED_CALL
    assert fault(Label(content="")) is Fault.EMPTY
    assert fault(call(who="Anna"), "Ring {who}.") is Fault.UNRESOLVED
