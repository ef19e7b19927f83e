"""How the learning rate runs over a training."""

from __future__ import annotations


def warmup_then_decay(step: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate at `step` of `steps`, counted from 0.

    Linear up to 1 at the last of `warmup` steps, then linear down, to 0 behind the last step: a
    round that ends at full rate ends wherever its last few groups threw it.
    """
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (steps - step) / max(1, steps - warmup))
