"""Personas: how a request is dressed, from terse to chatty."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from looptool.seed.dice import weighted
from looptool.teachers.offline.phrase import sentence, tidy

_PATH = Path(__file__).parent / "phrases.toml"
_SELF = re.compile(r"\b(me|us|I|I'm|I've|I'd|myself|let|you|your)\b")
_GREETING = re.compile(r"(hi|hello|hey|good (morning|evening)|excuse me)\b", re.I)
_BREAK = re.compile(r"[;:?!]|\. ")


@cache
def phrases() -> dict[str, Any]:
    """The phrase book."""
    return tomllib.loads(_PATH.read_text(encoding="utf-8"))


def line(section: str, key: str, rng: Random, verbatim: bool = False, **slots: str) -> str:
    """One line of the phrase book, filled; `{X}` is `{x}` with a capital, unless what stands
    there is `verbatim`.
    """
    text: str = rng.choice(phrases()[section][key])
    for name, value in slots.items():
        text = text.replace("{" + name + "}", value)
        text = text.replace("{" + name.capitalize() + "}", sentence(value, verbatim))
    return tidy(text)


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: a persona, and a style that makes like values be said alike."""

    persona: str
    style: int


def draw_voice(rng: Random) -> Voice:
    """A persona by its weight, a style by chance."""
    return Voice(weighted(rng, phrases()["personas"]), rng.getrandbits(32))


def dress(ask: str, persona: str, rng: Random, verbatim_start: bool = False) -> str:
    """The imperative clause `ask` as a message."""
    ask = ask.rstrip(".")
    ways = {
        way: weight
        for way, weight in phrases()["dress"][persona].items()
        if _suits(way, ask, verbatim_start)
    }
    way = weighted(rng, ways) if ways else "{Ask}."
    text = way.replace("{Ask}", sentence(ask, verbatim_start)).replace("{ask}", ask)
    return surround(_one_stop(text), persona, rng)


def surround(text: str, persona: str, rng: Random) -> str:
    """With the small talk that the persona may put before or after a request."""
    around = phrases()["around"]
    share = {"chatty": 0.75, "casual": 0.12, "polite": 0.15, "plain": 0.04}.get(persona, 0.0)
    if rng.random() < share and not _GREETING.match(text):
        text = f"{rng.choice(around['before'])} {sentence(text)}"
    if rng.random() < share / 3:
        text = text if text[-1] in ".?!" else text + "."
        text = f"{text} {rng.choice(around['after'])}"
    return text


def say_whole(text: str, persona: str, rng: Random) -> str:
    """A whole sentence in the persona's manner."""
    if persona == "polite" and rng.random() < 0.2 and not _GREETING.match(text):
        text = f"{rng.choice(('Hello.', 'Hi.', 'Good morning.', 'Excuse me.'))} {text}"
    if persona in ("casual", "terse") and rng.random() < 0.3 and text.endswith("."):
        text = text[:-1]
    return surround(text, persona, rng)


def mistype(text: str, spared: tuple[str, ...], rng: Random) -> str:
    """One slip of the finger in a longer word that stands in none of `spared`."""
    words = [
        match
        for match in re.finditer(r"[a-z]{5,}", text)
        if not any(match.group() in value for value in spared)
    ]
    if not words:
        return text
    match = rng.choice(words)
    at = rng.randrange(match.start() + 1, match.end() - 1)
    if rng.random() < 0.5:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _suits(way: str, ask: str, verbatim_start: bool) -> bool:
    lower = way.lower()
    start = lower.split("{ask}")[0]
    speaker_acts = re.search(r"\b(to|me|gotta) $", start) and "you" not in start
    if speaker_acts and _SELF.search(ask):
        return False
    if "help me" in start and _SELF.search(ask):
        return False
    if re.search(r"\b(please|pls)\b", ask) and re.search(r"please|pls|thanks", lower):
        return False
    if _BREAK.search(ask) and lower not in ("{ask}.", "please {ask}.", "{ask}"):
        return False
    return not (ask.startswith("go ahead") and "go ahead" in lower)


def _one_stop(text: str) -> str:
    return re.sub(r"([?!])[.]+$", r"\1", text)
