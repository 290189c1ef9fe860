"""A small HTTP/1.1 client for one URL: POST, connections kept open, answers of bounded size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult

import h11

LARGEST_ANSWER: Final = 64 * 1024
"""Bytes of a body; of the header as well."""
KEPT: Final = 16
"""Connections that are kept open between questions."""
_CHUNK: Final = 16 * 1024


class HttpError(Exception):
    """The other server's answer cannot be used."""


class HttpClient:
    """Posts to one URL.

    url: `http` or `https`. context: for `https`, checks the server's name. headers: sent with each request.
    """

    def __init__(
        self, url: SplitResult, context: ssl.SSLContext | None, headers: Sequence[tuple[str, str]]
    ) -> None:
        self._host = url.hostname or ""
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._context = context
        self._headers = [("host", url.netloc), *headers]
        self._idle: list[_Connection] = []
        self._closed = False

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Redirects are not followed; a time limit is the caller's.

        Raises HttpError for what is no HTTP or too large, OSError where the server cannot be reached.
        """
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._post(connection, body)
            except _StaleError:
                continue  # it was closed meanwhile, and nothing of the answer had come
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._context)
        try:
            return await self._post(_Connection(reader, writer), body)
        except _StaleError as error:
            raise HttpError("the server closed the connection without an answer") from error

    def close(self) -> None:
        """Closes the connections that are open and idle; those in use close behind their answer."""
        self._closed = True
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def _post(self, connection: _Connection, body: bytes) -> tuple[int, bytes]:
        length = ("content-length", str(len(body)))
        request = h11.Request(method="POST", target=self._target, headers=[*self._headers, length])
        kept = False
        try:
            answer = await connection.exchange(request, body)
            kept = connection.next_one() and not self._closed and len(self._idle) < KEPT
            return answer
        except h11.RemoteProtocolError as error:
            raise HttpError(f"the answer is no HTTP: {error}") from error
        finally:
            if kept:
                self._idle.append(connection)
            else:
                connection.abort()


class _StaleError(Exception):
    """The connection ended before the first byte of an answer."""


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_ANSWER)

    async def exchange(self, request: h11.Request, body: bytes) -> tuple[int, bytes]:
        parts = (request, h11.Data(data=body), h11.EndOfMessage())
        try:
            self._writer.write(b"".join(self._http.send(part) or b"" for part in parts))
            await self._writer.drain()
            first = await self._reader.read(_CHUNK)
        except ConnectionError as error:
            raise _StaleError from error
        if not first:
            raise _StaleError
        self._http.receive_data(first)
        status = 0
        content = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_CHUNK))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                content += event.data
                if len(content) > LARGEST_ANSWER:
                    raise HttpError(f"the answer is larger than {LARGEST_ANSWER} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return status, bytes(content)
            elif not isinstance(event, h11.InformationalResponse):
                raise HttpError("the server closed the connection within the answer")

    def next_one(self) -> bool:
        """Whether another request may follow."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return self._http.trailing_data == (b"", False)

    def abort(self) -> None:
        self._writer.transport.abort()
