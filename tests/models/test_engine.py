"""The engine says what the plain model says, only sooner."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from looptool.models.drafts import Odds
from looptool.models.engine import Completion, Engine, Sampling, in_order

FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "llama": (LlamaForCausalLM, LlamaConfig, {}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, {}),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 16}),
    "gemma2": (
        Gemma2ForCausalLM,
        Gemma2Config,
        {"sliding_window": 16, "head_dim": 16, "query_pre_attn_scalar": 16},
    ),
}


class StopsAtThree:
    """All that the engine asks of a chat format."""

    stop_ids = frozenset({3})


def make(family: str) -> Any:
    kind, config, extra = FAMILIES[family]
    torch.manual_seed(0)
    model = kind(
        config(
            vocab_size=40,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            **extra,
        )
    ).eval()
    for parameter in model.parameters():
        parameter.data.mul_(3)  # sharper, so that outputs vary and end
    return model


def prompts(num: int) -> list[list[int]]:
    rng = random.Random(1)
    tools = [rng.randrange(4, 40) for _ in range(40)]
    return [
        tools[: rng.randrange(5, 40)] + [rng.randrange(4, 40) for _ in range(rng.randrange(1, 20))]
        for _ in range(num)
    ]


def plain_logps(model: Any, prompt: list[int], completion: Completion) -> torch.Tensor:
    """(C, V): the distribution at each token of the completion, by one plain forward pass."""
    ids = torch.tensor([prompt + completion.ids])
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=torch.ones_like(ids))
    logits: torch.Tensor = out.logits[0].float()
    return logits[len(prompt) - 1 : -1].log_softmax(-1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("max_rows", [1, 4, 64])
def test_greedy_output_and_logps_are_those_of_plain_forward_passes(
    family: str, max_rows: int
) -> None:
    model = make(family)
    asked = prompts(11)
    engine = Engine(model, StopsAtThree(), max_rows=max_rows)  # type: ignore[arg-type]
    lengths = set()
    for prompt, (completion,) in zip(
        asked, engine.generate_all(asked, Sampling(max_new_tokens=40)), strict=True
    ):
        logps = plain_logps(model, prompt, completion)
        assert logps.argmax(-1).tolist() == completion.ids
        got = torch.tensor(completion.logps)
        torch.testing.assert_close(got, logps.max(-1).values, atol=1e-4, rtol=0)
        assert completion.stopped == (completion.ids[-1] == 3)
        lengths.add(len(completion.ids))
    assert len(lengths) > 1 or family == "gemma2"  # ragged ends were met


@pytest.mark.parametrize("group", [2, 5, 16])
def test_sampled_logps_are_those_of_plain_forward_passes(group: int) -> None:
    model = make("llama")
    asked = prompts(5)
    engine = Engine(model, StopsAtThree(), max_rows=12)  # type: ignore[arg-type]
    sampling = Sampling(max_new_tokens=40, temperature=0.8, num_samples=group, seed=3)
    for prompt, completions in zip(asked, engine.generate_all(asked, sampling), strict=True):
        assert len(completions) == group
        for completion in completions:
            at = torch.tensor(completion.ids)[:, None]
            logps = plain_logps(model, prompt, completion).gather(-1, at)[:, 0]
            got = torch.tensor(completion.logps)
            torch.testing.assert_close(got, logps, atol=1e-4, rtol=0)
            assert 3 not in completion.ids[:-1]


def test_samples_follow_the_tempered_distribution() -> None:
    model = make("llama")
    prompt = prompts(1)[0]
    temperature, draws = 1.5, 4000
    engine = Engine(model, StopsAtThree(), max_rows=draws)  # type: ignore[arg-type]
    sampling = Sampling(1, temperature=temperature, num_samples=draws, seed=0)
    (group,) = engine.generate_all([prompt], sampling)
    counts = torch.bincount(torch.tensor([c.ids[0] for c in group]), minlength=40) / draws
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt])).logits[0, -1].float()
    expected = (logits / temperature).softmax(-1)
    assert (counts - expected).abs().max() < 0.03
    assert expected.max() > 0.05  # the distribution is not flat


def test_the_seed_alone_decides_the_draws() -> None:
    engine = Engine(make("llama"), StopsAtThree(), max_rows=8)  # type: ignore[arg-type]

    def drawn(seed: int) -> list[list[int]]:
        torch.manual_seed(random.randrange(10**6))
        sampling = Sampling(20, temperature=1.0, num_samples=4, seed=seed)
        return [c.ids for group in engine.generate_all(prompts(3), sampling) for c in group]

    assert drawn(1) == drawn(1) != drawn(2)


def test_prompts_that_begin_alike_stand_side_by_side() -> None:
    a, b = list(range(50)), list(range(100, 130))
    order = in_order([[*a, 1], [*b, 1], [*a, 2], [*b, 2]])
    assert {order[0], order[1]} == {0, 2}
    assert {order[2], order[3]} == {1, 3}


def test_no_prompts_give_no_completions() -> None:
    engine = Engine(make("llama"), StopsAtThree())  # type: ignore[arg-type]
    assert engine.generate_all([], Sampling(max_new_tokens=4)) == []


def test_a_watched_batch_says_the_same_and_only_grows() -> None:
    engine = Engine(make("llama"), StopsAtThree(), max_rows=4)  # type: ignore[arg-type]
    asked, sampling = prompts(7), Sampling(max_new_tokens=12)
    seen: dict[int, list[list[int]]] = {i: [] for i in range(len(asked))}

    def watch(prompt: int, group: list[Completion]) -> bool:
        seen[prompt] += [list(c.ids) for c in group]
        return True

    watched = {group[0].prompt: group for group in engine.generate(asked, sampling, watch)}
    for i, group in enumerate(engine.generate_all(asked, sampling)):
        assert watched[i] == group
        lengths = [len(ids) for ids in seen[i]]
        assert lengths == sorted(set(lengths))
        assert seen[i] == [group[0].ids[:length] for length in lengths]
        assert seen[i][-1] == group[0].ids


def test_a_dropped_prompt_is_not_yielded_and_frees_its_place() -> None:
    engine = Engine(make("llama"), StopsAtThree(), max_rows=2)  # type: ignore[arg-type]
    asked, sampling = prompts(6), Sampling(max_new_tokens=12)
    whole = engine.generate_all(asked, sampling)
    lengths: dict[int, int] = {}

    def watch(prompt: int, group: list[Completion]) -> bool:
        lengths[prompt] = len(group[0].ids) if group else 0
        # 0 and 1 leave while they wait, 2 after three tokens.
        return not (prompt < 2 or (prompt == 2 and lengths[2] >= 3))

    left = {group[0].prompt: group for group in engine.generate(asked, sampling, watch)}
    assert {i: group[0].ids for i, group in left.items()} == {i: whole[i][0].ids for i in (3, 4, 5)}
    assert (lengths[0], lengths[1]) == (0, 0)
    assert 3 <= lengths[2] < len(whole[2][0].ids)


def test_drafts_save_passes_and_change_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = make("llama"), prompts(3) * 3
    engine = Engine(model, StopsAtThree(), max_rows=1)  # type: ignore[arg-type]
    passes: list[int] = []
    model.register_forward_hook(lambda *_: passes.append(1))

    def said() -> tuple[list[list[int]], int]:
        passes.clear()
        groups = engine.generate_all(asked, Sampling(max_new_tokens=40))
        return [group[0].ids for group in groups], len(passes)

    drafted, fewer = said()
    monkeypatch.setattr(Odds, "MOST", 0)
    alone, more = said()
    assert drafted == alone
    assert fewer < 0.7 * more  # what was said to the first of three is drafted for the others


def test_drafted_samples_follow_the_distribution_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Odds, "_chance", lambda *_: 1.0)
    model, draws = make("llama"), 2000
    prompt = random.Random(0).sample(range(4, 40), 36)  # whatever comes, something followed it
    engine = Engine(model, StopsAtThree(), max_rows=draws)  # type: ignore[arg-type]
    sampling = Sampling(3, temperature=1.0, num_samples=draws, seed=0)
    (group,) = engine.generate_all([prompt], sampling)
    thirds = [c.ids[2] for c in group if len(c.ids) > 2]
    counts = torch.bincount(torch.tensor(thirds), minlength=40) / draws
    pairs = torch.cartesian_prod(torch.arange(40), torch.arange(40))
    with torch.no_grad():
        ids = torch.cat([torch.tensor(prompt).expand(len(pairs), -1), pairs], dim=1)
        parts = [model(input_ids=part, logits_to_keep=3).logits for part in torch.split(ids, 100)]
        chances = torch.cat(parts).softmax(-1)
    at = torch.arange(len(pairs))
    reached = chances[at, 0, pairs[:, 0]] * chances[at, 1, pairs[:, 1]]
    reached[(pairs == 3).any(1)] = 0
    expected = (reached[:, None] * chances[:, 2]).sum(0)
    assert (counts - expected).abs().max() < 0.03
    assert expected.max() > 0.06  # the distribution is not flat
