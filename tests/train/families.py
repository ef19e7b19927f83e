"""Tiny random models of each family, and groups of tokens for them."""

import random
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from looptool.train.packing import Group

VOCAB = 97
SMALL: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama-tied": ("Llama", {"tie_word_embeddings": True}),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {}),
    "smollm3": ("SmolLM3", {}),
    "mistral-window": ("Mistral", {"sliding_window": 6}),
    "granite": ("Granite", {"logits_scaling": 4.0}),
    "gemma": ("Gemma", {}),
    "gemma2": ("Gemma2", {"sliding_window": 6, "query_pre_attn_scalar": 8}),
    "gemma3": ("Gemma3Text", {"sliding_window": 6, "query_pre_attn_scalar": 8}),
}
CLASSES = {"Gemma3Text": "Gemma3ForCausalLM"}


def tiny(family: str) -> PreTrainedModel:
    name, extra = FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SMALL | extra)
    config._attn_implementation = "eager" if family == "gemma2" else "sdpa"
    model = getattr(transformers, CLASSES.get(name, f"{name}ForCausalLM"))(config)
    for parameter in model.parameters():  # random norms and biases too, so that all of it counts
        torch.nn.init.normal_(parameter, std=0.2)
    return model.train()  # type: ignore[no-any-return]


def ids(num: int, rng: random.Random) -> list[int]:
    return [rng.randrange(3, VOCAB) for _ in range(num)]


def ragged(num: int, rng: random.Random) -> Group:
    """A prompt and completions of 1 to 9 tokens; the first has one token."""
    lengths = [1, *(rng.randint(1, 9) for _ in range(num - 1))]
    return Group.of_completions(ids(rng.randint(5, 14), rng), [ids(n, rng) for n in lengths])
