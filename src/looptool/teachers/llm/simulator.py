"""The four agents of a simulated dialogue: Planner, User, Assistant, Tool."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence

from looptool.conversation import answered, is_error
from looptool.records import Label, Message, Scenario, Tool, ToolCall, Turn
from looptool.seed.dice import dice, stable
from looptool.teachers.base import DialogueBrief, Scene
from looptool.teachers.llm.calls import Chat, UnusableError
from looptool.teachers.llm.narrow import calls_needed, moves_with, plan_of
from looptool.teachers.llm.people import MANNERS, PEOPLE
from looptool.teachers.llm.prompts import part, quote, render
from looptool.teachers.llm.shapes import LineShape, MoveShape, PlanShape, ResultShape, TurnShape
from looptool.teachers.llm.shown import shown_call, shown_messages, shown_tools
from looptool.teachers.llm.voice import Voice
from looptool.toolmatch import same_move, validate_call

_TELLING = re.compile(r"[._]|[a-z][A-Z]")


async def plan(voice: Voice, brief: DialogueBrief) -> tuple[Turn, ...]:
    """A turn for every need (two for a missing parameter); empty if the tools do not allow it."""
    chat = render(
        "plan",
        tools=quote(shown_tools(brief.tools)),
        absent=quote([[tool.name, tool.description] for tool in brief.absent]),
        needs=quote([need.value for need in brief.needs]),
        number=brief.seed % 1000,
    )

    def turns(shape: PlanShape) -> tuple[Turn, ...]:
        if not shape.turns:
            return ()
        if len(shape.turns) != len(brief.needs):
            raise ValueError(f"turns: write {len(brief.needs)}, one for each need")
        pairs = zip(brief.needs, shape.turns, strict=True)
        return tuple(turn for need, given in pairs for turn in _turns(need, given, brief.tools))

    try:
        schema = plan_of(brief.needs, brief.tools)
        return await voice.ask("planner", chat, PlanShape, turns, sample=brief.seed, schema=schema)
    except UnusableError:
        return ()


def _turns(need: Scenario, given: TurnShape, tools: Sequence[Tool]) -> Iterator[Turn]:
    names = {tool.name for tool in tools}
    if unknown := [name for name in given.tools if name not in names]:
        raise ValueError(f"turns: there is no function {unknown[0]}")
    number, (fewest, most) = len(given.tools), calls_needed(need)
    if not fewest <= number <= most:
        raise ValueError(f"turns: a {need.value} turn cannot have {number} tools")
    values = "; ".join(dict.fromkeys(given.values))
    intent = f"{given.intent} The values: {values}." if values else given.intent
    if need is not Scenario.MISSING_PARAMETER:
        yield Turn(need=need, tools=tuple(given.tools), intent=intent)
        return
    if not (given.left_out.strip() and given.given_later.strip()):
        raise ValueError("turns: missing_parameter needs left_out and given_later")
    yield Turn(need=need, intent=f"{intent} Left out, for now: {given.left_out}.")
    later = f"Now gives what was left out, {given.left_out}: {given.given_later}."
    yield Turn(need=need, tools=tuple(given.tools), intent=later)


async def speak(voice: Voice, scene: Scene) -> str | None:
    """What the person says in this turn; a message that names a tool is not taken."""
    if scene.turn >= len(scene.plan):
        return None
    rng = dice("persona", scene.brief.id, scene.brief.seed)
    chat = render(
        "user",
        persona=quote([rng.choice(PEOPLE), rng.choice(MANNERS)]),
        messages=quote(shown_messages([m for m in scene.messages if _heard(m)])),
        intent=quote(scene.plan[scene.turn].intent),
    )
    telling = [t.name for t in scene.brief.tools if _TELLING.search(t.name)]

    def line(shape: LineShape) -> str:
        said = shape.person_says.strip()
        if not said:
            raise ValueError("person_says: is empty")
        if named := [name for name in telling if name in said]:
            raise ValueError(f"person_says: it names the function {named[0]}; say it plainly")
        return said

    try:
        return await voice.ask("user", chat, LineShape, line, sample=scene.brief.seed)
    except UnusableError:
        return None


def _heard(message: Message) -> bool:
    return message.role == "user" or (message.role == "assistant" and not message.tool_calls)


async def move(voice: Voice, scene: Scene) -> Label | None:
    """The move on which two samples agree by ToolMatch, a third deciding; else None.

    The model sees tools and messages only. A move that does not do what the plan needs is not
    certain either.
    """
    tools = scene.brief.tools
    chat = render(
        "assistant",
        tools=quote(shown_tools(tools)),
        messages=quote(shown_messages(scene.messages)),
    )
    seed = scene.brief.seed
    one, two = await asyncio.gather(*(_sample_move(voice, chat, tools, seed + n) for n in (0, 1)))
    label = _agreed(one, two, tools)
    if label is None and (one or two):
        third = await _sample_move(voice, chat, tools, seed + 2)
        label = _agreed(one, third, tools) or _agreed(two, third, tools)
    return label if label is not None and _as_planned(scene, label) else None


async def _sample_move(
    voice: Voice, chat: Chat, tools: Sequence[Tool], sample: int
) -> Label | None:
    def sound(shape: MoveShape) -> Label:
        return sound_label(shape, tools)

    try:
        schema = moves_with(MoveShape, tools)
        return await voice.ask("assistant", chat, MoveShape, sound, sample=sample, schema=schema)
    except UnusableError:
        return None


def sound_label(shape: MoveShape, tools: Sequence[Tool]) -> Label:
    """The move as a label. ValueError if a call breaks its schema or nothing is done at all."""
    label = shape.label()
    check_calls(label.calls, tools)
    if not label.calls and not label.content:
        raise ValueError("says: is empty, and there are no calls")
    return label


def check_calls(calls: Sequence[ToolCall], tools: Sequence[Tool]) -> None:
    """ValueError for the first call that names no tool, breaks a schema, or comes twice."""
    by_name = {tool.name: tool for tool in tools}
    for number, call in enumerate(calls):
        if call.name not in by_name:
            raise ValueError(f"calls: there is no function {call.name}")
        checked = validate_call(call, by_name[call.name])
        if not checked.matched:
            raise ValueError(f"calls: {checked.reason.value}: {checked.detail}")
        if call in calls[:number]:
            raise ValueError(f"calls: {call.name} is called twice with the same arguments")


def _agreed(one: Label | None, other: Label | None, tools: Sequence[Tool]) -> Label | None:
    return one if one and other and same_move(one, other, tools) else None


def _as_planned(scene: Scene, label: Label) -> bool:
    """Whether a move may follow in this turn of the plan."""
    turn, last = scene.plan[scene.turn], scene.messages[-1]
    called = sorted(call.name for call in label.calls)
    if last.role == "user":
        if turn.need in (Scenario.SEQUENTIAL, Scenario.MULTI_TURN):
            return bool(called) and set(called) <= set(turn.tools)
        return called == sorted(turn.tools)
    more = turn.need in (Scenario.SEQUENTIAL, Scenario.MULTI_TURN) or is_error(last.content)
    return not called or more


async def answer(voice: Voice, scene: Scene, call: ToolCall) -> str:
    """What the tool returns, as JSON text: the same as before to a call made before."""
    tool = next((tool for tool in scene.brief.tools if tool.name == call.name), None)
    if tool is None:
        return json.dumps({"error": f"There is no function {call.name}."})
    checked = validate_call(call, tool)
    if not checked.matched:
        return json.dumps({"error": f"Invalid request: {checked.detail}"}, ensure_ascii=False)
    before = list(answered(scene.messages))
    known = next((result for made, result in reversed(before) if made == call), None)
    if known is not None and not is_error(known):
        return known
    first = not before and call == scene.messages[-1].tool_calls[0]
    kind = "answer_error" if scene.brief.tool_error and first else "answer_normal"
    chat = render(
        "toolserver",
        kind=part(kind),
        tool=quote(tool.as_function()),
        before=quote([[shown_call(made), result] for made, result in before]),
        call=quote(shown_call(call)),
    )

    def returned(shape: ResultShape) -> str:
        if not shape.result:
            raise ValueError("result: is empty")
        if kind == "answer_error" and "error" not in shape.result:
            raise ValueError("result: has no key `error`")
        return json.dumps(shape.result, ensure_ascii=False)

    sample = stable(scene.brief.id, scene.brief.seed)
    try:
        return await voice.ask("tool", chat, ResultShape, returned, sample=sample)
    except UnusableError:
        return json.dumps({"error": "The service is not available."})
