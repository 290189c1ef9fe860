"""The small HTTP server: what it takes, what it refuses, and that its bounds hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from lockwire.http import MAXIMUM_CONNECTIONS, HttpServer, Request, Response


async def echo(request: Request) -> Response:
    if request.path == "/fault":
        raise ZeroDivisionError
    return Response(HTTPStatus.OK, "text/plain", f"{request.method} {request.path} ".encode() + request.body)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = HttpServer("127.0.0.1", 0, echo, maximum_body=1000)
    yield await server.start()
    await server.stop()


async def ask(port: int, raw: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_get_and_post_are_answered_and_the_connection_closed(port: int) -> None:
    answer = await ask(port, b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nGET /a%20b ")
    answer = await ask(port, b"POST /p HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    assert answer.endswith(b"POST /p hello")


async def test_head_has_the_length_and_no_body(port: int) -> None:
    answer = await ask(port, b"HEAD /a HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 8\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_a_whole_url_is_taken_as_proxies_send_it(port: int) -> None:
    assert (await ask(port, b"GET http://host:80/x HTTP/1.1\r\n\r\n")).endswith(b"GET /x ")


async def test_a_client_that_asks_before_it_sends_is_told_to(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /p HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"ok")
    assert (await reader.read()).endswith(b"POST /p ok")
    writer.close()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nspace : x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001, 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 400),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_a_status(port: int, raw: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    assert (await reader.readline()).startswith(f"HTTP/1.1 {status} ".encode())
    writer.close()


async def test_a_fault_of_ours_is_an_answer_and_a_report(port: int) -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
    assert (await ask(port, b"GET /fault HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 500 ")
    assert isinstance(reported[0], ZeroDivisionError)


async def test_too_many_connections_are_closed_and_later_ones_served(port: int) -> None:
    waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAXIMUM_CONNECTIONS)]
    assert await ask(port, b"") == b""
    for reader, writer in waiting:
        writer.write(b"GET /late HTTP/1.1\r\n\r\n")
        assert (await reader.read()).endswith(b"GET /late ")
        writer.close()
    assert (await ask(port, b"GET /next HTTP/1.1\r\n\r\n")).endswith(b"GET /next ")
