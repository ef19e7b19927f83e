"""TRL's GRPOTrainer, with every distinct prompt forwarded once.

The arguments, metrics and generation backends are TRL's. Three things differ: rows with the same
prompt are packed behind one copy of it; splitting into steps keeps groups whole; groups without a
reward signal (all advantages zero) are left out of the update, with the loss still divided by all
tokens, so that the gradient is TRL's to rounding. That holds for losses that are sums over tokens
divided by one number for the whole batch, without a KL term: others are refused.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import torch
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from looptool.models.standard import why_not
from looptool.train.logprobs import causal_lm, packed_logps
from looptool.train.packing import Group, pack
from looptool.train.self_check import self_check

logger = logging.getLogger(__name__)

Batch = dict[str, Any]

ROW_TOKENS = {"cpu": 3072, "cuda": 8192}
"""Tokens forwarded and back-propagated at once; a larger group stands alone. Each row's gradients
are added to those before it, a pass over all weights; activations take some 0.5 MB a token in
SmolLM2-135M in bf16, and a CPU's products are no faster on longer rows."""


SUMMED = ("dapo", "cispo", "vespo")
"""TRL's losses of which the parts of a batch add up to the whole."""


class SharedPrefixGRPOTrainer(GRPOTrainer):
    """GRPOTrainer whose update costs P + G·C tokens a group instead of G·(P + C).

    ValueError for a loss that cannot be added up from parts (see `SUMMED`), and for a KL term.
    """

    args: Any  # a GRPOConfig; the parents' annotations are wider
    model: Any
    _buffered_inputs: Any

    def __init__(self, *, args: GRPOConfig, shared_prefix: bool = True, **kwargs: Any) -> None:
        if args.loss_type not in SUMMED or args.beta:
            raise ValueError(
                f"loss_type {args.loss_type!r} with beta {args.beta} is not a sum over the parts "
                f"of a batch; take one of {', '.join(SUMMED)} with beta 0"
            )
        super().__init__(args=args, **kwargs)
        self.tokens_forwarded = 0
        reason = why_not(causal_lm(self.model)) if shared_prefix else "switched off"
        if reason is None and self.accelerator.num_processes > 1:
            reason = "several processes"
        if reason is None and self.aux_loss_enabled:
            reason = "the router's auxiliary loss needs TRL's own pass"
        self.shared_prefix = reason is None
        if shared_prefix and reason is not None:
            logger.warning("shared prefix not used: %s; taking TRL's plain path", reason)

    def check_shared_prefix(self, prompt: list[int], completions: list[list[int]]) -> None:
        """Compare both paths on one group; raises UserError if they are not the same."""
        if self.shared_prefix:
            self_check(self.model, Group.of_completions(prompt, completions), self.temperature)

    def _send_telemetry(self) -> None:
        """Nothing about a training leaves the machine."""

    def _prepare_inputs(self, generation_batch: Any) -> Batch:
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)  # type: ignore[no-any-return]
        every = self.args.steps_per_generation * self.num_iterations
        if self._step % every == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs = self._deal(batch)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]  # type: ignore[no-any-return]

    def training_step(
        self, model: torch.nn.Module, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """One slice of the generation batch, in micro-batches of whole groups."""
        began = time.perf_counter()
        model.train()
        batch = self._prepare_inputs(inputs)
        total = torch.zeros((), device=self.args.device)
        for part in self._micro_batches(batch):
            with self.compute_loss_context_manager():
                loss = self.compute_loss(model, part)
            self.accelerator.backward(loss)
            total += loss.detach()
        self._step += 1
        self._current_train_step_time += time.perf_counter() - began
        if self._step % self.current_gradient_accumulation_steps == 0:
            self._metrics["train"]["step_time"].append(self._current_train_step_time)
            self._current_train_step_time = 0.0
        return total

    def _deal(self, batch: Batch) -> list[Batch]:
        """Deal the groups that carry a signal over the steps of one generation, longest first."""
        groups = [rows for rows in _groups(batch) if bool(batch["advantages"][rows].any())]
        slices: list[list[int]] = [[] for _ in range(self.args.steps_per_generation)]
        lengths = batch["completion_mask"].sum(1)
        for rows in sorted(groups, key=lambda rows: -int(lengths[rows].sum())):
            min(slices, key=lambda rows: int(lengths[rows].sum())).extend(rows)
        return [_take(batch, rows) for rows in slices]

    def _micro_batches(self, batch: Batch) -> Iterator[Batch]:
        """Parts of at most ROW_TOKENS tokens, as the path in use counts them."""
        limit = ROW_TOKENS.get(self.accelerator.device.type, ROW_TOKENS["cuda"])
        rows: list[int] = []
        used = 0
        for group in _groups(batch):
            prompt = int(batch["prompt_mask"][group[0]].sum())
            completion = int(batch["completion_mask"][group].sum())
            if self.shared_prefix:
                parts, tokens = [group], prompt + completion
            else:
                per_row = batch["prompt_ids"].shape[1] + batch["completion_ids"].shape[1]
                parts, tokens = [[row] for row in group], per_row
            for part in parts:
                if rows and used + tokens > limit:
                    yield _take(batch, rows)
                    rows, used = [], 0
                rows += part
                used += tokens
        if rows:
            yield _take(batch, rows)

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **rest: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Log-probs and entropies (B, C) of right-padded completions behind left-padded prompts."""
        plain = compute_aux_loss or any(value is not None for value in rest.values())
        if plain or not self.shared_prefix:
            self.tokens_forwarded += input_ids.numel()
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **rest,
            )
        groups = _to_groups(input_ids, attention_mask, logits_to_keep)
        packed = pack(groups, input_ids.device)
        self.tokens_forwarded += packed.input_ids_1T.numel()
        with self.accelerator.autocast():
            logps_N, entropies_N = packed_logps(model, packed, self.temperature)
        mask_BC = attention_mask[:, -logits_to_keep:].bool()
        logps_BC = logps_N.new_zeros(mask_BC.shape).masked_scatter(mask_BC, logps_N)
        if not compute_entropy:
            return logps_BC, None, None
        return logps_BC, torch.zeros_like(logps_BC).masked_scatter(mask_BC, entropies_N), None


def _to_groups(ids: torch.Tensor, mask: torch.Tensor, num_completion: int) -> list[Group]:
    """Neighbouring rows with equal prompts as groups; rows without a completion are left out."""
    rows = []
    for row, seen in zip(ids, mask.bool(), strict=True):
        prompt = row[:-num_completion][seen[:-num_completion]].tolist()
        rows.append((prompt, row[-num_completion:][seen[-num_completion:]].tolist()))
    groups = []
    for prompt, members in groupby((row for row in rows if row[1]), key=lambda row: row[0]):
        groups.append(Group.of_completions(prompt, [completion for _, completion in members]))
    return groups


def _groups(batch: Batch) -> list[list[int]]:
    """Row numbers of each run of equal prompts."""
    prompts = batch["prompt_ids"].tolist()
    return [list(rows) for _, rows in groupby(range(len(prompts)), key=lambda row: prompts[row])]


def _take(batch: Batch, rows: list[int]) -> Batch:
    """The batch's rows; columns that no row needs are cut, numbers of the whole batch stay."""
    part = {
        key: value[rows] if isinstance(value, torch.Tensor) and value.ndim else value
        for key, value in batch.items()
    }
    width = max(1, int(part["completion_mask"].sum(1).max())) if rows else 1
    of_completions = ("completion_ids", "completion_mask", "old_per_token_logps")
    for key in (*of_completions, "importance_sampling_ratio"):
        if key in part:
            part[key] = part[key][:, :width]
    start = part["prompt_mask"].shape[1] - (int(part["prompt_mask"].sum(1).max()) if rows else 1)
    for key in ("prompt_ids", "prompt_mask"):
        part[key] = part[key][:, start:]
    return part
