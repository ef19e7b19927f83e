"""Both paths on one group, before a training relies on the fast one."""

from __future__ import annotations

import torch

from looptool.errors import UserError
from looptool.train.logprobs import causal_lm, packed_logps, plain_logps
from looptool.train.packing import Group, pack

# Log-probs: mean absolute difference. Gradients: norm of the difference over the norm.
_LIMITS = {torch.float32: (1e-4, 1e-3), torch.bfloat16: (0.05, 0.1), torch.float16: (0.02, 0.05)}


def self_check(model: torch.nn.Module, group: Group, temperature: float) -> None:
    """Raise UserError where the two paths differ by more than rounding.

    The gradients compared are those of the first decoder layer that trains, through which every
    other layer's error passes.
    """
    weights = _first_layer(model)
    shared = packed_logps(model, pack([group], weights[0].device), temperature)[0]
    plain = plain_logps(model, group, temperature)
    sign = torch.linspace(-1, 1, len(plain), device=plain.device)
    grads = [
        torch.cat([g.float().flatten() for g in torch.autograd.grad((x * sign).sum(), weights)])
        for x in (shared, plain)
    ]
    apart = float((shared - plain).detach().abs().mean())
    grads_apart = float((grads[0] - grads[1]).norm() / grads[1].norm().clamp(min=1e-12))
    limit, grads_limit = _LIMITS[weights[0].dtype]
    if not (apart <= limit and grads_apart <= grads_limit):  # NaN is a failure too
        raise UserError(
            f"the shared-prefix path is not exact for {type(causal_lm(model)).__name__}: log-probs "
            f"differ by {apart:.2g} (limit {limit:g}), gradients by {grads_apart:.2g} "
            f"(limit {grads_limit:g}); set train.shared_prefix = false, run the same command "
            "again, and report it"
        )


def _first_layer(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    layers = [p for name, p in model.named_parameters() if p.requires_grad and ".layers." in name]
    trainable = layers or [p for p in model.parameters() if p.requires_grad]
    return trainable[: min(8, len(trainable))]
