"""A missing issuer, fetched from where a certificate says it is (caIssuers, RFC 5280 section 4.2.2.1)."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from lockwire.pki.errors import PkiError, UnreachableError
from lockwire.pki.toolkit.content import parse_content
from lockwire.pki.wording import printable

MAXIMUM_SIZE: Final = 64 << 10
"""Bytes; one certificate has 2 KB, a PKCS#7 with a few of them 10."""
_BLOCK: Final = 4096


def fetch_certificates(address: str, seconds: float) -> list[x509.Certificate]:
    """The certificates at an http address, in any form, within so many seconds. Raises UnreachableError.

    Only http, as the standard recommends: https would need certificates to fetch certificates. No redirects.
    """
    deadline = time.monotonic() + seconds
    where = printable(address)
    try:
        parts = urlsplit(address)
        if parts.scheme != "http" or not parts.hostname:
            raise UnreachableError(f"{where} is no http address", "Fetch it by hand.")
        path = parts.path or "/"
        data = _get(
            parts.hostname,
            parts.port or 80,
            path + (f"?{parts.query}" if parts.query else ""),
            deadline,
            where,
        )
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)
        raise UnreachableError(
            f"{where} cannot be fetched ({reason})", "Check the network, or fetch it by hand."
        ) from error
    try:
        return parse_content(data, Path(Path(parts.path).name or "answer")).certificates
    except PkiError as error:
        raise UnreachableError(
            f"{where} holds no certificate ({error.problem})", "Fetch it by hand."
        ) from error


def _get(host: str, port: int, path: str, deadline: float, where: str) -> bytes:
    connection = http.client.HTTPConnection(host, port, timeout=max(0.1, deadline - time.monotonic()))
    connection.connect()
    # The timeout is one for each piece: a server that sends byte after byte would never reach it.
    cut = threading.Timer(max(0.1, deadline - time.monotonic()), _cut, (connection.sock,))
    cut.daemon = True
    cut.start()
    try:
        connection.request("GET", path, headers={"Accept": "*/*", "Connection": "close"})
        response = connection.getresponse()
        if response.status != 200:
            raise UnreachableError(
                f"{where} answers {response.status} {printable(response.reason)}", "Fetch it by hand."
            )
        data = b""
        while block := response.read1(_BLOCK):
            data += block
            if len(data) > MAXIMUM_SIZE:
                raise UnreachableError(
                    f"{where} is larger than {MAXIMUM_SIZE >> 10} KiB", "Fetch it by hand."
                )
        if time.monotonic() > deadline:
            raise TimeoutError("too slow")
        return data
    except http.client.HTTPException as error:
        raise (TimeoutError("too slow") if time.monotonic() > deadline else error) from error
    finally:
        cut.cancel()
        connection.close()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
