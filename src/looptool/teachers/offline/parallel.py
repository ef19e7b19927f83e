"""Several calls in one turn: a list in one slot, values in turn, clauses joined, other tools."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from looptool.seed.dice import weighted
from looptool.seed.kinds import draw_other
from looptool.seed.surfaces import join_list
from looptool.teachers.offline.goals import Clause, Goal, express, surface
from looptool.teachers.offline.manners import Voice, dress, line, say_whole
from looptool.teachers.offline.phrase import Wording, choose, sentence
from looptool.teachers.offline.sense import Sense, Slot

LISTABLE = (
    "city",
    "country",
    "place",
    "person",
    "company",
    "currency",
    "language",
    "id",
    "weekday",
    "date",
)
_NOT_BEFORE = re.compile(
    r"(\b(between|than|versus|vs|an?|the|and|or|my|of both)|[$#'\"(-])\s*$", re.I
)
# Words that would have to change with the number of things.
_POINTING = re.compile(r"\b(it|its|it's|that|this|he|she|him|her|his|one|is|was|has)\b", re.I)
# Where the part of a request begins that can be said again with other values.
_LINKING = re.compile(r"\b(in|for|of|with|from|at|on|between|by|whose|when)\b[^,.;:?!()]*$", re.I)
_BROKEN = re.compile(r"[.?!;:(]|\b(I|I'm|I've|I'd|we|you|so|it|it's|he|she|they)\b")
NUMBERS = {2: 0.4, 3: 0.3, 4: 0.22, 5: 0.05, 6: 0.03}
"""How many calls a message wants, by weight; those of many fall short of it the more often."""
SENTENCES = 0.35
"""How often several requests of a message are sentences of their own, whatever their mood."""
_NOT_AFTER = re.compile(r"^\s*(and|or|with|to|into|versus|vs)?\s*$|^['\"\w-]|^\s+(and|or)\b")


def parallel(senses: tuple[Sense, ...], voice: Voice, rng: Random) -> tuple[str, list[Goal]] | None:
    """A message that wants two to six calls, and the goals; None if none could be made."""
    if not senses:
        return None
    number = weighted(rng, NUMBERS)
    # The more tools there are for it, the likelier each is wanted.
    different = 0.3 if len(senses) < 3 else 0.65
    ways = {_listed: 0.2, again: 0.15, _repeated: 0.15, _different: different}
    while ways:
        way = weighted(rng, ways)
        made = way(senses, number, voice, rng)
        if made is not None:
            return made
        del ways[way]
    return None


def _listed(
    senses: tuple[Sense, ...], number: int, voice: Voice, rng: Random
) -> tuple[str, list[Goal]] | None:
    """As in: what's the weather in Oslo, Rome and Lima?"""
    for sense in rng.sample(senses, len(senses)):
        wording = choose(sense, sense.required(), set(), rng)
        slot = _listable(sense, wording, rng) if wording else None
        if slot is None:
            continue
        values = _several(sense, slot, number, rng)
        if len(values) < 2:
            continue
        words = join_list([surface(slot, value, voice) for value in values], rng)
        clause = express(
            sense,
            voice,
            rng,
            fixed={slot.name: values[0]},
            spoken={slot.name: words},
            wording=wording,
        )
        if clause is None or values[-1] in [
            v for n, v in clause.goal.values.items() if n != slot.name
        ]:
            continue
        goals = [Goal(sense, {**clause.goal.values, slot.name: value}) for value in values]
        return finish(clause, voice, rng), goals
    return None


def again(
    senses: tuple[Sense, ...], number: int, voice: Voice, rng: Random
) -> tuple[str, list[Goal]] | None:
    """As in: what does a parcel from Oslo to Rome cost, and from Lima to Quito?"""
    for sense in rng.sample(senses, len(senses)):
        wording = choose(sense, sense.required(), set(), rng)
        tail = _tail(wording) if wording else None
        if wording is None or tail is None:
            continue
        clauses: list[Clause] = []
        tails: list[str] = []
        for _ in range(number):
            clause = express(sense, voice, rng, wording=wording)
            if clause is None or _known(clause, clauses):
                break
            values, spoken = clause.goal.values, clause.surfaces
            after = express(sense, voice, rng, wording=tail, fixed=values, spoken=spoken)
            if after is None:
                break
            clauses.append(clause)
            tails.append(_bare(after.text))
        if len(clauses) < number:
            continue
        first = clauses[0]
        said = [_bare(first.text), *tails[1:]]
        text = ", and ".join(said) if "," in tails[1] else join_list(said, rng)
        text += "" if first.command else first.text[len(_bare(first.text)) :]
        return finish(replace(first, text=text), voice, rng), [clause.goal for clause in clauses]
    return None


def _tail(wording: Wording) -> Wording | None:
    """What of a wording can stand after it once more, for other values: from the preposition
    before its first value on, or from that value where only a verb stands before it.
    """
    before, *between = wording.words
    if len(wording.slots) < 2 or _BROKEN.search(before + "".join(between).rstrip(".?! ")):
        return None
    if match := _LINKING.search(before):
        return replace(wording, words=(match.group(), *between))
    only_verb = wording.command and re.fullmatch(r"\w+ ", before)
    return replace(wording, words=("", *between)) if only_verb else None


def _listable(sense: Sense, wording: Wording, rng: Random) -> Slot | None:
    """A slot of the wording where a list of values can stand for one."""
    candidates: list[Slot] = []
    if _POINTING.search(" ".join(wording.words)):
        return None
    for name, before, after in zip(wording.slots, wording.words, wording.words[1:], strict=False):
        slot = sense.slots[name]
        if slot.param.kind == "date" and not re.search(r"\b(on|for)\s*$", before):
            continue
        followed = bool(after.strip()) or name == wording.slots[-1]
        if (
            slot.param.kind in LISTABLE
            and not _NOT_BEFORE.search(before)
            and followed
            and not (_NOT_AFTER.search(after) and after.strip())
            and (before.strip() or wording.command)
        ):
            candidates.append(slot)
    return rng.choice(candidates) if candidates else None


def _several(sense: Sense, slot: Slot, number: int, rng: Random) -> list[object]:
    values: tuple[object, ...] = ()
    for _ in range(number):
        value = draw_other(slot.param, rng, values)
        values = values if value is None else (*values, value)
    return sorted(values) if slot.param.kind == "date" else list(values)  # type: ignore[type-var]


def _repeated(
    senses: tuple[Sense, ...], number: int, voice: Voice, rng: Random
) -> tuple[str, list[Goal]] | None:
    """The same tool, clause after clause."""
    sense = rng.choice(senses)
    if not sense.slots:
        return None
    return _joined([sense] * number, voice, rng)


def _different(
    senses: tuple[Sense, ...], number: int, voice: Voice, rng: Random
) -> tuple[str, list[Goal]] | None:
    """Different tools; where there are too few of them, one or another once more."""
    if len(senses) < 2:
        return None
    chosen = rng.sample(senses, min(number, len(senses)))
    chosen += rng.choices(chosen, k=number - len(chosen))
    return _joined(chosen, voice, rng)


def _joined(senses: list[Sense], voice: Voice, rng: Random) -> tuple[str, list[Goal]] | None:
    clauses: list[Clause] = []
    commands_only = rng.random() > SENTENCES
    for n, sense in enumerate(senses):
        repeated = n > 0 and senses[n - 1] is sense and rng.random() < 0.5
        clause = elliptical(clauses[-1], voice, rng) if repeated else None
        clause = clause or express(sense, voice, rng, commands_only=n > 0 and commands_only)
        if clause is None or _known(clause, clauses):
            return None
        clauses.append(clause)
    return join(clauses, voice, rng), [clause.goal for clause in clauses]


def _known(clause: Clause, clauses: list[Clause]) -> bool:
    """Whether its call is wanted already."""
    return any(clause.goal.call() == other.goal.call() for other in clauses)


def elliptical(before: Clause, voice: Voice, rng: Random) -> Clause | None:
    """The clause before with one value changed: do the same for Lyon."""
    sense, values = before.goal.sense, before.goal.values
    slots = [
        sense.slots[name]
        for name in values
        if sense.slots[name].param.kind in ("city", "country", "company", "id", "person", "place")
    ]
    if len(slots) != 1:
        return None
    value = draw_other(slots[0].param, rng, (values[slots[0].name],))
    if value is None:
        return None
    said = surface(slots[0], value, voice)
    text = line("join", "again", rng, x=said)
    return Clause(
        Goal(sense, {**values, slots[0].name: value}), text, True, False, {slots[0].name: said}
    )


def join(clauses: list[Clause], voice: Voice, rng: Random) -> str:
    """One message of several clauses: sentences in turn, or commands in one sentence."""
    first, *rest = clauses
    if not all(clause.command for clause in clauses):
        return " ".join([_stopped(finish(first, voice, rng)), *(_also(c, rng) for c in rest)])
    if len(clauses) > 2 and rng.random() < 0.6:
        return _as_series(clauses, voice, rng)
    text = first.text
    for clause in rest:
        text = line("join", "commands", rng, a=_bare(text), b=_bare(clause.text))
    return dress(text, voice.persona, rng, first.verbatim_start)


def _also(clause: Clause, rng: Random) -> str:
    """A further request as a sentence."""
    if clause.command:
        return line("join", "sentences", rng, ask=_bare(clause.text))
    return _stopped(sentence(clause.text, clause.verbatim_start))


def _stopped(text: str) -> str:
    return text if text[-1] in ".?!" else text + "."


def _as_series(clauses: list[Clause], voice: Voice, rng: Random) -> str:
    texts = [_bare(clause.text) for clause in clauses]
    style = rng.random()
    if style < 0.5:
        return dress(f"{', '.join(texts[:-1])}, and {texts[-1]}", voice.persona, rng)
    if style < 0.75:
        return " ".join(f"{sentence(text)}." for text in texts)
    lead = rng.choice(
        (
            "Please do these for me:",
            "I need a few things:",
            "A few things:",
            "Could you do the following?",
        )
    )
    return "\n".join([lead, *(f"{n}. {sentence(text)}" for n, text in enumerate(texts, 1))])


def _bare(text: str) -> str:
    return text.rstrip(".?!")


def finish(clause: Clause, voice: Voice, rng: Random) -> str:
    """A single clause as a message."""
    if clause.command:
        return dress(clause.text, voice.persona, rng, clause.verbatim_start)
    return say_whole(sentence(clause.text, clause.verbatim_start), voice.persona, rng)
