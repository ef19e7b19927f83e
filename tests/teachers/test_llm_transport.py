"""The HTTP client under the SDK, against bytes as servers send them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from looptool.teachers.llm.transport import DirectClient

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def serve(*responses: bytes, close: bool = False) -> tuple[list[int], Handler]:
    """A handler that sends one response a request; the list counts requests by connection."""
    left, served = list(responses), []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(0)
        mine = len(served) - 1
        while left:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
            served[mine] += 1
            writer.write(left.pop(0))
            await writer.drain()
            if close:
                break
        writer.close()

    return served, handle


def exchange(handler: Handler, times: int) -> list[httpx2.Response]:
    async def run() -> list[httpx2.Response]:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, DirectClient() as client:
            got = []
            for _ in range(times):
                got.append(await client.post(f"http://127.0.0.1:{port}/x", content=b"{}"))
                await asyncio.sleep(0.01)  # a server that closes has closed
            return got

    return asyncio.run(run())


PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: t\r\n\r\n"
)
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\nhello"


@pytest.mark.parametrize("response", [PLAIN, CHUNKED, CONTINUED])
def test_a_connection_is_used_again(response: bytes) -> None:
    served, handler = serve(*[response] * 3)
    assert [got.text for got in exchange(handler, 3)] == ["hello"] * 3
    assert served == [3]


@pytest.mark.parametrize("response", [PLAIN, UNTIL_CLOSED])
def test_a_connection_that_was_closed_meanwhile_is_replaced(response: bytes) -> None:
    served, handler = serve(*[response] * 3, close=True)
    assert [got.text for got in exchange(handler, 3)] == ["hello"] * 3
    assert served == [1, 1, 1]


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 ok\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
)
def test_what_breaks_off_or_is_no_http_is_an_error(response: bytes) -> None:
    _, handler = serve(response, close=True)
    with pytest.raises(httpx2.RemoteProtocolError):
        exchange(handler, 1)


def test_nobody_there_is_an_error_of_its_own() -> None:
    async def run() -> None:
        async with DirectClient() as client:
            await client.post("http://127.0.0.1:1/x", content=b"{}")

    with pytest.raises(httpx2.ConnectError):
        asyncio.run(run())
