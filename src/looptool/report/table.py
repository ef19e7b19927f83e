"""The rounds of a run as a table for the terminal, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections import Counter

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from looptool.records import Origin, Scenario, Score, Verdict
from looptool.report.history import History, read_history
from looptool.runs.paths import Paths

SCENARIOS = {
    Scenario.SINGLE: "sin-\ngle",
    Scenario.PARALLEL: "para-\nllel",
    Scenario.SEQUENTIAL: "sequ-\nential",
    Scenario.MULTI_TURN: "multi\nturn",
    Scenario.MISSING_PARAMETER: "lacks\nparam",
    Scenario.IRRELEVANT: "irrel-\nevant",
    Scenario.CHAT: "chat",
}
VERDICTS = {
    Verdict.PRED_WRONG: "model\nwrong",
    Verdict.LABEL_WRONG: "label\nwrong",
    Verdict.BOTH_CORRECT: "both\nright",
    Verdict.BOTH_WRONG: "both\nwrong",
    Verdict.UNDECIDED: "unde-\ncided",
}
ORIGINS = {
    Origin.SEED: "seed",
    Origin.ERROR_SEED: "error\nseed",
    Origin.EXPANDED: "ex-\npanded",
    Origin.HIGH_PERPLEXITY: "high per-\nplexity",
    Origin.SEED_NEW: "seed\nnew",
}
NOTHING = "·"
WIDTH = 80


def rounds_table(paths: Paths) -> RenderableType:
    """Held-out accuracy, what each round found, and what it trained on; also of unfinished runs."""
    history = read_history(paths)
    parts: list[RenderableType] = [_accuracy(history), Text()]
    if history.gain:
        last, first, difference, low, high = history.gain
        parts.append(
            Text(
                f"{last} against {first}, on the same samples: {100 * difference:+.1f} points "
                f"[{100 * low:+.1f}, {100 * high:+.1f}]\n"
            )
        )
    if history.rounds:
        parts += [_findings(history), Text(), _datasets(history)]
    if history.contamination and history.contamination.suites:
        parts += [Text(), _wrapped(history.contamination.summary())]
    if history.bill:
        parts += [Text(), _wrapped(history.bill.summary())]
    return Group(*parts)


def _accuracy(history: History) -> Table:
    table = _table(f"Held-out accuracy in %, of {len(history.held_out)} samples")
    table.add_column("")
    for header in ("all", "95 %", *SCENARIOS.values()):
        table.add_column(header, justify="right")
    for measured in history.measured:
        result = measured.result
        scores = [result.by_scenario.get(scenario.value) for scenario in SCENARIOS]
        table.add_row(
            result.checkpoint,
            _percent(result.overall),
            f"{100 * result.overall.low:.1f}-{100 * result.overall.high:.1f}",
            *(_percent(score, 0) for score in scores),
        )
    if not history.measured:
        table.add_row("nothing measured yet")
    return table


def _findings(history: History) -> Table:
    table = _table("What each round found; the verdicts are on the failed samples")
    table.add_column("round", justify="right")
    for header in ("samples", "mas-\ntered", "failed", *VERDICTS.values(), "cor-\nrected"):
        table.add_column(header, justify="right")
    for round in history.rounds:
        mastered, verdicts = round.mastered, round.verdicts
        table.add_row(
            str(round.number),
            str(len(round.dataset)),
            _count(mastered),
            _count(None if mastered is None else len(round.dataset) - mastered),
            *(_count(None if verdicts is None else verdicts[v.value]) for v in VERDICTS),
            _count(round.corrected),
        )
    return table


def _datasets(history: History) -> Table:
    table = _table("What each round trained on, by origin")
    table.add_column("round", justify="right")
    for header in (*ORIGINS.values(), "all"):
        table.add_column(header, justify="right")
    last = history.rounds[-1]
    datasets = [(str(round.number), round.dataset) for round in history.rounds]
    if last.merged is not None:
        datasets.append(("next", last.merged))
    for name, dataset in datasets:
        origins = Counter(sample.origin for sample in dataset)
        table.add_row(name, *(str(origins[origin]) for origin in ORIGINS), str(len(dataset)))
    return table


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
    )  # fmt: skip


def _wrapped(line: str) -> Text:
    return Text("\n".join(textwrap.wrap(line, WIDTH)))


def _percent(score: Score | None, digits: int = 1) -> str:
    return f"{100 * score.accuracy:.{digits}f}" if score and score.total else NOTHING


def _count(number: int | None) -> str:
    return NOTHING if number is None else str(number)
