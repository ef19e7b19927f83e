"""The data of a run: made once, held against the exams, and short enough for the policy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from looptool.chat.limits import TOO_LONG, too_long
from looptool.errors import UserError
from looptool.preflight import preflight
from looptool.records import Expansion, PlantedError, Sample, Seed, Tally
from looptool.runs.run import Run
from looptool.teaching import Teaching

if TYPE_CHECKING:
    from looptool.chat import ChatFormat


class Seeding:
    """What a run may train on, and what it keeps of that."""

    def __init__(self, run: Run, teaching: Teaching) -> None:
        self._run = run
        self._config = run.config
        self._teaching = teaching

    def seed(self) -> Seed:
        """Tools, dialogues, noise and held-out set. The planted truth stays on disk."""
        run = self._run
        owed = not run.has("seed/rejected")
        if owed:
            preflight(self._config, run.paths.folder("base"))
            self._teaching.forecast()
        train = run.once_all("seed/train", Sample, lambda: self._kept.train)
        held_out = run.once_all("seed/held-out", Sample, lambda: self._made.held_out)
        run.once_all("seed/planted", PlantedError, lambda: self._kept.planted)
        rejected = run.once("seed/rejected", Tally, lambda: Tally(counts=self._kept.rejected))
        if owed:
            tools = {tool.hash() for sample in train for tool in sample.tools}
            run.say(
                f"seed: {len(train)} samples over {len(tools)} tools, {len(held_out)} held out, "
                f"{sum(rejected.counts.values())} rejected"
            )
        return Seed(train=tuple(train), held_out=tuple(held_out), rejected=rejected.counts)

    def cleared(self, expansions: Sequence[Expansion]) -> list[Expansion]:
        """The expansions less what shares something with an exam, and what is too long."""
        left = list(expansions)
        if self._config.data.decontaminate:
            from looptool.evaluate.contamination import Contamination, cleared

            checked = self._run.once("seed/contaminated", Contamination, Contamination)
            left = cleared(left, checked)
        if not (samples := [sample for one in left for sample in one.samples]):
            return left
        gone = too_long(self._chat, samples, self._config.policy)
        return [one.less(gone, TOO_LONG) for one in left]

    @cached_property
    def _made(self) -> Seed:
        from looptool.seed.make import make_seed

        config, teacher = self._config, self._teaching.teacher
        return make_seed(config.data, config.seed, teacher, self._run.work, self._run.say)

    @cached_property
    def _clean(self) -> Seed:
        from looptool.evaluate.contamination import Contamination, find, without

        seed = self._made
        if not self._config.data.decontaminate:
            return seed
        found = self._run.once("seed/contaminated", Contamination, lambda: find(seed.train))
        if found.suites:
            self._run.say(found.summary())
        return without(seed, found)

    @cached_property
    def _kept(self) -> Seed:
        seed = self._clean
        gone = too_long(self._chat, seed.train, self._config.policy)
        if not gone:
            return seed
        keys = "policy.max_prompt_tokens or policy.max_new_tokens"
        if len(gone) == len(seed.train):
            raise UserError(f"data: all {len(gone)} samples are longer than {keys}; raise what is "
                            "too small")  # fmt: skip
        self._run.say(f"too long: {len(gone)} of {len(seed.train)} samples left out, over {keys}")
        rejected = {**seed.rejected, TOO_LONG: len(gone)}
        return seed.less(gone).model_copy(update={"rejected": rejected})

    @cached_property
    def _chat(self) -> ChatFormat:
        from looptool.chat import load_format
        from looptool.models.load import base_tokenizer

        policy = self._config.policy
        tokenizer = base_tokenizer(policy, self._run.paths.folder("base"))
        return load_format(policy.format, tokenizer)
