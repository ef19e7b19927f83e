"""What a GRPO training is about, apart from weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from looptool.chat import ChatFormat, load_format
from looptool.config import PolicyConfig, TrainConfig
from looptool.errors import UserError
from looptool.models.load import load_tokenizer
from looptool.records import Checkpoint, ProbeResult, Sample
from looptool.train.choose import PromptChooser
from looptool.train.reward import fits
from looptool.train.stats import StepStats


@dataclass
class Task:
    """What a training is about, apart from weights: data, draws, and what happened so far."""

    config: TrainConfig
    tokenizer: Any
    chat: ChatFormat
    prompts: list[list[int]]
    chooser: PromptChooser
    seed: int
    too_long: int
    stats: list[StepStats] = field(default_factory=list)

    @classmethod
    def prepare(
        cls,
        config: TrainConfig,
        policy: PolicyConfig,
        start: Checkpoint,
        samples: Sequence[Sample],
        hints: Mapping[str, ProbeResult],
        seed: int,
    ) -> Task:
        if not samples:
            raise UserError(
                "train: the dataset is empty, since all was mastered and nothing new is left; "
                "the last policy stands, for more rounds start a run with more data.samples"
            )
        tokenizer = load_tokenizer(start)
        chat = load_format(policy.format, tokenizer)
        rendered = [(s, chat.prompt_ids(s.tools, s.context)) for s in samples]
        fitting = [
            (sample, ids)
            for sample, ids in rendered
            if len(ids) <= policy.max_prompt_tokens
            and fits(chat, sample, config.max_completion_tokens)
        ]
        if not fitting:
            raise UserError(
                f"train: none of {len(samples)} samples fits policy.max_prompt_tokens = "
                f"{policy.max_prompt_tokens} and train.max_completion_tokens = "
                f"{config.max_completion_tokens}; raise them, or give more samples"
            )
        taken = [sample for sample, _ in fitting]
        chooser = PromptChooser(taken, hints, config.group_size, seed, config.choose_prompts)
        return cls(
            config=config,
            tokenizer=tokenizer,
            chat=chat,
            prompts=[ids for _, ids in fitting],
            chooser=chooser,
            seed=seed,
            too_long=len(rendered) - len(fitting),
        )

    @property
    def groups_per_step(self) -> int:
        """Groups of one optimiser step, rounded up, as TRL wants it for its data loader."""
        return -(-self.config.prompts_per_step // self.config.mini_batches)

    def probe_group(self) -> tuple[list[int], list[list[int]]]:
        """A short prompt with completions of several lengths, one of them a single token."""
        index = min(range(len(self.prompts)), key=lambda i: len(self.prompts[i]))
        label = list(self.chat.completion_ids(self.chooser.samples[index].label))[:32]
        return self.prompts[index], [label, label[: max(1, len(label) // 2)], label[:1]]

    def state(self) -> dict[str, Any]:
        return {
            "chooser": self.chooser.state(),
            "stats": [step.model_dump(mode="json") for step in self.stats],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.chooser.restore(state["chooser"])
        self.stats = [StepStats.model_validate(step) for step in state["stats"]]
