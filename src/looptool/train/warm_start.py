"""Supervised training of the first policy: the format, and how slots are filled.

A loop of our own and not TRL's SFTTrainer, because it shares what the GRPO update already has:
samples with the same tools are packed behind one copy of them, logits exist at the completions
only, compute is bf16 over fp32 masters without casts, and a killed run goes on bit for bit. None of
the four comes with SFTTrainer on a CPU.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from looptool.chat import ChatFormat, load_format
from looptool.config import PolicyConfig, WarmStartConfig
from looptool.errors import UserError
from looptool.models.load import load_tokenizer
from looptool.records import Checkpoint, Sample
from looptool.train.checkpoint import load_progress, save_progress
from looptool.train.packing import Group, pack
from looptool.train.schedule import warmup_then_decay
from looptool.train.trainable import save_trained, saved, trainable
from looptool.work import Progress

if TYPE_CHECKING:
    import torch

    from looptool.train.optimizer import MasterAdamW

NAME = "warm-start"
ROW_TOKENS = 2048
"""Tokens forwarded at once: enough for the matrix products, some 1 MB of activations each."""
FAMILY = 4
"""At most so many samples share one copy of their tools: a batch should not be all alike."""
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
) -> Checkpoint:
    """Train `start` on the labels of `samples`; goes on from what `out` already holds.

    Samples whose prompt and completion are longer than the policy's limits are left out.
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
    batches = list(_batches(groups, config, seed))
    model, optimizer = trainable(
        policy, start, config.lora, seed, learning_rate=config.learning_rate, max_grad_norm=1.0
    )
    _descend(model, optimizer, batches, config.learning_rate, out / "progress", progress)
    save_trained(model, optimizer, start, Path(done.path), "{}")
    shutil.rmtree(out / "progress", ignore_errors=True)
    return done


def _descend(
    model: torch.nn.Module,
    optimizer: MasterAdamW,
    batches: list[list[Group]],
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
            loss = supervised_step(model, optimizer, batches[step])
            bar.advance(note=f"loss {loss:.3f}")
            if time.monotonic() - written > _SECONDS_BETWEEN_CHECKPOINTS:
                save_progress(kept, optimizer.tensors(), {"step": step + 1})
                written = time.monotonic()


def groups_of(chat: ChatFormat, samples: Sequence[Sample], policy: PolicyConfig) -> list[Group]:
    """Prompts and labels as groups of samples with the same tools; what is too long is left out."""
    families: dict[str, list[Example]] = defaultdict(list)
    for sample in samples:
        if example := _example(chat, sample, policy):
            families[example.tools].append(example)
    return [
        _group(family[first : first + FAMILY])
        for family in families.values()
        for first in range(0, len(family), FAMILY)
    ]


def supervised_step(
    model: torch.nn.Module, optimizer: MasterAdamW, batch: Sequence[Group]
) -> float:
    """One update on the negative log-likelihood a token, averaged over moves; the mean before it.

    A move is a call, or an answer without one, and all of them count alike. In a mean over all
    tokens a short refusal would have a fifth of the weight of a call, and in one over completions
    four calls at once no more than one.
    """
    import torch

    from looptool.train.logprobs import packed_logps

    num_moves = sum(sum(group.moves) for group in batch)
    total = 0.0
    for row in rows(batch, ROW_TOKENS):
        packed = pack(row, next(model.parameters()).device)
        logps_N, _ = packed_logps(model, packed)
        weights = [
            moves / length
            for group in row
            for length, moves in zip(group.scored, group.moves, strict=True)
            for _ in range(length)
        ]
        loss = -(logps_N * torch.tensor(weights, device=logps_N.device)).sum() / num_moves
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    optimizer.step()
    return total


def rows(groups: Sequence[Group], limit: int) -> Iterator[list[Group]]:
    """Consecutive groups of at most `limit` tokens together; a longer one stands alone."""
    row: list[Group] = []
    for group in groups:
        if row and sum(g.num_tokens for g in row) + group.num_tokens > limit:
            yield row
            row = []
        row.append(group)
    if row:
        yield row


class Example(NamedTuple):
    """A sample in tokens; `tools` is what it shares with others."""

    tools: str
    prompt: list[int]
    completion: list[int]
    moves: int


def _example(chat: ChatFormat, sample: Sample, policy: PolicyConfig) -> Example | None:
    prompt = chat.prompt_ids(sample.tools, sample.context)
    completion = chat.completion_ids(sample.label)
    if len(prompt) > policy.max_prompt_tokens or len(completion) > policy.max_new_tokens:
        return None
    tools = " ".join(tool.hash() for tool in sample.tools)
    return Example(tools, prompt, completion, max(1, len(sample.label.calls)))


def _batches(groups: Sequence[Group], config: WarmStartConfig, seed: int) -> Iterator[list[Group]]:
    """Every epoch in another order."""
    order = list(groups)
    for epoch in range(config.epochs):
        random.Random(f"{seed}/{epoch}").shuffle(order)
        yield from rows(order, config.batch_tokens)


def _group(family: Sequence[Example]) -> Group:
    """The longest common prefix of the prompts, and what each sample adds to it."""
    prompts = [example.prompt for example in family]
    low, high = min(prompts), max(prompts)
    shared = next(
        (i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b),
        min(len(low), len(high)),
    )
    return Group(
        prefix=low[:shared],
        branches=[[*example.prompt[shared:], *example.completion] for example in family],
        scored=[len(example.completion) for example in family],
        moves=[example.moves for example in family],
    )
