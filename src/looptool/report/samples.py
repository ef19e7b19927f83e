"""The samples of a run as the page's browser shows them: texts, not values, and not too many.

Whatever is JSON is written out here: a number must look on the page as it stands in the data, and
JavaScript would round it.
"""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from looptool.records import Label, LabelEdit, Message, ProbeResult, Sample, Tool
from looptool.report.history import History
from looptool.toolmatch import same_move

MAX_TEXT = 4000
"""Longer texts are cut, and say so."""


class Browser:
    """All samples of a run, and what became of each."""

    def __init__(self, history: History) -> None:
        self._held_out = {sample.id for sample in history.held_out}
        self._planted = {error.sample_id: error for error in history.planted}
        self._seed = {sample.id: sample.label for sample in history.train}
        self.samples: dict[str, Sample] = {}
        self._stays: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self._probes: defaultdict[str, list[ProbeResult]] = defaultdict(list)
        self._judgements: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self._children: defaultdict[str, list[str]] = defaultdict(list)
        self._collect(history)
        self._tools: dict[str, int] = {}
        self._tool_texts: list[tuple[str, str]] = []

    def _collect(self, history: History) -> None:
        self._add(history.train)
        for round in history.rounds:
            self._add(round.dataset)
            for sample in round.dataset:
                self._stays[sample.id].append((round.number, sample.origin.value))
            for judgement in round.judgements or ():
                self._judgements[judgement.sample_id].append(
                    {
                        "round": round.number,
                        "verdict": judgement.verdict.value,
                        "judge": judgement.judge,
                        "analysis": _cut(judgement.error_analysis),
                        "approach": _cut(judgement.correct_approach),
                    }
                )
            self._note(round.probes or ())
        if history.rounds and (merged := history.rounds[-1].merged) is not None:
            self._add(merged)
            for sample in merged:
                stay = (history.rounds[-1].number + 1, sample.origin.value)
                self._stays[sample.id].append(stay)
        self._add(history.held_out)
        for measured in history.measured:
            self._note(measured.outputs)
        for sample in self.samples.values():
            for parent in sample.parents:
                self._children[parent].append(sample.id)

    def _add(self, samples: Iterable[Sample]) -> None:
        for sample in samples:
            known = self.samples.get(sample.id)
            if known is None or len(sample.edits) >= len(known.edits):
                self.samples[sample.id] = sample

    def _note(self, probes: Iterable[ProbeResult]) -> None:
        for probe in probes:
            self._probes[probe.sample_id].append(probe)

    def embedded(self, budget: int) -> dict[str, Any]:
        """As many samples as fit into `budget` characters of JSON, the telling ones first."""
        shown: dict[str, dict[str, Any]] = {}
        for sample in sorted(self.samples.values(), key=self._dullness):
            entry = self._entry(sample)
            budget -= len(json.dumps(entry))
            for tool in entry["tools"]:
                if tool >= len(self._tool_texts):
                    budget -= sum(len(json.dumps(text)) for text in self._new_tool(sample, tool))
            if budget < 0:
                break
            shown[sample.id] = entry
        return {
            "total": len(self.samples),
            "samples": [shown[key] for key in self.samples if key in shown],
            "tools": self._tool_texts,
        }

    def _new_tool(self, sample: Sample, number: int) -> tuple[str, str]:
        tool = next(tool for tool in sample.tools if self._tools[tool.hash()] == number)
        text = (tool.name, _cut(_json(tool.as_function())))
        self._tool_texts.append(text)
        return text

    def edits(self) -> list[tuple[Sample, LabelEdit]]:
        """Every change of a label, oldest first."""
        found = [(sample, edit) for sample in self.samples.values() for edit in sample.edits]
        return sorted(found, key=lambda pair: pair[1].round)

    def edit_entry(self, sample: Sample, edit: LabelEdit) -> dict[str, Any]:
        """One edit: its diff by lines, and whether the new label is right where that is known."""
        return {
            "sample": sample.id,
            "round": edit.round,
            "verdict": edit.verdict.value,
            "judge": edit.judge,
            "reason": _cut(edit.reason),
            "diff": _diff(label_text(edit.old), label_text(edit.new)),
            "right": self._is_right(sample, edit.new),
        }

    def _is_right(self, sample: Sample, label: Label) -> bool | None:
        planted = self._planted.get(sample.id)
        truth = planted.truth if planted else self._seed.get(sample.id)
        if truth is None or not self._planted:
            return None
        return same_move(label, truth, sample.tools)

    def _entry(self, sample: Sample) -> dict[str, Any]:
        planted = self._planted.get(sample.id)
        return {
            "id": sample.id,
            "scenario": sample.scenario.value,
            "domain": sample.domain,
            "stays": self._stays[sample.id],
            "heldOut": sample.id in self._held_out,
            "parents": sample.parents,
            "children": self._children[sample.id],
            "tools": [self._number(tool) for tool in sample.tools],
            "context": [_message(message) for message in sample.context],
            "label": _cut(label_text(sample.label)),
            "edits": [self.edit_entry(sample, edit) for edit in sample.edits],
            "probes": [_probe(probe) for probe in self._probes[sample.id]],
            "judgements": self._judgements[sample.id],
            "planted": planted
            and {"error": planted.error.value, "truth": _cut(label_text(planted.truth))},
        }

    def _number(self, tool: Tool) -> int:
        return self._tools.setdefault(tool.hash(), len(self._tools))

    def _dullness(self, sample: Sample) -> int:
        key = sample.id
        telling = (
            bool(sample.edits) or key in self._planted,
            key in self._judgements,
            bool(sample.parents),
            key in self._held_out,
        )
        return telling.index(True) if True in telling else len(telling)


def label_text(label: Label) -> str:
    """The calls as JSON, or what is said instead of a call."""
    if not label.calls:
        return f"no call: {label.content}" if label.content else "no call"
    return "\n".join(_json(call.model_dump()) for call in label.calls)


def _message(message: Message) -> dict[str, str]:
    calls = label_text(Label(calls=message.tool_calls)) if message.tool_calls else ""
    text = "\n".join(part for part in (message.content, calls) if part)
    return {"role": message.role, "name": message.name or "", "text": _cut(text)}


def _probe(probe: ProbeResult) -> dict[str, Any]:
    return {
        "checkpoint": probe.checkpoint,
        "matched": probe.match.matched,
        "reason": "" if probe.match.matched else probe.match.reason.value,
        "detail": _cut(probe.match.detail),
        "output": _cut(probe.output),
        "perplexity": f"{probe.perplexity:.3f}",
        "tokens": probe.num_tokens,
    }


def _diff(old: str, new: str) -> list[tuple[str, str]]:
    """Lines behind "-", "+" or " "."""
    lines = difflib.ndiff(_cut(old).splitlines(), _cut(new).splitlines())
    return [(line[0], line[2:]) for line in lines if line[0] != "?"]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _cut(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]} … ({len(text) - MAX_TEXT} more characters)"
