"""Which type computes fastest on this machine.

bf16 wins wherever the hardware multiplies it natively (GPUs, AMX); on CPUs that only have
AVX-512 BF16 the fp32 kernels can be the faster ones, so it is measured.
"""

from __future__ import annotations

import time

from pydantic import Field

from looptool.records import Record

ROWS, INNER, COLUMNS = 512, 576, 1536
"""The matrix product that is timed: a small model's MLP over a prompt."""


class Precision(Record):
    """The type to compute in, and the GEMM rates (GFLOP/s) that it was chosen by."""

    dtype: str
    rates: dict[str, float] = Field(default_factory=dict)


def choose_precision(asked: str) -> Precision:
    """`asked` itself, unless it is "auto": then what is fastest here."""
    import torch

    if asked != "auto":
        return Precision(dtype=asked)
    if torch.cuda.is_available():
        return Precision(dtype="bfloat16")
    rates = {name: _rate(getattr(torch, name)) for name in ("bfloat16", "float32")}
    return Precision(dtype=max(rates, key=lambda name: rates[name]), rates=rates)


def _rate(dtype: object) -> float:
    """The best of some runs, in GFLOP/s: others on the machine only ever slow one down."""
    import torch

    rows = torch.randn(ROWS, INNER).to(dtype)  # type: ignore[call-overload]
    weight = torch.randn(COLUMNS, INNER).to(dtype)  # type: ignore[call-overload]
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        for _ in range(4):
            torch.nn.functional.linear(rows, weight)
        best = min(best, (time.perf_counter() - start) / 4)
    return round(2 * ROWS * INNER * COLUMNS / best / 1e9, 1)
