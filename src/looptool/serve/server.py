"""The HTTP side: an OpenAI-compatible endpoint on the standard library's threading server.

Bodies are bounded, slow clients time out, and whatever is wrong is told as an OpenAI error object.
"""

from __future__ import annotations

import errno
import queue
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from looptool.errors import UserError
from looptool.models.engine import Engine
from looptool.models.guide import Guides
from looptool.models.load import num_positions
from looptool.serve.answer import Answer
from looptool.serve.batcher import Batcher, Failed, Ticket
from looptool.serve.protocol import ApiError, as_json, models, no_route, prepare

MAX_BODY = 8 * 2**20
"""Bytes of the longest body that is read."""
IDLE_SECONDS = 60.0
"""A client that sends nothing for so long is let go."""
BEAT_SECONDS = 2.0
"""While nothing is generated for a client, a stream says that it waits, and who left is found out,
this often."""


class ChatServer(ThreadingHTTPServer):
    """Serves one engine under one name until `shutdown`; `close` frees the port and the thread."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        engine: Engine,
        name: str,
        host: str,
        port: int,
        default_tokens: int = 512,
        guided: bool = False,
    ) -> None:
        """With `guided` all calls are held to their schemas, not only those of `strict` tools, and
        none is made twice in an answer.

        Raises UserError if the port cannot be had.
        """
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
        self.guides = Guides(engine.format)
        self.guided = guided
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
    disable_nagle_algorithm = True  # or the events of a stream would wait for one another

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
            request, asked = prepared.request, prepared.request.model
            if asked not in ("", self.server.name):
                raise ApiError(
                    404,
                    f"there is no model {asked[:200]} here; it is called {self.server.name}",
                    "model",
                    "model_not_found",
                )
            guide = request.guide(self.server.guides, self.server.guided)
            try:
                ticket = self.server.batcher.submit(
                    prepared.prompt,
                    prepared.sampling,
                    guide,
                    seeded=request.seed is not None,
                    live=bool(request.stream or request.stops()),
                )
            except queue.Full:
                raise ApiError(503, "too many requests are waiting", code="busy") from None
            try:
                answer = Answer(
                    prepared,
                    self.server.format,
                    self.server.name,
                    repeats=not self.server.guided,
                )
                self._answer(answer, ticket, stream=bool(request.stream))
            finally:
                ticket.leave()
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

    def _answer(self, answer: Answer, ticket: Ticket, stream: bool) -> None:
        if not stream:
            for _ in self._follow(answer, ticket):
                pass
            self._send(200, answer.whole())
            return
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for chunks in self._follow(answer, ticket):
                if chunks is None:
                    self._write(b": waiting\n\n")
                elif chunks:
                    self._write(b"".join(map(_event, chunks)))
        except ApiError as error:
            self._write(_event(error.body()))
        self._write(b"data: [DONE]\n\n")

    def _follow(self, answer: Answer, ticket: Ticket) -> Iterator[list[dict[str, Any]] | None]:
        """The answer's chunks as they come, None whenever there was nothing for a while.

        Raises:
            ApiError: generating failed.
            ConnectionAbortedError: the client left.
        """
        try:
            for growth in ticket.growths(BEAT_SECONDS):
                chunks = answer.add(growth) if growth else None
                if not chunks and self._client_left():
                    raise ConnectionAbortedError
                yield chunks
                if answer.complete:
                    break
        except Failed as error:
            raise ApiError(500, f"generating failed: {error}") from None
        yield answer.end()

    def _client_left(self) -> bool:
        """Whether the other end is closed; who is written to is found out by writing."""
        self.connection.settimeout(0)
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK) == b"")
        except BlockingIOError:
            return False
        finally:
            self.connection.settimeout(self.timeout)

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


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + as_json(value) + b"\n\n"
