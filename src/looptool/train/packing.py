"""Sequences that share a prefix, laid out in one row without padding.

A group is a prefix and its branches: in GRPO a prompt and its completions, in the warm start the
tools that several samples share and the rest of each sample. The row holds
`prefix_1 branch_11 … branch_1G prefix_2 …`; every token is in it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from looptool.models.blocks import Block, tree

if TYPE_CHECKING:
    import torch


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
class Span:
    """Where one group lies in the row: its prefix, then its branches, one after the other.

    `flat_S` says where the S tokens of the branches stand where those are side by side, each padded
    to the longest.
    """

    prefix: int
    branches: tuple[int, ...]
    flat_S: torch.Tensor


@dataclass(frozen=True)
class Packed:
    """One row of T tokens and the N scored positions in it, branch by branch.

    `source_N` is where the hidden state lies that predicts the scored token `target_N`; `blocks`
    are those that attention goes by.
    """

    input_ids_1T: torch.Tensor
    position_ids_1T: torch.Tensor
    source_N: torch.Tensor
    target_N: torch.Tensor
    spans: tuple[Span, ...]
    blocks: tuple[Block, ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest prefix with a branch."""
        return max(span.prefix + max(span.branches) for span in self.spans)

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
    spans, blocks = [], []
    for group in groups:
        assert group.prefix and all(group.branches), "prefixes and branches are never empty"
        blocks += tree(len(ids), len(group.prefix), [len(branch) for branch in group.branches])
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
        blocks=tuple(blocks),
    )


def _span(group: Group, device: torch.device | str) -> Span:
    import torch

    lengths = [len(branch) for branch in group.branches]
    flat = [torch.arange(length) + row * max(lengths) for row, length in enumerate(lengths)]
    return Span(len(group.prefix), tuple(lengths), torch.cat(flat).to(device))
