"""What many tests need: a policy small enough to train in a blink."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

# Before any test imports a library that asks the hub: no test needs the network.
os.environ["HF_HUB_OFFLINE"] = "1"


def _texts() -> Iterator[str]:
    for domain in sorted(p.name for p in files("looptool.seed.domains").iterdir())[:3]:
        yield from (files("looptool.seed.domains") / domain).read_text("utf-8").splitlines()
    for _ in range(50):
        yield '<tool_call>\n{"name": "get", "arguments": {"city": "Rome"}}\n</tool_call>'
        yield '{"type": "function", "function": {"name": "", "description": "", "parameters": '
        yield '{"type": "object", "properties": {"": {"type": "string"}}, "required": []}}}'


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """ChatML with a vocabulary of 1,000 pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_texts(), trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
    )


@pytest.fixture(scope="session")
def tiny_policy(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Llama of some 70,000 parameters, in fp32."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tiny_tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=8192,
            tie_word_embeddings=True,
            eos_token_id=tiny_tokenizer.eos_token_id,
            pad_token_id=tiny_tokenizer.pad_token_id,
        )
    )
    folder = tmp_path_factory.mktemp("tiny") / "policy"
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder
