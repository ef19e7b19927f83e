"""A whole GRPO step, LoopTool's against TRL's own GRPOTrainer, in the same setting.

Each measurement is a fresh process (so that peak memory is its own), the two sides in turn:

    python benchmarks/grpo_step.py --shape small --dtype float32 --repeats 3
    python benchmarks/grpo_step.py --shape tiny --layers 2 --repeats 1   # does it run?

Both start from the same weights and prompts and sample exactly `--completion` tokens a completion,
so that both do the same work, on the GPU if there is one; rewards are made so that no group is of
equal reward. The step that counts is a training's second: the first, on prompts of a few tokens,
pays for what is paid once (kernels made, the optimiser's state, the first pages of memory). TRL
runs with its defaults: batches of 8 rows, gradient checkpointing (`--trl-keeps-activations` turns
that off).
Every run is printed as it ends, then medians and ratios of what there is, last of all as JSON.
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
from types import SimpleNamespace
from typing import Any

from transformers import PrinterCallback, TrainerCallback

SHAPES = {"small": (2, 540, 8), "large": (2, 1000, 16), "tiny": (2, 40, 2)}
"""Prompts, tokens of each (P), completions of each (G)."""
FIGURES = ("step", "rollout", "update", "peak_gb")
WARM_UP = 32
"""Tokens of each prompt of the first step."""
TRL_ROWS = 8
Runs = dict[str, list[dict[str, float]]]


def main() -> None:
    options = _options()
    if options.side:
        print(json.dumps(measure(options)))
        return
    num, prompt, group = SHAPES[options.shape]
    print(f"{num} prompts, P = {prompt}, G = {group}, C = {options.completion}, {options.dtype}")
    runs: Runs = {"ours": [], "trl": []}
    for _ in range(options.repeats):
        for side in runs:
            runs[side].append(_in_a_process(side))
            print(f"  {side:5}{_line(runs[side][-1])}", flush=True)
        print(_table(runs), flush=True)
    setting = {
        name: value for name, value in vars(options).items() if name not in ("side", "cache")
    }
    print(json.dumps({"grpo_step": {**setting, "medians": _medians(runs), "runs": runs}}))


def measure(options: argparse.Namespace) -> dict[str, float]:
    """A step of one side, in this process: seconds, and GB of memory at the peak."""
    trainer = _ours(options) if options.side == "ours" else _trl(options)
    trainer.remove_callback(PrinterCallback)
    clock = _Clock()
    trainer.add_callback(clock)
    trainer._generate_single_turn = clock.generating(trainer._generate_single_turn)
    trainer.train()
    step, rollout = clock.step, clock.rollout
    return {"step": step, "rollout": rollout, "update": step - rollout, "peak_gb": _peak_gb()}


class _Clock(TrainerCallback):
    """Seconds of the last step, and of the generation in it."""

    def __init__(self) -> None:
        self.step = self.rollout = self._began = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began, self.rollout = time.perf_counter(), 0.0

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.step = time.perf_counter() - self._began

    def generating(self, generate: Any) -> Any:
        def timed(*args: Any) -> Any:
            began = time.perf_counter()
            result = generate(*args)
            self.rollout += time.perf_counter() - began
            return result

        return timed


def _peak_gb() -> float:
    """Of the GPU's memory where there is one, else of the process."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _ours(options: argparse.Namespace) -> Any:
    import torch

    from looptool.models.engine import Engine
    from looptool.train.optimizer import MasterAdamW
    from looptool.train.trainer import SharedPrefixGRPOTrainer

    num, _, group = SHAPES[options.shape]
    shared = _shared(options, per_device_train_batch_size=num * group, max_grad_norm=0.0)
    compute = getattr(torch, options.dtype)
    optimizer = MasterAdamW(shared["model"], lr=1e-6, max_grad_norm=1.0, compute=compute)
    trainer: Any = SharedPrefixGRPOTrainer(**shared, optimizers=(optimizer, None))
    endless: Any = SimpleNamespace(stop_ids=frozenset())
    engine = Engine(shared["model"], endless)
    trainer._generate_single_turn = lambda prompts, *rest: _sample(
        engine, prompts[::group], group, options.completion
    )
    return trainer


def _trl(options: argparse.Namespace) -> Any:
    from trl.trainer.grpo_trainer import GRPOTrainer

    num, _, group = SHAPES[options.shape]
    rows = min(TRL_ROWS, num * group)
    shared = _shared(
        options,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=num * group // rows,
        gradient_checkpointing=not options.trl_keeps_activations,
        bf16=options.dtype == "bfloat16",
        generation_kwargs={"min_new_tokens": options.completion},
    )
    return GRPOTrainer(**shared)


def _shared(options: argparse.Namespace, **settings: Any) -> dict[str, Any]:
    """What both trainers get, and what only one of them does."""
    import torch
    from datasets import Dataset
    from trl.trainer.grpo_config import GRPOConfig

    from looptool.config import PolicyConfig
    from looptool.models.load import base_checkpoint, load_model, load_tokenizer

    num, length, group = SHAPES[options.shape]
    start = base_checkpoint(PolicyConfig(model=options.model), options.cache)
    tokenizer = load_tokenizer(start)
    model: Any = load_model(start, "float32", train=True)
    if options.layers:
        del model.model.layers[options.layers :]
        model.config.num_hidden_layers = options.layers
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    common: dict[str, Any] = {
        "output_dir": str(options.cache / "out"),
        "num_generations": group,
        "max_completion_length": options.completion,
        "max_steps": 2,
        "shuffle_dataset": False,
        "learning_rate": 1e-6,
        "beta": 0.0,
        "bf16": False,
        "gradient_checkpointing": False,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    return {
        "model": model,
        "reward_funcs": [_uneven],
        "args": GRPOConfig(**common | settings),
        "train_dataset": Dataset.from_dict(
            {"prompt": prompts_of(tokenizer, num, WARM_UP) + prompts_of(tokenizer, num, length)}
        ),
        "processing_class": tokenizer,
    }


def _sample(
    engine: Any, prompts: Sequence[list[int]], group: int, length: int
) -> tuple[list[list[int]], None]:
    from looptool.models.engine import Sampling

    sampling = Sampling(max_new_tokens=length, temperature=1.0, num_samples=group)
    done = engine.generate_all(prompts, sampling)
    return [completion.ids for completions in done for completion in completions], None


def _uneven(completion_ids: Sequence[list[int]], **rest: Any) -> list[float]:
    """Right for every second completion, whatever it says: both sides update on all groups."""
    return [float(i % 2) for i in range(len(completion_ids))]


def prompts_of(tokenizer: Any, num: int, length: int) -> list[str]:
    """Texts of `length` tokens that look like tool schemas."""
    field = '{"name": "field_%d", "type": "string", "description": "The value that is meant"}, '
    texts = []
    for seed in range(num):
        ids = tokenizer("".join(field % (seed + i) for i in range(length)))["input_ids"]
        texts.append(tokenizer.decode(ids[:length]))
    return texts


def _in_a_process(side: str) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--side", side]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def _medians(runs: Runs) -> dict[str, dict[str, float]]:
    return {
        side: {name: statistics.median(run[name] for run in of_side) for name in FIGURES}
        for side, of_side in runs.items()
    }


def _table(runs: Runs) -> str:
    ours, trl = _medians(runs).values()
    lines = [f"{'median of ' + str(len(runs['trl'])):14}{'ours':>10}{'TRL':>10}{'TRL / ours':>12}"]
    for name in FIGURES:
        ratio = trl[name] / ours[name]
        lines.append(f"{name:14}{ours[name]:10.2f}{trl[name]:10.2f}{ratio:12.2f}")
    return "\n".join(lines)


def _line(run: dict[str, float]) -> str:
    return "  ".join(f"{name} {run[name]:.2f}" for name in FIGURES)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--completion", type=int, default=64, help="tokens of every completion")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--layers", type=int, default=0, help="keep only the first layers")
    parser.add_argument("--trl-keeps-activations", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "looptool")
    parser.add_argument("--side", choices=("ours", "trl"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
