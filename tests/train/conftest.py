"""A policy small enough for a test: a byte-level tokenizer and two random layers."""

import shutil
from pathlib import Path

import pytest
from pydantic import JsonValue

from looptool.config import PolicyConfig
from looptool.records import Checkpoint, Label, Message, Sample, Scenario, Tool, ToolCall


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> PolicyConfig:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("policy")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bare,
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return PolicyConfig(model=str(folder), dtype="float32", max_prompt_tokens=4096)


@pytest.fixture(scope="session")
def start(policy: PolicyConfig) -> Checkpoint:
    return Checkpoint(name="base", path=policy.model, base=policy.model)


@pytest.fixture(scope="session")
def recurrent(policy: PolicyConfig, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A model that takes no shared prefix, with the policy's tokenizer."""
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM

    config = Lfm2Config(
        vocab_size=300, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, layer_types=["conv", "full_attention"],
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("lfm2")
    torch.manual_seed(0)
    Lfm2ForCausalLM(config).save_pretrained(folder)
    for file in Path(policy.model).glob("token*.json"):
        shutil.copy(file, folder)
    return Checkpoint(name="base", path=str(folder), base=str(folder))


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    takes_n: dict[str, JsonValue] = {"type": "object", "properties": {"n": {"type": "integer"}}}
    tools = [Tool(name=f"tool_{i}", description="x", parameters=takes_n) for i in range(3)]
    return [
        Sample.create(
            (tools[i % 3],),
            (Message(role="user", content=f"call it with {i}"),),
            Label(calls=(ToolCall(name=f"tool_{i % 3}", arguments={"n": i}),)),
            Scenario.SINGLE,
        )
        for i in range(9)
    ]
