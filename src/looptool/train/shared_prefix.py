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

from looptool.models.blockwise import attention
from looptool.models.standard import attending
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
    if by_blocks(query, packed, sliding_window, softcap):
        out = attention(query[0], key[0], value[0], packed.blocks, scale)
        return out.transpose(0, 1)[None], None
    queries, keys, values = (torch.split(x, packed.sizes, dim=2) for x in (query, key, value))
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
        mask = branch_mask(span, sliding_window, query.device)
        parts.append(copied_attention(queries[rest], of_prefix, own, span, mask, scale, softcap))
    return torch.cat(parts, dim=2).transpose(1, 2), None


def by_blocks(
    query: torch.Tensor, packed: Packed, window: int | None, softcap: float | None
) -> bool:
    """Whether `models.blockwise` can attend: on a CPU, without a narrow window or a soft cap."""
    narrow = window is not None and window < packed.longest
    return query.device.type == "cpu" and softcap is None and not narrow


def copied_attention(
    query_1HSD: torch.Tensor,
    prefix: tuple[torch.Tensor, torch.Tensor],
    own: tuple[torch.Tensor, torch.Tensor],
    span: Span,
    mask_CL: torch.Tensor,
    scale: float,
    softcap: float | None,
) -> torch.Tensor:
    """(1, H, S, D): what the S tokens of the branches read, each branch causally.

    `prefix` and `own` are keys and values, (1, K, P, D) and (1, K, S, D). A copy of the prefix
    stands in front of each branch.
    """
    key, value = (_with_prefix(a, b, span) for a, b in zip(prefix, own, strict=True))
    return _in_row(
        _scores(_side_by_side(query_1HSD, span), key, value, mask_CL, scale, softcap), span
    )


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
    return torch.cat([prefix, _side_by_side(rest_1KSD, span)], dim=2)


def _side_by_side(x_1HSD: torch.Tensor, span: Span) -> torch.Tensor:
    """The branches as (G, H, C, D); what fills the gaps is zero."""
    group, width = len(span.branches), max(span.branches)
    padded = x_1HSD.new_zeros(x_1HSD.shape[1], group * width, x_1HSD.shape[-1])
    padded = padded.index_copy(1, span.flat_S, x_1HSD[0])
    return padded.view(padded.shape[0], group, width, -1).transpose(0, 1)


def _in_row(x_GHCD: torch.Tensor, span: Span) -> torch.Tensor:
    """The inverse: (1, H, S, D), one branch after the other."""
    flat = x_GHCD.transpose(0, 1).reshape(x_GHCD.shape[1], -1, x_GHCD.shape[-1])
    return flat.index_select(1, span.flat_S)[None]


AttentionInterface.register(NAME, attend)
