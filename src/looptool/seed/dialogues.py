"""The four agents take turns: a brief becomes a dialogue, a dialogue becomes samples."""

from __future__ import annotations

from typing import Any

from looptool.conversation import is_error
from looptool.records import Dialogue, Label, Message, Origin, Sample, Scenario
from looptool.teachers.base import DialogueBrief, Scene, Simulator

MAX_STEPS = 6


async def simulate(brief: DialogueBrief, teacher: Simulator) -> Dialogue | None:
    """Play the brief through the teacher's agents; None if its tools do not allow the needs.

    A move of None ends the assistant's turn; if it has not spoken after the user or a tool, the
    dialogue ends there, and what came before stays usable.
    """
    plan = await teacher.plan(brief)
    messages: list[Message] = []
    moves: list[tuple[int, Scenario]] = []
    for turn, planned in enumerate(plan):
        scene = Scene(brief=brief, plan=plan, messages=tuple(messages), turn=turn)
        said = await teacher.speak(scene)
        if said is None:
            break
        messages.append(Message(role="user", content=said))
        spoken = await _assist(scene, teacher, messages, moves, planned.need)
        if not spoken:
            break
    if not moves:
        return None
    return Dialogue(
        tools=brief.tools,
        messages=tuple(messages),
        moves=tuple(moves),
        domain=brief.domain,
    )


async def _assist(
    scene: Scene,
    teacher: Simulator,
    messages: list[Message],
    moves: list[tuple[int, Scenario]],
    need: Scenario,
) -> bool:
    """The assistant's turn, calls and answers included; whether it ended in words."""
    for _ in range(MAX_STEPS):
        now = scene.model_copy(update={"messages": tuple(messages)})
        label = await teacher.move(now)
        if label is None:
            return False
        index = len(messages)
        messages.append(Message(role="assistant", content=label.content, tool_calls=label.calls))
        if not label.calls or _is_over(now, need):
            moves.append((index, need))
            return not label.calls
        failed = await _answer(now, teacher, messages, label)
        if not failed:
            moves.append((index, need))
    return False


def _is_over(scene: Scene, need: Scenario) -> bool:
    """Whether nothing that is wanted can follow the calls of this move."""
    brief = scene.brief
    may_go_on = need in (Scenario.SEQUENTIAL, Scenario.MULTI_TURN) or brief.tool_error
    return not (brief.closing or may_go_on) and scene.turn == len(scene.plan) - 1


async def _answer(scene: Scene, teacher: Simulator, messages: list[Message], label: Label) -> bool:
    """Append the tools' answers; whether one of them is an error."""
    now = scene.model_copy(update={"messages": tuple(messages)})
    made = sum(message.role == "tool" for message in messages)
    failed = False
    for n, call in enumerate(label.calls, made):
        result = await teacher.answer(now, call)
        failed |= is_error(result)
        messages.append(
            Message(role="tool", content=result, tool_call_id=f"call_{n}", name=call.name)
        )
    return failed


def samples_of(dialogue: Dialogue, **rest: Any) -> list[Sample]:
    """A sample for every marked move, with the messages before it as context."""
    rest.setdefault("origin", Origin.SEED)
    samples = []
    for index, scenario in dialogue.moves:
        message = dialogue.messages[index]
        label = Label(
            calls=message.tool_calls, content="" if message.tool_calls else message.content
        )
        samples.append(
            Sample.create(
                dialogue.tools,
                dialogue.messages[:index],
                label,
                scenario,
                domain=dialogue.domain,
                **rest,
            )
        )
    return samples
