"""The probe says what the policy writes and how sure it is, and goes on where it was left."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from looptool.config import PolicyConfig
from looptool.models.engine import Completion, Engine, Sampling, load_engine
from looptool.probe import gcp
from looptool.records import Checkpoint, Label, Message, Mismatch, Sample, Scenario, Tool
from looptool.runs.durable import DurableWork
from looptool.work import InMemory, Silent


@pytest.fixture(scope="module")
def policy(tiny_policy: Path) -> PolicyConfig:
    return PolicyConfig(model=str(tiny_policy), dtype="float32", max_new_tokens=12)


@pytest.fixture(scope="module")
def engine(policy: PolicyConfig) -> Engine:
    return load_engine(policy, Checkpoint(name="base", path=policy.model, base=policy.model))


SAMPLES = [
    Sample.create(
        (Tool(name=f"tool_{n % 2}"),),
        (Message(role="user", content="Call it " + "again and " * n),),
        Label(content="No."),
        Scenario.IRRELEVANT,
    )
    for n in range(5)
]


def test_the_perplexity_is_that_of_a_second_forward_pass(
    policy: PolicyConfig, engine: Engine
) -> None:
    probed = gcp.probe(policy, "base", lambda: engine, SAMPLES, InMemory(), "probe")
    assert [one.sample_id for one in probed] == [sample.id for sample in SAMPLES]
    prompts = [engine.format.prompt_ids(sample.tools, sample.context) for sample in SAMPLES]
    written = engine.generate_all(prompts, Sampling(max_new_tokens=policy.max_new_tokens))
    for prompt, (completion,), one in zip(prompts, written, probed, strict=True):
        ids = torch.tensor([prompt + completion.ids])
        with torch.no_grad():
            logps = engine.model(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        nll = -logps.gather(1, ids[0, len(prompt) :, None]).mean()
        assert one.perplexity == pytest.approx(math.exp(nll), rel=1e-3)
        assert one.num_tokens == len(completion.ids)
        assert one.output == engine.format.decode(completion.ids)


def test_a_prompt_that_is_too_long_fails_unread(policy: PolicyConfig, engine: Engine) -> None:
    lengths = [len(engine.format.prompt_ids(s.tools, s.context)) for s in SAMPLES]
    narrow = policy.model_copy(update={"max_prompt_tokens": sorted(lengths)[2]})
    probed = gcp.probe(narrow, "base", lambda: engine, SAMPLES, InMemory(), "probe")
    unread = [one.match.reason is Mismatch.PROMPT_TOO_LONG for one in probed]
    assert unread == [length > sorted(lengths)[2] for length in lengths]
    assert sum(unread) == 2
    assert not any(
        one.match.matched for one, skipped in zip(probed, unread, strict=True) if skipped
    )


def test_a_probe_goes_on_with_the_chunks_it_owes_and_shows_every_sample(
    policy: PolicyConfig, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcp, "CHUNK", 2)
    decoded: list[int] = []
    generate = engine.generate

    def counted(prompts: Sequence[Sequence[int]], *rest: Any) -> Iterator[list[Completion]]:
        decoded.append(len(prompts))
        if len(decoded) == 2:
            raise KeyboardInterrupt
        return generate(prompts, *rest)

    steps: list[int] = []

    class Bar(Silent):
        def advance(self, num: int = 1, note: str = "") -> None:
            steps.append(num)

    monkeypatch.setattr(engine, "generate", counted)
    work = DurableWork(tmp_path, Bar())
    with pytest.raises(KeyboardInterrupt):
        gcp.probe(policy, "base", lambda: engine, SAMPLES, work, "probe")
    probed = gcp.probe(policy, "base", lambda: engine, SAMPLES, work, "probe")
    assert decoded == [2, 2, 2, 1] and len(probed) == 5
    assert [step for step in steps if step] == [1] * 5
