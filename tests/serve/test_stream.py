"""Streams: they come token by token, add up to the whole answer, and end when nobody listens."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState

from looptool.chat import load_format
from looptool.models.engine import Completion, Engine, Sampling, Watch, engine_for
from looptool.serve import server as serving
from looptool.serve.answer import Answer
from looptool.serve.batcher import Batcher, Ticket
from looptool.serve.protocol import prepare
from looptool.serve.server import ChatServer

WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}
ASK: Any = [{"role": "user", "content": "Weather in Rome and Oslo?"}]
ROME = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
PIECES = (
    ROME,
    ROME.replace("Rome", "<think>é🙂</tool_call>"),
    ROME[:40],
    "<tool_call>",
    "</tool_call>",
    "<think>hm\n</think>",
    "<think>",
    "</think>",
    "<|im_end|>",
    "<|im_",
    "end|>",
    "<tool_",
    " ",
    "\n",
    "🙂",
    "word",
    "{",
    '"',
)


class SteppingEngine:
    """Says `outputs`, the tokens of each sample, one a step; waits for `go` before step `pause`."""

    def __init__(self, tokenizer: Any) -> None:
        from transformers import LlamaConfig

        self.tokenizer = tokenizer
        self.stop = tokenizer.eos_token_id
        self.format = load_format("hermes", tokenizer)
        self.model = SimpleNamespace(config=LlamaConfig(max_position_embeddings=4096))
        self.outputs: list[list[int]] = []
        self.pause = -1
        self.go = threading.Event()
        self.done = threading.Event()
        self.batches: list[int] = []
        self.steps = 0

    def says(self, text: str, pause: int = -1) -> None:
        """`text` and the end of the turn."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        self.outputs = [[*ids, self.stop]]
        self.pause = pause
        self.go.clear()
        self.done.clear()
        self.batches.clear()

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, watch: Watch, guides: Any
    ) -> Iterator[list[Completion]]:
        self.batches.append(len(prompts))
        outputs = [
            ids[
                : min(
                    ids.index(self.stop) + 1 if self.stop in ids else 999, sampling.max_new_tokens
                )
            ]
            for ids in (self.outputs * sampling.num_samples)[: sampling.num_samples]
        ]
        groups = [[Completion(i) for _ in outputs] for i in range(len(prompts)) if watch(i, [])]
        self.steps = 0
        for step in range(max(map(len, outputs))):
            if step == self.pause:
                self.go.wait(10)
            for group in groups:
                for done, ids in zip(group, outputs, strict=True):
                    if step < len(ids):
                        done.ids.append(ids[step])
                        done.logps.append(-step / 8)
                        done.stopped = ids[step] == self.stop
            groups = [group for group in groups if watch(group[0].prompt, group)]
            self.steps += 1
            if not groups:
                break
        self.done.set()
        yield from groups


@pytest.fixture(scope="module")
def running(tiny_tokenizer: Any) -> Iterator[tuple[ChatServer, SteppingEngine]]:
    engine = SteppingEngine(tiny_tokenizer)
    yield from serve(engine, engine)


def serve(engine: Any, given: Any) -> Iterator[tuple[ChatServer, Any]]:
    server = ChatServer(engine, "tiny", "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, given
    server.shutdown()
    server.close()


@pytest.fixture
def engine(running: tuple[ChatServer, SteppingEngine]) -> SteppingEngine:
    return running[1]


@pytest.fixture
def client(running: tuple[ChatServer, SteppingEngine]) -> openai.OpenAI:
    return openai.OpenAI(base_url=running[0].url, api_key="none", max_retries=0)


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="tiny", **{"messages": ASK, **more})


def add_up(chunks: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The choices of a stream by index, put together as a client does."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for part in chunk["choices"]:
            told = choices.setdefault(
                part["index"],
                {"content": "", "thought": "", "calls": [], "logprobs": [], "finish": None},
            )
            assert told["finish"] is None, "nothing follows the finish reason"
            delta = part["delta"]
            told["content"] += delta.get("content", "")
            told["thought"] += delta.get("reasoning_content", "")
            for call in delta.get("tool_calls", ()):
                assert call["index"] == len(told["calls"])
                told["calls"].append(call["function"])
            told["logprobs"] += (part["logprobs"] or {"content": []})["content"]
            told["finish"] = part["finish_reason"]
    return choices


def as_added_up(whole: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {
        choice["index"]: {
            "content": choice["message"]["content"] or "",
            "thought": choice["message"].get("reasoning_content", ""),
            "calls": [call["function"] for call in choice["message"].get("tool_calls", ())],
            "logprobs": (choice["logprobs"] or {"content": []})["content"],
            "finish": choice["finish_reason"],
        }
        for choice in whole["choices"]
    }


@pytest.fixture(scope="module")
def scripted(tiny_tokenizer: Any) -> Iterator[tuple[SteppingEngine, Batcher]]:
    engine = SteppingEngine(tiny_tokenizer)
    batcher = Batcher(engine)  # type: ignore[arg-type]
    yield engine, batcher
    batcher.close()


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_stream_adds_up_to_the_whole_answer(
    data: st.DataObject, scripted: tuple[SteppingEngine, Batcher]
) -> None:
    engine, batcher = scripted
    tokenizer = engine.tokenizer
    parts = st.sampled_from(PIECES) | st.text(max_size=4)
    tokens = parts.map(lambda text: tokenizer(text, add_special_tokens=False)["input_ids"])
    noise = st.integers(3, len(tokenizer) - 1).map(lambda token: [token])
    outputs = st.lists(tokens | noise, max_size=10).map(lambda ids: list(chain(*ids)))
    samples = data.draw(st.integers(1, 2))
    engine.outputs = [
        [*data.draw(outputs), data.draw(st.sampled_from((7, engine.stop)))] for _ in range(samples)
    ]
    body: dict[str, Any] = {"messages": ASK, "n": samples}
    body["tools"] = data.draw(st.sampled_from((None, [WEATHER])))
    body["parallel_tool_calls"] = data.draw(st.booleans())
    body["stop"] = data.draw(st.sampled_from((None, "word", ["r", "<to", "\n\n"])))
    body["logprobs"] = data.draw(st.booleans())
    body["max_tokens"] = data.draw(st.sampled_from((1, 5, 200)))
    prepared = prepare(json.dumps(body).encode(), engine.format, 4096, 512)

    def generated(live: bool) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        answer = Answer(prepared, engine.format, "tiny")
        ticket = batcher.submit(prepared.prompt, prepared.sampling, seeded=True, live=live)
        chunks = [chunk for growth in ticket.growths(9) if growth for chunk in answer.add(growth)]
        return chunks + answer.end(), answer.whole()

    chunks, whole_of_stream = generated(live=True)
    _, whole = generated(live=False)
    assert add_up(chunks) == as_added_up(whole) == as_added_up(whole_of_stream)
    assert whole["usage"] == whole_of_stream["usage"]


def test_text_reaches_the_client_while_the_engine_is_at_work(
    client: openai.OpenAI, engine: SteppingEngine
) -> None:
    engine.says("Sunny in Rome today.", pause=4)
    stream = ask(client, stream=True, logprobs=True)
    early = list(islice(stream, 4))
    assert not engine.go.is_set()
    said = "".join(chunk.choices[0].delta.content for chunk in early)
    assert said and "Sunny in Rome today.".startswith(said)
    logprobs = [chunk.choices[0].logprobs for chunk in early]
    tokens = [told.token for part in logprobs if part for told in part.content]
    assert "".join(tokens).strip() == said
    engine.go.set()
    assert said + "".join(c.choices[0].delta.content or "" for c in stream) == (
        "Sunny in Rome today."
    )


def test_a_call_reaches_the_client_before_the_next_is_written(
    client: openai.OpenAI, engine: SteppingEngine
) -> None:
    first = len(engine.tokenizer(f"{ROME}\n", add_special_tokens=False)["input_ids"])
    engine.says(f"{ROME}\n{ROME}", pause=first)
    stream = ask(client, stream=True, tools=[WEATHER], stream_options={"include_usage": True})
    state = ChatCompletionStreamState()
    for chunk in stream:
        state.handle_chunk(chunk)
        if chunk.choices and chunk.choices[0].delta.tool_calls:
            if chunk.choices[0].delta.tool_calls[0].index == 0:
                assert not engine.go.is_set()
            engine.go.set()
    done = state.get_final_completion()
    calls = [call.function for call in done.choices[0].message.tool_calls or ()]
    assert [(c.name, json.loads(c.arguments)) for c in calls] == [
        ("get_weather", {"city": "Rome"})
    ] * 2
    assert done.choices[0].finish_reason == "tool_calls"
    assert done.usage and done.usage.completion_tokens == len(engine.outputs[0])


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_the_work_for_it(
    running: tuple[ChatServer, SteppingEngine], stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, engine = running
    left = threading.Event()

    def leave(ticket: Ticket) -> None:
        ticket.left = True
        left.set()

    monkeypatch.setattr(serving, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(Ticket, "leave", leave)
    engine.says("word " * 400, pause=3)
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=5)  # type: ignore[arg-type]
    body = json.dumps({"messages": ASK, "stream": stream, "max_tokens": 400})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    if stream:
        connection.getresponse().close()
    connection.close()
    assert left.wait(10) and not engine.done.is_set()
    engine.go.set()
    assert engine.done.wait(10)
    assert engine.steps == 4, "the step it was at, and no more"


def test_a_stop_string_ends_the_work_too(client: openai.OpenAI, engine: SteppingEngine) -> None:
    engine.says("one two three " * 30, pause=12)
    threading.Timer(0.5, engine.go.set).start()
    done = ask(client, stop=[" two"])
    assert (done.choices[0].message.content, done.choices[0].finish_reason) == ("one", "stop")
    assert done.usage.completion_tokens < 12


def test_streams_that_wait_together_are_one_batch(
    client: openai.OpenAI, engine: SteppingEngine
) -> None:
    engine.says("Sunny.", pause=0)
    with ThreadPoolExecutor(6) as pool:
        asked = [
            pool.submit(lambda: list(ask(client, stream=True, temperature=0))) for _ in range(6)
        ]
        threading.Timer(0.5, engine.go.set).start()
        for future in asked:
            assert "".join(c.choices[0].delta.content or "" for c in future.result()) == "Sunny."
    assert len(engine.batches) <= 3 and sum(engine.batches) == 6


@pytest.fixture(scope="module")
def tiny(tiny_policy: Path, tiny_tokenizer: Any) -> Iterator[tuple[ChatServer, list[int]]]:
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(tiny_policy)
    engine = engine_for(model, load_format("hermes", tiny_tokenizer))
    batches: list[int] = []

    class Counting(Engine):
        def generate(self, prompts: Any, *more: Any) -> Iterator[list[Completion]]:
            batches.append(len(prompts))
            return super().generate(prompts, *more)

    yield from serve(Counting(engine.model, engine.format), batches)


def test_a_model_s_streams_add_up_to_its_whole_answers(
    tiny: tuple[ChatServer, list[int]],
) -> None:
    client = openai.OpenAI(base_url=tiny[0].url, api_key="none", max_retries=0)
    for seed in range(3):
        settings = {"seed": seed, "n": 2, "max_tokens": 24, "logprobs": True, "tools": [WEATHER]}
        whole = ask(client, temperature=1.5, **settings)
        stream = ask(client, temperature=1.5, stream=True, **settings)
        told = add_up([chunk.model_dump(exclude_unset=True) for chunk in stream])
        assert told == as_added_up(whole.model_dump(exclude_unset=True))


def test_a_model_s_streams_share_a_batch_with_whole_answers(
    tiny: tuple[ChatServer, list[int]],
) -> None:
    server, batches = tiny
    client = openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)
    alike = {"temperature": 0, "max_tokens": 24}
    asks = [[{"role": "user", "content": f"Say {word}."}] for word in ("one", "two", "three")]

    def streamed(messages: Any) -> str:
        chunks = ask(client, messages=messages, stream=True, **alike)
        return "".join(c.choices[0].delta.content or "" for c in chunks)

    def whole(messages: Any) -> str:
        return str(ask(client, messages=messages, **alike).choices[0].message.content)

    batches.clear()
    with ThreadPoolExecutor(6) as pool:
        streams, wholes = pool.map(streamed, asks), pool.map(whole, asks)
        assert list(streams) == list(wholes)
    assert sum(batches) == 6
