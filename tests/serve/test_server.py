"""The endpoint, talked to by OpenAI's own client. The model is scripted; all else is real."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from looptool.chat import load_format
from looptool.errors import UserError
from looptool.models.engine import Completion, Sampling, Watch
from looptool.models.guide import Guide
from looptool.serve import server as serving
from looptool.serve.server import ChatServer

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
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


@pytest.fixture(scope="module")
def running(tiny_tokenizer: Any) -> Iterator[tuple[ChatServer, ScriptedEngine]]:
    engine = ScriptedEngine(tiny_tokenizer)
    server = ChatServer(engine, "tiny", "127.0.0.1", 0)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server, engine
    server.shutdown()
    server.close()


@pytest.fixture
def engine(running: tuple[ChatServer, ScriptedEngine]) -> ScriptedEngine:
    running[1].output = "Sunny."
    running[1].batches.clear()
    running[1].sampling.clear()
    return running[1]


@pytest.fixture
def client(running: tuple[ChatServer, ScriptedEngine]) -> openai.OpenAI:
    return openai.OpenAI(base_url=running[0].url, api_key="none", max_retries=0)


def chat(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(model="tiny", **{"messages": ASK, **more})


def test_the_client_lists_the_model(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "looptool"


def test_parallel_calls_come_back_as_tool_calls(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    engine.output = TWO_CALLS
    done = chat(client, tools=[WEATHER], temperature=0.001, store=False)
    (choice,) = done.choices
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    calls = [c.function for c in choice.message.tool_calls]
    assert [(c.name, json.loads(c.arguments)) for c in calls] == [
        ("get_weather", {"city": "Rome"}),
        ("get_weather", {"city": "Oslo"}),
    ]
    assert len({c.id for c in choice.message.tool_calls}) == 2
    assert '"get_weather"' in engine.batches[0][0], "the model is shown the tools"
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


STRICT: Any = {**WEATHER, "function": {**WEATHER["function"], "strict": True}}
LOOK_UP: Any = {"type": "function", "function": {"name": "look_up"}}


@pytest.mark.parametrize(
    ("asked", "passes", "stops"),
    [
        ({"tools": [WEATHER]}, [], []),
        ({"tools": [STRICT]}, ["Sunny.", TWO_CALLS], [TWO_CALLS.replace('"Oslo"', "7")]),
        ({"tools": [WEATHER], "tool_choice": "required"}, [TWO_CALLS], ["Sunny."]),
        (
            {"tools": [STRICT], "parallel_tool_calls": False},
            [TWO_CALLS.partition("\n<tool_call>\n{")[0]],
            [TWO_CALLS],
        ),
        (
            {"tools": [WEATHER, LOOK_UP], "tool_choice": named("look_up")},
            ['<tool_call>\n{"name": "look_up", "arguments": {}}\n</tool_call>'],
            [TWO_CALLS, "Sunny."],
        ),
    ],
)  # fmt: skip
def test_strict_tools_and_required_calls_are_guided(
    client: openai.OpenAI,
    engine: ScriptedEngine,
    asked: dict[str, Any],
    passes: list[str],
    stops: list[str],
) -> None:
    chat(client, **asked)
    (guide,) = engine.guides
    assert (guide is None) == (not passes)

    def admits(text: str) -> bool:
        assert guide is not None
        ids = [*engine.tokenizer(text)["input_ids"], engine.tokenizer.eos_token_id]
        return guide.fork().admit(ids) == len(ids)

    assert all(map(admits, passes)) and not any(map(admits, stops))


def test_a_guided_server_holds_every_call_to_its_schema_and_makes_none_twice(
    running: tuple[ChatServer, ScriptedEngine],
    client: openai.OpenAI,
    engine: ScriptedEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine.output = f"{TWO_CALLS}\n{TWO_CALLS}"
    assert len(chat(client, tools=[WEATHER]).choices[0].message.tool_calls or ()) == 4
    monkeypatch.setattr(running[0], "guided", True)
    done = chat(client, tools=[WEATHER])
    assert engine.guides[0] is not None
    calls = done.choices[0].message.tool_calls or ()
    assert [call.function.arguments for call in calls if call.type == "function"] == [
        '{"city": "Rome"}',
        '{"city": "Oslo"}',
    ], "none is made twice"
    chat(client)
    assert engine.guides == [None]


def test_tool_choice_none_hides_the_tools_and_makes_no_call(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    engine.output = TWO_CALLS
    done = chat(client, tools=[WEATHER], tool_choice="none")
    assert "get_weather" not in engine.batches[0][0]
    assert done.choices[0].message.tool_calls is None
    assert done.choices[0].finish_reason == "stop"


def test_parallel_tool_calls_false_keeps_the_first(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    engine.output = TWO_CALLS
    done = chat(client, tools=[WEATHER], parallel_tool_calls=False)
    assert len(done.choices[0].message.tool_calls) == 1


def test_a_broken_call_is_text(client: openai.OpenAI, engine: ScriptedEngine) -> None:
    engine.output = '<tool_call>\n{"name": "get_weather", "argu'
    done = chat(client, tools=[WEATHER])
    assert done.choices[0].message.content == engine.output
    assert done.choices[0].message.tool_calls is None


def test_a_call_that_breaks_off_leaves_those_before_it(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    sound, broken = TWO_CALLS.split("\n<tool_call>")[0], '<tool_call>\n{"name": "get_w'
    engine.output = f"{sound}\n{broken}"
    (choice,) = chat(client, tools=[WEATHER]).choices
    assert len(choice.message.tool_calls) == 1 and choice.message.content == broken
    assert choice.finish_reason == "tool_calls"


def test_a_conversation_with_calls_and_results_reaches_the_model(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    def text(said: str) -> dict[str, str]:
        return {"type": "text", "text": said}

    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
    }
    messages = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "18 degrees"},
        {"role": "user", "content": [text("And "), text("Oslo?")]},
    ]
    chat(client, messages=messages, tools=[WEATHER])
    (prompt,) = engine.batches[0]
    assert "18 degrees" in prompt and "And Oslo?" in prompt and '{"city": "Rome"}' in prompt


def test_a_stream_adds_up_to_the_whole_answer(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    engine.output = "Here you are.\n" + TWO_CALLS
    options: Any = {"include_usage": True}
    chunks = list(chat(client, tools=[WEATHER], stream=True, stream_options=options))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "Here you are."
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert [call.index for call in calls] == [0, 1]
    assert json.loads(calls[1].function.arguments) == {"city": "Oslo"}
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "tool_calls"
    assert chunks[-1].usage.completion_tokens > 0


def test_logprobs_are_of_the_tokens_that_were_said(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    done = chat(client, logprobs=True)
    told = done.choices[0].logprobs.content
    assert "".join(token.token for token in told) == "Sunny."
    assert all(token.logprob == -0.5 for token in told)


def test_max_tokens_n_stop_seed_and_temperature_are_obeyed(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    done = chat(client, max_tokens=1, n=2, temperature=0.7, seed=3)
    assert engine.sampling[0] == Sampling(1, temperature=0.7, num_samples=2, seed=3)
    assert [choice.finish_reason for choice in done.choices] == ["length", "length"]
    (cut,) = chat(client, stop="nn").choices
    assert (cut.message.content, cut.finish_reason) == ("Su", "stop")


def test_a_request_with_a_seed_is_generated_alone(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    engine.go.clear()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(chat, client, temperature=1, seed=7) for _ in range(4)]
        threading.Timer(0.3, engine.go.set).start()
        assert all(future.result() for future in asked)
    assert [len(batch) for batch in engine.batches] == [1, 1, 1, 1]
    assert {sampling.seed for sampling in engine.sampling} == {7}


def test_requests_that_wait_together_are_one_batch(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    engine.go.clear()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(chat, client, temperature=0.001)
        asks = [[{"role": "user", "content": f"question {at}"}] for at in range(8)]
        rest = [pool.submit(chat, client, messages=ask, temperature=0.001) for ask in asks]
        threading.Timer(0.5, engine.go.set).start()
        assert all(f.result().choices[0].message.content == "Sunny." for f in [first, *rest])
    assert len(engine.batches) <= 3


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "alien", "content": "hi"}]}, 400, "role"),
        ({"temperature": 9}, 400, "temperature"),
        ({"max_tokens": 100_000}, 400, "context is 4096 tokens"),
        ({"messages": [{"role": "user", "content": "word " * 9000}]}, 400, "the prompt has"),
        ({"tool_choice": "required"}, 400, "no tools are given"),
        ({"tool_choice": "any", "tools": [WEATHER]}, 400, "tool_choice"),
        ({"tool_choice": named("fly"), "tools": [WEATHER]}, 400, 'no tool "fly" is given'),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"top_logprobs": 3, "logprobs": True}, 400, "top_logprobs"),
        ({"model": "gpt-9"}, 404, "it is called tiny"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, 400, "name"),
        ({"logit_bias": {"7": 5}}, 400, "logit_bias"),
        ({"functions": [WEATHER["function"]]}, 400, "functions"),
        ({"extra_body": {"function_call": {"name": "f"}}}, 400, "function_call"),
        ({"reasoning_effort": "low"}, 400, "reasoning_effort"),
        ({"extra_body": {"top_k": 5}}, 400, "top_k"),
        ({"extra_body": {"min_p": 0.1}}, 400, "min_p"),
        ({"extra_body": {"repetition_penalty": 1.1}}, 400, "repetition_penalty"),
        ({"extra_body": {"": 1}}, 400, "not supported"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "f"}}]}, 400, "function_c"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_an_openai_error(
    client: openai.OpenAI, engine: ScriptedEngine, change: dict[str, Any], status: int, said: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**{"model": "tiny", "messages": ASK, **change})
    assert caught.value.status_code == status
    assert caught.value.body["type"] == "invalid_request_error"  # type: ignore[index]
    assert said in str(caught.value.message)
    assert not engine.batches


def test_fields_that_do_not_change_the_answer_and_values_that_ask_for_nothing_pass(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    harmless = {"user": "me", "metadata": {"a": "b"}, "store": True, "service_tier": "auto"}
    nothing: dict[str, Any] = {
        "logit_bias": {},
        "functions": None,
        "top_k": -1,
        "min_p": 0,
        "modalities": ["text"],
    }
    text = {"response_format": {"type": "text"}, "top_p": 1, "reasoning_effort": None}
    done = chat(client, extra_body={**harmless, **nothing, **text})
    assert done.choices[0].message.content == "Sunny."


def test_a_conversation_that_the_chat_template_refuses_is_a_bad_request_in_one_line(
    running: tuple[ChatServer, ScriptedEngine],
    client: openai.OpenAI,
    engine: ScriptedEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> list[int]:
        raise UserError("the template refuses a message (two\n  lines)")

    monkeypatch.setattr(engine.format, "prompt_ids", refuse)
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client)
    body: Any = caught.value.body
    assert body["message"] == "the template refuses a message (two lines)"
    assert body["code"] == "prompt_refused"


def test_a_failing_engine_is_a_server_error_and_the_next_request_works(
    client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    engine.output = "break"
    with pytest.raises(openai.InternalServerError, match="out of memory"):
        chat(client)
    engine.output = "Sunny."
    assert chat(client).choices[0].message.content == "Sunny."


def _raw(server: ChatServer, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=5)  # type: ignore[arg-type]
    given = {"Content-Type": "application/json", **headers}
    connection.request("POST", "/v1/chat/completions", body, given)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"none", b'"\xff"', b"[" * 100_000, b'{"messages": NaN}', b"{} {}", b"1"],
)
def test_hostile_bodies_are_bad_requests(
    running: tuple[ChatServer, ScriptedEngine], body: bytes
) -> None:
    status, told = _raw(running[0], body)
    assert status == 400 and told["error"]["message"]


def test_long_bodies_are_refused_unread_and_other_types_too(
    running: tuple[ChatServer, ScriptedEngine],
) -> None:
    huge = {"Content-Length": str(serving.MAX_BODY + 1)}
    assert _raw(running[0], b"", **huge)[0] == 413
    assert _raw(running[0], b"{}", **{"Content-Type": "text/plain"})[0] == 415
    assert _raw(running[0], b"", **{"Content-Length": "-5"})[0] == 411


def test_a_client_that_leaves_is_no_trouble(
    running: tuple[ChatServer, ScriptedEngine], client: openai.OpenAI, engine: ScriptedEngine
) -> None:
    with socket.create_connection(running[0].server_address[:2]) as half:  # type: ignore[arg-type]
        half.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 50\r\n\r\n{")
    assert chat(client).choices[0].message.content == "Sunny."


def test_a_port_in_use_is_one_line(running: tuple[ChatServer, ScriptedEngine]) -> None:
    server, engine = running
    with pytest.raises(UserError, match=r"in use; choose another with --port"):
        ChatServer(engine, "two", "127.0.0.1", server.server_address[1])  # type: ignore[arg-type]
