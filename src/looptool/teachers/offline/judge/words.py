"""Words as a reader compares them: without case, endings and the words that say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "ers", "er", "ies", "ied", "es",
            "ed", "ly", "s", "e", "y")  # fmt: skip


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


STOP = word_set(
    """
    a an the this that these those i me my mine we us our you your it its he she they them
    their his her is are was were be been am do does did have has had will would can could
    shall should may might must and or but if then else so than as at by for from in into
    of off on onto to up with about over under out all any some each every no not only
    just also too very please pls thanks thank hi hello hey ok okay there here what which
    who when where how why need needs want wants like d ll m re s t ve let lets get got
    give go going make now me one ones more most much many thing things something anything
    etc e g i use used using want wanted know tell help try sure yes right quick quickly
    whatever again same other another still yet being because while gotta hoping possible
    wondering appreciate good great nice really bit lot kind sort maybe
    """
)
NEGATIONS = word_set(
    """
    no not without don aren excluded unneeded t never none nothing except exclude excluding skip
    skipping off disable disabled avoid leave hide isn doesn won nor minus unless
    """
)
_ASKING = re.compile(
    r"\?|\bplease (?:tell|give|send|provide)\b|\blet me know (?:the|your|wh|how)|"
    r"\bI(?:'m| am|'d)? (?:also |still )?(?:need|missing)\b",
    re.I,
)
_ALIKE = tuple(
    word_set(group)
    for group in (
        "search find look lookup list show browse get fetch retrieve check see view query read",
        "create add new make set schedule register open start insert put",
        "book reserve reservation booking",
        "cancel delete remove drop discard unsubscribe stop end",
        "update change edit modify adjust set move rename reschedule",
        "send message text write email mail notify share",
        "convert translate transform turn",
        "calculate compute work figure estimate determine",
        "buy purchase order pay",
    )
)


def asks_back(text: str) -> bool:
    """Whether an assistant's words ask for something: "I'm missing the city. Please tell me."."""
    return _ASKING.search(text) is not None


def tokens(text: str) -> list[str]:
    """Words and numbers in lower case: "PM2.5!" → "pm", "2.5"."""
    return _TOKEN.findall(text.casefold())


def name_tokens(name: str) -> list[str]:
    """The words of an identifier: "checkInDate" → "check", "in", "date"."""
    return tokens(_CAMEL.sub(" ", name))


def normal(text: str) -> str:
    """The words with one space between."""
    return " ".join(tokens(text))


def holds(text: str, part: str) -> bool:
    """Whether the words of `part` stand together in `text`; both are `normal`."""
    return bool(part) and f" {part} " in f" {text} "


@lru_cache(maxsize=65536)
def root(word: str) -> str:
    """The word without its ending, so that forms of one word meet: "booking", "booked" → "book"."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def roots(words: Iterable[str]) -> frozenset[str]:
    """The roots of the words that say something."""
    return frozenset(root(word) for word in words if word not in STOP and not word.isdigit())


def meets(word: str, others: frozenset[str]) -> bool:
    """Whether a root is among the others, or begins or is begun by one of them."""
    if word in others:
        return True
    return len(word) >= 5 and any(
        len(other) >= 5 and (word.startswith(other[:5]) and _close(word, other)) for other in others
    )


def verbs_like(words: Iterable[str]) -> frozenset[str]:
    """The roots of all verbs that name the same kind of action as one of the words."""
    given = set(words)
    return frozenset(root(w) for group in _ALIKE if group & given for w in group)


def _close(one: str, other: str) -> bool:
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared >= 0.7 * min(len(one), len(other))
