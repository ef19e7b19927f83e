"""Both paths on one group, before a training relies on the fast one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from looptool.errors import UserError
from looptool.train.logprobs import causal_lm, packed_logps, plain_logps
from looptool.train.packing import Group, pack

# Log-probs: mean absolute difference. Gradients: norm of the difference over the norm.
_LIMITS = {torch.float32: (1e-4, 1e-3), torch.bfloat16: (0.05, 0.1), torch.float16: (0.02, 0.05)}


class _Apart(NamedTuple):
    logps: float
    gradients: float

    def within(self, dtype: torch.dtype) -> bool:
        limit = _LIMITS[dtype]
        return self.logps <= limit[0] and self.gradients <= limit[1]  # NaN is not


def self_check(model: torch.nn.Module, group: Group, temperature: float) -> None:
    """Raise UserError where the two paths differ by more than rounding.

    The gradients compared are those of the first decoder layer that trains, through which every
    other layer's error passes. What a half-precision type leaves of them where the model is all
    but certain of each token is rounding alone, so its verdict is confirmed in fp32.
    """
    dtype = _first_layer(model)[0].dtype
    apart = _compare(model, group, temperature)
    if not apart.within(dtype) and dtype is not torch.float32:
        dtype = torch.float32
        with _in_fp32(model):
            apart = _compare(model, group, temperature)
    if not apart.within(dtype):
        limit, grads_limit = _LIMITS[dtype]
        raise UserError(
            f"the shared-prefix path is not exact for {type(causal_lm(model)).__name__}: log-probs "
            f"differ by {apart.logps:.2g} (limit {limit:g}), gradients by {apart.gradients:.2g} "
            f"(limit {grads_limit:g}); set train.shared_prefix = false, run the same command "
            "again, and report it"
        )


def _compare(model: torch.nn.Module, group: Group, temperature: float) -> _Apart:
    weights = _first_layer(model)
    shared = packed_logps(model, pack([group], weights[0].device), temperature)[0]
    plain = plain_logps(model, group, temperature)
    sign = torch.linspace(-1, 1, len(plain), device=plain.device)
    ours, theirs = (
        torch.cat([g.float().flatten() for g in torch.autograd.grad((x * sign).sum(), weights)])
        for x in (shared, plain)
    )
    return _Apart(
        float((shared - plain).detach().abs().mean()),
        float((ours - theirs).norm() / theirs.norm().clamp(min=1e-12)),
    )


@contextmanager
def _in_fp32(model: torch.nn.Module) -> Iterator[None]:
    """The model with its weights in fp32; afterwards they are the tensors that they were."""
    kept = {p: p.data for p in model.parameters() if p.is_floating_point()}
    try:
        for parameter, data in kept.items():
            parameter.data = data.float()
        yield
    finally:
        for parameter, data in kept.items():
            parameter.data = data


def _first_layer(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    layers = [p for name, p in model.named_parameters() if p.requires_grad and ".layers." in name]
    trainable = layers or [p for p in model.parameters() if p.requires_grad]
    return trainable[: min(8, len(trainable))]
