"""Which tool a request speaks of, by the words that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from looptool.records import Tool
from looptool.teachers.offline.judge.demands import demands_of
from looptool.teachers.offline.judge.evidence import Reading
from looptool.teachers.offline.judge.words import meets, name_tokens, roots, tokens, verbs_like

_NAME, _ABOUT, _PARAMETER = 3.0, 1.5, 0.7


def fits(request: Reading, tools: Sequence[Tool]) -> dict[str, float]:
    """How much of the request each tool's words meet; a word that many tools share counts less."""
    worded = {
        tool.name: _words_of(tool.name, tool.description, _parameters(tool)) for tool in tools
    }
    shared = Counter(word for words in worded.values() for word in words)
    said = request.roots | verbs_like(request.words)
    return {
        name: sum(weight / shared[word] for word, weight in words.items() if meets(word, said))
        for name, words in worded.items()
    }


def objects_met(request: Reading, tool: Tool) -> int:
    """How many of the things that the tool's name and description speak of the request names."""
    name = name_tokens(tool.name)
    things = roots([*name, *tokens(tool.description)]) - verbs_like(name)
    return sum(meets(thing, request.roots) for thing in things)


def vocabulary(tool: Tool) -> frozenset[str]:
    """The roots of all words in the tool's schema."""
    words = _words_of(tool.name, tool.description, _parameters(tool))
    return frozenset(words) | verbs_like(name_tokens(tool.name))


def _parameters(tool: Tool) -> str:
    demands = demands_of(tool).by_path.values()
    return " ".join(f"{' '.join(demand.words)} {demand.about}" for demand in demands)


@lru_cache(maxsize=4096)
def _words_of(name: str, description: str, parameters: str) -> dict[str, float]:
    weights = dict.fromkeys(roots(tokens(parameters)), _PARAMETER)
    weights |= dict.fromkeys(roots(tokens(description)), _ABOUT)
    weights |= dict.fromkeys(roots(name_tokens(name)), _NAME)
    return weights
