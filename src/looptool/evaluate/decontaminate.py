"""Keeping the exams out of the training data: BFCL and ACEBench, where their data is at hand.

A sample leaves if one of its tools is an exam's tool, by name or by parameters, or if something
that its user says is nearly an exam's question. What counts as that:

- **name**: equal but for case and everything that is no letter or digit (`get_weather`,
  `GetWeather`, `get.weather`);
- **parameters**: the same parameters, by name and type. Of fewer than three that proves nothing
  (`city`, `date`), so there their descriptions must be the same too;
- **question**: at least five words, and word trigrams of which half are shared (Jaccard).
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from looptool.errors import UserError
from looptool.evaluate.acebench import TYPES
from looptool.evaluate.environment import cache_folder
from looptool.records import Sample, Tally

NEAR = 0.5
"""Jaccard similarity of word trigrams from which two questions are the same one."""
MIN_WORDS = 5
MIN_PARAMETERS = 3
ACEBENCH_VARIABLE = "LOOPTOOL_ACEBENCH"
"""Names a local clone of ACEBench."""

BRING = {
    "BFCL v3": "`looptool eval --suite bfcl` makes the checkers' environment, which holds it",
    "ACEBench": f"set {ACEBENCH_VARIABLE} to a clone",
}
"""How the data of a suite comes to hand, by the suite's name."""

Signature = frozenset[tuple[str, str, str]]
Shingles = frozenset[tuple[str, ...]]


class ExamData:
    """The tools and questions of one suite, ready to be looked up."""

    def __init__(
        self, name: str, tools: Iterable[dict[str, Any]], questions: Iterable[str]
    ) -> None:
        """`tools` are function schemas as the suite writes them, `questions` what users say."""
        self.name = name
        self._names: set[str] = set()
        self._signatures: set[Signature] = set()
        for tool in tools:
            self._names.add(normal_name(str(tool.get("name", ""))))
            if signature := parameter_signature(tool.get("parameters") or tool.get("arguments")):
                self._signatures.add(signature)
        self._questions = [shingles for text in questions if (shingles := _shingles(text))]
        self._with: dict[tuple[str, ...], list[int]] = {}
        for at, shingles in enumerate(self._questions):
            for shingle in shingles:
                self._with.setdefault(shingle, []).append(at)

    def shares(self, sample: Sample) -> str | None:
        """What the sample has of this suite: "tool name", "parameters" or "question"."""
        for tool in sample.tools:
            if normal_name(tool.name) in self._names:
                return "tool name"
        for tool in sample.tools:
            if parameter_signature(tool.parameters) in self._signatures:
                return "parameters"
        for message in sample.context:
            if message.role == "user" and self._asks(message.content):
                return "question"
        return None

    def _asks(self, text: str) -> bool:
        """Whether a question is near. Two as near as that share one of any so many shingles."""
        mine = _shingles(text)
        if not mine:
            return False
        rarest = sorted(mine, key=lambda shingle: len(self._with.get(shingle, ())))
        telling = rarest[: len(mine) - math.ceil(NEAR * len(mine)) + 1]
        found = {at for shingle in telling for at in self._with.get(shingle, ())}
        for at in found:
            other = self._questions[at]
            shared = len(mine & other)
            if shared >= NEAR * (len(mine) + len(other) - shared):
                return True
        return False


def decontaminate(
    samples: Sequence[Sample], suites: Sequence[ExamData]
) -> tuple[list[Sample], Tally]:
    """The samples that share nothing with the suites, in order, and how many were dropped for what.

    The counts are called `SUITE: tool name`, `SUITE: parameters` and `SUITE: question`; a sample
    counts once, for the first thing found. `checked` counts all samples.
    """
    kept, counts = [], Counter({"checked": len(samples)})
    for sample in samples:
        for suite in suites:
            if what := suite.shares(sample):
                counts[f"{suite.name}: {what}"] += 1
                break
        else:
            kept.append(sample)
    return kept, Tally(counts=dict(counts))


def suites_at_hand(cache: Path | None = None, acebench: Path | None = None) -> list[ExamData]:
    """The suites whose data is on this machine: nothing is fetched.

    BFCL's comes with the checkers' environment in `cache` (the user's cache if None), ACEBench's is
    a clone that `acebench` or the variable LOOPTOOL_ACEBENCH names. UserError if it is none.
    """
    found = []
    made = [path.parent for path in sorted(cache_folder(cache).glob("checkers-*/ready"))]
    folders = [f for each in made for f in each.glob("lib/python*/site-packages/bfcl_eval/data")]
    if bfcl := next(iter(folders), None):
        entries = list(_lines(bfcl.glob("BFCL_v3_*.json")))
        docs = list(_lines((bfcl / "multi_turn_func_doc").glob("*.json")))
        tools = [tool for entry in entries for tool in _tools(entry)] + docs
        asked = [m for e in entries for turn in e["question"] for m in turn]
        said = [str(m["content"]) for m in asked if m.get("role") == "user"]
        found.append(ExamData("BFCL v3", tools, said))
    clone = acebench or (Path(named) if (named := os.environ.get(ACEBENCH_VARIABLE)) else None)
    if clone is not None:
        data = clone / "data_all" / "data_en"
        if not data.is_dir():
            raise UserError(
                f"{ACEBENCH_VARIABLE}: {clone} is no clone of ACEBench; mend or unset it"
            )
        entries = list(_lines(data.glob("data_*.json")))
        tools = [tool for entry in entries for tool in _tools(entry)]
        said = [text for e in entries for text in _user_turns(str(e.get("question", "")))]
        found.append(ExamData("ACEBench", tools, said))
    return found


def normal_name(name: str) -> str:
    """A tool's name without case and separators."""
    return re.sub(r"[\W_]+", "", name).casefold()


def parameter_signature(parameters: Any) -> Signature:
    """Each parameter's name and type; of fewer than three its description too. Empty for none."""
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    if not isinstance(properties, dict):
        return frozenset()
    few = len(properties) < MIN_PARAMETERS
    described = []
    for name, schema in properties.items():
        schema = schema if isinstance(schema, dict) else {}
        about = " ".join(_words(str(schema.get("description", "")))) if few else ""
        if few and not about:
            return frozenset()
        described.append((normal_name(name), _type(schema.get("type")), about))
    return frozenset(described)


def _type(given: Any) -> str:
    """A JSON type; the suites' own words for them are translated."""
    name = str(given).casefold()
    return {**TYPES, "bool": "boolean"}.get(name, name)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _shingles(text: str) -> Shingles:
    words = _words(text)
    if len(words) < MIN_WORDS:
        return frozenset()
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def _tools(entry: dict[str, Any]) -> list[dict[str, Any]]:
    given = entry.get("function", [])
    return [given] if isinstance(given, dict) else list(given)


def _lines(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in sorted(paths):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield json.loads(line)


def _user_turns(history: str) -> list[str]:
    """What the user says in ACEBench's `user: …` and `system: …` lines; all, without any."""
    parts = re.split(r"^(user|system|assistant|tool):", history, flags=re.MULTILINE)
    if len(parts) == 1:
        return parts
    return [said for who, said in zip(parts[1::2], parts[2::2], strict=True) if who == "user"]
