"""Supervised training on labels: the warm start, and what a round adds to GRPO.

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from looptool.chat import ChatFormat, load_format
from looptool.config import PolicyConfig, SupervisedConfig
from looptool.errors import UserError
from looptool.models.load import load_tokenizer
from looptool.models.standard import why_not
from looptool.records import Checkpoint, Sample
from looptool.train.checkpoint import load_progress, save_progress
from looptool.train.packing import Group, pack
from looptool.train.schedule import warmup_then_decay
from looptool.train.trainable import save_trained, saved, trainable
from looptool.work import Bar, Progress

if TYPE_CHECKING:
    import torch

    from looptool.train.optimizer import MasterAdamW

    Score = Callable[[torch.nn.Module, Sequence[Group]], torch.Tensor]

ROW_TOKENS = 2048
"""Tokens forwarded at once: enough for the matrix products, some 1 MB of activations each."""
FAMILY = 12
"""At most so many samples share one copy of their tools: a batch should not be all alike."""
WORDING = 0.2
"""What a token of an answer in words weighs after the first. The first is the decision not to call;
how it is put is never scored, and at full weight it makes most of the gradient's noise."""
_SECONDS_BETWEEN_CHECKPOINTS = 180.0
_WARMUP_SHARE = 0.1
_WARMUP_STEPS = 10
"""At least: AdamW's first steps go by the signs of single gradients, and as far as its rate says.
Half of a training at most."""


def supervise(
    config: SupervisedConfig,
    policy: PolicyConfig,
    start: Checkpoint,
    samples: Sequence[Sample],
    out: Path,
    name: str,
    seed: int,
    progress: Progress,
    shared_prefix: bool = True,
) -> Checkpoint:
    """Train `start` on the labels of `samples`; goes on from what `out` already holds.

    The new policy is called `name`; every line of progress begins with it.

    Samples whose prompt and completion are longer than the policy's limits are left out. Without
    `shared_prefix`, and for models that cannot take it, each sample is forwarded whole; UserError
    for a model that takes it and comes to other gradients.
    """
    done = Checkpoint(name=name, path=str(out / "weights"), base=start.base)
    if saved(Path(done.path)) is not None:
        return done
    chat = load_format(policy.format, load_tokenizer(start))
    groups = groups_of(chat, samples, policy)
    if not groups:
        raise UserError(
            f"{name}: none of {len(samples)} samples fits policy.max_prompt_tokens = "
            f"{policy.max_prompt_tokens} and policy.max_new_tokens = {policy.max_new_tokens}; "
            "raise what is too small"
        )
    if too_long := len(samples) - sum(len(group.branches) for group in groups):
        progress.say(f"{name}: {too_long} samples too long, left out")
    batches = [
        batch
        for number in range(config.epochs)
        for batch in epoch(groups, config.batch_tokens, seed, number)
    ]
    model, optimizer = trainable(
        policy, start, config.lora, seed, learning_rate=config.learning_rate, max_grad_norm=1.0
    )
    shared = shared_prefix and _can_share(model, groups, name, progress)
    if not shared:
        batches = [[one for group in batch for one in group.apart()] for batch in batches]
    score = packed_row if shared else plain_row
    kept = out / "progress"
    _descend(model, optimizer, batches, score, config.learning_rate, kept, name, progress)
    save_trained(model, optimizer, start, Path(done.path), "{}")
    shutil.rmtree(kept, ignore_errors=True)
    return done


def _can_share(
    model: torch.nn.Module, groups: Sequence[Group], name: str, progress: Progress
) -> bool:
    """Whether the model takes the shared prefix; checked on one group before it is relied on."""
    from looptool.train.logprobs import causal_lm
    from looptool.train.self_check import self_check

    if (reason := why_not(causal_lm(model))) is not None:
        progress.say(f"{name}: shared prefix not used, which is slower: {reason}")
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
    name: str,
    progress: Progress,
) -> None:
    """One optimiser step a batch, from the last checkpoint in `kept` on."""
    first = 0
    if (found := load_progress(kept)) is not None:
        optimizer.load_tensors(found[0])
        first = found[1]["step"]
        del found  # as large as the optimiser's state
    warmup = max(_WARMUP_STEPS, round(len(batches) * _WARMUP_SHARE))
    warmup = max(1, min(warmup, len(batches) // 2))
    written = time.monotonic()
    with progress.task(name, len(batches), first) as bar:
        for step in range(first, len(batches)):
            for group in optimizer.param_groups:
                group["lr"] = peak * warmup_then_decay(step, len(batches), warmup)
            loss = supervised_step(model, optimizer, batches[step], score)
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


def packed_row(model: torch.nn.Module, row: Sequence[Group]) -> torch.Tensor:
    """Log-probs (N,) of a row's scored tokens, each prefix forwarded once."""
    from looptool.train.logprobs import packed_logps

    return packed_logps(model, pack(row, next(model.parameters()).device))[0]


def plain_row(model: torch.nn.Module, row: Sequence[Group]) -> torch.Tensor:
    """The same, one whole sequence at a time."""
    import torch

    from looptool.train.logprobs import plain_logps

    return torch.cat([plain_logps(model, group) for group in row])


def supervised_step(
    model: torch.nn.Module,
    optimizer: MasterAdamW,
    batch: Sequence[Group],
    score: Score = packed_row,
) -> float:
    """One update on the negative log-likelihood a token, averaged over moves; the mean before it.

    A move is a call, or an answer without one, and all of them count alike, but for the wording of
    answers (`token_weights`). In a mean over all tokens a short refusal would have a fifth of the
    weight of a call, and in one over completions four calls at once no more than one.
    """
    moves = _num_moves(batch)
    total = 0.0
    for row in rows(batch, ROW_TOKENS):
        loss = -_log_likelihood(model, row, score) / moves
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    optimizer.step()
    return total


def nats_a_move(
    model: torch.nn.Module, groups: Sequence[Group], bar: Bar, score: Score = packed_row
) -> float:
    """The mean that `supervised_step` descends on, over all groups; `bar` counts their samples."""
    import torch

    total = 0.0
    with torch.no_grad():
        for row in rows(groups, ROW_TOKENS):
            total -= float(_log_likelihood(model, row, score))
            bar.advance(sum(len(group.branches) for group in row))
    return total / _num_moves(groups)


def _num_moves(groups: Sequence[Group]) -> int:
    return sum(max(1, calls) for group in groups for calls in group.calls)


def _log_likelihood(model: torch.nn.Module, row: Sequence[Group], score: Score) -> torch.Tensor:
    """Of a row's completions, each token at its weight, summed."""
    import torch

    logps_N = score(model, row)
    weights = [
        weight
        for group in row
        for length, calls in zip(group.scored, group.calls, strict=True)
        for weight in token_weights(length, calls)
    ]
    return (logps_N * torch.tensor(weights, device=logps_N.device)).sum()


def token_weights(length: int, calls: int) -> list[float]:
    """Weights of a completion's tokens: `calls` in all, or at most 1 for words (no calls)."""
    if calls:
        return [calls / length] * length
    return [1 / length, *[WORDING / length] * (length - 1)]


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
    calls: int


def _example(chat: ChatFormat, sample: Sample, policy: PolicyConfig) -> Example | None:
    prompt = chat.prompt_ids(sample.tools, sample.context)
    completion = chat.completion_ids(sample.label)
    if len(prompt) > policy.max_prompt_tokens or len(completion) > policy.max_new_tokens:
        return None
    tools = " ".join(tool.hash() for tool in sample.tools)
    return Example(tools, prompt, completion, len(sample.label.calls))


def epoch(
    groups: Sequence[Group], batch_tokens: int, seed: int, number: int
) -> Iterator[list[Group]]:
    """All groups in batches of at most `batch_tokens`; every epoch in another order."""
    order = list(groups)
    random.Random(f"{seed}/{number}").shuffle(order)
    return rows(order, batch_tokens)


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
        calls=[example.calls for example in family],
    )
