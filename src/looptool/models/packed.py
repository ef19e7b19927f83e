"""Linear layers whose weights are laid out once for oneDNN's products, for generating on CPUs.

PyTorch lays a bf16 weight out anew in every product, which for the few rows of a decoding step
takes longer than the product (docs/performance.md). The outputs are the same to the bit. The two
operators are those that PyTorch's own compiler uses; where they are missing nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

ROWS = 16
"""Rows that the layout is asked for; others take as long with it as with their own."""


class PackedLinears:
    """The linear layers of a model, and what is laid out of their weights.

    Weights that do not train are laid out once, those that do for each use: they will have changed.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._layers = [m for m in model.modules() if type(m) is torch.nn.Linear and _suits(m)]
        self._packed: dict[torch.nn.Linear, tuple[tuple[int, int], torch.Tensor]] = {}

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within it, and without gradients, the model's products go by the packed weights."""
        for layer in self._layers:
            weight = layer.weight
            state = (weight.data_ptr(), weight._version)
            if layer not in self._packed or self._packed[layer][0] != state:
                packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
                self._packed[layer] = state, packed
            layer.forward = partial(_product, self._packed[layer][1], layer.bias)  # type: ignore[method-assign]
        try:
            yield
        finally:
            for layer in self._layers:
                vars(layer).pop("forward", None)
                if layer.weight.requires_grad:
                    self._packed.pop(layer, None)


def _suits(layer: torch.nn.Linear) -> bool:
    """Whether oneDNN has a layout of its own for the weight, and PyTorch the operators."""
    weight = layer.weight
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.bfloat16
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


def _product(packed: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor) -> torch.Tensor:
    linear: Any = torch.ops.mkldnn._linear_pointwise
    out: torch.Tensor = linear(x, packed, bias, "none", [], "")
    return out
