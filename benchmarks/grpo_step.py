"""A whole GRPO step, LoopTool's against TRL's own GRPOTrainer, in the same setting.

Each measurement is a fresh process (so that peak memory is its own), the two sides in turn:

    python benchmarks/grpo_step.py --shape small --dtype float32 --repeats 3

Both start from the same weights and prompts and sample until `--completion` tokens; rewards are
made so that no group is of equal reward. TRL runs with its defaults (gradient checkpointing on).
Prints a table of medians and ratios, and the same as JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SHAPES = {"small": (2, 540, 8), "large": (2, 1000, 16)}
FIGURES = ("step", "rollout", "update", "peak_gb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--completion", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "looptool")
    parser.add_argument("--side", choices=("ours", "trl"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measure(options)))
        return
    sides: dict[str, list[dict[str, float]]] = {"ours": [], "trl": []}
    for _ in range(options.repeats):
        for side, runs in sides.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
            print(f"{side}: {runs[-1]}", file=sys.stderr, flush=True)
    medians = {
        side: {name: statistics.median(run[name] for run in runs) for name in FIGURES}
        for side, runs in sides.items()
    }
    num, prompt, group = SHAPES[options.shape]
    print(f"{num} prompts, P = {prompt}, G = {group}, C <= {options.completion}, {options.dtype}")
    print(f"{'':10}{'ours':>10}{'TRL':>10}{'TRL / ours':>12}")
    for name in FIGURES:
        ours, trl = medians["ours"][name], medians["trl"][name]
        print(f"{name:10}{ours:10.2f}{trl:10.2f}{trl / ours:12.2f}")
    print(json.dumps({"shape": options.shape, "dtype": options.dtype, "medians": medians}))


def measure(options: argparse.Namespace) -> dict[str, float]:
    """One step of one side, in this process."""
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl.trainer.grpo_config import GRPOConfig
    from trl.trainer.grpo_trainer import GRPOTrainer

    from looptool.config import PolicyConfig
    from looptool.models.load import base_checkpoint, load_model, load_tokenizer
    from looptool.train.optimizer import MasterAdamW

    num, length, group = SHAPES[options.shape]
    start = base_checkpoint(PolicyConfig(), options.cache)
    tokenizer = load_tokenizer(start)
    ours = options.side == "ours"
    model: Any = load_model(start, options.dtype if ours else "float32", train=True)
    rows = group if ours else 8
    arguments = GRPOConfig(
        output_dir=str(options.cache / "out"),
        per_device_train_batch_size=num * group if ours else rows,
        gradient_accumulation_steps=1 if ours else num * group // rows,
        num_generations=group,
        max_completion_length=options.completion,
        max_steps=1,
        learning_rate=1e-6,
        beta=0.0,
        bf16=options.dtype == "bfloat16" and not ours,
        max_grad_norm=0.0 if ours else 1.0,
        use_cpu=True,
        dataloader_pin_memory=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        gradient_checkpointing=not ours,
    )
    seconds = {"rollout": 0.0}
    shared: dict[str, Any] = {
        "model": model,
        "reward_funcs": [_uneven],
        "args": arguments,
        "train_dataset": Dataset.from_dict({"prompt": _prompts(tokenizer, num, length)}),
        "processing_class": tokenizer,
    }
    if ours:
        from looptool.chat import load_format
        from looptool.models.engine import Engine
        from looptool.train.trainer import SharedPrefixGRPOTrainer

        optimizer = MasterAdamW(model, lr=1e-6, max_grad_norm=1.0)
        trainer: Any = SharedPrefixGRPOTrainer(**shared, optimizers=(optimizer, None))
        engine = Engine(model, load_format("hermes", tokenizer))
        trainer._generate_single_turn = lambda ids, *rest: _sample(
            engine, ids, group, options.completion
        )
    else:
        trainer = GRPOTrainer(**shared)
    trainer.remove_callback(PrinterCallback)
    generate = trainer._generate_single_turn

    def timed(*args: Any) -> Any:
        began = time.perf_counter()
        result = generate(*args)
        seconds["rollout"] += time.perf_counter() - began
        return result

    trainer._generate_single_turn = timed
    began = time.perf_counter()
    trainer.train()
    step = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"step": step, **seconds, "update": step - seconds["rollout"], "peak_gb": peak}


def _sample(
    engine: Any, prompts: Sequence[list[int]], group: int, length: int
) -> tuple[list[list[int]], None]:
    from looptool.models.engine import Sampling

    sampling = Sampling(max_new_tokens=length, temperature=1.0, num_samples=group)
    done = engine.generate_all(prompts[::group], sampling)
    return [completion.ids for completions in done for completion in completions], None


def _uneven(completion_ids: Sequence[list[int]], **rest: Any) -> list[float]:
    """Right for every second completion, whatever it says: both sides update on all groups."""
    return [float(i % 2) for i in range(len(completion_ids))]


def _prompts(tokenizer: Any, num: int, length: int) -> list[str]:
    """Texts of `length` tokens that look like tool schemas."""
    field = '{"name": "field_%d", "type": "string", "description": "The value that is meant"}, '
    texts = []
    for seed in range(num):
        ids = tokenizer("".join(field % (seed + i) for i in range(length)))["input_ids"]
        texts.append(tokenizer.decode(ids[:length]))
    return texts


if __name__ == "__main__":
    main()
