"""Reads a small document over HTTP, as suspicious of the server as of anybody else."""

from __future__ import annotations

import http.client
import ssl
import time
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from lockwire.access.errors import KeySetError
from lockwire.access.tokens.jwks import MAXIMUM_BYTES
from lockwire.version import VERSION

TIMEOUT: Final = 5.0
"""Seconds for each step: to connect, to be answered, for each piece."""
TOTAL: Final = 10.0
"""Seconds for all pieces of the body together."""

_PIECE: Final = 65_536


def fetch(url: str, ca: Path | None) -> bytes:
    """GET of a URL: status 200, no redirection followed, no proxy, at most 1 MiB. Blocks: for a thread.

    ca: the CA certificates (PEM) that an https server is checked with, None: the system's.

    Raises KeySetError with the URL, what went wrong and what to do.
    """
    try:
        connection = _connection(url, ca)
        try:
            return _get(connection, url)
        finally:
            connection.close()
    except ssl.SSLCertVerificationError as error:
        raise KeySetError(
            f"{url}: its certificate is not trusted ({error.verify_message}); name its CA in [token] jwks_ca"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise KeySetError(f"{url}: {error or type(error).__name__}") from error


def _connection(url: str, ca: Path | None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT, context=context)


def _get(connection: http.client.HTTPConnection, url: str) -> bytes:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept": "application/jwk-set+json, application/json", "User-Agent": f"lockwire/{VERSION}"}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    if answer.status != HTTPStatus.OK:
        target = answer.headers.get("Location")
        where = f" to {target[:200]!r}; write that URL" if target else ""
        raise KeySetError(f"{url}: answered {answer.status}{where}")
    deadline = time.monotonic() + TOTAL
    body = bytearray()
    while piece := answer.read1(_PIECE):
        body += piece
        if len(body) > MAXIMUM_BYTES:
            raise KeySetError(f"{url}: more than {MAXIMUM_BYTES} bytes")
        if time.monotonic() > deadline:
            raise KeySetError(f"{url}: not complete after {TOTAL:.0f} s")
    return bytes(body)
