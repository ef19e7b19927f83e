"""A rollout with the layers between its products compiled, beside the engine as it is.

    python benchmarks/compiled.py --dtype bfloat16 --repeats 3
    python benchmarks/compiled.py --layers 2 --tokens 4 --prompts 1 --repeats 1   # does it run?

The two prompts of the small shape of grpo_step.py, eight samples of each. Four engines in turn, in
one process, with the same weights and draws: `packed` is what LoopTool does, `plain` leaves the
weights as PyTorch has them, `compiled` is plain with norms and MLPs through torch.compile, at any
number of rows, and `norms` is packed with its norms compiled (PyTorch's compiler takes no weights
that are packed already). What compiling takes is printed apart; its cache shortens a second run.
Needs a C++ compiler.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

from grpo_step import prompts_of
from probe import load_policy, options_of

LENGTH = 540
SAMPLES = 8


def main() -> None:
    options = options_of(__doc__, prompts=2, tokens=64).parse_args()
    import torch

    from looptool.models.engine import Engine, Sampling
    from looptool.models.packed import PackedLinears

    model, tokenizer, chat = load_policy(options)
    print(f"{str(model.dtype).removeprefix('torch.')}, {torch.get_num_threads()} threads")
    texts = prompts_of(tokenizer, options.prompts, LENGTH)
    prompts = [tokenizer(text)["input_ids"] for text in texts]
    sampling = Sampling(options.tokens, temperature=1.0, num_samples=SAMPLES)
    engine = Engine(model, chat)
    packed, plain = engine._linears, PackedLinears(torch.nn.Module())
    compiled = _compiled(model)

    def rollout(side: str) -> float:
        for part, call in compiled.items():
            part._compiled_call_impl = call if _wanted(side, part) else None
        engine._linears = packed if side in ("packed", "norms") else plain
        began = time.perf_counter()
        engine.generate_all(prompts, sampling)
        return time.perf_counter() - began

    sides = ("packed", "plain", "compiled", "norms")
    first = {side: rollout(side) for side in sides}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(options.repeats):
        for side in sides:
            seconds[side].append(rollout(side))
            print(f"  {side:9}{seconds[side][-1]:8.2f} s", flush=True)
    medians = {side: statistics.median(runs) for side, runs in seconds.items()}
    figures = {f"{side}_s": round(median, 2) for side, median in medians.items()}
    figures["plain_over_packed"] = round(medians["plain"] / medians["packed"], 2)
    figures["plain_over_compiled"] = round(medians["plain"] / medians["compiled"], 2)
    figures["packed_over_norms"] = round(medians["packed"] / medians["norms"], 2)
    figures["compiling_s"] = round(first["compiled"] - medians["compiled"], 1)
    for name, value in figures.items():
        print(f"{name:24}{value}")
    print(json.dumps({"compiled": {**figures, "seconds": seconds}}))


def _wanted(side: str, part: Any) -> bool:
    return side == "compiled" or (side == "norms" and not hasattr(part, "up_proj"))


def _compiled(model: Any) -> dict[Any, Any]:
    """Each layer's norms and MLP, and what calls them compiled."""
    calls = {}
    for layer in model.model.layers:
        for part in (layer.input_layernorm, layer.post_attention_layernorm, layer.mlp):
            part.compile(dynamic=True)
            calls[part] = part._compiled_call_impl
    return calls


if __name__ == "__main__":
    main()
