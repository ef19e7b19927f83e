"""What a packed forward pass keeps for its backward pass: products and attention, no more.

Between two matrix products of a decoder layer lie norms, activation functions, rotations and sums.
What they put out takes as much memory as the products, and costs next to nothing to make again. So
each layer is a checkpoint that keeps the outputs of the former (selective activation
checkpointing); plain checkpointing would keep less and pay a second forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts
from transformers import PreTrainedModel

_aten = torch.ops.aten
_KEPT = {
    _aten.mm.default,
    _aten.addmm.default,
    _aten.bmm.default,
    _aten.baddbmm.default,
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
}


@contextmanager
def keeping_products(
    model: PreTrainedModel, setting: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    """A forward pass within it keeps little; its backward pass makes the rest again in `setting`.

    Without gradients, in eval mode, or for a model without checkpoints it changes nothing.
    """
    able = model.supports_gradient_checkpointing and model.training
    if not (able and torch.is_grad_enabled()):
        yield
        return
    model.gradient_checkpointing_enable(  # type: ignore[no-untyped-call]
        {"use_reentrant": False, "context_fn": partial(_contexts, setting)}
    )
    try:
        yield
    finally:
        model.gradient_checkpointing_disable()  # type: ignore[no-untyped-call]


def _contexts(
    setting: Callable[[], AbstractContextManager[None]],
) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Of one layer: for its forward pass, and for making it again."""
    keeping, reusing = create_selective_checkpoint_contexts(  # type: ignore[no-untyped-call]
        _policy
    )
    return keeping, _within(reusing, setting)


@contextmanager
def _within(
    inner: AbstractContextManager[Any], setting: Callable[[], AbstractContextManager[None]]
) -> Iterator[None]:
    with setting(), inner:
        yield


def _policy(_context: Any, op: Any, *_args: Any, **_kwargs: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if op in _KEPT else CheckpointPolicy.PREFER_RECOMPUTE
