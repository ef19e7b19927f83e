"""A model that says what it is told to, and the requests and tools of the tests here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import openai

from looptool.chat import load_format
from looptool.models.engine import Completion, Sampling, Watch
from looptool.models.guide import Guide

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
STRICT: Any = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
LOOK_UP: Any = {"type": "function", "function": {"name": "look_up"}}
ASK: Any = [{"role": "user", "content": "Weather in Rome and Oslo?"}]
TWO_CALLS = (
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>\n'
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
)


class ScriptedEngine:
    """Says `output` whatever it is asked, and keeps the prompts of each batch."""

    def __init__(self, tokenizer: Any) -> None:
        from transformers import LlamaConfig

        self.tokenizer = tokenizer
        self.format = load_format("hermes", tokenizer)
        self.model = SimpleNamespace(config=LlamaConfig(max_position_embeddings=4096))
        self.output = "Sunny."
        self.batches: list[list[str]] = []
        self.sampling: list[Sampling] = []
        self.guides: list[Guide | None] = []
        self.go = threading.Event()
        self.go.set()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        watch: Watch,
        guides: Sequence[Guide | None],
    ) -> Iterator[list[Completion]]:
        self.go.wait(10)
        self.guides = list(guides)
        self.batches.append([self.tokenizer.decode(ids) for ids in prompts])
        self.sampling.append(sampling)
        if self.output == "break":
            raise RuntimeError("out of memory")
        ids = self.tokenizer(self.output, add_special_tokens=False)["input_ids"]
        stop = self.tokenizer.eos_token_id
        whole = [*ids, stop][: sampling.max_new_tokens]
        for prompt in reversed(range(len(prompts))):
            yield [
                Completion(prompt, whole, [-0.5] * len(whole), stopped=whole[-1] == stop)
                for _ in range(sampling.num_samples)
            ]


def chat(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="tiny", **{"messages": ASK, **more})


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}
