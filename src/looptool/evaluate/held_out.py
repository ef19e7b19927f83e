"""`--suite heldout`: a run's own held-out samples, scored by ToolMatch as in the loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from looptool.errors import UserError
from looptool.evaluate.contender import Contender
from looptool.evaluate.kept import own_names
from looptool.evaluate.players import file_name
from looptool.evaluate.results import CategoryResult, SuiteResult
from looptool.jsonvalue import content_hash
from looptool.records import ProbeResult, Sample
from looptool.runs.durable import DurableWork
from looptool.runs.paths import Paths
from looptool.runs.store import read_records
from looptool.work import Progress


def evaluate_held_out(
    contenders: Sequence[Contender], limit: int | None, out: Path, progress: Progress
) -> list[SuiteResult]:
    """Each contender on the held-out samples of the first, which is a run. One category a scenario.

    Raises UserError if the first contender is no run, or has no held-out samples yet.
    """
    home = contenders[0].home
    if home is None:
        raise UserError("--suite heldout needs a run: its held-out samples are the questions")
    path = Paths(home).value("seed/held-out")
    samples = read_records(path, Sample) if path.exists() else []
    if not samples:
        raise UserError(f"{home} has no held-out samples; go on with `looptool run {home}`")
    by_scenario: dict[str, list[Sample]] = {}
    for sample in samples:
        by_scenario.setdefault(sample.scenario.value, []).append(sample)
    kept = {name: group[:limit] for name, group in sorted(by_scenario.items())}
    asked = {name: [sample.id for sample in group] for name, group in kept.items()}
    models = [_identity(contender) for contender in contenders]
    identities = [content_hash([model, asked]) for model in models]
    wanted = [file_name(contender.name) for contender in contenders]
    names = own_names(list(zip(wanted, identities, strict=True)), out)
    results = []
    for contender, model, identity, name in zip(contenders, models, identities, names, strict=True):
        work = DurableWork(out / "work" / model, progress)
        found = SuiteResult(
            suite="held-out tools",
            contender=name,
            identity=identity,
            categories=_evaluate(contender, kept, limit is None, work),
        )
        results.append(found)
    return results


def _identity(contender: Contender) -> str:
    from looptool.models.load import model_hash

    return content_hash(
        [model_hash(contender.checkpoint), contender.policy.model_dump(mode="json")]
    )


def _evaluate(
    contender: Contender,
    kept: dict[str, list[Sample]],
    whole: bool,
    work: DurableWork,
) -> tuple[CategoryResult, ...]:
    from looptool.models.engine import Engine, load_engine
    from looptool.probe.gcp import probe

    loaded: list[Engine] = []

    def engine() -> Engine:
        if not loaded:
            loaded.append(load_engine(contender.policy, contender.checkpoint))
        return loaded[0]

    probes = probe(
        contender.policy,
        contender.checkpoint.name,
        engine,
        [sample for group in kept.values() for sample in group],
        work,
        "held-out",
    )
    by_id = {result.sample_id: result for result in probes}
    return tuple(
        _category(name, [by_id[s.id] for s in group], whole) for name, group in kept.items()
    )


def _category(name: str, probes: list[ProbeResult], whole: bool) -> CategoryResult:
    reasons = Counter(p.match.reason.value for p in probes if not p.match.matched)
    return CategoryResult(
        name=name,
        ids=tuple(p.sample_id for p in probes),
        right=tuple(p.match.matched for p in probes),
        began=tuple(p.parsed.begins_call for p in probes),
        whole=whole,
        reasons=dict(reasons.most_common()),
    )
