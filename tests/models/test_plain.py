"""The plain path gives the engine's answers, for models that the engine cannot decode."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from looptool.models.engine import Completion, Engine, Sampling, engine_for
from looptool.models.plain import PlainEngine


class StopsAtThree:
    """All that an engine asks of a chat format."""

    stop_ids = frozenset({3})


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    made = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    )
    for parameter in made.parameters():
        parameter.data.mul_(3)  # sharper, so that outputs vary and end
    return made


PROMPTS = [[5, 6, 7, 8], [9, 10], [11, 12, 13, 14, 15, 16], [17]]


def test_greedy_answers_are_the_engine_s(model: Any) -> None:
    sampling = Sampling(max_new_tokens=24)
    plain = PlainEngine(model, StopsAtThree(), max_rows=3).generate_all(PROMPTS, sampling)  # type: ignore[arg-type]
    fast = Engine(model, StopsAtThree()).generate_all(PROMPTS, sampling)  # type: ignore[arg-type]
    for (one,), (other,) in zip(plain, fast, strict=True):
        assert (one.prompt, one.ids, one.stopped) == (other.prompt, other.ids, other.stopped)
        torch.testing.assert_close(
            torch.tensor(one.logps), torch.tensor(other.logps), atol=1e-4, rtol=0
        )


def test_a_model_s_own_generation_config_does_not_act(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = Sampling(max_new_tokens=24)
    plain = PlainEngine(model, StopsAtThree())  # type: ignore[arg-type]
    want = plain.generate_all(PROMPTS, sampling)
    own = GenerationConfig(repetition_penalty=9.0, no_repeat_ngram_size=1, min_new_tokens=20)  # type: ignore[no-untyped-call]
    monkeypatch.setattr(model, "generation_config", own)
    assert plain.generate_all(PROMPTS, sampling) == want
    assert model.generation_config is own


def test_groups_are_whole_and_their_draws_differ(model: Any) -> None:
    sampling = Sampling(max_new_tokens=12, temperature=1.0, num_samples=4, seed=1)
    groups = PlainEngine(model, StopsAtThree(), max_rows=8).generate_all(PROMPTS, sampling)  # type: ignore[arg-type]
    assert [[c.prompt for c in group] for group in groups] == [[i] * 4 for i in range(4)]
    assert len({tuple(c.ids) for group in groups for c in group}) > 4


def test_a_model_without_standard_attention_takes_the_plain_path(
    model: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chat: Any = StopsAtThree()
    assert type(engine_for(model, chat)) is Engine
    monkeypatch.setattr(type(model), "_supports_attention_backend", False)
    assert type(engine_for(model, chat)) is PlainEngine
    assert "LlamaForCausalLM" in caplog.text


def test_a_watched_batch_grows_to_what_is_yielded_and_drops_who_left(model: Any) -> None:
    engine = PlainEngine(model, StopsAtThree(), max_rows=8)  # type: ignore[arg-type]
    sampling = Sampling(max_new_tokens=12, temperature=1.0, num_samples=2, seed=1)
    last: dict[int, list[Completion]] = {}

    def watch(prompt: int, group: list[Completion]) -> bool:
        if group:
            last[prompt] = [Completion(c.prompt, c.ids[:], c.logps[:], c.stopped) for c in group]
        return prompt != 1 and (prompt != 2 or len(group[0].ids if group else ()) < 2)

    groups = {group[0].prompt: group for group in engine.generate(PROMPTS, sampling, watch)}
    assert sorted(groups) == [0, 3] and sorted(last) == [0, 2, 3]
    assert max(len(c.ids) for c in last[2]) == 2
    for prompt, group in groups.items():
        for done, seen in zip(group, last[prompt], strict=True):
            assert (done.ids, done.stopped) == (seen.ids, seen.stopped)
            torch.testing.assert_close(torch.tensor(done.logps), torch.tensor(seen.logps))
