"""The beats of each scenario: together they make the script of a dialogue."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from looptool.records import Scenario, ToolCall
from looptool.seed.dice import dice
from looptool.teachers.base import DialogueBrief
from looptool.teachers.offline import small_talk
from looptool.teachers.offline.follow import change, follow_up
from looptool.teachers.offline.goals import Clause, Goal, express, surface
from looptool.teachers.offline.infer import core_phrase
from looptool.teachers.offline.links import Link, links, point_at
from looptool.teachers.offline.manners import draw_voice, dress, line, mistype, phrases
from looptool.teachers.offline.parallel import finish, parallel
from looptool.teachers.offline.phrase import is_verbatim
from looptool.teachers.offline.replies import ask_back, refuse, report, tell_error
from looptool.teachers.offline.script import Beat, Story
from looptool.teachers.offline.sense import Sense, Slot
from looptool.teachers.offline.understand import understand
from looptool.teachers.offline.values import draw_other_for, draw_slot
from looptool.teachers.offline.world import asks_only

CLOSING = 0.18
TYPOS = 0.03


def write_script(brief: DialogueBrief) -> tuple[Beat, ...]:
    """The beats for the needs of the brief; empty if its tools do not allow them."""
    rng = dice("script", brief.id, brief.seed)
    story = Story(
        brief=brief,
        senses=tuple(filter(None, map(understand, brief.tools))),
        absent=tuple(filter(None, map(understand, brief.absent))),
        rng=rng,
        voice=draw_voice(rng),
        error_due=brief.tool_error,
    )
    for n, need in enumerate(brief.needs):
        if not _WRITERS[need](story):
            return ()
        last = n == len(brief.needs) - 1
        if not last or rng.random() < CLOSING:
            _close(story)
    return tuple(story.beats)


def _close(story: Story) -> None:
    """A plain answer, if the turn ends in a tool's result."""
    beat = story.beats[-1]
    if beat.steps and beat.steps[-1].results:
        found = story.goal is None or asks_only(story.goal.sense)
        story.say(beat, report(list(beat.steps[-1].results), found, story.rng))


def _single(story: Story) -> bool:
    rng = story.rng
    for sense in rng.sample(story.senses, len(story.senses)):
        clause = express(sense, story.voice, rng)
        if clause is not None:
            said = _perhaps_mistyped(finish(clause, story.voice, rng), clause, rng)
            beat = story.beat(Scenario.SINGLE, said, clause.goal)
            _call(story, beat, clause.goal)
            return True
    return False


def _perhaps_mistyped(said: str, clause: Clause, rng: Random) -> str:
    if rng.random() > TYPOS:
        return said
    return mistype(said, tuple(clause.surfaces.values()), rng)


def _call(story: Story, beat: Beat, goal: Goal) -> None:
    """The call, or, when an error is due, the way through it."""
    if not story.error_due:
        story.act(beat, goal)
        return
    story.error_due = False
    kind = story.rng.choice(("passing", "own", "refused", "refused"))
    if kind == "own" and _own_mistake(story, beat, goal):
        story.act(beat, goal)
    elif kind == "refused" and _refused(story, beat, goal):
        return
    else:
        story.fail(beat, goal.call(), story.rng.choice(phrases()["error"]["passing"]))
        story.act(beat, goal)


def _own_mistake(story: Story, beat: Beat, goal: Goal) -> bool:
    """The assistant leaves an argument out, and is told."""
    call = goal.call()
    required = goal.sense.tool.parameters.get("required", [])
    left = [name for name in call.arguments if isinstance(required, list) and name in required]
    if not left:
        return False
    gone = story.rng.choice(left)
    arguments = {name: value for name, value in call.arguments.items() if name != gone}
    story.fail(
        beat,
        ToolCall(name=call.name, arguments=arguments),
        story.rng.choice(
            (
                f"Missing required parameter: {gone}",
                f"'{gone}' is required.",
                f"{gone}: field required",
            )
        ),
    )
    return True


def _refused(story: Story, beat: Beat, goal: Goal) -> bool:
    """The tool cannot serve; the assistant says so, and the user gives another value."""
    errors = goal.sense.operation.errors
    changed = change(goal, story.voice, story.rng, "wrong")
    if not errors or changed is None:
        return False
    error = story.rng.choice(errors)
    story.fail(beat, goal.call(), error)
    story.say(beat, tell_error(error, story.rng))
    said, other = changed
    story.act(story.beat(beat.turn.need, said, other), other)
    return True


def _parallel(story: Story) -> bool:
    made = parallel(story.senses, story.voice, story.rng)
    if made is None:
        return False
    said, goals = made
    story.act(story.beat(Scenario.PARALLEL, said, *goals), *goals)
    return True


def _sequential(story: Story) -> bool:
    """Find flights, then book the cheapest one: ids flow from answer to call."""
    rng, known = story.rng, links(story.senses)
    if not known:
        return False
    first = rng.choice(known)
    chain = [first]
    onward = [
        link for link in known if link.first is first.second and link.second is not first.first
    ]
    if onward and rng.random() < 0.3:
        chain.append(rng.choice(onward))
    start = express(first.first, story.voice, rng, commands_only=True)
    if start is None:
        return False
    clauses = _chain(story, start, chain)
    if not clauses:
        return False
    text = start.text
    for clause in clauses[1:]:
        text = line("join", "order", rng, a=text.rstrip("."), b=clause.text.rstrip("."))
    said = dress(text, story.voice.persona, rng, start.verbatim_start)
    goals = [clause.goal for clause in clauses]
    beat = story.beat(Scenario.SEQUENTIAL, said, *goals)
    _call_passing(story, beat, goals[0])
    for goal in goals[1:]:
        story.act(beat, goal)
    return True


def _call_passing(story: Story, beat: Beat, goal: Goal) -> None:
    if story.error_due:
        story.error_due = False
        story.fail(beat, goal.call(), story.rng.choice(phrases()["error"]["passing"]))
    story.act(beat, goal)


def _chain(story: Story, start: Clause, chain: list[Link]) -> list[Clause]:
    """The clauses of a chain, each pointing at the answer to the one before; empty if stuck."""
    clauses, results = [start], list[str]()
    for link in chain:
        results.append(story.peek(clauses[-1].goal, results))
        pointed = point_at(link, results[-1], story.rng)
        if pointed is None:
            return []
        words, value = pointed
        clause = express(
            link.second,
            story.voice,
            story.rng,
            fixed={link.slot.name: value},
            spoken={link.slot.name: words},
            need=link.second.required() | {link.slot.name},
            commands_only=True,
        )
        if clause is None:
            return []
        clauses.append(clause)
    return clauses


def _multi_turn(story: Story) -> bool:
    if story.goal is None:
        return _single(story)
    made = follow_up(story)
    if made is None:
        return False
    said, goal = made
    _call(story, story.beat(Scenario.MULTI_TURN, said, goal), goal)
    return True


def _missing(story: Story) -> bool:
    """A required value is left out, asked for, and given."""
    rng = story.rng
    for sense in rng.sample(story.senses, len(story.senses)):
        gaps = [
            slot for slot in sense.slots.values() if slot.required and slot.param.kind != "bool"
        ]
        for slot in rng.sample(gaps, len(gaps)):
            gone = [slot]
            clause = None
            if len(gaps) > 1 and rng.random() < 0.2:
                gone = [slot, rng.choice([each for each in gaps if each is not slot])]
                clause = _without(sense, gone, story)
            if clause is None:
                gone = [slot]
                clause = _without(sense, gone, story)
            if clause is not None:
                _ask_and_give(story, clause, gone)
                return True
    return False


def _without(sense: Sense, gone: list[Slot], story: Story) -> Clause | None:
    names = {slot.name for slot in gone}
    return express(sense, story.voice, story.rng, need=sense.required() - names, ban=names)


def _ask_and_give(story: Story, clause: Clause, gone: list[Slot]) -> None:
    rng, sense = story.rng, clause.goal.sense
    beat = story.beat(Scenario.MISSING_PARAMETER, finish(clause, story.voice, rng))
    story.say(beat, ask_back(gone, rng))
    whole = express(
        sense,
        story.voice,
        rng,
        fixed=clause.goal.values,
        need=set(clause.goal.values) | {s.name for s in gone},
    )
    values = dict(clause.goal.values)
    for slot in gone:
        values[slot.name] = whole.goal.values[slot.name] if whole else _fresh(slot, values, rng)
    goal = Goal(sense, values)
    said = [surface(slot, values[slot.name], story.voice) for slot in gone]
    if len(gone) == 1:
        verbatim = is_verbatim(gone[0].param)
        text = line("missing", "give", rng, verbatim, x=said[0])
    else:
        label, other = gone[0].label, gone[1].label
        verbatim = any(is_verbatim(slot.param) for slot in gone)
        text = line(
            "missing", "give_two", rng, verbatim, x=said[0], y=said[1], label=label, other=other
        )
    story.act(story.beat(Scenario.MISSING_PARAMETER, text, goal), goal)


def _fresh(slot: Slot, values: dict[str, object], rng: Random) -> object:
    other = draw_other_for(slot, rng, tuple(values.values()))
    return draw_slot(slot, rng) if other is None else other


def _irrelevant(story: Story) -> bool:
    """A request that none of the tools can serve."""
    rng = story.rng
    for sense in rng.sample(story.absent, len(story.absent)):
        clause = express(sense, story.voice, rng)
        if clause is not None:
            said = finish(clause, story.voice, rng)
            beat = story.beat(Scenario.IRRELEVANT, said)
            core = core_phrase(sense.tool)
            short = len(core.split()) <= 7 and not core.startswith("run ")
            story.say(beat, refuse(core if short else None, rng))
            return True
    return False


def _chat(story: Story) -> bool:
    said, label = small_talk.after(story) if story.beats else small_talk.opening(story.rng)
    story.say(story.beat(Scenario.CHAT, said), label)
    return True


_WRITERS: dict[Scenario, Callable[[Story], bool]] = {
    Scenario.SINGLE: _single,
    Scenario.PARALLEL: _parallel,
    Scenario.SEQUENTIAL: _sequential,
    Scenario.MULTI_TURN: _multi_turn,
    Scenario.MISSING_PARAMETER: _missing,
    Scenario.IRRELEVANT: _irrelevant,
    Scenario.CHAT: _chat,
}
