"""Attention by plain matrix products, a block of queries at a time, for CPUs.

PyTorch's attention kernel for CPUs computes at a quarter of the rate that plain products reach,
least of all in bf16 (docs/performance.md). Here a block of queries meets only the keys that some of
it may see: of a causal sequence those up to the block's end, of a branch those of its prefix and
its own. So no scores are computed to be masked but inside a block. Nothing but the inputs is kept
for the backward pass, which makes a block's weights again.

Scores are rounded to the type of the queries before the softmax, whose sums are in fp32: what
transformers' eager attention does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

from looptool.models.blocks import Block


def attention(
    query_HTD: torch.Tensor,
    key_KSD: torch.Tensor,
    value_KSD: torch.Tensor,
    blocks: Sequence[Block],
    scale: float,
) -> torch.Tensor:
    """(H, T, D): what the queries read. H is a multiple of K; blocks count in the S keys.

    The queries are those of the last T keys, and the blocks cover them all.
    """
    out: torch.Tensor = _Attention.apply(query_HTD, key_KSD, value_KSD, blocks, scale)  # type: ignore[no-untyped-call]
    return out


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        blocks: Sequence[Block],
        scale: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.blocks, ctx.scale = blocks, scale
        out, room = torch.empty_like(query), _Room(query, blocks)
        for block in blocks:
            part = _Part(block, query, key, value)
            read = part.weights(scale, room) @ part.value
            part.of_queries(out).copy_(part.back(read))
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        query, key, value = ctx.saved_tensors
        to_query = torch.empty_like(query)
        # Many blocks add to one key: in fp32.
        to_key, to_value = (torch.zeros(key.shape, device=key.device) for _ in range(2))
        room, grad_room = (_Room(query, ctx.blocks) for _ in range(2))
        for block in ctx.blocks:
            part = _Part(block, query, key, value)
            weights, grad_rows = part.weights(ctx.scale, room), part.rows(grad)
            part.add_to_keys(to_value, weights.mT @ grad_rows)
            to_scores = torch.bmm(grad_rows, part.value.mT, out=grad_room.like(weights))
            torch._softmax_backward_data(
                to_scores, weights, -1, weights.dtype, grad_input=to_scores
            )
            read = torch.baddbmm(part.query, to_scores, part.key, beta=0, alpha=ctx.scale)
            part.of_queries(to_query).copy_(part.back(read))
            part.add_to_keys(
                to_key,
                torch.baddbmm(part.key, to_scores.mT, part.query, beta=0, alpha=ctx.scale),
            )
        return to_query, to_key.to(key.dtype), to_value.to(value.dtype), None, None


class _Room:
    """Room for the scores of any of the blocks, used by one after the other.

    New room for each block would cost malloc more than some of the products: it has to look for it
    among all that a training step has freed.
    """

    def __init__(self, query: torch.Tensor, blocks: Sequence[Block]) -> None:
        sizes = ((b.end - b.first) * (b.prefix[1] - b.prefix[0] + b.end - b.start) for b in blocks)
        self.flat = query.new_empty(query.shape[0] * max(sizes))

    def take(self, *shape: int) -> torch.Tensor:
        return self.flat[: math.prod(shape)].view(shape)

    def like(self, x: torch.Tensor) -> torch.Tensor:
        return self.take(*x.shape)


class _Part:
    """A block's queries, keys and values: (K, R, D), R = H / K times its queries, and (K, L, D)."""

    def __init__(
        self, block: Block, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> None:
        self.block = block
        self.num_keys = key.shape[0]
        self.size = block.end - block.first
        self.before = key.shape[1] - query.shape[1]
        self.query, self.key, self.value = self.rows(query), self._seen(key), self._seen(value)

    def weights(self, scale: float, room: _Room) -> torch.Tensor:
        """(K, R, L), each row's sum 1."""
        rows, length = self.query.shape[1], self.key.shape[1]
        scores = room.take(self.num_keys, rows, length)
        torch.baddbmm(scores, self.query, self.key.mT, beta=0, alpha=scale, out=scores)
        inside = scores.view(self.num_keys, -1, self.size, length)[..., -self.size :]
        inside += _mask(self.block.lengths, scores.dtype, scores.device)
        return torch.softmax(scores, -1, out=scores)

    def of_queries(self, x: torch.Tensor) -> torch.Tensor:
        """The block's part of (H, T, D)."""
        return x[:, self.block.first - self.before : self.block.end - self.before]

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """The block's part of (H, T, D), by key head: (K, R, D)."""
        return self.of_queries(x).reshape(self.num_keys, -1, x.shape[-1])

    def back(self, x: torch.Tensor) -> torch.Tensor:
        """(K, R, D) -> (H, Q, D)."""
        return x.view(-1, self.size, x.shape[-1])

    def _seen(self, x: torch.Tensor) -> torch.Tensor:
        own = x[:, self.block.start : self.block.end]
        first, end = self.block.prefix
        return torch.cat([x[:, first:end], own], 1) if end > first else own

    def add_to_keys(self, whole: torch.Tensor, x: torch.Tensor) -> None:
        """Add what belongs to the keys seen to their places among all."""
        first, end = self.block.prefix
        whole[:, first:end] += x[:, : end - first]
        whole[:, self.block.start : self.block.end] += x[:, end - first :]


@lru_cache(maxsize=512)
def _mask(lengths: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(Q, Q): 0 on what a query of the block sees of the block, -inf elsewhere."""
    size = sum(lengths)
    sequence_Q = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
    seen = (sequence_Q[:, None] == sequence_Q) & torch.ones(size, size, dtype=torch.bool).tril()
    return torch.zeros(size, size, dtype=dtype).masked_fill_(~seen, -torch.inf).to(device)
