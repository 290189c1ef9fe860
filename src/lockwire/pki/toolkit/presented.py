"""The certificates that a server presents, fetched without trusting them: for explaining, not for using."""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from dataclasses import dataclass
from typing import Any, Final

from lockwire.pki.errors import UnreachableError

SECONDS: Final = 10.0

_CERTIFICATE: Final = 11  # HandshakeType, RFC 8446 section 4
_HANDSHAKE: Final = 22
_TLS13: Final = 0x0304
_READ: Final = 16_384


@dataclass(frozen=True, slots=True)
class Presented:
    """What a server presented: certificates as DER in the order sent, TLS version, cipher suite.

    complaint: why the handshake failed after the certificates had come, empty where it did not: a server that
        wants a client certificate shows its own all the same.
    """

    certificates: tuple[bytes, ...]
    version: str
    cipher_suite: str
    complaint: str = ""


def fetch_presented(
    host: str, port: int, server_name: str | None = None, seconds: float = SECONDS
) -> Presented:
    """Connects, takes the server's certificates in TLS 1.2 or 1.3, and closes.

    server_name: the name to ask for (SNI), where it is not `host`. seconds: for all of it.
    Raises UnreachableError.
    """
    deadline = time.monotonic() + seconds
    where = f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            return _shake_hands(connection, server_name or host, deadline, where)
    except TimeoutError as error:
        raise UnreachableError(
            f"{where} did not answer in {seconds:g} seconds", "Check the address, the port and the firewall."
        ) from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreachableError(
            f"{where} cannot be reached ({reason})", "Check the address and the port."
        ) from error


class _Recorder:
    """Keeps the Certificate message, which is there also where the handshake fails later."""

    def __init__(self) -> None:
        self.message = b""

    def __call__(
        self, _connection: object, direction: str, _version: Any, kind: Any, message: Any, data: bytes
    ) -> None:
        if direction == "read" and int(kind) == _HANDSHAKE and int(message) == _CERTIFICATE:
            self.message = bytes(data)


def _shake_hands(connection: socket.socket, name: str, deadline: float, where: str) -> Presented:
    recorder = _Recorder()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = _context(recorder).wrap_bio(incoming, outgoing, server_hostname=name)
    complaint = ""
    try:
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                _exchange(connection, incoming, outgoing, deadline)
    except ssl.SSLError as error:
        complaint = error.reason or str(error)
        _send_rest(connection, outgoing)
    except ConnectionError as error:
        complaint = error.strerror or "connection closed"
    certificates = _sent(recorder.message, session)
    if not certificates:
        raise _no_tls(where, complaint)
    cipher = session.cipher()
    return Presented(certificates, session.version() or "TLS", cipher[0] if cipher else "", complaint)


def _context(recorder: _Recorder) -> ssl.SSLContext:
    """Takes whatever a server has: what is weak about it is to be shown, not refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ALL:!aNULL:!eNULL:@SECLEVEL=0")
    # Private, and the only way to a chain before Python 3.13 and to that of a refused handshake.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context._msg_callback = recorder  # type: ignore[attr-defined]
    return context


def _exchange(
    connection: socket.socket, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, deadline: float
) -> None:
    """Sends what is there and waits for an answer."""
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    connection.settimeout(remaining)
    connection.sendall(outgoing.read())
    answer = connection.recv(_READ)
    if not answer:
        raise ConnectionResetError(0, "connection closed")
    incoming.write(answer)


def _send_rest(connection: socket.socket, outgoing: ssl.MemoryBIO) -> None:
    try:
        connection.sendall(outgoing.read())
    except OSError:
        return  # the alert is a courtesy


def _sent(message: bytes, session: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates of the message, else what the session still knows."""
    for is_tls13 in (session.version() == "TLSv1.3", session.version() != "TLSv1.3"):
        try:
            found = parse_certificate_message(message, _TLS13 if is_tls13 else 0)
        except ValueError:
            continue
        if found:
            return found
    try:
        leaf = session.getpeercert(binary_form=True)
    except ValueError:
        return ()
    return () if leaf is None else (leaf,)


def parse_certificate_message(message: bytes, version: int) -> tuple[bytes, ...]:
    """The certificates in a Certificate message (RFC 5246 section 7.4.2, RFC 8446 section 4.4.2).

    message: with its header of four bytes.
    version: as on the wire; 1.3 has a context before the list and extensions behind each. Raises ValueError.
    """
    body = message[4:]
    if version >= _TLS13:
        body = body[1 + body[0] :] if body else b""
    entries, rest = _vector(body, 3)
    if rest:
        raise ValueError("bytes after the list of certificates")
    found = []
    while entries:
        certificate, entries = _vector(entries, 3)
        if version >= _TLS13:
            _, entries = _vector(entries, 2)
        found.append(certificate)
    return tuple(found)


def _vector(data: bytes, width: int) -> tuple[bytes, bytes]:
    """A vector whose length has `width` bytes, and what follows it."""
    end = width + int.from_bytes(data[:width])
    if len(data) < width or len(data) < end:
        raise ValueError("a vector is longer than the data")
    return data[width:end], data[end:]


def _no_tls(where: str, complaint: str) -> UnreachableError:
    if complaint in ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"):
        return UnreachableError(
            f"{where} does not speak TLS", "Plain MQTT has port 1883; MQTT over TLS usually has 8883."
        )
    if complaint in ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"):
        return UnreachableError(f"{where} speaks neither TLS 1.2 nor 1.3", "Bring its TLS up to date.")
    reason = complaint.replace("_", " ").lower() or "no reason given"
    return UnreachableError(
        f"{where} ended the handshake before it sent a certificate ({reason})",
        "If nothing came at all, the port may be for plain MQTT, or a list of addresses may keep you out.",
    )
