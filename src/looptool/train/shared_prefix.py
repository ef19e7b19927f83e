"""Attention over a packed row: every prefix is computed once, every branch sees it and itself.

Registered with transformers as an attention implementation, so a model's own layers run on the row
of `train.packing` unchanged. Gradients reach the prefix from all of its branches through autograd.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel

from looptool.models.standard import attending
from looptool.train.branches import branch_attention, can_merge, in_row, side_by_side
from looptool.train.packing import Packed, Span

NAME = "looptool_shared_prefix"


def shared_prefix(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Within it, `model(..., packed=Packed)` attends along the packed row."""
    return attending(model, NAME)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    packed: Packed | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a packed row: query (1, H, T, D), key and value (1, K, T, D) -> (1, T, H, D)."""
    assert packed is not None, "the shared-prefix attention runs on packed rows only"
    if kwargs.get("s_aux") is not None or kwargs.get("position_bias") is not None or dropout:
        raise NotImplementedError("attention sinks, biases and dropout have no shared-prefix form")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    sizes = packed.sizes
    queries, keys, values = (torch.split(x, sizes, dim=2) for x in (query, key, value))
    parts: list[torch.Tensor] = []
    for index, span in enumerate(packed.spans):
        prefix, rest = 2 * index, 2 * index + 1
        if len(span.branches) == 1:  # an ordinary sequence
            q, k, v = (torch.cat(x[prefix : rest + 1], dim=2) for x in (queries, keys, values))
            parts.append(_causal(q, k, v, scale, sliding_window, softcap))
            continue
        parts.append(
            _causal(queries[prefix], keys[prefix], values[prefix], scale, sliding_window, softcap)
        )
        of_prefix, own = (keys[prefix], values[prefix]), (keys[rest], values[rest])
        narrow = sliding_window is not None and sliding_window < span.prefix + max(span.branches)
        if softcap is None and not narrow and can_merge(query):
            parts.append(branch_attention(queries[rest], of_prefix, own, span, scale))
        else:
            mask = branch_mask(span, sliding_window, query.device)
            parts.append(
                copied_attention(queries[rest], of_prefix, own, span, mask, scale, softcap)
            )
    return torch.cat(parts, dim=2).transpose(1, 2), None


def copied_attention(
    query_1HSD: torch.Tensor,
    prefix: tuple[torch.Tensor, torch.Tensor],
    own: tuple[torch.Tensor, torch.Tensor],
    span: Span,
    mask_CL: torch.Tensor,
    scale: float,
    softcap: float | None,
) -> torch.Tensor:
    """As `branch_attention`, by a copy of the prefix in front of each branch."""
    key, value = (_with_prefix(a, b, span) for a, b in zip(prefix, own, strict=True))
    query_GHCD = side_by_side(query_1HSD, span.whole)
    return in_row(_scores(query_GHCD, key, value, mask_CL, scale, softcap), span.whole)[None]


def _causal(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
) -> torch.Tensor:
    length = q.shape[2]
    if softcap is None and (window is None or window >= length):
        return F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scale, enable_gqa=k.shape[1] != q.shape[1]
        )
    at = torch.arange(length, device=q.device)
    return _scores(q, k, v, _visible(at, at, window), scale, softcap)


def branch_mask(span: Span, window: int | None, device: torch.device) -> torch.Tensor:
    """(C, P + C): what each position of a branch may see of its prefix and of itself."""
    width = max(span.branches)
    keys = torch.arange(span.prefix + width, device=device)
    return _visible(keys[span.prefix :], keys, window)


def _visible(query_at: torch.Tensor, key_at: torch.Tensor, window: int | None) -> torch.Tensor:
    distance = query_at[:, None] - key_at[None, :]
    seen = distance >= 0
    return seen if window is None else seen & (distance < window)


def _scores(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor,
    scale: float,
    softcap: float | None,
) -> torch.Tensor:
    """Attention of (B, H, Q, D) over (B, K, L, D) under a boolean mask (Q, L)."""
    if softcap is None:
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, scale=scale, enable_gqa=k.shape[1] != q.shape[1]
        )
    repeats = q.shape[1] // k.shape[1]
    k, v = (x.repeat_interleave(repeats, dim=1) for x in (k, v))
    scores = torch.tanh(q @ k.transpose(2, 3) * scale / softcap) * softcap
    weights = scores.masked_fill(~mask, float("-inf")).softmax(-1, dtype=torch.float32)
    return weights.to(q.dtype) @ v


def _with_prefix(prefix_1KPD: torch.Tensor, rest_1KSD: torch.Tensor, span: Span) -> torch.Tensor:
    prefix = prefix_1KPD.expand(len(span.branches), -1, -1, -1)
    return torch.cat([prefix, side_by_side(rest_1KSD, span.whole)], dim=2)


AttentionInterface.register(NAME, attend)
