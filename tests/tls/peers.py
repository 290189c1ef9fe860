"""A Python client over memory BIOs, and the two ends brought together."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from lockwire.tls.context import ServerContext
from lockwire.tls.session import Session
from tests.tls.certificates import Pair

TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3


def client_context(
    trust: Path,
    version: ssl.TLSVersion | None = None,
    certificate: Pair | None = None,
    alpn: tuple[str, ...] = ("mqtt",),
) -> ssl.SSLContext:
    """A client's context as a Python MQTT client makes it: it verifies the server and its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(trust)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if certificate is not None:
        with tempfile.TemporaryDirectory() as folder:
            context.load_cert_chain(*certificate.write(Path(folder), "client"))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Client:
    """The client's end: `exchange` takes what the server sent and returns what the client sends."""

    def __init__(
        self,
        context: ssl.SSLContext,
        server_hostname: str | None = "localhost",
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname, session=session
        )
        self.established = False
        self.error: ssl.SSLError | None = None
        self.received: list[bytes] = []

    def exchange(self, data: bytes = b"") -> bytes:
        self._incoming.write(data)
        try:
            if not self.established:
                self.tls.do_handshake()
                self.established = True
            while chunk := self.tls.read(65536):
                self.received.append(chunk)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.error = self.error or error.with_traceback(None)  # frames would keep us alive
        return self._outgoing.read()

    def send(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self._outgoing.read()


def shake_hands(context: ServerContext, client: Client) -> Session:
    """Brings a client to this server and goes on until both have nothing left to say."""
    session = Session(context)
    to_server = client.exchange()
    while to_server:
        session.receive(to_server)
        to_server = client.exchange(session.pending_output())
    return session


def records(data: bytes) -> list[tuple[int, int]]:
    """The TLS records in these bytes: content type and length of each."""
    found = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        found.append((data[at], length))
        at += 5 + length
    return found
