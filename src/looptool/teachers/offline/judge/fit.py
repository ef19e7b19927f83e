"""Which tool a request speaks of, by the words that they share."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from looptool.records import Tool
from looptool.teachers.offline.judge.demands import Path, demands_of
from looptool.teachers.offline.judge.evidence import Reading, read
from looptool.teachers.offline.judge.words import (
    holds,
    meets,
    name_tokens,
    normal,
    roots,
    tokens,
    verbs_like,
)

_PART = re.compile(r"(?<=[.!?;])\s+|\n|;|,? and (?:also |then )?|,? then |,? also ", re.I)
_NAME, _ABOUT, _PARAMETER = 3.0, 1.5, 0.7


def fits(request: Reading, tools: Sequence[Tool]) -> dict[str, float]:
    """How much of the request each tool's words meet; a word that many tools share counts less.

    Summed exactly: words come in an order that changes from process to process, and two tools
    that fit alike must do so in each.
    """
    worded = {
        tool.name: _words_of(tool.name, tool.description, _parameters(tool)) for tool in tools
    }
    shared = Counter(word for words in worded.values() for word in words)
    said = request.roots | verbs_like(request.words)
    return {
        name: math.fsum(
            weight / shared[word] for word, weight in words.items() if meets(word, said)
        )
        for name, words in worded.items()
    }


def speaks_of(request: Reading, tool: Tool) -> bool:
    """Whether the request names one of the things that the tool's schema speaks of, verbs apart."""
    name = name_tokens(tool.name)
    known = demands_of(tool).by_path.values()
    parameters = (each.path[-1] for demand in known for each in demand.within())
    words = [*name, *tokens(tool.description), *(w for p in parameters for w in name_tokens(p))]
    return any(meets(thing, request.roots) for thing in roots(words) - verbs_like(name))


def vocabulary(tool: Tool, but: Path = ()) -> frozenset[str]:
    """The roots of all words in the tool's schema, those of one parameter apart."""
    words = _words_of(tool.name, tool.description, _parameters(tool, but))
    return frozenset(words) | verbs_like(name_tokens(tool.name))


def names_in(tool: Tool, but: Path = ()) -> frozenset[str]:
    """The roots of the tool's name and of its parameters' names, one apart."""
    paths = [path for path in demands_of(tool).by_path if path != but]
    return roots(
        word for name in (tool.name, *(p[-1] for p in paths)) for word in name_tokens(name)
    )


def around(request: Reading, values: Sequence[object]) -> Reading:
    """The parts of the request that hold one of the values; all of it if none does."""
    wanted = [normal(str(value)) for value in values]
    parts = [part for part in _PART.split(request.text) if part]
    near = [part for part in parts if any(holds(normal(part), value) for value in wanted)]
    return read(" ; ".join(near)) if near else request


def _parameters(tool: Tool, but: Path = ()) -> str:
    known = demands_of(tool).by_path.items()
    demands = [d for path, each in known if path != but or not but for d in each.within()]
    return " ".join(f"{' '.join(demand.words)} {demand.about}" for demand in demands)


@lru_cache(maxsize=4096)
def _words_of(name: str, description: str, parameters: str) -> dict[str, float]:
    weights = dict.fromkeys(roots(tokens(parameters)), _PARAMETER)
    weights |= dict.fromkeys(roots(tokens(description)), _ABOUT)
    weights |= dict.fromkeys(roots(name_tokens(name)), _NAME)
    return weights
