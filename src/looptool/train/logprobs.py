"""Log-probabilities of the scored tokens of a packed row, and of nothing else.

The output projection runs on the scored positions only, a chunk of rows at a time, and its logits
are computed again in the backward pass: over a vocabulary of 49k they would be the largest tensor.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from looptool.train.lean import lean
from looptool.train.packing import Group, Packed
from looptool.train.shared_prefix import shared_prefix

_CHUNK = 256
"""Rows whose logits exist at once, in fp32."""
_HELD_BYTES = 96 * 2**20
"""What gradients of logits may take, in the model's type: one product for the rows that fit."""


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
        for first in range(0, len(target_N), _CHUNK):
            at = slice(first, first + _CHUNK)
            logits, _ = _logits(hidden_NE[at], weight_VE, bias_V, scale, softcap, temperature)
            every = logits.log_softmax(-1)
            lse[at] = logits[:, 0] - every[:, 0]
            logps[at] = every.gather(1, target_N[at, None])[:, 0]
            torch.exp(every, out=logits)
            entropies[at] = logits.mul_(every).sum(-1).neg_()
        ctx.save_for_backward(hidden_NE, weight_VE, bias_V, target_N, lse)
        ctx.numbers = (scale, softcap, temperature)
        ctx.mark_non_differentiable(entropies)
        return logps, entropies

    @staticmethod
    def backward(ctx: Any, grad_N: torch.Tensor, _entropies: torch.Tensor) -> Any:
        hidden_NE, weight_VE, bias_V, target_N, lse = ctx.saved_tensors
        scale, _, temperature = ctx.numbers
        wants_weight, wants_bias = ctx.needs_input_grad[1], ctx.needs_input_grad[2]
        to_hidden, to_weight, to_bias = torch.empty_like(hidden_NE), None, None
        rows = max(_CHUNK, _HELD_BYTES // (len(weight_VE) * hidden_NE.element_size()))
        for first in range(0, len(target_N), rows):
            held = slice(first, first + rows)
            to_logits = hidden_NE.new_empty(len(target_N[held]), len(weight_VE))
            for start in range(0, len(to_logits), _CHUNK):
                at = slice(first + start, first + min(start + _CHUNK, len(to_logits)))
                logits, slope = _logits(hidden_NE[at], weight_VE, bias_V, *ctx.numbers)
                grad = logits.sub_(lse[at, None]).exp_().mul_(-grad_N[at, None])
                grad.scatter_add_(1, target_N[at, None], grad_N[at, None])
                grad = grad if slope is None else grad.mul_(slope)
                to_logits[start : start + _CHUNK] = grad.mul_(scale / temperature)
            torch.mm(to_logits, weight_VE, out=to_hidden[held])
            if wants_weight:
                to_weight = _sum(to_weight, to_logits.T @ hidden_NE[held])
            if wants_bias:
                to_bias = _sum(to_bias, to_logits.sum(0))
        return to_hidden, to_weight, to_bias, None, None, None, None


def _sum(first: torch.Tensor | None, second: torch.Tensor) -> torch.Tensor:
    return second if first is None else first.add_(second)


def _logits(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    scale: float,
    softcap: float | None,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Logits in fp32, and the slope of the soft cap where there is one."""
    logits = torch.nn.functional.linear(hidden, weight, bias).float()
    if scale != 1.0:
        logits = logits.mul_(scale)
    slope = None
    if softcap is not None:
        capped = torch.tanh(logits / softcap)
        slope = 1 - capped * capped
        logits = capped.mul_(softcap)
    return (logits.div_(temperature) if temperature != 1.0 else logits), slope
