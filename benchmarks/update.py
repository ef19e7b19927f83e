"""How near the update comes to the machine's own matrix-product rate, measured in the same run.

    python benchmarks/update.py --shape small --dtype float32 --threads 1

The share is (floating-point operations that the update needs: 6 a weight and token, the output
projection at scored positions only, no attention) / (seconds * GEMM rate). Attention, element-wise
work, the optimiser and recomputation all count against it. On a busy machine use one thread:
processor seconds are taken, which waiting for others does not lengthen.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

SHAPES = {"small": (2, 540, 8), "large": (2, 1000, 16)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "looptool")
    options = parser.parse_args()
    import torch

    from looptool.config import PolicyConfig
    from looptool.models.load import base_checkpoint, load_model
    from looptool.train.logprobs import packed_logps
    from looptool.train.optimizer import MasterAdamW
    from looptool.train.packing import Group, pack

    if options.threads:
        torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    torch.manual_seed(0)
    model = load_model(base_checkpoint(PolicyConfig(), options.cache), options.dtype, train=True)
    optimizer = MasterAdamW(model, lr=1e-6, max_grad_norm=1.0)
    num, length, size = SHAPES[options.shape]

    def ids(count: int) -> list[int]:
        return torch.randint(100, 40_000, (count,)).tolist()

    groups = [
        Group.of_completions(ids(length), [ids(int(n)) for n in torch.randint(16, 65, (size,))])
        for _ in range(num)
    ]
    rows = [pack([group]) for group in groups]
    tokens = sum(row.input_ids_1T.numel() for row in rows)
    scored = sum(len(row.target_N) for row in rows)
    plain = sum(length * size + group.num_tokens - length for group in groups)
    x = torch.randn(1024, 576).to(model.dtype)
    weight = torch.randn(1536, 576).to(model.dtype)
    update, product = float("inf"), float("inf")
    for _ in range(options.repeats):
        for _ in range(20):
            began = clock()
            torch.nn.functional.linear(x, weight)
            product = min(product, clock() - began)
        began = clock()
        for row in rows:
            (packed_logps(model, row)[0].sum() / scored).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        update = min(update, clock() - began)
    rate = 2 * 1024 * 576 * 1536 / product
    layers = sum(p.numel() for name, p in model.named_parameters() if ".layers." in name)
    head = model.get_output_embeddings().weight.numel()  # type: ignore[no-untyped-call]
    needed = 6 * (layers * tokens + head * scored)
    figures = {
        "shape": options.shape,
        "dtype": options.dtype,
        "threads": torch.get_num_threads(),
        "tokens": tokens,
        "tokens_plain": plain,
        "seconds": round(update, 2),
        "tokens_per_second": round(tokens / update, 1),
        "gemm_gflops": round(rate / 1e9, 1),
        "share_of_gemm_rate": round(needed / update / rate, 3),
    }
    for name, value in figures.items():
        print(f"{name:20}{value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
