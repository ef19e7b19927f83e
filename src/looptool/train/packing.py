"""Sequences that share a prefix, laid out in one row without padding.

A group is a prefix and its branches: in GRPO a prompt and its completions, in the warm start the
tools that several samples share and the rest of each sample. The row holds
`prefix_1 branch_11 … branch_1G prefix_2 …`; every token is in it once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_CALL_PAIRS = 64**2
"""What one more call of the attention kernel costs, forward and backward, in pairs of tokens."""


@dataclass(frozen=True)
class Group:
    """A prefix (at least one token) and branches that continue it.

    The last `scored[i]` tokens of branch i are those whose log-probs are wanted. `calls[i]` says
    how many calls they are, 0 for an answer in words; a supervised mean weighs them by it.
    """

    prefix: Sequence[int]
    branches: Sequence[Sequence[int]]
    scored: Sequence[int]
    calls: Sequence[int] = ()

    @classmethod
    def of_completions(cls, prompt: Sequence[int], completions: Sequence[Sequence[int]]) -> Group:
        """A prompt and its completions, all of whose tokens are scored."""
        return cls(prompt, completions, [len(completion) for completion in completions])

    def apart(self) -> list[Group]:
        """Each branch as a group of its own, behind its own copy of the prefix."""
        calls = self.calls or [1] * len(self.branches)
        return [
            Group(self.prefix, [branch], [scored], [num])
            for branch, scored, num in zip(self.branches, self.scored, calls, strict=True)
        ]

    @property
    def num_tokens(self) -> int:
        """How many tokens the group puts into a row."""
        return len(self.prefix) + sum(len(branch) for branch in self.branches)


@dataclass(frozen=True)
class Block:
    """G branches of about the same length, side by side and padded to the longest, C.

    Of their tokens `tokens_N` says where they are among the group's branches' tokens, and `flat_N`
    where they stand among the G * C places of the block.
    """

    shape: tuple[int, int]
    tokens_N: torch.Tensor
    flat_N: torch.Tensor


@dataclass(frozen=True)
class Span:
    """Where one group lies in the row: its prefix, then its branches, one after the other.

    `whole` holds all branches in one block, `blocks` those of about the same length in one each.
    """

    prefix: int
    branches: tuple[int, ...]
    whole: Block
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Packed:
    """One row of T tokens and the N scored positions in it, branch by branch.

    `source_N` is where the hidden state lies that predicts the scored token `target_N`.
    """

    input_ids_1T: torch.Tensor
    position_ids_1T: torch.Tensor
    source_N: torch.Tensor
    target_N: torch.Tensor
    spans: tuple[Span, ...]

    @property
    def sizes(self) -> list[int]:
        """Lengths of the row's parts: prefix, branches, prefix, branches, …"""
        return [size for span in self.spans for size in (span.prefix, sum(span.branches))]


def pack(groups: Sequence[Group], device: torch.device | str = "cpu") -> Packed:
    """Lay `groups` out in one row."""
    import torch

    ids: list[int] = []
    positions: list[int] = []
    source: list[int] = []
    target: list[int] = []
    spans = []
    for group in groups:
        assert group.prefix and all(group.branches), "prefixes and branches are never empty"
        last = len(ids) + len(group.prefix) - 1
        ids.extend(group.prefix)
        positions.extend(range(len(group.prefix)))
        for branch, scored in zip(group.branches, group.scored, strict=True):
            start = len(ids)
            first = len(branch) - scored
            source.extend(last if i == 0 else start + i - 1 for i in range(first, len(branch)))
            target.extend(branch[first:])
            ids.extend(branch)
            positions.extend(range(len(group.prefix), len(group.prefix) + len(branch)))
        spans.append(_span(group, device))

    def tensor(values: list[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=device)

    return Packed(
        input_ids_1T=tensor(ids)[None],
        position_ids_1T=tensor(positions)[None],
        source_N=tensor(source),
        target_N=tensor(target),
        spans=tuple(spans),
    )


def _span(group: Group, device: torch.device | str) -> Span:
    lengths = [len(branch) for branch in group.branches]
    return Span(
        prefix=len(group.prefix),
        branches=tuple(lengths),
        whole=_block(range(len(lengths)), lengths, device),
        blocks=tuple(_block(chosen, lengths, device) for chosen in alike(lengths)),
    )


def _block(chosen: Sequence[int], lengths: Sequence[int], device: torch.device | str) -> Block:
    import torch

    starts = [0, *itertools.accumulate(lengths)]
    width = max(lengths[at] for at in chosen)
    tokens = [torch.arange(starts[at], starts[at + 1]) for at in chosen]
    flat = [torch.arange(lengths[at]) + row * width for row, at in enumerate(chosen)]
    return Block((len(chosen), width), torch.cat(tokens).to(device), torch.cat(flat).to(device))


def alike(lengths: Sequence[int]) -> list[list[int]]:
    """Which sequences to pad together, by number, so that attention over each block costs least.

    A block of n sequences padded to c tokens costs n * c**2 pairs and the price of a call.
    """
    order = sorted(range(len(lengths)), key=lambda at: lengths[at])
    best: list[tuple[int, int]] = [(0, 0)]  # of the shortest: what they cost, where the last begins
    for end in range(1, len(order) + 1):
        area = lengths[order[end - 1]] ** 2
        best.append(
            min(
                (best[start][0] + (end - start) * area + _CALL_PAIRS, start) for start in range(end)
            )
        )
    blocks = []
    end = len(order)
    while end:
        start = best[end][1]
        blocks.append(sorted(order[start:end]))
        end = start
    return blocks
