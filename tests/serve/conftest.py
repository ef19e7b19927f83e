"""A server on a scripted model, and OpenAI's own client of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from looptool.serve.server import ChatServer

from .scripted import ScriptedEngine


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
