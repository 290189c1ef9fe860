"""One TLS connection, sans-I/O: ciphertext in, plaintext out, and the bytes that must go to the socket.

The listener owns the socket: it hands what it reads to `receive`, sends what `pending_output` and `send`
return, and calls `abandon` where the peer left or was too slow. asyncio's own TLS would hide failed
handshakes: no alert to the peer, no reason for us.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from ssl import SSLError, SSLWantReadError
from sys import intern
from time import monotonic
from typing import Any, Final

from lockwire.tls import failure as failures
from lockwire.tls.alerts import received_in
from lockwire.tls.clienthello import ClientHello, ClientHelloError, parse_client_hello
from lockwire.tls.context import ServerContext
from lockwire.tls.psk import Asked, SlowLookup, as_identity, identity_in

MAXIMUM_HANDSHAKE: Final = 65_536
LONGEST_PSK_FLIGHT: Final = 2_048
"""Bytes of ClientKeyExchange, ChangeCipherSpec and Finished; an honest client's are below 700."""
_RECORD: Final = 16_384
_FIRST_BYTES: Final = 16
_SLICE: Final = 262_144  # what goes through the shared BIO at once: it keeps the size it once had


class Session:
    """The server's side of one connection.

    `established`: the handshake is complete. `closed`: the peer closed, or it failed: nothing more comes, and
    what is in `pending_output` is the last. `failure`: why it failed, or None. `server_name`: what SNI said,
    once established. `psk_identity`: whose pre-shared key the client has shown in this very handshake.
    `key_source`: who may have to be asked for that key, see `gather` and
    `wait_for_key`; None where nobody, or no more.
    """

    def __init__(self, context: ServerContext) -> None:
        self.established: bool = False
        self.closed: bool = False
        self.failure: failures.HandshakeFailure | None = None
        self.server_name: str | None = None
        self.psk_identity: str | None = None
        self._asked: Asked | None = None  # of PSK
        self.key_source: SlowLookup | None = None if context.psk is None else context.psk.source
        self._flight: list[bytes] | None = None if self.key_source is None else []
        self._wanted: str | None = None
        self._context: ServerContext = context
        self._incoming: Any = context.incoming
        self._outgoing: Any = context.outgoing
        self._tls: Any = context.connection()
        self._slice: int = _SLICE if context.record_size == _RECORD else context.record_size
        self._output: bytes = b""
        self._answered: bool = False  # our first flight is out
        self._hello: list[bytes] | None = []
        self._received: int = 0
        self._started: float = monotonic()

    def receive(self, data: bytes) -> list[bytes]:
        """Takes bytes from the socket; returns the plaintext in them, in pieces of at most 16,384 bytes.

        Drives the handshake too. Never raises for what a peer sent: look at `closed` and `failure` after it,
        and send `pending_output` in any case.
        """
        chunks: list[bytes] = []
        if self.closed or not data:
            return chunks
        incoming = self._incoming
        incoming.write(data)
        if not self.established and (not self._handshake(data) or not incoming.pending):
            return chunks
        tls = self._tls
        try:
            while True:
                chunk: bytes = tls.read(_RECORD)
                if not chunk:
                    self.closed = True
                    incoming.read()
                    break
                chunks.append(chunk)
                # Asking costs 0.1 us, an SSLWantReadError 1 us.
                if not incoming.pending and not tls.pending():
                    break
        except SSLWantReadError:
            pass
        except SSLError as error:
            self._fail(error)
        if self._outgoing.pending:
            self._output += self._outgoing.read()
        return chunks

    def gather(self, data: bytes) -> bytes:
        """Keeps what the client answers to our first flight until that is all there, and then gives it.

        data: what came. Gives what `receive` gets next, b"" where it has to wait for more. What cannot be
        read is left to OpenSSL.
        """
        parts = self._flight
        if parts is None or not self._answered or self.closed:
            return data
        parts.append(data)
        flight = b"".join(parts)
        try:
            if len(flight) <= LONGEST_PSK_FLIGHT:
                self._wanted = identity_in(flight)
                if self._wanted is None:
                    return b""
        except ClientHelloError:
            pass
        self._flight = None
        return flight

    def wait_for_key(self, done: Callable[[], None]) -> Callable[[], None] | None:
        """Has a pre-shared key fetched, where the handshake needs one next and it is not at hand.

        Gives None where it may go on; otherwise it is to go on when `done` has been called, and what is given
        calls that off.
        A handshake that failed without having waited has its output wait likewise: so a wrong key is refused
        no sooner than an unknown identity.
        """
        source = self.key_source
        if source is None or self.established:
            return None
        identity: str | None = None
        if self.closed:
            asked = self._asked
            if asked is not None:
                identity = as_identity(asked.identity.encode())
        else:
            identity = self._wanted
            if identity is not None and source(identity) is not None:
                identity = None
        self._wanted = None
        if identity is None:
            return None
        self.key_source = None
        return source.fetch(identity, done)

    def pending_output(self) -> bytes:
        """The bytes of TLS itself that must go to the socket now: flights, tickets, alerts; b"" for none."""
        output = self._output
        if output:
            self._output = b""
        return output

    def send(self, data: bytes) -> bytes:
        """Plaintext to records for the socket. b"" where the connection is not established or has ended."""
        if not self.established or self.failure is not None or not data:
            return b""
        if len(data) > self._slice:
            return self._send_slices(data)
        try:
            self._tls.write(data)
        except SSLError:
            self.closed = True
        output: bytes = self._outgoing.read()
        if self._output:
            output = self._output + output
            self._output = b""
        return output

    def close(self) -> bytes:
        """Ends the connection: returns what must still go to the socket, close_notify last."""
        if self.established and self.failure is None:
            with suppress(SSLError):  # the peer's close_notify is not here yet and need not be waited for
                self._tls.shutdown()
            self._output += self._outgoing.read()
        self.closed = True
        return self.pending_output()

    def abandon(self, reason: str = failures.PEER_CLOSED) -> None:
        """Says that no more bytes will come: the peer left, or failures.TIMED_OUT.

        During a handshake this makes a `failure`; later it only sets `closed`.
        """
        if not self.closed and not self.established:
            self._fail_because(reason)
        self.closed = True

    @property
    def version(self) -> str:
        """The protocol version ("TLSv1.3"), "" before the handshake is complete."""
        return (self._tls.version() or "") if self._live() else ""

    @property
    def cipher_suite(self) -> str:
        """OpenSSL's name of the cipher suite, "" before the handshake is complete."""
        cipher = self._tls.cipher() if self._live() else None
        return str(cipher[0]) if cipher else ""

    @property
    def resumed(self) -> bool:
        """Whether the handshake resumed an earlier session."""
        return bool(self._tls.session_reused) if self._live() else False

    @property
    def alpn(self) -> str | None:
        """The protocol chosen by ALPN, None where the client offered none of ours."""
        protocol: str | None = self._tls.selected_alpn_protocol() if self._live() else None
        return protocol

    @property
    def peer_certificate(self) -> bytes | None:
        """The client's verified certificate in DER, from the first handshake where this one resumed it."""
        if not self._live() or self._context.established is None:
            return None
        certificate: bytes | None = self._tls.getpeercert(True)
        return certificate

    def _live(self) -> bool:
        return self.established and self._tls is not None

    def _send_slices(self, data: bytes) -> bytes:
        output = [self.pending_output()]
        view = memoryview(data)
        for position in range(0, len(data), self._slice):
            output.append(self.send(bytes(view[position : position + self._slice])))
        return b"".join(output)

    def _handshake(self, data: bytes) -> bool:
        """One step of the handshake; whether it is complete now."""
        self._received += len(data)
        if self._hello is not None and not self._answered:
            self._hello.append(data)
        context = self._context
        try:
            self._tls.do_handshake()
        except SSLWantReadError:
            self._note_asked()
            if self._outgoing.pending:
                self._answered = True
                self._output += self._outgoing.read()
            context.recorder.clear()
            if self._received > MAXIMUM_HANDSHAKE:
                self._fail_because(failures.TOO_LARGE)
            return False
        except SSLError as error:
            self._note_asked()
            self._fail(error)
            return False
        if context.psk is not None and not self._prove_psk():
            return False
        self.established = True
        context.recorder.clear()
        if self._outgoing.pending:
            self._output += self._outgoing.read()
        hello = self._client_hello()
        if hello is not None and hello.server_name is not None:
            self.server_name = intern(hello.server_name)  # thousands of devices say the same name
        self._hello = None
        if context.established is not None:
            self._tls.context = context.established
        return True

    def _note_asked(self) -> None:
        """Keeps whose pre-shared key was asked for in the step that is over: the next one is another's."""
        psk = self._context.psk
        if psk is not None:
            asked = psk.take()
            if asked is not None:
                self._asked = asked

    def _prove_psk(self) -> bool:
        """Takes the identity whose key completed the handshake; fails where there was none, as in a resumed
        one.
        """
        self._note_asked()
        asked = self._asked
        if asked is None or not asked.known or self._tls.session_reused:
            self._fail_because(failures.NO_PSK)
            return False
        self.psk_identity = asked.identity
        return True

    def forget_psk(self, identity: str) -> None:
        """The key of an identity is no more: who has shown it, or is about to, has shown nothing."""
        if self._asked is not None and self._asked.identity == identity:
            self._asked = None
        if self.psk_identity == identity:
            self.psk_identity = None

    def _client_hello(self) -> ClientHello | None:
        if self._hello is None:
            return None
        try:
            return parse_client_hello(b"".join(self._hello))
        except ClientHelloError:
            return None

    def _fail(self, error: SSLError) -> None:
        reason, library, verify_code, verify_message = failures.failure_of(error)
        self._fail_because(reason, library, verify_code, verify_message)

    def _fail_because(
        self, reason: str, library: str = "", verify_code: int = 0, verify_message: str = ""
    ) -> None:
        """Keeps the reason and everything that explains it; lets go of the rest."""
        self._incoming.read()
        self._output += self._outgoing.read()
        recorder = self._context.recorder
        alert_sent = failures.alert_in(self._output)
        hello = self._client_hello()
        first = b"".join(self._hello)[:_FIRST_BYTES] if self._hello is not None else b""
        presented = failures.parse_certificate_message(recorder.certificate_message, recorder.version)
        self.failure = failures.HandshakeFailure(
            reason=reason,
            library=library,
            verify_code=verify_code,
            verify_message=verify_message,
            alert_sent=alert_sent if alert_sent >= 0 else recorder.alert_sent,
            alert_received=received_in(reason),
            client_hello=hello,
            certificate=presented,
            issuer_known=presented is not None and self._context.trusts_name(presented.issuer),
            stage=self._stage(hello),
            minimum_version=self._context.minimum_version,
            bytes_received=self._received,
            first_bytes=first,
            duration=monotonic() - self._started,
            psk=self._context.psk is not None,
            psk_asked=self._asked,
        )
        self.closed = True
        self._hello = None
        self._tls = None
        recorder.clear()

    def _stage(self, hello: ClientHello | None) -> str:
        if self.established:
            return failures.ESTABLISHED
        if self._answered:
            return failures.SERVER_FLIGHT
        if hello is not None:
            return failures.CLIENT_HELLO
        return failures.NO_CLIENT_HELLO if self._received else failures.NOTHING_RECEIVED
