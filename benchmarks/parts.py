"""Parts of the update and the rollout against what they replaced, in one process, in turn.

    python benchmarks/parts.py --threads 1 --repeats 5

Shapes are SmolLM2-135M's. `attention`: forward and backward of one layer's prompt and completions
(`uneven`: samples of 60 to 600 tokens over their tools) by blocks of queries, against PyTorch's
kernel with a copy of the prompt's keys for each completion, padded to the longest. `greedy`
and `sample`: the next tokens of 32 rows and their log-probs, against argmax and one cumulative sum
over the vocabulary, each with a log-sum-exp of its own. `products`: all layers' products with their
weights for one token of 16 rows, as PyTorch has them ("before") against one product for queries,
keys and values and one for gate and up; weights laid out ahead by oneDNN, which generating in bf16
does; by MKL (fp32 only). With one thread processor seconds count.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

HEADS, KEYS, SIZE, VOCABULARY, ROWS = 9, 3, 64, 49_152, 32
LAYERS, WIDTH, INNER = 30, 576, 1536
FEW_ROWS = 16
UNEVEN = [60, 70, 80, 95, 120, 180, 300, 600]
Pair = tuple[Callable[[], object], Callable[[], object]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="float32")
    options = parser.parse_args()
    import torch

    from looptool.models.memory import keep_freed_memory

    if options.threads:
        torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    keep_freed_memory()
    torch.manual_seed(0)
    parts = {
        "attention P=540 G=8": attention(540, [64] * 8, options.dtype),
        "attention P=1000 G=16": attention(1000, [64] * 16, options.dtype),
        "attention, uneven": attention(500, UNEVEN, options.dtype),
        "greedy": greedy(),
        "sample": sample(),
        **products(options.dtype),
    }
    figures = {}
    print(f"{'':24}{'before ms':>12}{'now ms':>12}{'ratio':>8}", flush=True)
    for name, pair in parts.items():
        best = [float("inf"), float("inf")]
        for _ in range(options.repeats):
            for side, fn in enumerate(pair):
                began = clock()
                fn()
                best[side] = min(best[side], clock() - began)
        before, now = (seconds * 1e3 for seconds in best)
        figures[name] = {"before_ms": round(before, 2), "now_ms": round(now, 2)}
        print(f"{name:24}{before:12.2f}{now:12.2f}{before / now:8.2f}", flush=True)
    print(json.dumps({"parts": {"dtype": options.dtype, **figures}}))


def attention(prefix: int, lengths: Sequence[int], dtype: str) -> Pair:
    """Branches of these lengths over a prefix, and the prefix itself."""
    import torch

    from looptool.models import blockwise
    from looptool.train.packing import Group, pack
    from looptool.train.shared_prefix import branch_mask, copied_attention

    packed = pack([Group.of_completions([1] * prefix, [[1] * n for n in lengths])])
    total, kind = prefix + sum(lengths), getattr(torch, dtype)
    query, key, value = given = [
        torch.randn(1, heads, total, SIZE, dtype=kind).requires_grad_()
        for heads in (HEADS, KEYS, KEYS)
    ]
    span, scale = packed.spans[0], SIZE**-0.5
    mask = branch_mask(span, None, query.device)

    def kernel() -> torch.Tensor:
        first, rest = ([x[:, :, at] for x in given] for at in (slice(prefix), slice(prefix, None)))
        of_prefix = torch.nn.functional.scaled_dot_product_attention(
            first[0], first[1], first[2], is_causal=True, scale=scale, enable_gqa=True
        )
        shared, own = (first[1], first[2]), (rest[1], rest[2])
        return torch.cat(
            [of_prefix, copied_attention(rest[0], shared, own, span, mask, scale, None)], 2
        )

    return (
        both_ways(given, kernel),
        both_ways(
            given,
            lambda: blockwise.attention(query[0], key[0], value[0], packed.blocks, scale)[None],
        ),
    )


def both_ways(
    given: list[torch.Tensor], forward: Callable[[], torch.Tensor]
) -> Callable[[], object]:
    """A forward and a backward pass."""
    import torch

    grad = torch.randn_like(given[0])
    return lambda: torch.autograd.grad(forward(), given, grad)


def greedy() -> Pair:
    """The likeliest tokens."""
    import torch

    from looptool.models import draw

    logits = 3 * torch.randn(ROWS, VOCABULARY)
    return lambda: _logps(logits, logits.argmax(-1)), lambda: draw.greedy(logits)


def sample() -> Pair:
    """Tokens drawn at temperature 1."""
    import torch

    from looptool.models import draw

    logits, random = 3 * torch.randn(ROWS, VOCABULARY), torch.Generator()

    def whole() -> object:
        sums = logits.softmax(-1).cumsum(-1, dtype=torch.float64)
        at = torch.rand(ROWS, 1, generator=random, dtype=torch.float64) * sums[:, -1:]
        return _logps(logits, torch.searchsorted(sums, at, right=True)[:, 0])

    return whole, lambda: draw.sample(logits, 1.0, 1, random)


def products(dtype: str) -> dict[str, Pair]:
    """A layer's matrices are those of queries, keys, values, output, gate, up and down."""
    import torch
    from torch.nn import functional as F

    kv = KEYS * SIZE
    layer = [(WIDTH, WIDTH), (kv, WIDTH), (kv, WIDTH), (WIDTH, WIDTH)]
    layer += [(INNER, WIDTH), (INNER, WIDTH), (WIDTH, INNER)]
    kind = getattr(torch, dtype)
    weights = [torch.randn(shape).to(kind) for _ in range(LAYERS) for shape in layer]
    fused = []
    for at in range(0, len(weights), len(layer)):
        q, k, v, out, gate, up, down = weights[at : at + len(layer)]
        fused += [torch.cat([q, k, v]), out, torch.cat([gate, up]), down]
    given = {size: torch.randn(FEW_ROWS, size).to(kind) for size in (WIDTH, INNER)}
    onednn = [(torch.ops.mkldnn._reorder_linear_weight(w, FEW_ROWS), w) for w in weights]
    mkl = []
    if kind == torch.float32:
        mkl = [(torch.ops.mkl._mkl_reorder_linear_weight(w, FEW_ROWS), w) for w in weights]

    @torch.inference_mode()
    def plain(matrices: list[torch.Tensor]) -> None:
        for w in matrices:
            F.linear(given[w.shape[1]], w)

    @torch.inference_mode()
    def by_onednn() -> None:
        for packed, w in onednn:
            torch.ops.mkldnn._linear_pointwise(given[w.shape[1]], packed, None, "none", [], "")

    @torch.inference_mode()
    def by_mkl() -> None:
        for packed, w in mkl:
            torch.ops.mkl._mkl_linear(given[w.shape[1]], packed, w, None, FEW_ROWS)

    before = partial(plain, weights)
    pairs: dict[str, Pair] = {
        "products, fused": (before, partial(plain, fused)),
        "products, oneDNN packs": (before, by_onednn),
    }
    if mkl:
        pairs["products, MKL packs"] = (before, by_mkl)
    return pairs


def _logps(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    return logits.gather(-1, ids[:, None])[:, 0] - logits.logsumexp(-1)


if __name__ == "__main__":
    main()
