"""Verification on planted noise: which of the errors that were planted were found again.

The report alone reads the hidden truth. A sample that was not planted was born with a right label;
what is right for an expanded sample nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from looptool.records import (
    Judgement,
    PlantedError,
    ProbeResult,
    Record,
    Sample,
    Verdict,
)
from looptool.report.history import History, RoundHistory
from looptool.toolmatch import match, same_move

CLEAN = "none"
"""The row of the samples on which nothing was planted."""


class NoiseRow(Record):
    """One error type, in numbers of samples; `corrections` counts verdicts LABEL_WRONG.

    `reached`: planted labels that were judged beside a right prediction; `found`: those of them
    that were replaced by it. `left`: planted labels that stand, uncorrected, in the last dataset.
    """

    error: str
    planted: int = 0
    reached: int = 0
    found: int = 0
    corrections: int = 0
    right: int = 0
    left: int = 0


class Noise(Record):
    """A row an error type, then that of the clean samples, and the sum of all.

    `unknown`: corrections of expanded samples, whose truth nobody knows.
    """

    rows: tuple[NoiseRow, ...]
    total: NoiseRow
    unknown: int


def planted_noise(history: History) -> Noise | None:
    """How verification fared; None where nothing was planted."""
    if not history.planted:
        return None
    planted = {error.sample_id: error for error in history.planted}
    truths = {sample.id: sample.label for sample in history.train}
    truths |= {key: error.truth for key, error in planted.items()}
    reached: set[str] = set()
    found: set[str] = set()
    corrections: list[tuple[str, bool]] = []
    unknown = 0
    for sample, probe, judgement in _judged(history.rounds):
        replaced = judgement.verdict is Verdict.LABEL_WRONG
        truth = truths.get(sample.id)
        if truth is None:
            unknown += replaced
            continue
        right = match(probe.parsed, truth, sample.tools).matched
        if right and sample.id in planted and not same_move(sample.label, truth, sample.tools):
            reached.add(sample.id)
            if replaced:
                found.add(sample.id)
        if replaced:
            corrections.append((sample.id, right))
    left = _left(history, planted)

    def row(error: str, among: set[str]) -> NoiseRow:
        made = [right for key, right in corrections if key in among]
        return NoiseRow(
            error=error,
            planted=len(among & planted.keys()),
            reached=len(among & reached),
            found=len(among & found),
            corrections=len(made),
            right=sum(made),
            left=len(among & left),
        )

    kinds: dict[str, set[str]] = {}
    for key, error in planted.items():
        kinds.setdefault(error.error.value, set()).add(key)
    rows = [row(kind, kinds[kind]) for kind in sorted(kinds)]
    rows.append(row(CLEAN, truths.keys() - planted.keys()))
    return Noise(rows=tuple(rows), total=row("all", set(truths)), unknown=unknown)


def _judged(
    rounds: Sequence[RoundHistory],
) -> Iterator[tuple[Sample, ProbeResult, Judgement]]:
    for round in rounds:
        samples = {sample.id: sample for sample in round.dataset}
        probes = {probe.sample_id: probe for probe in round.probes or ()}
        for judgement in round.judgements or ():
            yield samples[judgement.sample_id], probes[judgement.sample_id], judgement


def _left(history: History, planted: dict[str, PlantedError]) -> set[str]:
    last = history.train
    if rounds := history.rounds:
        last = rounds[-1].dataset if rounds[-1].merged is None else rounds[-1].merged
    return {
        sample.id
        for sample in last
        if sample.id in planted
        and not same_move(sample.label, planted[sample.id].truth, sample.tools)
    }
