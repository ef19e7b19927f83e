"""HTTP/1.1 over asyncio for the `openai` SDK, without the cost of its own connection pool.

With 64 calls in flight the SDK's default client takes 0.9 ms of processor time a call, more than
all the rest (benchmarks/teacher_throughput.py). This one keeps idle connections in a list, and
leaves out redirects, cookies and hooks, which a chat completion does not need.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from ssl import SSLContext
from typing import Any

import httpx2

MAX_HEAD = 1 << 16
"""Bytes that a response's head may take."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Origin = tuple[str, str, int]


class DirectClient(httpx2.AsyncClient):
    """Sends each request on an idle kept-alive connection, or on a new one.

    It belongs to one event loop, sets no time limit of its own, follows no redirects and knows no
    proxies. Raises `httpx2.ConnectError` where nobody answers and `httpx2.RemoteProtocolError` for
    a response that breaks off or is none.
    """

    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self.headers.clear()
        self._idle: dict[Origin, list[Connection]] = {}

    def build_request(self, method: str, url: Any, **parts: Any) -> httpx2.Request:
        """As the parent's; this client has no headers, cookies or base URL to merge in."""
        if parts.get("params"):
            return super().build_request(method, url, **parts)
        return httpx2.Request(method, url, headers=parts["headers"], content=parts["content"])

    async def send(self, request: httpx2.Request, **ignored: Any) -> httpx2.Response:
        response = await self._send(request)
        response.request = request
        return response

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        message = _head(request) + await request.aread()
        idle = self._idle.setdefault(_origin(request.url), [])
        while idle:
            connection = idle.pop()
            if connection[0].at_eof():
                connection[1].close()
                continue
            try:
                return await self._exchange(connection, message, idle)
            except _StaleError:
                continue
        try:
            return await self._exchange(await self._connect(request.url), message, idle)
        except _StaleError:
            raise httpx2.RemoteProtocolError("closed without a response") from None

    async def aclose(self) -> None:
        await super().aclose()
        for connections in self._idle.values():
            for _, writer in connections:
                writer.close()
        self._idle.clear()

    async def _connect(self, url: httpx2.URL) -> Connection:
        scheme, host, port = _origin(url)
        context = self._tls if scheme == "https" else None
        try:
            return await asyncio.open_connection(host, port, ssl=context, limit=MAX_HEAD)
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error

    async def _exchange(
        self, connection: Connection, message: bytes, idle: list[Connection]
    ) -> httpx2.Response:
        reader, writer = connection
        keep = False
        try:
            writer.write(message)
            if writer.transport.get_write_buffer_size():
                await writer.drain()
            response, keep = await _read(reader)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise httpx2.RemoteProtocolError(f"broken off: {error}") from error
        finally:
            if keep:
                idle.append(connection)
            else:
                writer.close()
        return response

    @cached_property
    def _tls(self) -> SSLContext:
        return httpx2.create_ssl_context()


class _StaleError(Exception):
    """The connection was closed before any byte of a response came."""


def _origin(url: httpx2.URL) -> Origin:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _read(reader: asyncio.StreamReader) -> tuple[httpx2.Response, bool]:
    """One response, and whether the connection can carry another."""
    status = 100
    while status < 200:  # 1xx: the real one follows
        status, headers = await _read_head(reader)
    fields = {name.lower(): value for name, value in headers}
    keep = fields.get(b"connection", b"").lower() != b"close"
    if status in (204, 304):
        body = b""
    elif b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        body = await _read_chunks(reader)
    elif b"content-length" in fields:
        body = await reader.readexactly(_number(fields[b"content-length"], 10))
    else:
        body, keep = await reader.read(), False
    return httpx2.Response(status, headers=headers, content=body), keep


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, list[tuple[bytes, bytes]]]:
    try:
        first, *rest = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            raise _StaleError from None
        raise
    except ConnectionError:
        raise _StaleError from None
    version, _, status = first.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise httpx2.RemoteProtocolError("not HTTP/1.1")
    split = (line.partition(b":") for line in rest)
    return _number(status[:3], 10), [(name.strip(), value.strip()) for name, _, value in split]


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := _number((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return b"".join(parts)


def _number(digits: bytes, base: int) -> int:
    try:
        return int(digits, base)
    except ValueError:
        raise httpx2.RemoteProtocolError("malformed HTTP response") from None
