"""An OpenAI-compatible endpoint on 127.0.0.1 that does what it is told, faults included.

As a script it serves until its standard input closes, and prints its URL first.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

Body = dict[str, Any]
Model = Callable[[Body], str]

QUICK = ("429", "500", "drop", "broken", "length", "empty", "garbage")
FAULTS = (*QUICK, "slow")
MOST_FAULTS = 2
"""No call fails more often than that, so that every client that is patient gets through."""


@dataclass
class Script:
    """What the endpoint does."""

    model: Model = lambda body: '{"message": "hello"}'
    latency: float = 0.0
    limit: int | None = None
    """More calls than this at once are refused with 429."""
    fault_rate: float = 0.0
    faults: tuple[str, ...] = FAULTS
    formats: tuple[str, ...] = ("json_schema", "json_object")
    refusal: int = 400
    """The status that other formats get."""
    retry_after: str = "0.01"
    """What a 429 asks for, in seconds."""
    refuse: Callable[[Body, str], tuple[int, str] | None] = lambda body, key: None
    """An error status and message, or None to serve the call."""
    dress: Callable[[str], Body] = lambda text: {"content": text}
    """The message around a text."""


@dataclass
class Seen:
    """What came in."""

    attempts: Counter[str] = field(default_factory=Counter)
    paid: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    bodies: list[Body] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    now: int = 0
    most: int = 0


class Server:
    """Serves in a thread of its own; a context manager. `url` ends with /v1."""

    def __init__(self, script: Script, keep_bodies: bool = True) -> None:
        self.script = script
        self.seen = Seen()
        self.keep_bodies = keep_bodies
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        make = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        server = self._loop.run_until_complete(make)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        self._loop.run_forever()
        server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = b""
        self.pending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self.pending is not None:  # the caller has gone: nothing is generated, nothing paid
            self.pending.cancel()
            self.server.seen.now -= 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, gap, rest = self.buffer.partition(b"\r\n\r\n")
        if not gap:
            return
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        key = fields.get(b"authorization", b"").decode().removeprefix("bearer ")
        self._receive(head.split(b" ")[1].decode(), json.loads(rest[:length] or b"{}"), key)

    def _receive(self, path: str, body: Body, key: str) -> None:
        seen, script = self.server.seen, self.server.script
        seen.keys.add(key)
        if path != "/v1/chat/completions":
            return self._reply(404, {"detail": "Not Found"})
        if (refused := script.refuse(body, key)) is not None:
            return self._error(*refused)
        kind = body.get("response_format", {}).get("type")
        if kind is not None and kind not in script.formats:
            return self._error(script.refusal, f"response_format {kind} is not supported")
        if script.limit is not None and seen.now >= script.limit:
            return self._error(429, "too many calls at once")
        if self.server.keep_bodies:
            seen.bodies.append(body)
        call = call_id(body)
        seen.attempts[call] += 1
        seen.now += 1
        seen.most = max(seen.most, seen.now)
        fault = self._fault(call, seen.attempts[call])
        delay = 3600.0 if fault == "slow" else script.latency
        loop = asyncio.get_running_loop()
        self.pending = loop.call_later(delay, self._finish, body, call, fault)

    def _fault(self, call: str, attempt: int) -> str | None:
        script = self.server.script
        if attempt > MOST_FAULTS:
            return None
        draw = hashlib.sha256(f"{call} {attempt}".encode()).digest()
        if draw[0] / 256 >= script.fault_rate:
            return None
        fault = script.faults[draw[1] % len(script.faults)]
        self.server.seen.faults[fault] += 1
        return fault

    def _finish(self, body: Body, call: str, fault: str | None) -> None:
        seen = self.server.seen
        self.pending = None
        seen.now -= 1
        match fault:
            case "429":
                self._error(429, "slow down")
            case "500":
                self._error(500, "out of order")
            case "drop":
                self.transport.abort()
            case "broken":
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
                self.transport.close()
            case "garbage":
                self._reply(200, "<html>maintenance</html>")
            case "empty":
                self._completion(call, {"content": ""}, "stop")
            case "length":
                self._completion(call, {"content": '{"message": "hel'}, "length")
            case _:
                try:
                    message = self.server.script.dress(self.server.script.model(body))
                except Exception as error:  # a mistake of the test: it shall see it
                    return self._error(418, f"the scripted model raised {error!r}")
                seen.paid[call] += 1
                self._completion(call, message, "stop")

    def _completion(self, call: str, message: Body, finish: str) -> None:
        choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        self._reply(200, {"id": call, "choices": [choice], "usage": usage})

    def _error(self, status: int, message: str) -> None:
        extra = f"Retry-After: {self.server.script.retry_after}\r\n" if status == 429 else ""
        self._reply(status, {"error": {"message": message}}, extra)

    def _reply(self, status: int, value: Any, extra: str = "") -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def call_id(body: Body) -> str:
    """What makes two calls the same to whoever pays: all but how the answer's form is asked."""
    rest = {name: value for name, value in body.items() if name != "response_format"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--latency", type=float, default=0.0)
    options.add_argument("--limit", type=int)
    options.add_argument("--fault-rate", type=float, default=0.0)
    chosen = options.parse_args()
    script = Script(latency=chosen.latency, limit=chosen.limit, fault_rate=chosen.fault_rate)
    with Server(script, keep_bodies=False) as server:
        print(server.url, flush=True)
        for _ in sys.stdin:  # each line asks for the books
            seen = server.seen
            books = {"paid": sum(seen.paid.values()), "distinct": len(seen.paid), "most": seen.most}
            print(json.dumps(books), flush=True)


if __name__ == "__main__":
    main()
