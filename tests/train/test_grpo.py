"""Training turns, resumes bit for bit, learns, and counts what teaches nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.train.ends import Killed, same_weights
from transformers import LlamaForCausalLM

from looptool.chat import load_format
from looptool.config import LoraConfig, PolicyConfig, SupervisedConfig, TrainConfig
from looptool.errors import UserError
from looptool.models.engine import Completion, Engine, Sampling
from looptool.models.load import load_tokenizer
from looptool.records import Checkpoint, Label, Sample, Scenario
from looptool.train import grpo, task
from looptool.train.logprobs import plain_logps
from looptool.train.packing import Group
from looptool.train.stats import TrainStats
from looptool.work import Silent

CONFIG = TrainConfig(
    steps=4,
    prompts_per_step=3,
    group_size=4,
    max_completion_tokens=6,
    learning_rate=3e-3,
    checkpoint_every=2,
)
LABELS = SupervisedConfig(batch_tokens=2048, learning_rate=1e-2)
Rule = Callable[[list[int]], float]


def score(monkeypatch: pytest.MonkeyPatch, rule: Rule) -> None:
    """The judge of completions is the seam that is faked: a random model calls no tools."""

    def reward(chat: object, sample: Sample, completions: Sequence[list[int]]) -> list[float]:
        return [rule(completion) for completion in completions]

    monkeypatch.setattr(grpo, "reward", reward)
    monkeypatch.setattr(task, "fits", lambda *_: True)


def even(completion: list[int]) -> float:
    return float(completion[0] % 2 == 0)


Trainer = Callable[..., tuple[Checkpoint, TrainStats]]


@pytest.fixture
def run(policy: PolicyConfig, start: Checkpoint, samples: list[Sample], tmp_path: Path) -> Trainer:
    def trained(
        config: TrainConfig, name: str = "a", progress: Silent | None = None, dtype: str = "float32"
    ) -> tuple[Checkpoint, TrainStats]:
        typed = policy.model_copy(update={"dtype": dtype})
        out = tmp_path / name
        return grpo.train(
            config, typed, start, samples, {}, out, "round-1", 7, progress or Silent()
        )

    return trained


@pytest.mark.parametrize(
    ("mini_batches", "num_iterations", "labels", "kills"),
    [(1, 1, True, (1, 3)), (1, 1, False, (3,)), (2, 1, True, (3,)), (1, 2, True, (3,))],
)
def test_a_killed_training_ends_as_an_undisturbed_one(
    run: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    mini_batches: int,
    num_iterations: int,
    labels: bool,
    kills: tuple[int, ...],
) -> None:
    score(monkeypatch, even)
    update = {
        "mini_batches": mini_batches,
        "num_iterations": num_iterations,
        "labels": LABELS if labels else None,
    }
    config = CONFIG.model_copy(update=update)
    whole, stats = run(config)
    for kill_after in kills:
        name = f"killed after {kill_after}"
        with pytest.raises(KeyboardInterrupt):
            run(config, name, Killed(kill_after))
        resumed, resumed_stats = run(config, name)
        assert same_weights(whole, resumed)
        assert [s.mean_reward for s in stats.steps] == [s.mean_reward for s in resumed_stats.steps]
        assert not (Path(resumed.path).parent / "progress").exists()


def test_both_paths_learn_a_task_to_the_same_reward(
    run: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(monkeypatch, even)
    ends = []
    for shared_prefix in (True, False):
        config = CONFIG.model_copy(
            update={"steps": 40, "learning_rate": 0.02, "shared_prefix": shared_prefix}
        )
        _, stats = run(config, str(shared_prefix))
        rewards = [step.mean_reward for step in stats.steps]
        assert sum(rewards[-10:]) > sum(rewards[:10]) + 1.2, rewards
        ends.append(sum(rewards[-10:]) / 10)
    assert abs(ends[0] - ends[1]) < 0.1, ends


@pytest.mark.parametrize(
    ("lora", "steps", "parts"), [(None, 1, {}), (LoraConfig(rank=2, alpha=4), 1, {}),
                                 (None, 4, {"mini_batches": 2, "num_iterations": 2})]
)  # fmt: skip
def test_both_paths_take_the_same_steps(
    run: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    lora: LoraConfig | None,
    steps: int,
    parts: dict[str, int],
) -> None:
    score(monkeypatch, even)
    update = {"steps": steps, "lora": lora, "choose_prompts": False, **parts}
    weights = []
    for shared_prefix in (True, False):
        config = CONFIG.model_copy(update=update | {"shared_prefix": shared_prefix})
        trained, _ = run(config, str(shared_prefix))
        weights.append(load_file(Path(trained.path) / "model.safetensors"))
    for name, ours in weights[0].items():
        assert (ours - weights[1][name]).abs().mean() < 1e-5 * steps


@pytest.mark.parametrize(("reward", "kind"), [(0.0, "groups_wrong"), (1.0, "groups_right")])
def test_groups_of_equal_reward_are_counted_and_move_nothing(
    run: Trainer,
    start: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    reward: float,
    kind: str,
) -> None:
    score(monkeypatch, lambda completion: reward)
    trained, stats = run(CONFIG)
    assert same_weights(trained, start)
    assert all(step.groups_used == 0 and step.tokens_forwarded == 0 for step in stats.steps)
    # Three groups, then the bounded refill of three more.
    assert [getattr(step, kind) for step in stats.steps] == [6] * 4


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=2, alpha=4)])
def test_what_bf16_does_not_train_keeps_its_fp32_value(
    run: Trainer, start: Checkpoint, monkeypatch: pytest.MonkeyPatch, lora: LoraConfig | None
) -> None:
    score(monkeypatch, lambda completion: 0.0)
    trained, _ = run(CONFIG.model_copy(update={"lora": lora}), dtype="bfloat16")
    assert same_weights(trained, start)


def test_bf16_and_adapters_train(run: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    score(monkeypatch, even)
    config = CONFIG.model_copy(update={"lora": LoraConfig(rank=2, alpha=4), "mini_batches": 2})
    _, stats = run(config, dtype="bfloat16")
    assert "taught something" in stats.summary()


def test_a_finished_training_is_only_read(run: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    score(monkeypatch, even)
    first = run(CONFIG)
    monkeypatch.setattr(grpo, "trainable", lambda *args: pytest.fail("trained again"))
    assert run(CONFIG) == first


def test_prompts_that_are_all_too_long_are_the_users_to_mend(
    policy: PolicyConfig, start: Checkpoint, samples: list[Sample], tmp_path: Path
) -> None:
    short = policy.model_copy(update={"max_prompt_tokens": 5})
    with pytest.raises(UserError, match="max_prompt_tokens"):
        grpo.train(CONFIG, short, start, samples, {}, tmp_path, "x", 0, Silent())


def test_a_label_longer_than_a_rollout_takes_no_part(
    policy: PolicyConfig, start: Checkpoint, samples: list[Sample]
) -> None:
    chat = load_format(policy.format, load_tokenizer(start))
    lengths = [len(chat.completion_ids(sample.label)) for sample in samples]
    longer = Sample.create(
        samples[0].tools, samples[0].context, Label(calls=samples[0].label.calls * 2),
        Scenario.PARALLEL,
    )  # fmt: skip
    config = CONFIG.model_copy(update={"max_completion_tokens": max(lengths)})
    prepared = task.Task.prepare(config, policy, start, [*samples, longer], {}, 0)
    assert (len(prepared.prompts), prepared.too_long) == (len(samples), 1)
    short = CONFIG.model_copy(update={"max_completion_tokens": min(lengths) - 1})
    with pytest.raises(UserError, match=r"train\.max_completion_tokens"):
        task.Task.prepare(short, policy, start, samples, {}, 0)


def says_words(self: Engine, prompts: list[list[int]], *_: object) -> list[list[Completion]]:
    """A policy that never calls."""
    words = list(self.format.completion_ids(Label(content="No.")))
    return [[Completion(i, words) for _ in range(4)] for i in range(len(prompts))]


def test_what_is_never_right_is_learned_from_labels(
    run: Trainer,
    policy: PolicyConfig,
    start: Checkpoint,
    samples: list[Sample],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chat = load_format(policy.format, load_tokenizer(start))

    def likelihood(checkpoint: Checkpoint) -> float:
        model = LlamaForCausalLM.from_pretrained(checkpoint.path)
        groups = [
            Group.of_completions(
                chat.prompt_ids(s.tools, s.context), [chat.completion_ids(s.label)]
            )
            for s in samples
        ]
        with torch.no_grad():
            return sum(float(plain_logps(model, group).sum()) for group in groups)

    monkeypatch.setattr(Engine, "generate_all", says_words)
    trained, stats = run(CONFIG.model_copy(update={"labels": LABELS, "max_completion_tokens": 120}))
    assert all(step.groups_wrong == 6 for step in stats.steps)
    assert likelihood(trained) > likelihood(start) + 10
    assert not (Path(trained.path).parent / grpo.LABELS).exists()


class Vllm:
    """Stands where TRL keeps vLLM: says the same tokens, with log-probs that are off by some."""

    def __init__(self, off: float, model: Any, **settings: Any) -> None:
        self.off, self.model, self.settings = off, model, settings
        self.synced = 0

    def sync_weights(self) -> None:
        self.synced += 1

    def generate(
        self, prompts: list[list[int]], num_generations: int, **rest: Any
    ) -> tuple[None, list[list[int]], list[list[list[float]]], None]:
        size = num_generations  # TRL takes each prompt as often as it is to be answered
        assert all(prompt == prompts[at - at % size] for at, prompt in enumerate(prompts))
        rows = [said(prompt, at % num_generations) for at, prompt in enumerate(prompts)]
        with torch.no_grad():
            logps = [
                plain_logps(self.model, Group.of_completions(prompt, [ids])) + self.off
                for prompt, ids in zip(prompts, rows, strict=True)
            ]
        return None, rows, [[[logp] for logp in row.tolist()] for row in logps], None


def said(prompt: list[int], row: int) -> list[int]:
    """What any sampler of these tests says, whatever the weights."""
    return [(len(prompt) * 7 + row * 5 + at) % 200 for at in range(2 + row)]


@pytest.mark.parametrize(("off", "worth"), [(0.0, 1.0), (-0.7, 2.0), (0.7, 0.5), (-9.0, 3.0)])
def test_vllm_s_tokens_count_as_much_as_the_policy_would_say_them(
    run: Trainer, monkeypatch: pytest.MonkeyPatch, off: float, worth: float
) -> None:
    score(monkeypatch, even)
    made: list[Vllm] = []

    def vllm(**settings: Any) -> Vllm:
        made.append(Vllm(off, **settings))
        return made[-1]

    def engine(
        self: Engine, prompts: list[list[int]], sampling: Sampling
    ) -> list[list[Completion]]:
        rows = range(sampling.num_samples)
        return [[Completion(i, said(p, row)) for row in rows] for i, p in enumerate(prompts)]

    monkeypatch.setattr("trl.trainer.grpo_trainer.VLLMGeneration", vllm)
    monkeypatch.setattr(Engine, "generate_all", engine)
    ratios: list[torch.Tensor] = []
    whole = grpo.ToolTrainer._ratios

    def seen(self: Any, batch: Any, sampled: torch.Tensor) -> torch.Tensor:
        ratios.append(whole(self, batch, sampled)[batch["completion_mask"].bool()])
        return whole(self, batch, sampled)

    monkeypatch.setattr(grpo.ToolTrainer, "_ratios", seen)
    by_vllm, stats = run(CONFIG.model_copy(update={"vllm": True}), "vllm")
    by_engine, _ = run(CONFIG, "engine")
    assert sum(step.groups_used for step in stats.steps)
    assert made[0].synced == CONFIG.steps
    assert made[0].settings["temperature"] == CONFIG.temperature
    for each in ratios:
        torch.testing.assert_close(each, torch.full_like(each, worth), atol=0.02, rtol=0.01)
    weights = [load_file(Path(c.path) / "model.safetensors") for c in (by_vllm, by_engine)]
    apart = max(float((weights[0][name] - w).abs().mean()) for name, w in weights[1].items())
    assert (apart < 1e-5) == (off == 0.0)
