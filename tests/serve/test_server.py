"""The endpoint, talked to by OpenAI's own client. The model is scripted; all else is real."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from looptool.models.engine import Sampling
from looptool.serve.server import ChatServer

from .scripted import ASK, LOOK_UP, STRICT, TWO_CALLS, WEATHER, ScriptedEngine, chat, named


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
