"""What speaks against a call whatever it is compared with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from looptool.jsonvalue import shorten
from looptool.teachers.offline.judge.evidence import Evidence
from looptool.teachers.offline.judge.grounding import Support
from looptool.teachers.offline.judge.moments import MONTHS, WEEKDAYS
from looptool.teachers.offline.judge.moves import Leaf, Read
from looptool.teachers.offline.judge.words import STOP, normal

_BEFORE = re.compile(r"(?:^|(?<=\s))([A-Z][\w'’.-]*)\s$")
_AFTER = re.compile(r"\s([A-Z][\w'’-]*)")
_NO_NAMES = frozenset((*MONTHS, *WEEKDAYS, *(month[:3] for month in MONTHS))) | STOP


def flaws(call: Read, others: Sequence[Read], evidence: Evidence) -> Iterator[str]:
    """Each reason to think that one of the call's values was put in the wrong place or cut off.

    `others` are the other calls of the same move.
    """
    elsewhere = {
        normal(leaf.value): (other.call.name, leaf.path)
        for other in others
        for leaf in other.leaves.values()
        if isinstance(leaf.value, str)
    }
    texts = [leaf for leaf in call.leaves.values() if isinstance(leaf.value, str)]
    for at, leaf in enumerate(texts):
        if call.demands.at(leaf.path).closed:
            continue
        same = [other for other in texts[:at] if normal(str(other.value)) == normal(leaf.value)]
        if same and len(normal(leaf.value)) > 2:
            uses = len(same) + 1
            if f" {evidence.said.normal} ".count(f" {normal(leaf.value)} ") < uses:
                yield f"{shorten(leaf.value)} is given as {same[0].name} and again as {leaf.name}"
        name, path = elsewhere.get(normal(leaf.value), ("", ()))
        if name == call.call.name and path != leaf.path and len(normal(leaf.value)) > 2:
            yield f"{shorten(leaf.value)} is given as {leaf.name}, and elsewhere as {path[-1]}"
        if _is_cut_off(leaf, texts, evidence.said.text):
            yield f"{leaf.name} is {shorten(leaf.value)}, which is cut off from a longer name"


def loose_texts(call: Read) -> list[Leaf]:
    """Free texts that are not what was said, though they may mean it."""
    return [
        leaf
        for leaf in call.leaves.values()
        if isinstance(leaf.value, str)
        and leaf.grounds.support is Support.UNSAID
        and not call.demands.at(leaf.path).closed
    ]


def _is_cut_off(leaf: Leaf, texts: list[Leaf], text: str) -> bool:
    """Whether the value only ever stands within a longer capitalised name."""
    value = str(leaf.value)
    if not value[:1].isupper() or len(value) > 80 or any(char.isdigit() for char in value):
        return False
    others = normal(" ; ".join(str(other.value) for other in texts if other is not leaf)).split()
    found = list(re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text))
    return bool(found) and all(
        any(word not in _NO_NAMES and word not in others for word in _neighbours(text, match))
        for match in found
    )


def _neighbours(text: str, match: re.Match[str]) -> Iterator[str]:
    """The capitalised words that adjoin a match, unless they begin a sentence."""
    before = _BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    if before:
        start = match.start() - len(before.group())
        if start > 0 and not re.search(r"[.!?:\n]\s*$", text[:start]):
            yield normal(before.group(1))
    after = _AFTER.match(text, match.end())
    if after:
        yield normal(after.group(1))
