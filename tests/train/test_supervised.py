"""Supervised training counts every move alike, resumes bit for bit, and says what does not fit."""

from pathlib import Path

import pytest
from safetensors.torch import load_file
from tests.train.ends import Killed, same_weights

from looptool.config import LoraConfig, PolicyConfig, SupervisedConfig
from looptool.errors import UserError
from looptool.records import Checkpoint, Label, Sample
from looptool.train import supervised
from looptool.train.schedule import warmup_then_decay
from looptool.train.supervised import (
    WORDING,
    groups_of,
    supervise,
    supervised_step,
    token_weights,
)
from looptool.train.trainable import trainable
from looptool.work import Silent


@pytest.mark.parametrize("alone", [True, False])
def test_every_call_counts_as_much_as_an_answer_in_words(
    policy: PolicyConfig, start: Checkpoint, samples: list[Sample], alone: bool
) -> None:
    from looptool.chat import load_format
    from looptool.models.load import load_tokenizer

    chat = load_format(policy.format, load_tokenizer(start))
    three = Label(calls=tuple(call for sample in samples[:3] for call in sample.label.calls))
    words = Label(content="I have no tool for that.")
    labels = [three, words]

    def loss(*labelled: Sample) -> float:
        batch = groups_of(chat, labelled, policy)
        model, optimizer = trainable(policy, start, None, 0, learning_rate=1e-9, max_grad_norm=1.0)
        return supervised_step(model, optimizer, batch)

    calls, refusal = (samples[0].model_copy(update={"label": label}) for label in labels)
    if alone:
        refusal = refusal.model_copy(update={"tools": samples[1].tools})
    assert loss(calls, refusal) == pytest.approx((3 * loss(calls) + loss(refusal)) / 4, rel=1e-4)


def test_how_an_answer_is_put_weighs_less_than_that_nothing_is_called() -> None:
    assert token_weights(4, calls=0) == [1 / 4, *[WORDING / 4] * 3] and 0 < WORDING < 0.5
    assert token_weights(4, calls=2) == [2 / 4] * 4


def test_the_learning_rate_climbs_to_its_peak_and_sinks_to_nothing() -> None:
    rates = [warmup_then_decay(step, 10, 3) for step in range(11)]
    assert max(rates) == rates[2] == rates[3] == 1 and rates[-1] == 0
    assert rates[:3] == sorted(rates[:3]) and rates[3:] == sorted(rates[3:], reverse=True)
    assert warmup_then_decay(0, 1, 0) == 1 and warmup_then_decay(0, 1, 5) == 0.2


def test_a_warm_start_without_a_sample_that_fits_names_both_limits(
    policy: PolicyConfig, start: Checkpoint, samples: list[Sample], tmp_path: Path
) -> None:
    short = policy.model_copy(update={"max_new_tokens": 1})
    with pytest.raises(
        UserError, match=r"max_prompt_tokens = 4096 and policy\.max_new_tokens = 1;"
    ):
        supervise(SupervisedConfig(), short, start, samples, tmp_path, "warm-start", 0, Silent())


@pytest.mark.parametrize("lora", [None, LoraConfig(rank=2, alpha=4)])
def test_a_killed_warm_start_ends_as_an_undisturbed_one(
    policy: PolicyConfig,
    start: Checkpoint,
    samples: list[Sample],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lora: LoraConfig | None,
) -> None:
    monkeypatch.setattr(supervised, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    config = SupervisedConfig(epochs=2, batch_tokens=2048, learning_rate=1e-2, lora=lora)
    whole = supervise(config, policy, start, samples, tmp_path / "a", "warm-start", 0, Silent())
    with pytest.raises(KeyboardInterrupt):
        supervise(config, policy, start, samples, tmp_path / "b", "warm-start", 0, Killed(2))
    resumed = supervise(config, policy, start, samples, tmp_path / "b", "warm-start", 0, Silent())
    assert same_weights(whole, resumed) and not same_weights(whole, start)


def test_without_a_shared_prefix_the_weights_come_out_the_same(
    policy: PolicyConfig, start: Checkpoint, samples: list[Sample], tmp_path: Path
) -> None:
    config = SupervisedConfig(batch_tokens=2048, learning_rate=1e-3)
    shared, plain = (
        supervise(
            config, policy, start, samples, tmp_path / str(path), "warm-start", 0, Silent(), path
        )
        for path in (True, False)
    )
    ours, theirs = (load_file(Path(done.path) / "model.safetensors") for done in (shared, plain))
    for name, weight in theirs.items():
        assert (ours[name] - weight).abs().mean() < 1e-5, name
    assert not same_weights(plain, start)


def test_a_model_with_recurrent_layers_is_trained_the_plain_way_and_says_so(
    policy: PolicyConfig, recurrent: Checkpoint, samples: list[Sample], tmp_path: Path
) -> None:
    said: list[str] = []

    class Heard(Silent):
        def say(self, line: str) -> None:
            said.append(line)

    settings = SupervisedConfig(batch_tokens=2048, learning_rate=1e-3)
    done = supervise(settings, policy, recurrent, samples, tmp_path, "warm-start", 0, Heard())
    assert any("Lfm2ForCausalLM" in line for line in said)
    assert not same_weights(done, recurrent)
