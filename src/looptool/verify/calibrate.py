"""Calibration: a judge is measured on errors that are known before it may correct any label.

Samples with trusted labels get a planted error of each type. Each pair of right and planted move is
judged in both roles: the label planted beside the right prediction (sensitivity: is it found?), and
the right label beside the planted prediction (specificity: is it left alone?). Known-good pairs,
two ways to write one move, add to the specificity. Intervals are Wilson's (JASA 22, 1927).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from looptool.config import VerifyConfig
from looptool.records import ErrorType, Judgement, Label, Record, Sample, Verdict
from looptool.seed.dice import dice
from looptool.seed.noise import plant
from looptool.teachers.base import Case, Judge
from looptool.verify.reword import reword
from looptool.work import Work

if TYPE_CHECKING:
    from rich.table import Table

EQUAL = "equal_meaning"
"""The kind of the known-good pairs, beside the error types."""

_Z = 1.959964  # 95 % of a normal distribution


@runtime_checkable
class Priced(Protocol):
    """A judge whose calls cost something."""

    def cost(self) -> float:
        """What it has spent so far, in all processes, in the unit of its prices."""
        ...


class Rate(Record):
    """`hits` of `total`, with the 95 % Wilson interval."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """0 where nothing was tried."""
        return self.hits / self.total if self.total else 0.0

    def __str__(self) -> str:
        if not self.total:
            return "-"
        return f"{self.share:.2f} [{self.low:.2f}, {self.high:.2f}] of {self.total}"


class Calibration(Record):
    """How far a judge can be trusted.

    `sensitivity` by error type: planted labels that it would have replaced by the right prediction;
    `decided` the same among those on which it took a side for one of the two. `specificity` by
    error type, and `EQUAL`: right labels that it left standing. `order_flips`: pairs where it
    called the same role wrong both ways round.
    """

    judge: str
    sensitivity: dict[str, Rate]
    decided: dict[str, Rate]
    specificity: dict[str, Rate]
    order_flips: Rate
    verdicts: dict[str, int]
    cost: float | None = None

    @property
    def found(self) -> Rate:
        """Sensitivity over all error types."""
        return _sum(self.sensitivity.values())

    @property
    def spared(self) -> Rate:
        """Specificity over all kinds."""
        return _sum(self.specificity.values())

    def failing(self, config: VerifyConfig) -> str | None:
        """The floor that the judge misses, in words; None if it misses none.

        Overall rates are held to the floors as measured. A single error type, of which a run's
        small set holds few, is held to it only when its whole interval lies below, and for
        sensitivity by what was decided: who leaves a type undecided leaves its labels as they are.
        """
        if not self.found.total:
            return "no error could be planted to measure it on"
        floors = (
            ("sensitivity", self.found, config.min_sensitivity, self.decided),
            ("specificity", self.spared, config.min_specificity, self.specificity),
        )
        for name, overall, floor, by_kind in floors:
            if overall.share < floor:
                return f"{name} {overall.share:.2f} is below {floor:.2f}"
            for kind, rate in by_kind.items():
                if rate.total and rate.high < floor:
                    return f"{name} of {kind} {rate.share:.2f} is below {floor:.2f}"
        if self.order_flips.share > config.max_order_flips:
            return (
                f"order flips {self.order_flips.share:.2f} are above {config.max_order_flips:.2f}"
            )
        return None

    def summary(self) -> str:
        """One line."""
        paid = "" if self.cost is None else f", cost {self.cost:.4g}"
        return (
            f"judge {self.judge}: sensitivity {self.found.share:.2f}, specificity "
            f"{self.spared.share:.2f}, order flips {self.order_flips.share:.2f} on "
            f"{self.order_flips.total} pairs{paid}"
        )


class _Pair(Record):
    kind: str
    sample: Sample
    other: Label


def calibrate(
    judge: Judge,
    trusted: Sequence[Sample],
    num: int,
    seed: int,
    work: Work,
    name: str,
    concurrency: int = 1,
) -> Calibration:
    """Measure `judge` on up to `num` pairs made of samples whose labels are right.

    The pairs are spread evenly over the error types and the known-good kind, as far as the samples
    allow. Each pair is judged twice.
    """
    spent = _spent_before(judge, work, name) if isinstance(judge, Priced) else None
    pairs = _pairs(trusted, num, seed)
    trials = [(number, swapped) for number in range(len(pairs)) for swapped in (False, True)]

    async def tried(trial: tuple[int, bool]) -> Judgement:
        pair = pairs[trial[0]]
        label, prediction = pair.sample.label, pair.other
        if not trial[1]:
            label, prediction = prediction, label
        sample = pair.sample
        return await judge.judge(
            Case(
                sample_id=sample.id,
                tools=sample.tools,
                context=sample.context,
                prediction=prediction,
                label=label,
            )
        )

    said = work.map(
        name,
        trials,
        tried,
        key=lambda trial: f"{trial[0]}{'-swapped' if trial[1] else ''}",
        result=Judgement,
        concurrency=concurrency,
    )
    verdicts = [judgement.verdict for judgement in said]
    return _counted(
        judge.name,
        [pair.kind for pair in pairs],
        verdicts[::2],
        verdicts[1::2],
        None if spent is None or not isinstance(judge, Priced) else judge.cost() - spent,
    )


def _spent_before(judge: Priced, work: Work, name: str) -> float:
    """What the judge had cost when this calibration began, in whichever process that was."""

    async def before(_: str) -> float:
        return judge.cost()

    return work.map(f"{name}-before", ["cost"], before, key=str, result=float)[0]


def calibration_table(calibration: Calibration) -> Table:
    """What `looptool calibrate` prints."""
    from rich.table import Table

    columns = ("planted error", "sensitivity", "of what was decided", "specificity")
    table = Table(*columns, title=calibration.summary())
    for kind, spared in calibration.specificity.items():
        found, decided = calibration.sensitivity.get(kind), calibration.decided.get(kind)
        table.add_row(kind, str(found or ""), str(decided or ""), str(spared))
    table.add_section()
    table.add_row("all", str(calibration.found), "", str(calibration.spared))
    table.add_row("order flips", str(calibration.order_flips), "", "")
    return table


def wilson(hits: int, total: int) -> Rate:
    """The rate `hits` of `total`."""
    if not total:
        return Rate(hits=0, total=0, low=0, high=1)
    share = hits / total
    middle = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    spread = share * (1 - share) / total + _Z**2 / (4 * total**2)
    half = _Z * math.sqrt(spread) / (1 + _Z**2 / total)
    return Rate(hits=hits, total=total, low=max(0, middle - half), high=min(1, middle + half))


def _sum(rates: Iterable[Rate]) -> Rate:
    kept = list(rates)
    return wilson(sum(rate.hits for rate in kept), sum(rate.total for rate in kept))


def _pairs(trusted: Sequence[Sample], num: int, seed: int) -> list[_Pair]:
    """Round robin over the kinds, until `num` pairs are made or no kind has any left."""
    sources = {kind: _pairs_of(kind, trusted, seed) for kind in (*ErrorType, EQUAL)}
    pairs: list[_Pair] = []
    for kind in cycle(list(sources)):
        if len(pairs) >= num or not sources:
            break
        if kind in sources:
            pair = next(sources[kind], None)
            if pair is None:
                del sources[kind]
            else:
                pairs.append(pair)
    return pairs


def _pairs_of(kind: str, trusted: Sequence[Sample], seed: int) -> Iterator[_Pair]:
    for sample in dice("calibrate", seed, kind).sample(list(trusted), len(trusted)):
        rng = dice("calibrate", seed, kind, sample.id)
        other = _other(kind, sample, rng)
        if other is not None:
            yield _Pair(kind=kind, sample=sample, other=other)


def _other(kind: str, sample: Sample, rng: Random) -> Label | None:
    return reword(sample, rng) if kind == EQUAL else plant(sample, ErrorType(kind), rng)


def _counted(
    judge: str,
    kinds: Sequence[str],
    planted: Sequence[Verdict],
    swapped: Sequence[Verdict],
    cost: float | None,
) -> Calibration:
    """`planted`: the verdicts where the label was the planted one; `swapped`: the other way."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    decided: defaultdict[str, list[bool]] = defaultdict(list)
    spared: defaultdict[str, list[bool]] = defaultdict(list)
    flips = 0
    for kind, first, second in zip(kinds, planted, swapped, strict=True):
        if kind == EQUAL:
            spared[kind].append(first is not Verdict.LABEL_WRONG)
        else:
            found[kind].append(first is Verdict.LABEL_WRONG)
            if first not in (Verdict.UNDECIDED, Verdict.BOTH_WRONG):
                decided[kind].append(first is Verdict.LABEL_WRONG)
        spared[kind].append(second is not Verdict.LABEL_WRONG)
        flips += first is second and first in (Verdict.PRED_WRONG, Verdict.LABEL_WRONG)
    return Calibration(
        judge=judge,
        sensitivity=_rates(found),
        decided=_rates(decided),
        specificity=_rates(spared),
        order_flips=wilson(flips, len(kinds)),
        verdicts=dict(Counter(verdict.value for verdict in (*planted, *swapped))),
        cost=cost,
    )


def _rates(found: Mapping[str, Sequence[bool]]) -> dict[str, Rate]:
    return {kind: wilson(sum(hits), len(hits)) for kind, hits in sorted(found.items())}
