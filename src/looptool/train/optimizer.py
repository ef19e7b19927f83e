"""AdamW over fp32 masters of a model that computes in bf16.

The model's own parameters become the bf16 copy: forward, backward and rollouts read them uncast.
Every gradient is added to an fp32 accumulator the moment it is complete and then freed, so
micro-batches add up in fp32; a step updates the masters and writes them back to the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class MasterAdamW(torch.optim.AdamW):
    """AdamW (no weight decay by default) that clips the gradient norm and steps in fp32.

    The masters are the model's values as given; then the model is cast to `compute`, its type from
    here on. In fp32 parameters are their own masters. After a step `grad_norm` holds the norm
    before clipping.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        *,
        lr: float,
        max_grad_norm: float,
        compute: torch.dtype = torch.float32,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
    ) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.copies = [parameter for _, parameter in named]
        whole = compute == torch.float32
        self.masters = [
            p if whole else torch.nn.Parameter(p.detach().float().clone()) for p in self.copies
        ]
        model.to(compute)
        self.max_grad_norm = max_grad_norm
        self.grad_norm = 0.0
        super().__init__(self.masters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
        for copy, master in zip(self.copies, self.masters, strict=True):
            if copy is not master:
                copy.register_post_accumulate_grad_hook(_collect_into(master))  # type: ignore[no-untyped-call]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Clip, update the masters, refresh the model, drop the gradients.

        Without any gradient (no group carried a signal) nothing moves, not even by momentum.
        """
        assert closure is None
        grads = [master.grad for master in self.masters if master.grad is not None]
        if grads:
            norm = torch.nn.utils.clip_grad_norm_(self.masters, self.max_grad_norm, foreach=True)
            self.grad_norm = float(norm)
            super().step()
            self._refresh()
        self.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Masters and moments by name, as a checkpoint keeps them."""
        kept = {}
        for name, master in zip(self.names, self.masters, strict=True):
            kept[f"master.{name}"] = master.detach()
            for key, value in self.state[master].items():
                kept[f"{key}.{name}"] = value.reshape(-1) if value.ndim == 0 else value
        return kept

    def load_tensors(self, kept: dict[str, torch.Tensor]) -> None:
        """The inverse of `tensors`; the model's copies follow."""
        for name, master in zip(self.names, self.masters, strict=True):
            master.data.copy_(kept[f"master.{name}"])
            if f"step.{name}" in kept:
                moments = {key: kept[f"{key}.{name}"] for key in ("exp_avg", "exp_avg_sq")}
                moments["step"] = kept[f"step.{name}"][0]
                self.state[master] = {
                    key: value.to(master.device, copy=True) for key, value in moments.items()
                }
        self._refresh()

    def _refresh(self) -> None:
        pairs = [(c, m) for c, m in zip(self.copies, self.masters, strict=True) if c is not m]
        if pairs:
            copies, masters = zip(*pairs, strict=True)
            with torch.no_grad():
                torch._foreach_copy_(copies, masters)


def _collect_into(master: torch.nn.Parameter) -> Callable[[torch.Tensor], Any]:
    def collect(parameter: torch.Tensor) -> None:
        assert parameter.grad is not None
        if master.grad is None:
            master.grad = parameter.grad.to(torch.float32)
        else:
            master.grad.add_(parameter.grad)
        parameter.grad = None

    return collect
