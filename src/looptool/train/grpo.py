"""GRPO with ToolMatch as the only reward: TRL's loss and loop, LoopTool's batches.

Settings as in the paper where they fit: clip 0.2 / 0.28, no KL term, no reference model, one reward
of 0 or 1. The loss is DAPO's token-level mean (arXiv 2503.14476). Advantages are not divided by the
group's standard deviation: with a share of wrong labels, the lone "success" in a group is often a
label's error, and dividing would weigh it most (the bias is Dr. GRPO's point, arXiv 2503.20783).
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback

from looptool.config import PolicyConfig, TrainConfig
from looptool.models.engine import Completion, Sampling, engine_for
from looptool.records import Checkpoint, ProbeResult, Sample
from looptool.train.checkpoint import load_progress, save_progress
from looptool.train.logprobs import causal_lm
from looptool.train.optimizer import MasterAdamW
from looptool.train.reward import reward
from looptool.train.rollouts import Rollout, padded
from looptool.train.schedule import warmup_then_decay
from looptool.train.stats import StepStats, TrainStats
from looptool.train.supervised import supervise
from looptool.train.task import Task
from looptool.train.trainable import save_trained, saved, trainable
from looptool.train.trainer import Batch, SharedPrefixGRPOTrainer
from looptool.work import Bar, Progress

LABELS = "labels"
"""Folder of the policy that has learned from labels, until GRPO is through."""

logger = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    policy: PolicyConfig,
    start: Checkpoint,
    samples: Sequence[Sample],
    hints: Mapping[str, ProbeResult],
    out: Path,
    name: str,
    seed: int,
    progress: Progress,
) -> tuple[Checkpoint, TrainStats]:
    """Train `start` on `samples`: on their labels if the config says so, then `config.steps` steps.

    `hints` are the last probe's results by sample id. What `out` already holds is gone on from:
    a training that was killed ends with the weights of one that was not.
    """
    done = Checkpoint(name=name, path=str(out / "weights"), base=start.base)
    if (told := saved(Path(done.path))) is not None:
        return done, TrainStats.model_validate_json(told)
    if config.labels:
        start = supervise(
            config.labels,
            policy,
            start,
            samples,
            out / LABELS,
            f"{name} labels",
            seed,
            progress,
            config.shared_prefix,
        )
    task = Task.prepare(config, policy, start, samples, hints, seed)
    if task.too_long:
        progress.say(f"train: {task.too_long} samples too long for a rollout, left out")
    model, optimizer = trainable(
        policy,
        start,
        config.lora,
        seed,
        learning_rate=config.learning_rate,
        max_grad_norm=config.max_grad_norm,
    )
    first = 0
    if (found := load_progress(out / "progress")) is not None:
        optimizer.load_tensors(found[0])
        first = found[1]["step"]
        task.restore(found[1])
        del found  # as large as the optimiser's state
    if first < config.steps:
        with progress.task("train", config.steps, first) as bar:
            _fit(task, model, optimizer, first, out, bar)
    stats = TrainStats(steps=tuple(task.stats), too_long=task.too_long)
    save_trained(model, optimizer, start, Path(done.path), stats.model_dump_json())
    for folder in ("progress", LABELS):
        shutil.rmtree(out / folder, ignore_errors=True)
    return done, stats


def _fit(
    task: Task,
    model: torch.nn.Module,
    optimizer: MasterAdamW,
    first: int,
    out: Path,
    bar: Bar,
) -> None:
    """Optimiser steps `first` to the last, through TRL's own loop."""
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig

    config = task.config
    rows = task.groups_per_step * (config.steps + config.steps_per_batch)
    arguments = GRPOConfig(
        output_dir=str(out / "tracker"),
        per_device_train_batch_size=task.groups_per_step * config.group_size,
        steps_per_generation=config.mini_batches,
        num_iterations=config.num_iterations,
        num_generations=config.group_size,
        max_completion_length=config.max_completion_tokens,
        max_steps=config.steps,
        learning_rate=config.learning_rate,
        epsilon=config.clip_low,
        epsilon_high=config.clip_high,
        temperature=config.temperature,
        beta=0.0,
        loss_type="dapo",
        scale_rewards="none",
        max_grad_norm=0.0,  # MasterAdamW clips, on its fp32 gradients
        bf16=False,  # the model itself is bf16
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_steps=1,
        report_to=config.report_to,
        disable_tqdm=True,
        use_vllm=config.vllm,
        vllm_importance_sampling_mode="token_truncate",
        generation_kwargs={"stop_token_ids": sorted(task.chat.stop_ids)} if config.vllm else None,
        seed=task.seed % 2**31,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # TRL refuses to spread a process over several
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_then_decay(first + step, config.steps, config.warmup_steps)
    )
    trainer = ToolTrainer(
        task=task,
        shared_prefix=config.shared_prefix,
        model=model,
        reward_funcs=[_rewarded_already],
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": [""] * rows}),
        processing_class=task.tokenizer,
        optimizers=(optimizer, schedule),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Durable(task, optimizer, first, out / "progress", bar))
    trainer.check_shared_prefix(*task.probe_group())
    trainer.train()


class ToolTrainer(SharedPrefixGRPOTrainer):
    """Chooses prompts, samples their groups, scores them with ToolMatch; TRL does the rest."""

    def __init__(self, *, task: Task, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.task = task
        self.engine = engine_for(causal_lm(self.model), task.chat)
        self._sampling_seconds = 0.0

    def training_step(
        self, model: torch.nn.Module, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """As the parent's; notes what the update cost apart from sampling."""
        began = time.perf_counter()
        self._sampling_seconds = 0.0
        loss = super().training_step(model, inputs, num_items_in_batch)
        seconds = time.perf_counter() - began - self._sampling_seconds
        step = self.task.stats[-1]
        self.task.stats[-1] = step.model_copy(
            update={
                "update_seconds": step.update_seconds + seconds,
                "tokens_forwarded": self.tokens_forwarded,
            }
        )
        return loss

    def _generate_and_score_completions(self, inputs: Any) -> Batch:
        """A batch of groups as TRL's loss takes it; `inputs` only said that one is due."""
        began = time.perf_counter()
        groups = self._draw()
        self._sampling_seconds = time.perf_counter() - began
        self.tokens_forwarded = 0
        used = [group for group in groups if group.teaches]
        self._note(groups, used)
        return self._to_batch(used, groups)

    def _draw(self) -> list[Rollout]:
        """The step's groups. Where too few teach, as many again are drawn once more.

        The second draw is DAPO's dynamic sampling (arXiv 2503.14476), bounded: a policy that
        masters everything, or nothing, must not sample for ever.
        """
        config = self.task.config
        step = self.state.global_step
        groups = self._sample(self.task.chooser.choose(config.prompts_per_step, step, 0), step, 0)
        missing = config.prompts_per_step - sum(group.teaches for group in groups)
        if config.choose_prompts and missing:
            groups += self._sample(self.task.chooser.choose(missing, step, 1), step, 1)
        return groups

    def _sample(self, indices: list[int], step: int, draw: int) -> list[Rollout]:
        task = self.task
        groups = []
        for index, completions in zip(indices, self._complete(indices, step, draw), strict=True):
            ids = [completion.ids for completion in completions]
            rewards = reward(task.chat, task.chooser.samples[index], ids)
            right = sum(map(int, rewards))
            task.chooser.learn(index, right, len(rewards) - right)
            groups.append(Rollout(index, completions, rewards))
        return groups

    def _complete(self, indices: list[int], step: int, draw: int) -> list[list[Completion]]:
        """The completions of each prompt, by the engine or by vLLM."""
        task, config = self.task, self.task.config
        prompts = [task.prompts[index] for index in indices]
        if not self.use_vllm:
            sampling = Sampling(
                max_new_tokens=config.max_completion_tokens,
                temperature=config.temperature,
                num_samples=config.group_size,
                seed=hash((task.seed, step, draw)) % 2**31,  # of integers: always the same
            )
            return self.engine.generate_all(prompts, sampling)
        rows = [at for at in range(len(prompts)) for _ in range(config.group_size)]
        ids, logps, *_ = self._generate_single_turn(  # type: ignore[no-untyped-call]
            [prompts[at] for at in rows], None, {}, config.group_size
        )
        sampled = [
            Completion(at, list(tokens), list(scores), tokens[-1] in task.chat.stop_ids)
            for at, tokens, scores in zip(rows, ids, logps, strict=True)
        ]
        size = config.group_size
        return [sampled[first : first + size] for first in range(0, len(sampled), size)]

    def _to_batch(self, used: list[Rollout], drawn: list[Rollout]) -> Batch:
        """Padded tensors of the groups that teach; the loss is divided by all tokens drawn."""
        members = [member for group in used for member in group.completions]
        prompts = [self.task.prompts[group.index] for group in used for _ in group.completions]
        signal = [advantage for group in used for advantage in group.advantages]
        device, pad = self.accelerator.device, self._tokenizer.pad_token_id
        prompt_ids, prompt_mask = padded(prompts, pad, left=True)
        completion_ids, completion_mask = padded([member.ids for member in members], pad)
        num_tokens = sum(len(each.ids) for group in drawn for each in group.completions)
        batch = {
            "prompt_ids": prompt_ids.to(device),
            "prompt_mask": prompt_mask.to(device),
            "completion_ids": completion_ids.to(device),
            "completion_mask": completion_mask.to(device),
            "advantages": torch.tensor(signal, device=device),
            "num_items_in_batch": torch.tensor(num_tokens, device=device),
        }
        if used and (self.task.config.steps_per_batch > 1 or self.use_vllm):
            batch["old_per_token_logps"] = self._old_logps(batch)
        if used and self.use_vllm:
            sampled = padded([member.logps for member in members], 0.0)[0]
            batch["importance_sampling_ratio"] = self._ratios(batch, sampled.to(device))
        return batch

    def _ratios(self, batch: Batch, sampled_BC: torch.Tensor) -> torch.Tensor:
        """What a token of vLLM's is worth to the policy that trains, (B, C): TRL's correction.

        The ratio of its chances here and there, cut above.
        """
        ratios: torch.Tensor = (batch["old_per_token_logps"] - sampled_BC).exp()
        return ratios.clamp(max=self.vllm_importance_sampling_clip_max)

    def _old_logps(self, batch: Batch) -> torch.Tensor:
        """Log-probs (B, C) under the policy that sampled, for the importance ratios."""
        logps_BC = torch.zeros(batch["completion_ids"].shape, device=self.accelerator.device)
        batch = batch | {"row": torch.arange(len(logps_BC))}
        for part in self._micro_batches(batch):
            ids = torch.cat([part["prompt_ids"], part["completion_ids"]], dim=1)
            mask = torch.cat([part["prompt_mask"], part["completion_mask"]], dim=1)
            width = part["completion_ids"].shape[1]
            with torch.no_grad():
                logps, _, _ = self._get_per_token_logps_and_entropies(self.model, ids, mask, width)
            logps_BC[part["row"], :width] = logps
        return logps_BC

    def _note(self, groups: list[Rollout], used: list[Rollout]) -> None:
        size = self.task.config.group_size
        rewards = [value for group in groups for value in group.rewards]
        completions = [each for group in groups for each in group.completions]
        lengths = [len(each.ids) for each in completions]
        prompts = sum(len(self.task.prompts[group.index]) for group in groups)
        stats = StepStats(
            step=self.state.global_step,
            mean_reward=sum(rewards) / len(rewards),
            groups_right=sum(min(group.rewards) == 1 for group in groups),
            groups_wrong=sum(max(group.rewards) == 0 for group in groups),
            groups_used=len(used),
            completions=len(lengths),
            completion_tokens=sum(lengths),
            truncated=sum(not each.stopped for each in completions),
            tokens_forwarded=0,
            tokens_plain=prompts * size + sum(lengths),
            rollout_seconds=self._sampling_seconds,
            update_seconds=0.0,
        )
        self.task.stats.append(stats)
        metrics = self._metrics["train"]
        metrics["reward"].append(stats.mean_reward)
        for name in ("groups_right", "groups_wrong", "groups_used"):
            metrics[name].append(float(getattr(stats, name)))
        metrics["completions/mean_length"].append(stats.completion_tokens / stats.completions)
        metrics["completions/clipped_ratio"].append(stats.truncated / stats.completions)


class _Durable(TrainerCallback):
    """Begins at the step that is owed, shows progress, keeps checkpoints."""

    def __init__(
        self, task: Task, optimizer: MasterAdamW, first: int, kept: Path, bar: Bar
    ) -> None:
        self.task, self.optimizer, self.first = task, optimizer, first
        self.kept, self.bar = kept, bar

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        state.global_step = self.first

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        last = self.task.stats[-1]
        used = f"{last.groups_used} of {last.groups}"
        self.bar.advance(note=f"reward {last.mean_reward:.2f}, groups used {used}")
        whole = self.task.config.steps_per_batch  # a batch is not kept, so none may be under way
        every = -(-self.task.config.checkpoint_every // whole) * whole
        if state.global_step % every == 0 and state.global_step < self.task.config.steps:
            state_now = {"step": state.global_step, **self.task.state()}
            save_progress(self.kept, self.optimizer.tensors(), state_now)


def _rewarded_already(**kwargs: Any) -> list[float]:
    raise AssertionError("ToolTrainer scores its groups itself")
