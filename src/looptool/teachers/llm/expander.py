"""New samples from a failure (EDDE)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from looptool.jsonvalue import read_json
from looptool.records import Failure, Label, Message, Origin, Sample, Scenario, Tool
from looptool.teachers.base import Variation
from looptool.teachers.llm.calls import UnusableError
from looptool.teachers.llm.narrow import moves_with
from looptool.teachers.llm.prompts import part, quote, render
from looptool.teachers.llm.shapes import SaidShape, SampleShape
from looptool.teachers.llm.shown import shown_label, shown_messages, shown_tools
from looptool.teachers.llm.simulator import check_calls, sound_label
from looptool.teachers.llm.voice import Voice
from looptool.teachers.llm.writer import sound_tool


async def vary(
    voice: Voice, failure: Failure, variation: Variation, number: int, seed: int
) -> tuple[Sample, ...]:
    """Up to `number` distinct samples, each from a call of its own, in order."""
    made = await asyncio.gather(
        *(_vary_once(voice, failure, variation, index, seed) for index in range(number))
    )
    return tuple({sample.id: sample for sample in made if sample is not None}.values())


async def _vary_once(
    voice: Voice, failure: Failure, variation: Variation, index: int, seed: int
) -> Sample | None:
    old = failure.sample
    chat = render(
        "vary",
        variation=part(f"vary_{variation.value}"),
        tools=quote(shown_tools(old.tools)),
        messages=quote(shown_messages(old.context)),
        wrong=quote(shown_label(failure.wrong)),
        right=quote(shown_label(old.label)),
        error=quote(failure.judgement.error_analysis),
        approach=quote(failure.judgement.correct_approach),
        number=index + 1,
    )

    def sample(shape: SampleShape) -> Sample:
        return sound_sample(shape, failure, variation)

    brings_tools = variation is Variation.SIBLING_TOOL
    schema = None if brings_tools else moves_with(SampleShape, old.tools)
    try:
        return await voice.ask(
            "expander", chat, SampleShape, sample, sample=seed + index, schema=schema
        )
    except UnusableError:
        return None


def sound_sample(shape: SampleShape, failure: Failure, variation: Variation) -> Sample:
    """The sample of a shape, child of the failure. ValueError says what is unsound about it."""
    old = failure.sample
    tools = old.tools
    if variation is Variation.SIBLING_TOOL:
        tools = _with_new(tools, [sound_tool(new) for new in shape.new_tools])
    context = _conversation(shape.conversation, tools)
    label = sound_label(shape.move, tools)
    if bool(label.calls) != bool(old.label.calls):
        kind = "calls" if old.label.calls else "no calls"
        raise ValueError(f"move: it must make {kind}, as the right move does")
    if context == old.context:
        raise ValueError("conversation: it is the old one; write a new one")
    return Sample.create(
        tools,
        context,
        label,
        _scenario(old.scenario, variation, context, label),
        origin=Origin.EXPANDED,
        domain=old.domain,
        parents=(old.id,),
    )


def _with_new(tools: tuple[Tool, ...], new: Sequence[Tool]) -> tuple[Tool, ...]:
    if not new:
        raise ValueError("new_tools: write the new function")
    taken = {tool.name for tool in tools}
    if repeated := [tool.name for tool in new if tool.name in taken]:
        raise ValueError(f"new_tools: {repeated[0]} exists; give the new function another name")
    return (*tools, *new)


def _conversation(said: Sequence[SaidShape], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The messages, results numbered as in simulated dialogues."""
    messages: list[Message] = []
    owed: list[str] = []
    results = 0
    for shape in said:
        message = shape.message()
        if message.role == "tool":
            if not owed:
                raise ValueError("conversation: a result without a call")
            message = message.model_copy(
                update={"tool_call_id": f"call_{results}", "name": owed.pop(0), "tool_calls": ()}
            )
            _check_json(message.content)
            results += 1
        elif owed:
            raise ValueError(f"conversation: the call of {owed[0]} has no result")
        elif message.role == "user" and not message.content.strip():
            raise ValueError("conversation: an empty message")
        elif message.role == "assistant":
            check_calls(message.tool_calls, tools)
            owed = [call.name for call in message.tool_calls]
        messages.append(message)
    if not messages or messages[0].role != "user" or messages[-1].role == "assistant" or owed:
        raise ValueError("conversation: it begins with the person, and ends with the person or "
                         "with results")  # fmt: skip
    return tuple(messages)


def _check_json(result: str) -> None:
    text = result.strip()
    if read_json(text)[1] < len(text):
        raise ValueError("conversation: a result is more than one JSON value")


def _scenario(
    old: Scenario, variation: Variation, context: Sequence[Message], label: Label
) -> Scenario:
    """That of the failure, unless the number of turns changed it."""
    if variation is not Variation.TURNS or not label.calls:
        return old
    if sum(message.role == "user" for message in context) > 1:
        return Scenario.MULTI_TURN
    if context[-1].role == "tool":
        return Scenario.SEQUENTIAL
    return Scenario.SINGLE if len(label.calls) == 1 else Scenario.PARALLEL
