"""Supervised training of the first policy: the format, and how slots are filled.

A loop of our own and not TRL's SFTTrainer, because it shares what the GRPO update already has:
samples with the same tools are packed behind one copy of them, logits exist at the completions
only, compute is bf16 over fp32 masters without casts, and a killed run goes on bit for bit. None of
the four comes with SFTTrainer on a CPU.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from looptool.chat import load_format
from looptool.config import PolicyConfig, WarmStartConfig
from looptool.errors import UserError
from looptool.models.load import load_tokenizer
from looptool.models.standard import why_not
from looptool.records import Checkpoint, Sample
from looptool.train.checkpoint import load_progress, save_progress
from looptool.train.packing import Group
from looptool.train.schedule import warmup_then_decay
from looptool.train.supervised import (
    Score,
    epoch,
    groups_of,
    packed_row,
    plain_row,
    supervised_step,
)
from looptool.train.trainable import save_trained, saved, trainable
from looptool.work import Progress

if TYPE_CHECKING:
    import torch

    from looptool.train.optimizer import MasterAdamW

NAME = "warm-start"
_SECONDS_BETWEEN_CHECKPOINTS = 180.0
_WARMUP_SHARE = 0.1


def warm_start(
    config: WarmStartConfig,
    policy: PolicyConfig,
    start: Checkpoint,
    samples: Sequence[Sample],
    out: Path,
    seed: int,
    progress: Progress,
    shared_prefix: bool = True,
) -> Checkpoint:
    """Train `start` on the labels of `samples`; goes on from what `out` already holds.

    Samples whose prompt and completion are longer than the policy's limits are left out. Without
    `shared_prefix`, and for models that cannot take it, each sample is forwarded whole; UserError
    for a model that takes it and comes to other gradients.
    """
    done = Checkpoint(name=NAME, path=str(out / "weights"), base=start.base)
    if saved(Path(done.path)) is not None:
        return done
    chat = load_format(policy.format, load_tokenizer(start))
    groups = groups_of(chat, samples, policy)
    if not groups:
        raise UserError(
            f"warm start: none of {len(samples)} samples fits policy.max_prompt_tokens = "
            f"{policy.max_prompt_tokens} and policy.max_new_tokens = {policy.max_new_tokens}; "
            "raise what is too small"
        )
    if too_long := len(samples) - sum(len(group.branches) for group in groups):
        progress.say(f"warm start: {too_long} samples too long, left out")
    batches = [
        batch
        for number in range(config.epochs)
        for batch in epoch(groups, config.batch_tokens, seed, number)
    ]
    model, optimizer = trainable(
        policy, start, config.lora, seed, learning_rate=config.learning_rate, max_grad_norm=1.0
    )
    shared = shared_prefix and _can_share(model, groups, progress)
    if not shared:
        batches = [[one for group in batch for one in group.apart()] for batch in batches]
    score = packed_row if shared else plain_row
    _descend(model, optimizer, batches, score, config.learning_rate, out / "progress", progress)
    save_trained(model, optimizer, start, Path(done.path), "{}")
    shutil.rmtree(out / "progress", ignore_errors=True)
    return done


def _can_share(model: torch.nn.Module, groups: Sequence[Group], progress: Progress) -> bool:
    """Whether the model takes the shared prefix; checked on one group before it is relied on."""
    from looptool.train.logprobs import causal_lm
    from looptool.train.self_check import self_check

    if (reason := why_not(causal_lm(model))) is not None:
        progress.say(f"{NAME}: shared prefix not used, which is slower: {reason}")
        return False
    several = [group for group in groups if len(group.branches) > 1] or groups
    self_check(model, min(several, key=lambda group: group.num_tokens), temperature=1.0)
    return True


def _descend(
    model: torch.nn.Module,
    optimizer: MasterAdamW,
    batches: list[list[Group]],
    score: Score,
    peak: float,
    kept: Path,
    progress: Progress,
) -> None:
    """One optimiser step a batch, from the last checkpoint in `kept` on."""
    first = 0
    if (found := load_progress(kept)) is not None:
        optimizer.load_tensors(found[0])
        first = found[1]["step"]
    warmup = max(1, round(len(batches) * _WARMUP_SHARE))
    written = time.monotonic()
    with progress.task(NAME, len(batches), first) as bar:
        for step in range(first, len(batches)):
            for group in optimizer.param_groups:
                group["lr"] = peak * warmup_then_decay(step, len(batches), warmup)
            loss = supervised_step(model, optimizer, batches[step], score)
            bar.advance(note=f"loss {loss:.3f}")
            if time.monotonic() - written > _SECONDS_BETWEEN_CHECKPOINTS:
                save_progress(kept, optimizer.tensors(), {"step": step + 1})
                written = time.monotonic()
