"""Greedy outputs with their perplexities: LoopTool's engine against two plain passes.

    python benchmarks/probe.py --prompts 200 --dtype float32 --repeats 3
    python benchmarks/probe.py --prompts 6 --tokens 4 --layers 2 --repeats 1   # does it run?

The engine gets both in one pass. The peer runs transformers' `generate` on left-padded batches of
16, then each batch once more for the log-probs of what was generated. Both sides decode the same
prompts (the seed of configs/quickstart.toml) with the same weights in one process, in turn. The
peer takes the prompts in the seed's order; `--sorted` gives it the favour of sorting by length.
Give a trained policy as `--model FOLDER`: outputs are then as short as in a real probe.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent.parent / "configs" / "quickstart.toml"
Answers = list[tuple[list[int], float]]
"""Tokens and perplexity of each prompt's greedy output."""


def main() -> None:
    options = _options()
    import torch

    from looptool.models.engine import Engine

    model, tokenizer, chat = load_policy(options)
    prompts = seed_prompts(chat, options.prompts)
    lengths = sorted(len(prompt) for prompt in prompts)
    print(
        f"{len(prompts)} prompts of {lengths[0]} to {lengths[-1]} tokens (median "
        f"{statistics.median(lengths):.0f}), at most {options.tokens} new, "
        f"{str(model.dtype).removeprefix('torch.')}, {torch.get_num_threads()} threads",
        flush=True,
    )
    engine = Engine(model, chat)
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    same, apart = 0.0, 0.0
    for _ in range(options.repeats):
        began = time.perf_counter()
        ours = _ours(engine, prompts, options.tokens)
        seconds["ours"].append(time.perf_counter() - began)
        print(f"  ours  {seconds['ours'][-1]:8.1f} s", flush=True)
        began = time.perf_counter()
        peer = _peer(model, tokenizer.pad_token_id, chat.stop_ids, prompts, options)
        seconds["peer"].append(time.perf_counter() - began)
        same, apart = _agreement(ours, peer)
        print(f"  peer  {seconds['peer'][-1]:8.1f} s", flush=True)
    medians = {side: statistics.median(runs) for side, runs in seconds.items()}
    figures = {
        "prompts": len(prompts),
        "dtype": str(model.dtype).removeprefix("torch."),
        "sorted": options.sorted,
        "tokens_generated": sum(len(ids) for ids, _ in ours),
        "ours_s": round(medians["ours"], 2),
        "peer_s": round(medians["peer"], 2),
        "peer_over_ours": round(medians["peer"] / medians["ours"], 2),
        "same_outputs": round(same, 3),
        "largest_difference_of_perplexities": float(f"{apart:.2g}"),
    }
    for name, value in figures.items():
        print(f"{name:36}{value}")
    print(json.dumps({"probe": {**figures, "seconds": seconds}}))


def load_policy(options: argparse.Namespace) -> tuple[Any, Any, Any]:
    """The model that the options name, as deep as they say, its tokenizer and its chat format."""
    from looptool.chat import load_format
    from looptool.config import PolicyConfig
    from looptool.models.load import base_checkpoint, load_model, load_tokenizer

    start = base_checkpoint(PolicyConfig(model=options.model), options.cache)
    tokenizer = load_tokenizer(start)
    model: Any = load_model(start, options.dtype)
    if options.layers:
        del model.model.layers[options.layers :]
        model.config.num_hidden_layers = options.layers
    return model, tokenizer, load_format(PolicyConfig().format, tokenizer)


def seed_prompts(chat: Any, num: int) -> list[list[int]]:
    """Prompts of a seed with as many training samples."""
    from looptool.config import load_config
    from looptool.seed.make import make_seed
    from looptool.teachers.offline.teacher import OfflineTeacher
    from looptool.work import InMemory

    config = load_config(CONFIG)
    data = config.data.model_copy(update={"samples": max(num, 40)})
    seed = make_seed(data, config.seed, OfflineTeacher(config.seed), InMemory())
    prompts = (chat.prompt_ids(sample.tools, sample.context) for sample in seed.train)
    return [ids for ids in prompts if len(ids) <= config.policy.max_prompt_tokens][:num]


def _ours(engine: Any, prompts: Sequence[list[int]], tokens: int) -> Answers:
    from looptool.models.engine import Sampling

    groups = engine.generate_all(prompts, Sampling(max_new_tokens=tokens))
    return [(only.ids, _perplexity(only.logps)) for (only,) in groups]


def _peer(
    model: Any,
    pad: int,
    stop_ids: frozenset[int],
    prompts: Sequence[list[int]],
    options: argparse.Namespace,
) -> Answers:
    order = list(range(len(prompts)))
    if options.sorted:
        order.sort(key=lambda index: len(prompts[index]))
    answers: dict[int, tuple[list[int], float]] = {}
    began = time.perf_counter()
    for first in range(0, len(order), options.batch):
        batch = order[first : first + options.batch]
        found = _two_passes(model, pad, stop_ids, [prompts[i] for i in batch], options.tokens)
        answers |= dict(zip(batch, found, strict=True))
        passed = time.perf_counter() - began
        print(f"  peer  {passed:8.1f} s for {len(answers)} of {len(order)}", flush=True)
    return [answers[i] for i in range(len(order))]


def _two_passes(
    model: Any, pad: int, stop_ids: frozenset[int], prompts: Sequence[list[int]], tokens: int
) -> Answers:
    """Greedy outputs of one left-padded batch, then one forward pass for their log-probs."""
    import torch

    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    with torch.inference_mode():
        whole = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=sorted(stop_ids),
            pad_token_id=pad,
        )
        new = whole[:, width:]
        mask = torch.cat([mask, torch.ones_like(new)], dim=1)
        logits = model(
            input_ids=whole,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp_(min=0),
            use_cache=False,
            logits_to_keep=new.shape[1] + 1,
        ).logits[:, :-1]
        logps = logits.float().log_softmax(-1).gather(-1, new[..., None])[..., 0]
    answers = []
    for row, scores in zip(new.tolist(), logps.tolist(), strict=True):
        stops = [at for at, token in enumerate(row) if token in stop_ids]
        length = stops[0] + 1 if stops else len(row)
        answers.append((row[:length], _perplexity(scores[:length])))
    return answers


def _perplexity(logps: Sequence[float]) -> float:
    return math.exp(-sum(logps) / len(logps))


def _agreement(ours: Answers, peer: Answers) -> tuple[float, float]:
    """The share of equal outputs, and the largest relative difference of their perplexities."""
    equal = [(a[1], b[1]) for a, b in zip(ours, peer, strict=True) if a[0] == b[0]]
    apart = max((abs(a - b) / b for a, b in equal), default=0.0)
    return len(equal) / len(ours), apart


def options_of(doc: str | None, **defaults: int) -> argparse.ArgumentParser:
    """The options of a program that decodes with a policy."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=defaults["prompts"])
    parser.add_argument(
        "--tokens", type=int, default=defaults["tokens"], help="at most so many new ones"
    )
    parser.add_argument("--dtype", choices=("auto", "bfloat16", "float32"), default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--layers", type=int, default=0, help="keep only the first layers")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "looptool")
    return parser


def _options() -> argparse.Namespace:
    parser = options_of(__doc__, prompts=200, tokens=128)
    parser.add_argument("--batch", type=int, default=16, help="rows of the peer's batches")
    parser.add_argument("--sorted", action="store_true", help="the peer sorts by length, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
