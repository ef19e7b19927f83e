"""The steps of the loop, bound to a run.

A stage is a function from records to records; here each gets its part of the config, its place in
the run directory and its line of what it did. Nothing else knows both the stages and the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from looptool.config import PolicyConfig
from looptool.errors import UserError
from looptool.records import (
    Checkpoint,
    Expansion,
    Judgement,
    Measurement,
    Origin,
    ProbeResult,
    Sample,
    Seed,
)
from looptool.runs.run import Run
from looptool.seeding import Seeding
from looptool.teaching import Teaching
from looptool.validating import Validating

if TYPE_CHECKING:
    from looptool.models.engine import Engine
    from looptool.teachers.base import Judge, Teacher
    from looptool.verify.calibrate import Calibration

P = ParamSpec("P")
R = TypeVar("R")


class Finished(Exception):
    """Leaves the loop behind the step that the run was opened for."""


def _step(fn: Callable[Concatenate[Steps, P], R]) -> Callable[Concatenate[Steps, P], R]:
    @wraps(fn)
    def stepped(self: Steps, /, *args: P.args, **kwargs: P.kwargs) -> R:
        before = self.run.computed
        try:
            result = fn(self, *args, **kwargs)
        finally:
            self.teaching.settle()
        if fn.__name__ == self.run.until and self.run.computed > before:
            raise Finished
        return result

    return stepped


class Steps:
    """What `loop.py` can say."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.config = run.config
        self.teaching = Teaching(run)
        self.seeding = Seeding(run, self.teaching)
        self._used: set[str] = set()  # the samples of every dataset so far

    @_step
    def seed(self) -> Seed:
        """Tools, dialogues, noise and held-out set. The planted truth stays on disk."""
        return self.seeding.seed()

    @_step
    def warm_start(self, seed: Seed) -> Checkpoint:
        """The first policy: the base model, taught the format first if it cannot call tools."""

        def start() -> Checkpoint:
            from looptool.merge import warm_start_seed
            from looptool.train.supervised import supervise

            base = self._base()
            score = self.measure(base, seed).calls
            config = self.config.warm_start
            if score.accuracy >= config.when_below or not config.samples:
                self.run.say(f"warm start: not needed, base calls are {score.accuracy:.0%} right")
                return base
            return supervise(
                config,
                self.policy,
                base,
                warm_start_seed(seed.train, self.config),
                self.run.paths.folder("warm-start"),
                "warm-start",
                self.config.seed,
                self.run.progress,
                shared_prefix=self.config.train.shared_prefix,
            )

        policy = self._checkpoint("warm-start/policy", start, self._policies_from(1))
        self.measure(policy, seed)
        return policy

    def first_dataset(self, seed: Seed) -> list[Sample]:
        """The seed, less the share that later rounds are dealt."""
        from looptool.merge import first_share

        return self._using(first_share(self._loop_seed(seed), self.config.merge))

    @_step
    def train(
        self,
        round: int,
        policy: Checkpoint,
        dataset: Sequence[Sample],
        probes: Sequence[ProbeResult],
    ) -> Checkpoint:
        """GRPO from `policy` on; what the last probe knew helps to choose the prompts.

        Validation may take only part of the way, or none: then the round goes on with the old
        policy, which has its name and its measurement already.
        """
        from looptool.train.stats import TrainStats

        name = f"round-{round}/train"

        def trained() -> Checkpoint:
            from looptool.train.grpo import train

            new, stats = train(
                self.config.train.in_round(round),
                self.policy,
                policy,
                dataset,
                {probe.sample_id: probe for probe in probes},
                self.run.paths.folder(f"round-{round}"),
                f"round-{round}",
                self.config.seed + round,
                self.run.progress,
            )
            self.run.forget(f"{name}/stats")
            self.run.once(f"{name}/stats", TrainStats, lambda: stats)
            self.run.say(f"train: {stats.summary()}")
            return self._picked(round, policy, new)

        return self._checkpoint(f"{name}/policy", trained, self._policies_from(round + 1))

    @_step
    def probe(self, round: int, policy: Checkpoint, dataset: Sequence[Sample]) -> list[ProbeResult]:
        """GCP: greedy output and perplexity of every sample."""
        from looptool.probe.gcp import probe

        def probed() -> list[ProbeResult]:
            results = probe(
                self.policy,
                policy.name,
                lambda: self._engine(policy),
                dataset,
                self.run.work,
                f"round-{round}/probe",
            )
            mastered = sum(result.match.matched for result in results)
            self.run.say(
                f"probe: {mastered} mastered, {len(results) - mastered} failed of {len(results)}"
            )
            return results

        return self.run.once_all(f"round-{round}/probes", ProbeResult, probed)

    @_step
    def verify(
        self, round: int, dataset: Sequence[Sample], probes: Sequence[ProbeResult]
    ) -> list[Judgement]:
        """JGLV: prediction against label, by a judge that was measured first."""
        from looptool.verify.jglv import pick_verify

        verify = pick_verify(self.config.verify)

        def verified() -> list[Judgement]:
            name = f"round-{round}/verify"
            judgements = verify(
                self.judge, dataset, probes, self.run.work, name, self.teacher.concurrency
            )
            verdicts = Counter(judgement.verdict.value for judgement in judgements)
            told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
            self.run.say(f"verify: {len(judgements)} failures judged: {told or 'none'}")
            return judgements

        return self.run.once_all(f"round-{round}/judgements", Judgement, verified)

    @_step
    def expand(
        self,
        round: int,
        dataset: Sequence[Sample],
        probes: Sequence[ProbeResult],
        judgements: Sequence[Judgement],
    ) -> list[Expansion]:
        """EDDE: new samples from each verified failure."""
        from looptool.expand.edde import pick_expand

        expand = pick_expand(self.config.expand)

        def expanded() -> list[Expansion]:
            expansions = expand(
                self.teacher,
                dataset,
                probes,
                judgements,
                round,
                self.config.seed,
                self.run.work,
                f"round-{round}/expand",
                self.seed().held_out,
            )
            expansions = self.seeding.cleared(expansions)
            kept = sum(len(expansion.samples) for expansion in expansions)
            lost = sum(sum(expansion.rejected.values()) for expansion in expansions)
            self.run.say(
                f"expand: {kept} new samples from {len(expansions)} failures, {lost} rejected"
            )
            return expansions

        return self.run.once_all(f"round-{round}/expansions", Expansion, expanded)

    @_step
    def merge(
        self,
        round: int,
        seed: Seed,
        dataset: Sequence[Sample],
        probes: Sequence[ProbeResult],
        judgements: Sequence[Judgement],
        expansions: Sequence[Expansion],
    ) -> list[Sample]:
        """The next round's dataset: ES ∪ EE ∪ HPPL ∪ Seed-new."""
        from looptool.merge import pick_merge, seed_share

        merge = pick_merge(self.config.merge)

        def merged() -> list[Sample]:
            config, rounds = self.config.merge, self.config.rounds
            fresh = seed_share(self._loop_seed(seed), config, round, rounds, self._used)
            samples = merge(dataset, probes, judgements, expansions, fresh, round)
            origins = Counter(sample.origin for sample in samples)
            corrected = sum(sample.edits[-1].round == round for sample in samples if sample.edits)
            told = ", ".join(f"{origins[o]} {o.value}" for o in Origin if origins[o])
            self.run.say(f"merge: {len(samples)} samples ({told}), {corrected} labels corrected")
            return samples

        return self._using(self.run.once_all(f"round-{round}/dataset", Sample, merged))

    @_step
    def measure(self, policy: Checkpoint, seed: Seed) -> Measurement:
        """Accuracy on the held-out samples, whose tools training never saw."""
        from looptool.evaluate.measure import measure
        from looptool.probe.gcp import probe

        def measured() -> Measurement:
            probes = self.run.once_all(
                f"measure/{policy.name}-outputs",
                ProbeResult,
                lambda: probe(
                    self.policy,
                    policy.name,
                    lambda: self._engine(policy),
                    seed.held_out,
                    self.run.work,
                    f"measure/{policy.name}",
                ),
            )
            return measure(policy.name, seed.held_out, probes)

        known = self.run.has(f"measure/{policy.name}")
        result = self.run.once(f"measure/{policy.name}", Measurement, measured)
        if not known:
            score = result.overall
            self.run.say(
                f"measure: {policy.name} {score.accuracy:.1%} of {score.total} held-out samples "
                f"[{score.low:.1%}, {score.high:.1%}]"
            )
            parts = (f"{name} {one.accuracy:.0%}" for name, one in result.by_scenario.items())
            self.run.say(f"         {', '.join(parts)}")
        return result

    @_step
    def report(self) -> Path:
        """One self-contained HTML page."""
        from looptool.report.page import write_report

        write_report(self.run.paths)
        return self.run.paths.report

    @property
    def teacher(self) -> Teacher:
        return self.teaching.teacher

    @cached_property
    def policy(self) -> PolicyConfig:
        """The policy's config, its type of computation settled."""
        from looptool.models.precision import Precision, choose_precision

        asked = self.config.policy.dtype
        precision = self.run.once("precision", Precision, lambda: choose_precision(asked))
        return self.config.policy.model_copy(update={"dtype": precision.dtype})

    @cached_property
    def judge(self) -> Judge:
        """The teacher's judge, as far as it can be trusted."""
        return self.teaching.judge(lambda: self.seed().held_out)

    @property
    def calibration(self) -> Calibration:
        """How the teacher's judge does on errors planted into the clean held-out samples."""
        return self.teaching.calibration(lambda: self.seed().held_out)

    def _base(self) -> Checkpoint:
        from looptool.models.load import base_checkpoint, model_hash

        def base() -> Checkpoint:
            made = base_checkpoint(self.policy, self.run.paths.folder("base"))
            self.run.note("model_hash", model_hash(made))
            return made

        return self._checkpoint("base", base, ["warm-start/policy", *self._policies_from(1)])

    def _policies_from(self, round: int) -> list[str]:
        """The names of the policies that this round and those after it make."""
        return [f"round-{n}/train/policy" for n in range(round, self.config.rounds + 1)]

    def _checkpoint(
        self, name: str, make: Callable[[], Checkpoint], later: Sequence[str]
    ) -> Checkpoint:
        """The checkpoint that `make` trains; trained again if its files are gone.

        They are needed until one of the values `later` is another policy (a round may go on with
        the one it came from), and found where the run lies now.
        """
        from looptool.models.load import is_whole

        paths = self.run.paths

        def portable() -> Checkpoint:
            made = make()
            return made.model_copy(update={"path": paths.portable(made.path)})

        kept = self.run.once(name, Checkpoint, portable)
        place = paths.located(kept.path)
        ours = place != kept.path or Path(place).is_absolute()  # no id on the Hub
        followed = any(
            self.run.has(each) and self.run.once(each, Checkpoint, portable).path != kept.path
            for each in later
        )
        if ours and not is_whole(Path(place)) and not followed:
            self.run.say(f"{place} is missing: making it again")
            self.run.forget(name)
            kept = self.run.once(name, Checkpoint, portable)
        return kept.model_copy(update={"path": paths.located(kept.path)})

    def _picked(self, round: int, before: Checkpoint, trained: Checkpoint) -> Checkpoint:
        """The policy of a round, by the samples kept for validation, if any are."""
        from looptool.merge import validation_seed

        samples = validation_seed(self.seed().train, self.config)
        if not samples:
            return trained
        return Validating(self.run, self.policy, samples, self._engine).pick(round, before, trained)

    def _loop_seed(self, seed: Seed) -> Sequence[Sample]:
        from looptool.merge import loop_seed

        if pool := loop_seed(seed.train, self.config):
            return pool
        raise UserError(f"warm_start: all {len(seed.train)} samples are used; raise data.samples")

    def _using(self, dataset: list[Sample]) -> list[Sample]:
        self._used.update(sample.id for sample in dataset)
        return dataset

    def _engine(self, policy: Checkpoint) -> Engine:
        """The engine of one checkpoint; that of the one before is let go."""
        from looptool.models.engine import load_engine

        loaded: tuple[str, Engine] | None = self.__dict__.get("_loaded")
        if loaded is None or loaded[0] != policy.path:
            self.__dict__["_loaded"] = None
            rows = self.config.probe.batch_size
            loaded = (policy.path, load_engine(self.policy, policy, max_rows=rows))
            self.__dict__["_loaded"] = loaded
        return loaded[1]
