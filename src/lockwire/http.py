"""A small HTTP/1.1 server for what the broker tells over HTTP: metrics, revocation lists, OCSP.

One request a connection (RFC 9112 section 9.6), bounded in every direction. It is no place for web pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

REQUEST_TIMEOUT: Final = 5.0
"""Seconds for a request to arrive and its answer to be taken."""
MAXIMUM_HEAD: Final = 8192
"""Bytes of a request's first line and header fields."""
MAXIMUM_CONNECTIONS: Final = 16
_LINGER: Final = 65_536  # bytes of a refused request that are read and dropped, so that its answer arrives
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One request; the names of its header fields are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; Content-Length, Date and Connection are not among its header fields."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, with_body: bool = True) -> bytes:
        """The bytes on the wire; `with_body` is false for HEAD (RFC 9110 section 9.3.2)."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            "Connection: close\r\n\r\n",
        ]
        head = "\r\n".join(lines).encode("latin-1")
        return head + self.body if with_body else head


Handler = Callable[[Request], Awaitable[Response]]
"""Answers a request, on the event loop. What it raises is reported to the loop's exception handler."""


class HttpServer:
    """Serves HTTP on one address.

    Args:
        address: IP address or host name to listen on.
        port: TCP port; 0 lets the system choose one.
        handler: answers the requests.
        maximum_body: bytes that a request may bring.
    """

    def __init__(self, address: str, port: int, handler: Handler, *, maximum_body: int = 0) -> None:
        self._address = address
        self._port = port
        self._handler = handler
        self._maximum_body = maximum_body
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listens; gives the port. Raises OSError where the address cannot be had."""
        self._server = await asyncio.start_server(self._accept, self._address, self._port, limit=MAXIMUM_HEAD)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes the listener and the connections under way."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._connections):
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAXIMUM_CONNECTIONS:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                try:
                    request = await self._read(reader, writer)
                except _RefusedError as error:
                    writer.write(plain(error.status, error.reason).encode())
                    await _linger(reader, writer)
                    return
                response = await self._answer(request)
                writer.write(response.encode(with_body=request.method != "HEAD"))
                await writer.drain()
        except (OSError, EOFError, TimeoutError):
            return
        finally:
            writer.close()

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception as error:
            # The outermost edge: a fault of ours costs this request, and is told.
            context = {"message": f"HTTP {request.method} {request.path} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return plain(HTTPStatus.INTERNAL_SERVER_ERROR, "The broker's log says more.")

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "The head of this request is too long.") from error
        method, path, headers = _parse(head)
        length = _body_length(headers)
        if length > self._maximum_body:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{self._maximum_body} bytes of content at most."
            )
        if length and headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(method, path, headers, await reader.readexactly(length))


def plain(status: HTTPStatus, line: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of one line for people."""
    return Response(status, _TEXT, f"{line}\n".encode(), headers or {})


def method_not_allowed(*allowed: str) -> Response:
    """The answer to another method than those allowed (RFC 9110 section 15.5.6)."""
    return plain(
        HTTPStatus.METHOD_NOT_ALLOWED, f"Only {' and '.join(allowed)}.", {"Allow": ", ".join(allowed)}
    )


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def _parse(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, path without query, and header fields of a request. Raises _RefusedError."""
    first, *lines = head[:-4].split(b"\r\n")
    request = first.split(b" ")
    if len(request) != 3 or not request[2].startswith(b"HTTP/1."):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "Not an HTTP request.")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "A header field cannot be read.")
        key = name.decode("latin-1").lower()
        if key in headers and key in ("content-length", "transfer-encoding"):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "A header field is there twice.")
        headers[key] = value.strip().decode("latin-1")
    target = request[1].decode("latin-1").partition("?")[0]
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() in ("http", "https"):  # absolute-form, RFC 9112 section 3.2.2
        target = f"/{rest.partition('/')[2]}"
    return request[0].decode("latin-1"), target, headers


def _body_length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "Send the content with its Content-Length.")
    value = headers.get("content-length", "0")
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, "Content-Length is no number.")
    return int(value)


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends our side and reads what still comes: a close with unread bytes would take the answer with it."""
    await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    rest = _LINGER
    while rest > 0:
        piece = await reader.read(min(rest, MAXIMUM_HEAD))
        if not piece:
            return
        rest -= len(piece)
