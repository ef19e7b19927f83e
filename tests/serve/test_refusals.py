"""What the endpoint refuses, and that it lives on. The model is scripted; all else is real."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import openai
import pytest

from looptool.errors import UserError
from looptool.serve import server as serving
from looptool.serve.server import ChatServer

from .scripted import ASK, WEATHER, ScriptedEngine, chat, named


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
