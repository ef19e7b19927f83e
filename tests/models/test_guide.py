"""A guided row says what its grammar allows, and otherwise what the model would say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from transformers import LlamaConfig, LlamaForCausalLM

from looptool.chat import load_format
from looptool.models.drafts import Odds
from looptool.models.engine import Engine, Sampling
from looptool.models.guide import Guide, Guides
from looptool.models.plain import PlainEngine
from looptool.records import Tool


class Even:
    """Allows even tokens, and one stop token after five of them."""

    def __init__(self, said: int = 0) -> None:
        self.said = said

    def fork(self) -> Even:
        return Even(self.said)

    def admit(self, tokens: Sequence[int]) -> int:
        for at, token in enumerate(tokens):
            if not self._allows(token):
                return at
            self.said += 1
        return len(tokens)

    def allowed(self, size: int) -> torch.Tensor:
        return torch.tensor([self._allows(token) for token in range(size)])

    def _allows(self, token: int) -> bool:
        return token == 3 if self.said == 5 else self.said < 5 and token % 2 == 0


class StopsAtThree:
    stop_ids = frozenset({3})


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    made: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=40,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    )
    made.eval()
    for parameter in made.parameters():
        parameter.data.mul_(3)
    return made


PROMPTS = [[5, 6, 7, 8], [9, 10, 9, 10, 9], [11, 12, 13, 14, 15, 16], [17]]


def masked_greedy(model: Any, prompt: list[int]) -> tuple[list[int], list[float]]:
    """Greedy decoding with the mask at every step, one plain forward pass a token."""
    guide, ids, logps = Even(), list[int](), list[float]()
    while not ids or ids[-1] != 3:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt + ids])).logits[0, -1].float()
        token = int(logits.masked_fill(~guide.allowed(40), -torch.inf).argmax())
        ids.append(token)
        logps.append(float(logits.log_softmax(-1)[token]))
        assert guide.admit([token]) == 1
    return ids, logps


@pytest.mark.parametrize("kind", [Engine, PlainEngine])
@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_guided_greedy_decoding_is_that_of_masking_every_step(
    model: Any, kind: Callable[..., Engine], chance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Odds, "_chance", lambda *_: chance)  # with drafts, and without
    engine = kind(model, StopsAtThree(), max_rows=3)
    guides: list[Guide | None] = [Even(), Even(), None, Even()]
    free = engine.generate_all(PROMPTS, Sampling(12))
    done = {
        group[0].prompt: group[0] for group in engine.generate(PROMPTS, Sampling(12), guides=guides)
    }
    assert done[2].ids == free[2][0].ids, "who has no guide says what they would"
    for at in (0, 1, 3):
        ids, logps = masked_greedy(model, PROMPTS[at])
        assert done[at].ids == ids != free[at][0].ids
        torch.testing.assert_close(
            torch.tensor(done[at].logps), torch.tensor(logps), atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("kind", [Engine, PlainEngine])
def test_guided_samples_follow_the_masked_distribution(
    model: Any, kind: Callable[..., Engine]
) -> None:
    draws, prompt = 4000, PROMPTS[0]
    engine = kind(model, StopsAtThree(), max_rows=draws)
    sampling = Sampling(1, temperature=1.0, num_samples=draws, seed=0)
    (group,) = engine.generate([prompt], sampling, guides=[Even()])
    counts = torch.bincount(torch.tensor([c.ids[0] for c in group]), minlength=40) / draws
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt])).logits[0, -1].float()
    expected = logits.masked_fill(torch.arange(40) % 2 == 1, -torch.inf).softmax(-1)
    assert (counts - expected).abs().max() < 0.03
    assert logits.softmax(-1)[1::2].sum() > 0.2, "there was something to rule out"


BOUNDED = Tool(
    name="forecast",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 9},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
            "at": {"type": "array", "items": {"enum": [1, "two"]}, "maxItems": 2},
        },
        "required": ["city", "days"],
    },
)


def test_even_a_random_model_makes_sound_calls(tiny_policy: Path, tiny_tokenizer: Any) -> None:
    hermes = load_format("hermes", tiny_tokenizer)
    engine = Engine(LlamaForCausalLM.from_pretrained(tiny_policy), hermes)
    must = Guides(hermes).moves([BOUNDED], must_call=True, most=2)
    sampling = Sampling(400, temperature=1.0, num_samples=12, seed=1)
    (group,) = engine.generate([[5, 6, 7]], sampling, guides=[must])
    for done in group:
        assert done.stopped
        parsed = hermes.parse(hermes.decode(done.ids))
        assert 1 <= len(parsed.calls) <= 2 and not parsed.content
        for each in parsed.calls:
            assert each.name == "forecast"
            Draft202012Validator(BOUNDED.parameters).validate(each.arguments)
