"""From a vocabulary text with slots and brackets to a sentence with values in it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import NamedTuple

from looptool.seed.vocabulary import SLOT, Param
from looptool.teachers.offline.sense import Sense

PLAIN = 0.06
"""Share of requests to known tools that are worded from the description alone."""
SAID = 0.9
"""Share of the bracketed stretches that are said. Where most optional arguments go unsaid, a model
learns to leave them out rather than to read whether they are there (docs/lab.md)."""
_VERBATIM = ("text", "email", "url", "color", "list")


class Stretch(NamedTuple):
    """A stretch of a template: plain or bracketed, words and slots in turn."""

    optional: bool
    words: tuple[str, ...]
    slots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """A template with its brackets settled. `words` has one more member than `slots`; `command`
    if it is an imperative clause and still wants its sentence.
    """

    command: bool
    words: tuple[str, ...]
    slots: tuple[str, ...]


@cache
def parse(text: str) -> tuple[Stretch, ...]:
    """The parts of a vocabulary text."""
    parts = []
    for n, stretch in enumerate(re.split(r"[\[\]]", text)):
        pieces = SLOT.split(stretch)
        parts.append(Stretch(n % 2 == 1, tuple(pieces[::2]), tuple(pieces[1::2])))
    return tuple(parts)


def settle(
    text: str, command: bool, sense: Sense, need: set[str], ban: set[str], rng: Random
) -> Wording | None:
    """`text` with every slot of `need` and none of `ban`; None where it cannot be."""
    words, slots = [""], list[str]()
    for part in parse(text):
        here = set(part.slots)
        impossible = here & ban or not here <= sense.slots.keys()
        if part.optional:
            wanted = here & need
            if impossible and wanted:
                return None
            if impossible or not (wanted or rng.random() < SAID):
                continue
        elif impossible:
            return None
        words[-1] += part.words[0]
        words.extend(part.words[1:])
        slots.extend(part.slots)
    if not need <= set(slots):
        return None
    return Wording(command, tuple(words), tuple(slots))


def choose(
    sense: Sense,
    need: set[str],
    ban: set[str],
    rng: Random,
    commands_only: bool = False,
    commands: float = 0.62,
) -> Wording | None:
    """A wording of the operation that has all of `need` and none of `ban`, or None."""
    plain = sense.plain_asks and rng.random() < PLAIN
    asks = [(text, True) for text in (sense.plain_asks if plain else sense.operation.asks)]
    says = [] if commands_only else [(text, False) for text in sense.operation.says]
    first, second = (asks, says) if rng.random() < commands else (says, asks)
    for texts in (first, second):
        for text, command in sorted(texts, key=lambda each: _fullest_first(each[0], rng)):
            wording = settle(text, command, sense, need, ban, rng)
            if wording is not None:
                return wording
    return None


def _fullest_first(text: str, rng: Random) -> float:
    """A key to sort by: a text comes first in proportion to the slots it has, and one."""
    return -math.pow(rng.random(), 1 / (1 + sum(len(part.slots) for part in parse(text))))


def is_verbatim(param: Param) -> bool:
    """Whether a value stands in the call letter by letter, or would be another one with a capital:
    it is never capitalised.
    """
    said = [way for ways in param.values.values() for way in ways]
    return param.kind in _VERBATIM or len({way.casefold() for way in said}) < len(set(said))


Say = Callable[[str, str], tuple[str, bool]]
"""(slot, words before it) → (what is said, whether it must stay as it is)."""


def fill(wording: Wording, say: Say) -> str:
    """The wording with its values said, its articles and spaces put right."""
    text = wording.words[0]
    for slot, after in zip(wording.slots, wording.words[1:], strict=True):
        value, verbatim = say(slot, text)
        if not verbatim and re.search(r"[.!?]\s+$", text):
            value = value[:1].upper() + value[1:]
        text = _agree(text, value) + value
        text += after
    return tidy(text)


def _agree(before: str, value: str) -> str:
    """An article agrees with the value after it, and gives way to an article in the value."""
    match = re.search(r"(?:^|(?<=[ (]))([Aa]n?|[Tt]he|my) $", before)
    if match is None:
        return before
    article = match.group(1)
    if re.match(r"(a|an|the|my|our|some|any) ", value):
        return before[: match.start()]
    if article.lower() in ("a", "an"):
        right = article[0] + ("n" if starts_with_vowel(value) else "")
        return f"{before[: match.start()]}{right} "
    return before


def starts_with_vowel(text: str) -> bool:
    """Whether "an" goes before it."""
    lower = text.lower()
    if re.match(r"(uni|use|usu|eu|one\b|once|ut[ei]|u[bks]?[A-Z]?[\d-])", lower):
        return False
    if re.match(r"(8|11\b|18\b|11[ap]|hour|honest|heir|honou?r)", lower):
        return True
    return lower[:1] in "aeiou" and lower[:1] != ""


def tidy(text: str) -> str:
    """Spaces and commas as a careful typist leaves them; nothing within a value changes."""
    text = re.sub(r" {2,}", " ", text).strip()
    text = re.sub(r" +([,.?!;:])(?=\s|$)", r"\1", text)
    text = re.sub(r",+(?=[,.?!])", "", text)
    return re.sub(r"^[,;]\s*", "", text)


def sentence(text: str, verbatim_start: bool = False) -> str:
    """With a capital, unless it begins with a value that must stay as it is."""
    return text if verbatim_start else text[:1].upper() + text[1:]


def begins_verbatim(wording: Wording, sense: Sense, surfaces: Mapping[str, str]) -> bool:
    """Whether the sentence begins with a value that stands letter by letter in the call."""
    if wording.words[0].strip() or not wording.slots:
        return False
    return is_verbatim(sense.slots[wording.slots[0]].param)
