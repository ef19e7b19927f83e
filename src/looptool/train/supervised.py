"""Supervised steps on labels: samples with the same tools behind one copy of them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from looptool.chat import ChatFormat
from looptool.config import PolicyConfig
from looptool.records import Sample
from looptool.train.packing import Group, pack

if TYPE_CHECKING:
    import torch

    from looptool.train.optimizer import MasterAdamW

Score: TypeAlias = "Callable[[torch.nn.Module, Sequence[Group]], torch.Tensor]"
"""How a row's scored tokens get their log-probs (N,)."""

ROW_TOKENS = 2048
"""Tokens forwarded at once: enough for the matrix products, some 1 MB of activations each."""
FAMILY = 12
"""At most so many samples share one copy of their tools: a batch should not be all alike."""


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

    A move is a call, or an answer without one, and all of them count alike. In a mean over all
    tokens a short refusal would have a fifth of the weight of a call, and in one over completions
    four calls at once no more than one.
    """
    import torch

    num_moves = sum(sum(group.moves) for group in batch)
    total = 0.0
    for row in rows(batch, ROW_TOKENS):
        logps_N = score(model, row)
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
        moves=[example.moves for example in family],
    )
