"""The table of a suite: accuracy with interval, call rate, averages, and the paired difference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from looptool.evaluate.averages import average, average_difference
from looptool.evaluate.bootstrap import paired_difference
from looptool.evaluate.results import Averages, CategoryResult, SuiteResult, possible

if TYPE_CHECKING:
    from rich.table import Table

Interval = tuple[float, float, float]


def suite_rows(
    results: list[SuiteResult], averages: Averages
) -> Iterator[tuple[str, list[str], bool]]:
    """(name, cells, whether it is an average) of each row; the cells are those of `columns`."""
    first, *others = results
    for at, category in enumerate(first.categories):
        cells = [str(len(category.ids)) + ("" if category.whole else " of more")]
        for result in results:
            mine = result.categories[at]
            cells += [_score(mine), f"{mine.call_rate:.0%}"]
        for other in others:
            pair = paired_difference(category.right, other.categories[at].right)
            cells.append(_difference(pair))
        yield category.name, cells, False
        ways = [result.categories[at].process for result in results]
        if None not in ways:
            cells = [cell for way in ways for cell in (f"{100 * (way or 0):.2f}", "")]
            yield f"{category.name}, process", ["", *cells, *("" for _ in others)], False
    for name, mean in possible(averages, first):
        cells = [str(sum(len(first.outcomes()[c]) for c in mean.categories()))]
        for result in results:
            cells += [_percent(average(mean, result.outcomes())), ""]
        for other in others:
            pair = average_difference(mean, first.outcomes(), other.outcomes())
            cells.append(_difference(pair))
        yield name.name if name.official else f"{name.name} (not official)", cells, True


def columns(results: list[SuiteResult]) -> list[str]:
    """The heads of the table."""
    first, *others = results
    heads = ["", "questions"]
    for result in results:
        heads += [result.contender, "calls"]
    return heads + [f"{first.contender} − {other.contender}" for other in others]


def suite_table(results: list[SuiteResult], averages: Averages) -> Table:
    """The table for a terminal."""
    from rich.table import Table

    table = Table(title=results[0].suite, title_justify="left")
    for at, head in enumerate(columns(results)):
        table.add_column(head, justify="left" if at == 0 else "right")
    was_average = False
    for name, cells, is_average in suite_rows(results, averages):
        if is_average and not was_average:
            table.add_section()
        was_average = is_average
        table.add_row(name, *cells)
    return table


def suite_markdown(results: list[SuiteResult], averages: Averages, notes: list[str]) -> str:
    """The same table as Markdown, with the kinds of failure and `notes` below it."""
    heads = columns(results)
    lines = [f"# {results[0].suite}", "", _line(heads), _line(["---"] * len(heads))]
    for name, cells, is_average in suite_rows(results, averages):
        row = [name, *cells]
        lines.append(_line([f"**{cell}**" if cell else "" for cell in row] if is_average else row))
    for result in results:
        lines += ["", f"What went wrong, {result.contender}:", ""]
        for category in result.categories:
            told = ", ".join(f"{count} {reason}" for reason, count in category.reasons.items())
            if category.unasked:
                told += f"; {category.unasked} never reached the model (too long, or refused)"
            lines.append(f"- {category.name}: {told or 'nothing'}")
    return "\n".join([*lines, "", *notes]) + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _score(category: CategoryResult) -> str:
    score = category.score
    return _percent((score.accuracy, score.low, score.high))


def _percent(interval: Interval) -> str:
    value, low, high = (100 * x for x in interval)
    return f"{value:.2f} [{low:.1f}, {high:.1f}]"


def _difference(interval: Interval) -> str:
    value, low, high = (100 * x for x in interval)
    return f"{value:+.2f} [{low:+.1f}, {high:+.1f}]"
