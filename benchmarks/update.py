"""How near the update comes to the machine's own matrix-product rate, measured in the same run.

    python benchmarks/update.py --shape small --dtype float32 --threads 1
    python benchmarks/update.py --shape tiny --layers 2 --repeats 1   # does it run?

A share is (floating-point operations that the update needs) / (seconds * GEMM rate). Products with
weights need 6 a weight and token, the output projection at scored positions only; `with_attention`
adds attention's own, as MFU does (PaLM, arXiv 2204.02311, appendix B), but only between positions
that see each other. Element-wise work, the optimiser and recomputation count against both. The rate
is the best of the model's own widest product and a square one, in the type of the update and in
bf16. On a busy machine use one thread: processor seconds are taken, which waiting for others does
not lengthen. `--without memory` leaves malloc as it is, `--without blocks` attends by PyTorch's
kernel, with a copy of the prompt's keys in front of each completion, `--without lean` keeps every
activation: what each of them gains.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

SHAPES = {"small": (2, 540, 8), "large": (2, 1000, 16), "tiny": (2, 40, 2)}
PRODUCTS = ((1024, 576, 1536), (1024, 1024, 1024))
Clock = Callable[[], float]


def main() -> None:
    options = _options()
    import torch

    from looptool.config import PolicyConfig
    from looptool.models.load import base_checkpoint, load_model
    from looptool.models.memory import keep_freed_memory
    from looptool.models.precision import choose_precision
    from looptool.train import logprobs, shared_prefix
    from looptool.train.optimizer import MasterAdamW

    if options.threads:
        torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    if "memory" not in options.without:
        keep_freed_memory()
    if "lean" in options.without:
        setattr(logprobs, "lean", lambda *_: nullcontext())  # noqa: B010
    if "blocks" in options.without:
        setattr(shared_prefix, "by_blocks", lambda *_: False)  # noqa: B010
    start = base_checkpoint(PolicyConfig(), options.cache)
    model: Any = load_model(start, "float32", train=True).train()
    if options.layers:
        del model.model.layers[options.layers :]
    compute = getattr(torch, choose_precision(options.dtype).dtype)
    optimizer = MasterAdamW(model, lr=1e-6, max_grad_norm=1.0, compute=compute)
    groups, rows = _rows(options.shape)
    rate, bf16_rate, seconds = 0.0, 0.0, float("inf")
    for number in range(options.repeats):
        rate = max(rate, _gemm_rate(model.dtype, clock))
        bf16_rate = max(bf16_rate, _gemm_rate(torch.bfloat16, clock))
        this = _update(model, optimizer, rows, clock)
        seconds = min(seconds, this)
        print(f"  update {number + 1}: {this:.2f} s; GEMM {rate / 1e9:.0f} GFLOP/s", flush=True)
    tokens = sum(row.input_ids_1T.numel() for row in rows)
    needed, attention = _needed(model, rows), _needed_by_attention(model, groups)
    figures = {
        "shape": options.shape,
        "dtype": str(model.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "without": options.without,
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "tokens": tokens,
        "tokens_plain": sum(len(g.prefix) * (len(g.branches) - 1) + g.num_tokens for g in groups),
        "seconds": round(seconds, 2),
        "tokens_per_second": round(tokens / seconds, 1),
        "gemm_gflops": round(rate / 1e9, 1),
        "bf16_gemm_gflops": round(bf16_rate / 1e9, 1),
        "share_of_gemm_rate": round(needed / seconds / rate, 3),
        "share_of_bf16_gemm_rate": round(needed / seconds / bf16_rate, 3),
        "share_with_attention": round((needed + attention) / seconds / rate, 3),
    }
    for name, value in figures.items():
        print(f"{name:24}{value}")
    print(json.dumps({"update": figures}))


def _rows(shape: str) -> tuple[list[Any], list[Any]]:
    """Groups of random tokens with completions of 16 to 64, and the rows that training makes."""
    import torch

    from looptool.train.packing import Group, pack
    from looptool.train.supervised import ROW_TOKENS
    from looptool.train.supervised import rows as rows_of

    torch.manual_seed(0)
    num, length, size = SHAPES[shape]

    def ids(count: int) -> list[int]:
        return torch.randint(100, 40_000, (count,)).tolist()

    groups = [
        Group.of_completions(ids(length), [ids(int(n)) for n in torch.randint(16, 65, (size,))])
        for _ in range(num)
    ]
    return groups, [pack(row) for row in rows_of(groups, ROW_TOKENS)]


def _update(model: Any, optimizer: Any, rows: list[Any], clock: Clock) -> float:
    """Seconds of forward, backward and optimiser step."""
    from looptool.train.logprobs import packed_logps

    scored = sum(len(row.target_N) for row in rows)
    began = clock()
    for row in rows:
        (packed_logps(model, row)[0].sum() / scored).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return clock() - began


def _gemm_rate(dtype: Any, clock: Clock) -> float:
    """Floating-point operations a second of the fastest product, the best of some runs."""
    import torch

    best = 0.0
    for rows, inner, columns in PRODUCTS:
        x, weight = (torch.randn(n, inner).to(dtype) for n in (rows, columns))
        for _ in range(12):
            began = clock()
            torch.nn.functional.linear(x, weight)
            best = max(best, 2 * rows * inner * columns / (clock() - began))
    return best


def _needed(model: Any, rows: list[Any]) -> int:
    """Floating-point operations of the matrix products with weights, forward and backward."""
    layers = sum(p.numel() for name, p in model.named_parameters() if ".layers." in name)
    head = model.get_output_embeddings().weight.numel()
    tokens = sum(row.input_ids_1T.numel() for row in rows)
    return int(6 * (layers * tokens + head * sum(len(row.target_N) for row in rows)))


def _needed_by_attention(model: Any, groups: list[Any]) -> int:
    """The same of attention's: 12 a pair of positions that see each other, layer, head and size."""
    config = model.config
    size = config.hidden_size // config.num_attention_heads
    pairs = 0
    for group in groups:
        prefix = len(group.prefix)
        pairs += prefix * (prefix + 1) // 2
        pairs += sum(len(b) * prefix + len(b) * (len(b) + 1) // 2 for b in group.branches)
    return int(12 * config.num_hidden_layers * config.num_attention_heads * size * pairs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--dtype", choices=("auto", "bfloat16", "float32"), default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without", nargs="*", choices=("memory", "blocks", "lean"), default=[])
    parser.add_argument("--layers", type=int, default=0, help="keep only the first layers")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "looptool")
    return parser.parse_args()


if __name__ == "__main__":
    main()
