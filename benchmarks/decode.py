"""What a step of decoding costs, and what drafts save of it.

    python benchmarks/decode.py --model RUN/models/round-1/weights --repeats 3
    python benchmarks/decode.py --layers 2 --prompts 4 --tokens 8 --repeats 1   # does it run?

First the time of one step, by rows and by tokens read along in each row, with the prices that fit
it best (`STEP_PRICES` in looptool/models/engine.py). Then greedy outputs of one row a prompt and
samples of eight, with drafts and without, in turn. Give a trained policy: the base model repeats
itself, which drafts make look better than they are.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING, Any

from probe import load_policy, options_of, seed_prompts

if TYPE_CHECKING:
    from looptool.models.engine import Engine, Sampling

SHAPES = ((1, 1), (8, 1), (16, 1), (32, 1), (64, 1), (8, 8))
"""Slots and rows in each."""
DEPTHS = (0, 1, 3)
PROMPT = 450


def main() -> None:
    options = options_of(__doc__, prompts=64, tokens=192).parse_args()
    import torch

    from looptool.models.engine import Engine, Sampling

    model, _, chat = load_policy(options)
    print(f"{str(model.dtype).removeprefix('torch.')}, {torch.get_num_threads()} threads")
    engine = Engine(model, chat)
    prompts = seed_prompts(chat, options.prompts)
    print(json.dumps({"prices_ms": _prices(model, options.repeats)}), flush=True)
    for name, sampling in {
        "greedy": Sampling(max_new_tokens=options.tokens),
        "eight samples": Sampling(options.tokens, temperature=1.0, num_samples=8),
    }.items():
        print(json.dumps({name: _saved(engine, prompts, sampling, options.repeats)}), flush=True)


def _prices(model: Any, repeats: int) -> dict[str, float]:
    """Times of steps, printed; the prices that explain them best, in the least squares' sense."""
    import torch

    asked: list[tuple[float, float, float, float]] = []
    took: list[float] = []
    print(f"{'rows':>12}  read along in each, or in one of eight: ms", flush=True)
    for slots, group in SHAPES:
        rows, shown = slots * group, []
        for depth in DEPTHS:
            for every in (1, 8) if depth and rows >= 8 else (1,):
                counts = [1 + depth * (row % every == 0) for row in range(rows)]
                seconds = _step_seconds(model, slots, group, counts, repeats)
                asked.append((1, rows, sum(counts) - rows, depth * rows))
                took.append(1e3 * seconds)
                shown.append(f"{depth}{'' if every == 1 else ' in 1/8'}: {1e3 * seconds:.0f}")
        print(f"{slots:>7} × {group:<3} {'   '.join(shown)}", flush=True)
    weight = 1 / torch.tensor(took)[:, None]  # so that short steps count like long ones
    fit = torch.linalg.lstsq(torch.tensor(asked) * weight, torch.tensor(took)[:, None] * weight)
    names = ("step", "row", "token", "depth")
    return {name: round(float(x), 2) for name, x in zip(names, fit.solution[:, 0], strict=True)}


def _step_seconds(model: Any, slots: int, group: int, counts: list[int], repeats: int) -> float:
    """The fastest of some steps that take in so many tokens of each row."""
    import torch

    from looptool.models.attention import GroupKeys, decoding
    from looptool.models.draw import greedy

    config = model.config
    size = config.hidden_size // config.num_attention_heads
    shape = (config.num_key_value_heads, PROMPT, size)
    layers = [
        (torch.randn(shape, dtype=model.dtype), torch.randn(shape, dtype=model.dtype))
        for _ in range(config.num_hidden_layers)
    ]
    keys = GroupKeys(slots, group, torch.device("cpu"))
    for slot in range(slots):
        keys.admit(slot, layers)
    best = float("inf")
    with torch.inference_mode(), decoding(model):
        for _ in range(repeats + 1):
            ids = torch.randint(5, config.vocab_size, (1, sum(counts)))
            began = time.perf_counter()
            keys.begin_step(counts)
            out = model(input_ids=ids, position_ids=keys.positions_1N, use_cache=False, keys=keys)
            greedy(out.logits[0].float())
            best = min(best, time.perf_counter() - began)
            keys.end_step([1] * len(counts))
    return best


def _saved(
    engine: Engine, prompts: list[list[int]], sampling: Sampling, repeats: int
) -> dict[str, float]:
    """Median seconds and passes of both sides."""
    from looptool.models.drafts import Odds

    most = Odds.MOST
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    hook = engine.model.register_forward_hook(count)
    seconds: dict[str, list[float]] = {"drafts": [], "without": []}
    figures: dict[str, float] = {}
    for _ in range(repeats):
        for side, length in (("drafts", most), ("without", 0)):
            Odds.MOST = length
            passes = 0
            began = time.perf_counter()
            done = engine.generate_all(prompts, sampling)
            seconds[side].append(time.perf_counter() - began)
            figures[f"{side}_passes"] = passes - len(prompts)
            figures[f"{side}_tokens"] = sum(len(row.ids) for group in done for row in group)
    Odds.MOST = most
    hook.remove()
    medians = {side: statistics.median(runs) for side, runs in seconds.items()}
    figures |= {f"{side}_s": round(median, 2) for side, median in medians.items()}
    return figures | {"without_over_drafts": round(medians["without"] / medians["drafts"], 2)}


if __name__ == "__main__":
    main()
