"""The shared prefix is exact: the same log-probs and gradients as one sequence at a time."""

import random
from typing import Any

import pytest
import torch
import transformers
from tests.train.families import FAMILIES, SMALL, VOCAB, ids, ragged, tiny
from transformers import PreTrainedModel

from looptool.errors import UserError
from looptool.models.standard import why_not
from looptool.train.logprobs import head_logps, packed_logps, plain_logps
from looptool.train.packing import Group, pack
from looptool.train.self_check import self_check


def gradients(model: PreTrainedModel, logps_N: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    weights = torch.linspace(-1, 1, len(logps_N))
    (logps_N * weights).sum().backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(model: PreTrainedModel, groups: list[Group], temperature: float = 1.0) -> None:
    shared = packed_logps(model, pack(groups), temperature)[0]
    plain = torch.cat([plain_logps(model, group, temperature) for group in groups])
    torch.testing.assert_close(shared, plain, atol=1e-4, rtol=0)
    ours, theirs = gradients(model, shared), gradients(model, plain)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        apart = (ours[name] - theirs[name]).norm() / theirs[name].norm().clamp(min=1e-6)
        assert apart < 1e-3, f"{name}: {apart}"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_the_plain_log_probs_and_gradients(family: str) -> None:
    rng = random.Random(1)
    model = tiny(family)
    assert why_not(model) is None
    assert_same(model, [ragged(5, rng), ragged(2, rng), ragged(3, rng)], temperature=0.7)


@pytest.mark.parametrize("num", [1, 2, 3, 8, 16])
def test_any_group_size(num: int) -> None:
    assert_same(tiny("llama"), [ragged(num, random.Random(num))])


def test_completions_of_one_token_each() -> None:
    rng = random.Random(2)
    assert_same(tiny("qwen3"), [Group.of_completions(ids(7, rng), [ids(1, rng) for _ in range(4)])])


def test_branches_that_are_scored_at_their_end_only() -> None:
    rng = random.Random(3)
    group = Group(prefix=ids(6, rng), branches=[ids(8, rng), ids(5, rng)], scored=[3, 1])
    assert_same(tiny("llama-tied"), [group, ragged(4, rng)])


def test_entropies_are_those_of_the_whole_distribution() -> None:
    model, group = tiny("llama"), ragged(1, random.Random(4))
    _, entropy = packed_logps(model, pack([group]))
    logits = model(torch.tensor([[*group.prefix, *group.branches[0]]])).logits
    logps = logits[0, len(group.prefix) - 1].log_softmax(-1)
    torch.testing.assert_close(entropy[0], -(logps.exp() * logps).sum())


def test_a_head_with_a_bias_and_scaled_logits_has_the_gradients_of_autograd() -> None:
    model = tiny("granite")
    model.config.logits_scaling = 0.5
    model.lm_head = torch.nn.Linear(32, VOCAB)
    hidden_NE, target_N = torch.randn(7, 32), torch.randint(VOCAB, (7,))
    bias_V = model.lm_head.bias
    ours = torch.autograd.grad(head_logps(model, hidden_NE, target_N)[0].sum(), bias_V)[0]
    logps_NV = (2 * model.lm_head(hidden_NE)).log_softmax(-1)
    theirs = torch.autograd.grad(logps_NV.gather(1, target_N[:, None]).sum(), bias_V)[0]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("held", [0, 8 * VOCAB * 4, 2**20], ids=["a chunk", "8 rows", "all rows"])
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_logits_kept_or_made_again_give_the_gradients_of_autograd(
    monkeypatch: pytest.MonkeyPatch, held: int, softcap: float | None
) -> None:
    from looptool.train import logprobs

    monkeypatch.setattr(logprobs, "_CHUNK", 4)
    monkeypatch.setattr(logprobs, "_HELD_BYTES", held)
    model = tiny("gemma2")
    model.config.final_logit_softcapping = softcap
    hidden_NE = torch.randn(21, model.config.hidden_size, requires_grad=True)
    target_N, of = torch.randint(VOCAB, (21,)), (hidden_NE, model.lm_head.weight)
    logits_NV = hidden_NE @ of[1].T
    if softcap:
        logits_NV = (logits_NV / softcap).tanh() * softcap
    plain_N = (logits_NV / 0.7).log_softmax(-1).gather(1, target_N[:, None])[:, 0]
    ours_N = head_logps(model, hidden_NE, target_N, temperature=0.7)[0]
    torch.testing.assert_close(ours_N, plain_N)
    weights = torch.linspace(-1, 1, 21)
    theirs = torch.autograd.grad(plain_N, of, weights)
    for _ in range(2):  # the first pass has left gradients where the logits were
        ours = torch.autograd.grad(ours_N, of, weights, retain_graph=True)
        torch.testing.assert_close(ours, theirs)


def test_the_self_check_passes_a_sound_model_and_names_an_unsound_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, group = tiny("llama"), ragged(3, random.Random(5))
    self_check(model, group, 1.0)
    from looptool.train import self_check as module

    wrong = Group(group.prefix[::-1], group.branches, group.scored)
    monkeypatch.setattr(module, "pack", lambda groups, device: pack([wrong], device))
    with pytest.raises(UserError, match=r"not exact for LlamaForCausalLM.*shared_prefix"):
        self_check(model, group, 1.0)


def test_what_bf16_rounds_away_is_checked_again_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    from looptool.train import self_check as module

    model, group = tiny("llama").bfloat16(), ragged(3, random.Random(5))
    weights = [parameter.data for parameter in model.parameters()]
    monkeypatch.setitem(module._LIMITS, torch.bfloat16, (0.0, 0.0))
    self_check(model, group, 1.0)
    after = [parameter.data for parameter in model.parameters()]
    assert all(a is b or a.data_ptr() == b.data_ptr() for a, b in zip(weights, after, strict=True))

    wrong = Group(group.prefix[::-1], group.branches, group.scored)
    monkeypatch.setattr(module, "pack", lambda groups, device: pack([wrong], device))
    with pytest.raises(UserError, match=r"limit 0\.001"):
        self_check(model, group, 1.0)


LATENT = {"kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 4}


@pytest.mark.parametrize(
    ("name", "config", "why"),
    [
        ("Mamba", {"vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 1}, "interface"),
        ("Lfm2", SMALL | {"layer_types": ["conv", "full_attention", "conv"]}, "conv"),
        ("GptOss", SMALL | {"num_local_experts": 2}, "sinks"),
        ("DeepseekV3", SMALL | LATENT | {"n_routed_experts": 8}, "MLA"),
    ],
)
def test_a_model_that_cannot_take_our_attention_is_named(
    name: str, config: dict[str, Any], why: str
) -> None:
    model = getattr(transformers, f"{name}ForCausalLM")
    reason = why_not(model(getattr(transformers, f"{name}Config")(**config)))
    assert reason is not None and f"{name}ForCausalLM" in reason and why in reason
