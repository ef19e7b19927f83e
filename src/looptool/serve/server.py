"""The HTTP side: an OpenAI-compatible endpoint on the standard library's threading server.

Bodies are bounded, slow clients time out, and whatever is wrong is told as an OpenAI error object.
"""

from __future__ import annotations

import errno
import queue
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Waiting
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from looptool.errors import UserError
from looptool.models.engine import Completion, Engine
from looptool.models.load import num_positions
from looptool.serve.batcher import Batcher
from looptool.serve.protocol import (
    ApiError,
    Prepared,
    Reply,
    as_json,
    models,
    no_route,
    prepare,
)

MAX_BODY = 8 * 2**20
"""Bytes of the longest body that is read."""
IDLE_SECONDS = 60.0
"""A client that sends nothing for so long is let go."""
BEAT_SECONDS = 5.0
"""A stream that waits says so this often, which also finds out who has left."""


class ChatServer(ThreadingHTTPServer):
    """Serves one engine under one name until `shutdown`; `close` frees the port and the thread."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, engine: Engine, name: str, host: str, port: int, default_tokens: int = 512
    ) -> None:
        """Raises UserError if the port cannot be had."""
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            busy = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            what = "in use" if busy else f"not to be had ({error})"
            raise UserError(f"{host}:{port} is {what}; choose another with --port") from None
        self.format = engine.format
        self.name = name
        self.started = int(time.time())
        self.default_tokens = default_tokens
        self.context = num_positions(engine.model.config) or 32768
        self.batcher = Batcher(engine)

    @property
    def url(self) -> str:
        """Where clients point their `base_url`."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/v1"

    def close(self) -> None:
        self.server_close()
        self.batcher.close()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"
    server_version = "looptool"
    sys_version = ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        try:
            path = self.path.partition("?")[0].rstrip("/")
            if path == "/v1/models":
                self._send(200, models(self.server.name, self.server.started))
            elif path == f"/v1/models/{self.server.name}":
                self._send(200, models(self.server.name, self.server.started)["data"][0])
            elif path == "/health":
                self._send(200, {"status": "ok"})
            else:
                raise no_route(path)
        except ApiError as error:
            self._send(error.status, error.body())

    def do_POST(self) -> None:
        try:
            body = self._body()
            if self.path.partition("?")[0].rstrip("/") != "/v1/chat/completions":
                raise no_route(self.path)
            prepared = prepare(
                body, self.server.format, self.server.context, self.server.default_tokens
            )
            asked = prepared.request.model
            if asked not in ("", self.server.name):
                raise ApiError(
                    404,
                    f"there is no model {asked[:200]} here; it is called {self.server.name}",
                    "model",
                    "model_not_found",
                )
            try:
                seeded = prepared.request.seed is not None
                future = self.server.batcher.submit(prepared.prompt, prepared.sampling, seeded)
            except queue.Full:
                raise ApiError(503, "too many requests are waiting", code="busy") from None
            if prepared.request.stream:
                self._stream(prepared, future)
            else:
                self._send(200, self._reply(prepared, _result(future)).whole())
        except ApiError as error:
            self._send(error.status, error.body())

    def _body(self) -> bytes:
        """The body; what is not read closes the connection, or it would be the next request."""
        self.close_connection, keep = True, self.close_connection
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise ApiError(411, "Content-Length is required", code="length_required")
        if len(length) > 12 or int(length) > MAX_BODY:
            raise ApiError(413, f"the body is longer than {MAX_BODY} bytes", code="too_large")
        kind = self.headers.get_content_type()
        if kind != "application/json":
            raise ApiError(415, "Content-Type must be application/json", code="media_type")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ApiError(400, "the body is shorter than Content-Length", code="incomplete")
        self.close_connection = keep
        return body

    def _reply(self, prepared: Prepared, group: list[Completion]) -> Reply:
        return Reply(prepared, group, self.server.format, self.server.name)

    def _stream(self, prepared: Prepared, future: Future[list[Completion]]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                try:
                    group = _result(future, BEAT_SECONDS)
                    break
                except Waiting:
                    self._write(b": waiting\n\n")
            events = self._reply(prepared, group).events()
        except ApiError as error:
            events = [error.body()]
        except OSError:
            future.cancel()
            return
        for event in events:
            self._write(b"data: " + as_json(event) + b"\n\n")
        self._write(b"data: [DONE]\n\n")

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def _send(self, status: int, value: dict[str, Any]) -> None:
        data = as_json(value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def handle(self) -> None:
        """One connection; a client that leaves in the middle is no error."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        return None


def _result(future: Future[list[Completion]], timeout: float | None = None) -> list[Completion]:
    """The completions; ApiError if generating failed, `Waiting` if they take longer."""
    try:
        return future.result(timeout)
    except Waiting:
        if future.done():
            raise ApiError(500, "generating failed: TimeoutError") from None
        raise
    except Exception as error:
        raise ApiError(500, f"generating failed: {type(error).__name__}: {error}") from None
