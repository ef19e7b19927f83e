"""Attention of a group's branches: over the prefix that they share, and each over itself.

The two are computed apart and merged by their log-sum-exps, as FlashAttention merges its blocks
(arXiv 2307.08691), so the prefix's keys are read where they lie, by all branches in one call. The
backward pass of each part gets the merged output and log-sum-exp: its gradients are then exact.
PyTorch's CPU kernel takes and returns both; on other devices `train.shared_prefix` has its own way.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from looptool.train.packing import Block, Span

_FORWARD: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
_BACKWARD: Any = getattr(
    torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu_backward", None
)


def can_merge(query: torch.Tensor) -> bool:
    """Whether `branch_attention` takes tensors like this one."""
    return query.device.type == "cpu" and _FORWARD is not None and _BACKWARD is not None


def branch_attention(
    query_1HSD: torch.Tensor,
    prefix: tuple[torch.Tensor, torch.Tensor],
    own: tuple[torch.Tensor, torch.Tensor],
    span: Span,
    scale: float,
) -> torch.Tensor:
    """(1, H, S, D): what the S tokens of the branches read, each branch causally.

    `prefix` and `own` are keys and values, (1, K, P, D) and (1, K, S, D).
    """
    out: torch.Tensor = _Branches.apply(query_1HSD, *prefix, *own, span, scale)  # type: ignore[no-untyped-call]
    return out


class _Branches(torch.autograd.Function):
    """Saves its inputs, its output and one number a query; no scores, no copies of the prefix."""

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        prefix_key: torch.Tensor,
        prefix_value: torch.Tensor,
        own_key: torch.Tensor,
        own_value: torch.Tensor,
        span: Span,
        scale: float,
    ) -> torch.Tensor:
        fold = _Fold(query, prefix_key)
        on_prefix, lse_prefix = _attend(
            fold.rows(query), fold.keys(prefix_key), fold.keys(prefix_value), False, scale
        )
        on_own, lse_own = torch.empty_like(query), lse_prefix.new_empty(*query.shape[:3], 1)
        for block in (_Block(each, query, own_key) for each in span.blocks):
            read, lse = _attend(
                block.rows(query), block.keys(own_key), block.keys(own_value), True, scale
            )
            block.put(read, on_own)
            block.put(lse[..., None], lse_own)
        lse_prefix = fold.back(lse_prefix[..., None])
        lse = torch.logaddexp(lse_prefix, lse_own)
        out = fold.back(on_prefix) * (lse_prefix - lse).exp_()
        out = out.addcmul(on_own.to(out.dtype), (lse_own - lse).exp_()).to(query.dtype)
        ctx.save_for_backward(query, prefix_key, prefix_value, own_key, own_value, out, lse)
        ctx.span, ctx.scale = span, scale
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        query, prefix_key, prefix_value, own_key, own_value, out, lse = ctx.saved_tensors
        fold = _Fold(query, prefix_key)
        to_query, to_prefix_key, to_prefix_value = _BACKWARD(
            fold.rows(grad),
            fold.rows(query),
            fold.keys(prefix_key),
            fold.keys(prefix_value),
            fold.rows(out),
            fold.rows(lse)[..., 0],
            0.0,
            False,
            attn_mask=None,
            scale=ctx.scale,
        )
        gradients = fold.back(to_query), torch.empty_like(own_key), torch.empty_like(own_value)
        for block in (_Block(each, query, own_key) for each in ctx.span.blocks):
            # Over short sequences the kernel takes two to five times as long in bf16 as in fp32.
            from_own, to_own_key, to_own_value = _BACKWARD(
                block.rows(grad).float(),
                block.rows(query).float(),
                block.keys(own_key).float(),
                block.keys(own_value).float(),
                block.rows(out).float(),
                block.rows(lse)[..., 0],
                0.0,
                True,
                attn_mask=None,
                scale=ctx.scale,
            )
            block.add(from_own, gradients[0])
            block.put(block.of_keys(to_own_key), gradients[1])
            block.put(block.of_keys(to_own_value), gradients[2])
        return (
            gradients[0],
            to_prefix_key.sum(0, keepdim=True),
            to_prefix_value.sum(0, keepdim=True),
            *gradients[1:],
            None,
            None,
        )


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, causal: bool, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output (B, H, Q, D) and log-sum-exp (B, H, Q) in fp32."""
    out, lse = _FORWARD(query, key, value, 0.0, causal, attn_mask=None, scale=scale)
    return out, lse


class _Fold:
    """All queries of the H / K heads that share a key head as rows of one head, in N parts.

    The kernel's backward pass runs its (part, head) pairs in parallel: N makes them come out even.
    """

    def __init__(self, query: torch.Tensor, key: torch.Tensor) -> None:
        _, self.num_heads, self.length, _ = query.shape
        self.num_keys = key.shape[1]
        threads = torch.get_num_threads()
        self.parts = threads // math.gcd(threads, self.num_keys)
        rows = self.num_heads // self.num_keys * self.length
        self.padding = -rows % self.parts

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """(1, H, S, D) -> (N, K, R / N, D); what fills the last part up is zero."""
        x = x.reshape(self.num_keys, -1, x.shape[-1])
        if self.padding:
            x = torch.nn.functional.pad(x, (0, 0, 0, self.padding))
        return x.view(self.num_keys, self.parts, -1, x.shape[-1]).transpose(0, 1)

    def keys(self, x: torch.Tensor) -> torch.Tensor:
        return x.expand(self.parts, -1, -1, -1)

    def back(self, x: torch.Tensor) -> torch.Tensor:
        """The inverse of `rows`."""
        x = x.transpose(0, 1).reshape(self.num_keys, -1, x.shape[-1])
        rows = x[:, : x.shape[1] - self.padding]
        return rows.reshape(1, self.num_heads, self.length, x.shape[-1])


def side_by_side(x_1HSD: torch.Tensor, block: Block) -> torch.Tensor:
    """The block's branches as (G, H, C, D); what fills the gaps is zero."""
    group, width = block.shape
    padded = x_1HSD.new_zeros(x_1HSD.shape[1], group * width, x_1HSD.shape[-1])
    padded = padded.index_copy(1, block.flat_N, x_1HSD[0].index_select(1, block.tokens_N))
    return padded.view(padded.shape[0], group, width, -1).transpose(0, 1)


def in_row(x_GHCD: torch.Tensor, block: Block) -> torch.Tensor:
    """The inverse: (H, N, D), the block's tokens one after the other."""
    flat = x_GHCD.transpose(0, 1).reshape(x_GHCD.shape[1], -1, x_GHCD.shape[-1])
    return flat.index_select(1, block.flat_N)


class _Block:
    """A block of branches for the kernel, which wants as many key heads as query heads."""

    def __init__(self, block: Block, query: torch.Tensor, key: torch.Tensor) -> None:
        self.block = block
        self.repeats = query.shape[1] // key.shape[1]

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """(1, H, S, D) -> (G, H, C, D)."""
        return side_by_side(x, self.block)

    def keys(self, x: torch.Tensor) -> torch.Tensor:
        """(1, K, S, D) -> (G, H, C, D)."""
        return self.rows(x).repeat_interleave(self.repeats, dim=1)

    def of_keys(self, x: torch.Tensor) -> torch.Tensor:
        """Gradients (G, H, C, D) of repeated keys -> (G, K, C, D)."""
        return x.view(len(x), -1, self.repeats, *x.shape[2:]).sum(2)

    def put(self, x: torch.Tensor, whole: torch.Tensor) -> None:
        """Write (G, H, C, D) to its places in (1, H, S, D)."""
        whole[0].index_copy_(1, self.block.tokens_N, in_row(x, self.block).to(whole.dtype))

    def add(self, x: torch.Tensor, whole: torch.Tensor) -> None:
        """Add (G, H, C, D) to its places in (1, H, S, D)."""
        whole[0].index_add_(1, self.block.tokens_N, in_row(x, self.block).to(whole.dtype))
