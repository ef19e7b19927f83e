"""The figures of the page, as JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from looptool.config import Config
from looptool.records import Measurement, Origin, Sample, Score
from looptool.report.history import History, RoundHistory
from looptool.report.noise import planted_noise
from looptool.teachers.base import Bill
from looptool.verify.calibrate import Rate


def figures(history: History) -> dict[str, Any]:
    """All but the samples."""
    last = history.rounds[-1] if history.rounds else None
    noise = planted_noise(history)
    return {
        "name": history.name,
        "state": _state(history),
        "facts": _facts(history),
        "config": _settings(history.config),
        "heldOut": len(history.held_out),
        "checkpoints": [_checkpoint(measured.result) for measured in history.measured],
        "gain": history.gain,
        "rounds": [_round(round) for round in history.rounds],
        "next": _origins(last.merged) if last and last.merged is not None else None,
        "calibration": _calibration(history),
        "bill": _bill(history.bill),
        "noise": noise and noise.model_dump(),
        "rejected": {
            "seed": history.rejected,
            "expand": dict(_rejected(history.rounds).most_common()),
        },
    }


def _state(history: History) -> str:
    finished = sum(
        round.measured is not None and round.merged is not None for round in history.rounds
    )
    rounds = history.config.rounds
    if finished == rounds:
        return f"{rounds} rounds, finished" if rounds > 1 else "1 round, finished"
    return f"unfinished: {finished} of {rounds} rounds done"


def _facts(history: History) -> list[tuple[str, str]]:
    found, config = history.provenance, history.config
    packages = found.get("packages") or {}
    command = found.get("command")
    facts = [
        ("started", str(found.get("started") or "").replace("T", " ").replace("+00:00", " UTC")),
        ("command", " ".join(map(str, command)) if isinstance(command, list) else command),
        ("commit", found.get("commit")),
        ("machine", found.get("machine")),
        ("Python", found.get("python")),
        ("packages", ", ".join(f"{name} {number}" for name, number in packages.items() if number)),
        ("model", config.policy.model),
        ("model hash", found.get("model_hash")),
        ("teacher", config.teacher.type),
        ("seed", config.seed),
        ("exams kept out", history.contamination and history.contamination.told()),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _settings(config: Config) -> list[tuple[str, str, bool]]:
    """(key, value, whether it differs from the default)."""
    default = _flat(Config().model_dump(mode="json"))
    found = _flat(config.model_dump(mode="json"))
    return [(key, value, default.get(key) != value) for key, value in found.items()]


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, dict):
        return {prefix: str(value)}
    joined: dict[str, str] = {}
    for key, inner in value.items():
        joined |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return joined


def _checkpoint(result: Measurement) -> dict[str, Any]:
    return {
        "name": result.checkpoint,
        "overall": _score(result.overall),
        "calls": _score(result.calls),
        "scenarios": {key: _score(score) for key, score in result.by_scenario.items()},
        "mismatches": result.mismatches,
        "callRate": result.call_rate,
    }


def _score(score: Score) -> dict[str, float]:
    return score.model_dump()


def _round(round: RoundHistory) -> dict[str, Any]:
    probes = round.probes
    reasons = Counter(p.match.reason.value for p in probes or () if not p.match.matched)
    return {
        "number": round.number,
        "size": len(round.dataset),
        "origins": _origins(round.dataset),
        "mastered": round.mastered,
        "failed": None if probes is None else sum(reasons.values()),
        "mismatches": dict(reasons.most_common()),
        "verdicts": round.verdicts,
        "corrected": round.corrected,
        "expanded": None
        if round.expansions is None
        else sum(len(expansion.samples) for expansion in round.expansions),
        "steps": [
            {
                "reward": step.mean_reward,
                "right": step.groups_right,
                "wrong": step.groups_wrong,
                "used": step.groups_used,
                "rollout_seconds": step.rollout_seconds,
                "update_seconds": step.update_seconds,
            }
            for step in (round.stats.steps if round.stats else ())
        ],
        "summary": "; ".join(
            found.summary()
            for found in (round.stats, round.between, round.validation)
            if found is not None
        ),
    }


def _origins(dataset: Sequence[Sample]) -> dict[str, int]:
    counts = Counter(sample.origin for sample in dataset)
    return {origin.value: counts[origin] for origin in Origin if counts[origin]}


def _rejected(rounds: Sequence[RoundHistory]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for round in rounds:
        for expansion in round.expansions or ():
            counts.update(expansion.rejected)
    return counts


def _calibration(history: History) -> dict[str, Any] | None:
    found = history.calibration
    if found is None:
        return None
    kinds = {**found.sensitivity, **found.specificity}
    return {
        "judge": found.judge,
        "failing": found.failing(history.config.verify),
        "rows": [
            (kind, _rate(found.sensitivity.get(kind)), _rate(found.specificity.get(kind)))
            for kind in kinds
        ],
        "all": ("all", _rate(found.found), _rate(found.spared)),
        "flips": _rate(found.order_flips),
        "cost": found.cost,
    }


def _bill(bill: Bill | None) -> dict[str, Any] | None:
    if bill is None:
        return None
    total = bill.total()
    rows = [(role, one.model_dump()) for role, one in (*bill.roles.items(), ("all", total))]
    return {
        "summary": bill.summary(),
        "priced": total.cost > 0,
        "rows": rows,
        "unusable": [(role, one.model_dump()) for role, one in sorted(bill.unusable.items())],
    }


def _rate(rate: Rate | None) -> dict[str, float] | None:
    return rate.model_dump() if rate and rate.total else None
