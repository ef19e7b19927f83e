"""Error-Driven Data Expansion without a model: the same difficulty, everything else anew."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from looptool.records import Failure, Origin, Sample, Scenario, Tool
from looptool.seed.checks import alike
from looptool.seed.constraint_tree import cast
from looptool.seed.context_tree import Leaf, leaves
from looptool.seed.dialogues import samples_of, simulate
from looptool.seed.dice import dice
from looptool.teachers.base import DialogueBrief, Variation
from looptool.teachers.offline.understand import understand

if TYPE_CHECKING:
    from looptool.teachers.base import Simulator

_S = Scenario
TRIES = 4


async def vary(
    teacher: Simulator, failure: Failure, variation: Variation, number: int, seed: int
) -> tuple[Sample, ...]:
    """Up to `number` samples of the failure's scenario, over its tools or their siblings.

    Siblings are operations of the same groups, so that held-out branches stay unseen.
    """
    parent = failure.sample
    found: list[Sample] = []
    seen = {_said(parent)}
    for attempt in range(number * TRIES):
        if len(found) == number:
            break
        rng = dice("vary", parent.id, variation, seed, attempt)
        brief = _brief(parent, variation, rng, attempt)
        dialogue = await simulate(brief, teacher) if brief else None
        if dialogue is None:
            continue
        for sample in _alike(samples_of(dialogue), parent, variation):
            if _said(sample) not in seen and len(found) < number:
                seen.add(_said(sample))
                found.append(_child(sample, parent))
                break
    return tuple(found)


def _child(sample: Sample, parent: Sample) -> Sample:
    return sample.model_copy(update={"origin": Origin.EXPANDED, "parents": (parent.id,)})


def _said(sample: Sample) -> str:
    return "\n".join(message.content for message in sample.context)


def _alike(samples: list[Sample], parent: Sample, variation: Variation) -> list[Sample]:
    """Those that ask for the same kind of move: a call for a call, no call for none."""
    same_kind = [s for s in samples if bool(s.label.calls) == bool(parent.label.calls)]
    exact = [s for s in same_kind if s.scenario is parent.scenario]
    if variation is Variation.TURNS:
        other = [s for s in same_kind if s.scenario is not parent.scenario]
        return [*other, *exact]
    return exact[::-1]


def _brief(parent: Sample, variation: Variation, rng: Random, attempt: int) -> DialogueBrief | None:
    tools = list(parent.tools)
    if variation in (Variation.SIBLING_TOOL, Variation.COMPLEXITY):
        tools = _replaced(parent, rng)
    needed = {call.name for call in parent.label.calls}
    if variation is Variation.INTERACTION or parent.scenario is _S.IRRELEVANT:
        rng.shuffle(tools)
    elif len(tools) > 1 and needed and attempt % 2 and parent.scenario is _S.SINGLE:
        tools = [tool for tool in tools if tool.name in needed or rng.random() < 0.6]
    absent = _absent(tools, rng) if parent.scenario is _S.IRRELEVANT else ()
    return DialogueBrief(
        id=f"vary/{parent.id}/{variation.value}/{attempt}",
        tools=_in_focus(tools, needed, parent.scenario, rng),
        needs=_needs(parent, variation),
        domain=parent.domain,
        seed=rng.getrandbits(48),
        absent=absent,
    )


def _in_focus(
    tools: list[Tool], needed: set[str], scenario: Scenario, rng: Random
) -> tuple[Tool, ...]:
    """The tools, often only those that the failure was about."""
    focus = [tool for tool in tools if tool.name in needed]
    if scenario is _S.SINGLE and focus and rng.random() < 0.5:
        return tuple(focus)
    return tuple(tools)


def _needs(parent: Sample, variation: Variation) -> tuple[Scenario, ...]:
    turned = variation is Variation.TURNS
    match parent.scenario:
        case _S.MULTI_TURN:
            return (_S.SINGLE,) if turned else (_S.SINGLE, _S.MULTI_TURN)
        case _S.SINGLE if turned:
            return (_S.SINGLE, _S.MULTI_TURN)
        case _S.CHAT if any(m.role == "tool" for m in parent.context):
            return (_S.SINGLE, _S.CHAT)
        case _S.IRRELEVANT if turned:
            return (_S.SINGLE, _S.IRRELEVANT)
    return (parent.scenario,)


def _siblings(tools: list[Tool]) -> list[Leaf]:
    senses = [sense for tool in tools if (sense := understand(tool)) and sense.known]
    groups = {(sense.domain, sense.group) for sense in senses}
    present = {sense.operation.name for sense in senses}
    return [
        leaf
        for leaf in leaves()
        if (leaf.domain, leaf.group) in groups and leaf.operation.name not in present
    ]


def _replaced(parent: Sample, rng: Random) -> list[Tool]:
    """The toolset with a needed tool cast anew, or replaced by a sibling."""
    tools = list(parent.tools)
    needed = {call.name for call in parent.label.calls} or {tool.name for tool in tools}
    index = rng.choice([n for n, tool in enumerate(tools) if tool.name in needed] or [0])
    sense = understand(tools[index])
    if sense is None or not sense.known:
        return tools
    family = _siblings([tools[index]])
    leaf = rng.choice(family) if family and rng.random() < 0.6 else None
    operation = leaf.operation if leaf else sense.operation
    new = cast(operation, sense.group, rng.getrandbits(40))
    if new.name not in {tool.name for n, tool in enumerate(tools) if n != index}:
        tools[index] = new
    return tools


def _absent(tools: list[Tool], rng: Random) -> tuple[Tool, ...]:
    """Operations near the tools that none of them serves; a tool of your own is set aside."""
    family = _siblings(tools)
    if family:
        chosen = rng.sample(family, min(2, len(family)))
        return tuple(cast(leaf.operation, leaf.group, rng.getrandbits(40)) for leaf in chosen)
    if len(tools) > 1:
        return (tools.pop(rng.randrange(len(tools))),)
    if any((sense := understand(tool)) and sense.known for tool in tools):
        return ()
    far = (cast(leaf.operation, leaf.group, 0) for leaf in rng.sample(list(leaves()), 8))
    return tuple(tool for tool in far if not any(alike(tool, own) for own in tools))
