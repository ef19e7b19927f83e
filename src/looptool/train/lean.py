"""What a packed forward pass keeps for its backward pass: little beyond the products.

Between two matrix products of a decoder layer lie norms and gates. What autograd keeps of them
takes more memory than the products do, and costs next to nothing to make again: a norm keeps its
input here, and a gated MLP the two products that its gate joins. Selective checkpoints would keep
as little, at a fifth of the update's time for their bookkeeping.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint


@contextmanager
def lean(model: torch.nn.Module) -> Iterator[None]:
    """Within it a forward pass with gradients keeps less; its outputs are what they were."""
    replaced = []
    if torch.is_grad_enabled():
        for module in model.modules():
            if (forward := _lean_forward(module)) is not None:
                module.forward = forward
                replaced.append(module)
    try:
        yield
    finally:
        for module in replaced:
            del module.forward


def _lean_forward(module: torch.nn.Module) -> Any:
    if _is_rms_norm(module):
        return partial(_rms_norm, module)
    if _is_gated_mlp(module):
        return partial(_gated_mlp, module)
    return None


def _is_rms_norm(module: torch.nn.Module) -> bool:
    """Whether it computes `weight * x / rms(x)`, found out by trying."""
    if not type(module).__name__.endswith("RMSNorm") or _epsilon(module) is None:
        return False
    weight = getattr(module, "weight", None)
    return weight is not None and weight.ndim == 1 and _same_norm(module)


_SAME: dict[tuple[type, torch.dtype], bool] = {}


def _same_norm(module: torch.nn.Module) -> bool:
    weight: Any = module.weight
    kind = type(module), weight.dtype  # they may round in another order
    if kind not in _SAME:
        x = torch.linspace(-3, 2, 2 * len(weight), device=weight.device, dtype=weight.dtype)
        x = x.view(2, -1)
        with torch.no_grad():
            _SAME[kind] = torch.equal(module(x), _rms_norm(module, x))
    return _SAME[kind]


def _epsilon(module: torch.nn.Module) -> float | None:
    return getattr(module, "variance_epsilon", getattr(module, "eps", None))


def _rms_norm(module: Any, x: torch.Tensor) -> torch.Tensor:
    out: torch.Tensor = _RMSNorm.apply(x, module.weight, _epsilon(module))  # type: ignore[no-untyped-call]
    return out


class _RMSNorm(torch.autograd.Function):
    """`weight * x / rms(x)` over the last dimension (arXiv 1910.07467), in fp32."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        whole = x.float()
        scale = torch.rsqrt(whole.square().mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(x, weight, scale)
        return weight * (whole * scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        x, weight, scale = ctx.saved_tensors
        size = x.shape[-1]
        unit_NE = (x.float() * scale).reshape(-1, size)
        grad_NE = grad.float().reshape(-1, size)
        both_NE = grad_NE * unit_NE
        to_weight = both_NE.sum(0).to(weight.dtype) if ctx.needs_input_grad[1] else None
        along_N1 = (both_NE @ weight.float())[:, None].div_(size)
        to_x = (grad_NE * weight).addcmul_(unit_NE, along_N1, value=-1)
        return to_x.view(x.shape).mul_(scale).to(x.dtype), to_weight, None


_GATED = ("act_fn", "down_proj", "gate_proj", "up_proj")


def _is_gated_mlp(module: torch.nn.Module) -> bool:
    """Whether its forward is `down_proj(act_fn(gate_proj(x)) * up_proj(x))`: it names no more."""
    if not all(hasattr(module, part) for part in _GATED):
        return False
    return tuple(sorted(type(module).forward.__code__.co_names)) == _GATED


def _gated_mlp(module: Any, x: torch.Tensor) -> torch.Tensor:
    # The recomputation stops where the last product has what it needs: it is not made twice.
    gate, up = module.gate_proj(x), module.up_proj(x)
    out: torch.Tensor = checkpoint(
        _join, module, gate, up, use_reentrant=False, preserve_rng_state=False
    )
    return out


def _join(module: Any, gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    joined: torch.Tensor = module.down_proj(module.act_fn(gate) * up)
    return joined
