"""What a run has made so far, read back: the ground of the table and of the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from looptool.config import Config
from looptool.evaluate.bootstrap import paired_difference
from looptool.evaluate.contamination import Contamination
from looptool.merge import first_share, loop_seed
from looptool.records import (
    Checkpoint,
    Expansion,
    Judgement,
    Measurement,
    PlantedError,
    ProbeResult,
    Sample,
    Tally,
)
from looptool.runs.paths import Paths
from looptool.runs.run import stored_config
from looptool.runs.store import read_records
from looptool.teachers.base import Bill
from looptool.train.halving import Search
from looptool.train.stats import TrainStats
from looptool.validating import Validation
from looptool.verify.calibrate import Calibration

T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    """A checkpoint on the held-out samples, and what it said to each."""

    result: Measurement
    outputs: Sequence[ProbeResult] = ()


@dataclass(frozen=True)
class RoundHistory:
    """One round, as far as it has come. What is not there yet is None, or empty in `measured`."""

    number: int
    dataset: Sequence[Sample]
    stats: TrainStats | None = None
    between: Search | None = None
    validation: Validation | None = None
    probes: Sequence[ProbeResult] | None = None
    judgements: Sequence[Judgement] | None = None
    expansions: Sequence[Expansion] | None = None
    merged: Sequence[Sample] | None = None
    measured: Measured | None = None

    @property
    def mastered(self) -> int | None:
        """How many samples of the dataset the probe found mastered."""
        return None if self.probes is None else sum(p.match.matched for p in self.probes)

    @property
    def verdicts(self) -> Counter[str] | None:
        return (
            None if self.judgements is None else Counter(j.verdict.value for j in self.judgements)
        )

    @property
    def corrected(self) -> int | None:
        """How many labels of the merged dataset were corrected in this round."""
        if self.merged is None:
            return None
        return sum(bool(s.edits) and s.edits[-1].round == self.number for s in self.merged)


@dataclass(frozen=True)
class History:
    """One run, as far as it has come; `before` are the checkpoints from before the first round."""

    name: str
    config: Config
    provenance: dict[str, Any]
    train: Sequence[Sample]
    held_out: Sequence[Sample]
    planted: Sequence[PlantedError]
    rejected: dict[str, int]
    calibration: Calibration | None
    before: Sequence[Measured]
    rounds: Sequence[RoundHistory] = field(default_factory=tuple)
    contamination: Contamination | None = None
    bill: Bill | None = None

    @property
    def measured(self) -> list[Measured]:
        """Every measured checkpoint, oldest first."""
        return [*self.before, *(r.measured for r in self.rounds if r.measured)]

    @property
    def gain(self) -> tuple[str, str, float, float, float] | None:
        """(last, first policy of the loop, difference of their accuracies, low, high)."""
        if not self.before or not (after := [r.measured for r in self.rounds if r.measured]):
            return None
        first, last = self.before[-1], after[-1]
        old, new = (
            {p.sample_id: p.match.matched for p in measured.outputs} for measured in (first, last)
        )
        shared = [key for key in new if key in old]
        if not shared:
            return None
        found = paired_difference([new[key] for key in shared], [old[key] for key in shared])
        return last.result.checkpoint, first.result.checkpoint, *found


def read_history(paths: Paths) -> History:
    """Everything that the run has stored; UserError if there is no run or a file is damaged."""
    config = stored_config(paths)
    train = _stored(paths, "seed/train", Sample) or []
    rejected = _one(paths, "seed/rejected", Tally)
    return History(
        name=paths.root.resolve().name,
        config=config,
        provenance=_json(paths.provenance),
        train=train,
        held_out=_stored(paths, "seed/held-out", Sample) or [],
        planted=_stored(paths, "seed/planted", PlantedError) or [],
        rejected=rejected.counts if rejected else {},
        calibration=_one(paths, "calibration", Calibration),
        before=[m for name in ("base", "warm-start") if (m := _measured(paths, name))],
        rounds=_rounds(paths, config, train),
        contamination=_one(paths, "seed/contaminated", Contamination),
        bill=_one(paths, "bill", Bill),
    )


def _rounds(paths: Paths, config: Config, train: Sequence[Sample]) -> list[RoundHistory]:
    rounds: list[RoundHistory] = []
    pool = loop_seed(train, config)
    dataset: Sequence[Sample] | None = first_share(pool, config.merge) if train else None
    for number in range(1, config.rounds + 1):
        if dataset is None:
            break
        name = f"round-{number}"
        found = RoundHistory(
            number=number,
            dataset=dataset,
            stats=_one(paths, f"{name}/train/stats", TrainStats),
            between=_one(paths, f"{name}/between", Search),
            validation=_one(paths, f"{name}/validation", Validation),
            probes=_stored(paths, f"{name}/probes", ProbeResult),
            judgements=_stored(paths, f"{name}/judgements", Judgement),
            expansions=_stored(paths, f"{name}/expansions", Expansion),
            merged=_stored(paths, f"{name}/dataset", Sample),
            measured=_measured_round(paths, name),
        )
        if found.stats or found.probes is not None:
            rounds.append(found)
        dataset = found.merged
    return rounds


def _measured_round(paths: Paths, name: str) -> Measured | None:
    """The policy of a round, which is that of the round before where the new one was not taken."""
    policy = _one(paths, f"{name}/train/policy", Checkpoint)
    found = _measured(paths, policy.name if policy else name)
    if found is None:
        return None
    return replace(found, result=found.result.model_copy(update={"checkpoint": name}))


def _measured(paths: Paths, name: str) -> Measured | None:
    result = _one(paths, f"measure/{name}", Measurement)
    if result is None:
        return None
    return Measured(result, _stored(paths, f"measure/{name}-outputs", ProbeResult) or ())


def _stored(paths: Paths, name: str, kind: type[T]) -> list[T] | None:
    """The records of one value; None if it is not made yet."""
    path = paths.value(name)
    return read_records(path, kind) if path.exists() else None


def _one(paths: Paths, name: str, kind: type[T]) -> T | None:
    """The one record of a value; None if it is not made yet."""
    return next(iter(_stored(paths, name, kind) or ()), None)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
