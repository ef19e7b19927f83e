"""Log-probabilities of the scored tokens of a packed row, and of nothing else.

The output projection runs on the scored positions only, a chunk of rows at a time. Over a
vocabulary of 49k its logits would be the largest tensor: the backward pass finds those of the first
rows where the forward pass left them, in the model's type, and computes the others again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from looptool.train.lean import lean
from looptool.train.packing import Group, Packed
from looptool.train.shared_prefix import shared_prefix

_CHUNK = 256
"""Rows whose logits exist at once, in fp32."""
_HELD_BYTES = 96 * 2**20
"""What logits, and their gradients in the same place, may take in the model's type."""


def packed_logps(
    model: torch.nn.Module, packed: Packed, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs and entropies (no gradient) of the N scored tokens, fp32, at `temperature`."""
    lm = causal_lm(model)
    with shared_prefix(lm), lean(lm):
        hidden_1TE = lm.base_model(
            input_ids=packed.input_ids_1T,
            position_ids=packed.position_ids_1T,
            use_cache=False,
            packed=packed,
        ).last_hidden_state
    hidden_NE = hidden_1TE[0].index_select(0, packed.source_N)
    return head_logps(lm, hidden_NE, packed.target_N, temperature)


def plain_logps(model: torch.nn.Module, group: Group, temperature: float = 1.0) -> torch.Tensor:
    """The group's scored log-probs, one whole sequence at a time, as any peer computes them."""
    lm = causal_lm(model)
    parts = []
    for branch, scored in zip(group.branches, group.scored, strict=True):
        ids = torch.tensor([[*group.prefix, *branch]], device=lm.device)
        logits = lm(input_ids=ids, use_cache=False).logits[0, -scored - 1 : -1].float()
        logps = (logits / temperature).log_softmax(-1)
        parts.append(logps.gather(1, ids[0, -scored:, None])[:, 0])
    return torch.cat(parts)


def head_logps(
    lm: PreTrainedModel, hidden_NE: torch.Tensor, target_N: torch.Tensor, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs and entropies of `target_N` under the model's output projection."""
    head: Any = lm.get_output_embeddings()  # type: ignore[no-untyped-call]
    config = lm.config.get_text_config()
    scale = _logit_scale(config)
    softcap = getattr(config, "final_logit_softcapping", None)
    logps, entropies = _Head.apply(  # type: ignore[no-untyped-call]
        hidden_NE, head.weight, getattr(head, "bias", None), target_N, scale, softcap, temperature
    )
    return logps, entropies


def causal_lm(model: torch.nn.Module) -> PreTrainedModel:
    """The transformers model inside a PEFT wrapper, or the model itself."""
    inner = model.get_base_model() if hasattr(model, "peft_config") else model  # type: ignore[operator]
    assert isinstance(inner, PreTrainedModel)
    return inner


def _logit_scale(config: Any) -> float:
    """What a model's own forward multiplies its logits by (Cohere, Granite)."""
    if getattr(config, "logit_scale", None) is not None:
        return float(config.logit_scale)
    if getattr(config, "logits_scaling", None) is not None:
        return 1 / float(config.logits_scaling)
    return 1.0


class _Head(torch.autograd.Function):
    """log softmax(cap(scale * (h W' + b)) / temperature) at the targets, in chunks of rows."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NE: torch.Tensor,
        weight_VE: torch.Tensor,
        bias_V: torch.Tensor | None,
        target_N: torch.Tensor,
        scale: float,
        softcap: float | None,
        temperature: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logps = hidden_NE.new_empty(len(target_N), dtype=torch.float32)
        lse = torch.empty_like(logps)
        entropies = torch.empty_like(logps)
        kept = None
        if any(ctx.needs_input_grad):
            kept = hidden_NE.new_empty(min(len(target_N), _rows_held(weight_VE)), len(weight_VE))
        for at in _chunks(len(target_N)):
            raw = F.linear(hidden_NE[at], weight_VE, bias_V)
            if kept is not None and at.stop <= len(kept):
                kept[at] = raw
            logits, _ = _logits(raw, scale, softcap, temperature)
            every = logits.log_softmax(-1)
            lse[at] = logits[:, 0] - every[:, 0]
            logps[at] = every.gather(1, target_N[at, None])[:, 0]
            torch.exp(every, out=logits)
            entropies[at] = logits.mul_(every).sum(-1).neg_()
        ctx.save_for_backward(hidden_NE, weight_VE, bias_V, target_N, lse)
        ctx.kept, ctx.numbers = kept, (scale, softcap, temperature)
        ctx.mark_non_differentiable(entropies)
        return logps, entropies

    @staticmethod
    def backward(ctx: Any, grad_N: torch.Tensor, _entropies: torch.Tensor) -> Any:
        hidden_NE, weight_VE, bias_V, target_N, lse = ctx.saved_tensors
        scale, _, temperature = ctx.numbers
        wants_weight, wants_bias = ctx.needs_input_grad[1], ctx.needs_input_grad[2]
        to_hidden, to_weight, to_bias = torch.empty_like(hidden_NE), None, None
        kept, ctx.kept = ctx.kept, None  # gradients take its place: a second pass makes it again
        rows = _rows_held(weight_VE)
        for first in range(0, len(target_N), rows):
            held = slice(first, first + rows)
            if kept is None or first:
                kept = F.linear(hidden_NE[held], weight_VE, bias_V)
            to_logits, targets_N1, grads_N1 = kept, target_N[held, None], grad_N[held, None]
            for at in _chunks(len(to_logits)):
                logits, slope = _logits(to_logits[at], *ctx.numbers)
                grad = logits.sub_(lse[held][at, None]).exp_().mul_(-grads_N1[at])
                grad.scatter_add_(1, targets_N1[at], grads_N1[at])
                grad = grad if slope is None else grad.mul_(slope)
                to_logits[at] = grad.mul_(scale / temperature)
            torch.mm(to_logits, weight_VE, out=to_hidden[held])
            if wants_weight:
                to_weight = _sum(to_weight, to_logits.T @ hidden_NE[held])
            if wants_bias:
                to_bias = _sum(to_bias, to_logits.sum(0))
        return to_hidden, to_weight, to_bias, None, None, None, None


def _sum(first: torch.Tensor | None, second: torch.Tensor) -> torch.Tensor:
    return second if first is None else first.add_(second)


def _rows_held(weight_VE: torch.Tensor) -> int:
    """How many rows of logits fit into `_HELD_BYTES`, in whole chunks."""
    return max(1, _HELD_BYTES // (weight_VE[:, 0].nbytes * _CHUNK)) * _CHUNK


def _chunks(rows: int) -> list[slice]:
    return [slice(first, min(first + _CHUNK, rows)) for first in range(0, rows, _CHUNK)]


def _logits(
    raw: torch.Tensor, scale: float, softcap: float | None, temperature: float
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Logits in fp32 (in their place where they are), and the slope of the soft cap, if any."""
    logits = raw.float()
    if scale != 1.0:
        logits = logits.mul_(scale)
    slope = None
    if softcap is not None:
        capped = torch.tanh(logits / softcap)
        slope = 1 - capped * capped
        logits = capped.mul_(softcap)
    return (logits.div_(temperature) if temperature != 1.0 else logits), slope
