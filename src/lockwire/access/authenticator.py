"""The seam between the broker and whoever decides who a client is.

The broker asks at CONNECT and goes on when `done` is called: at once, or later from the event loop's thread.
It never waits, so a slow decision parks one connection and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lockwire.access.identity import Identity
from lockwire.mqtt import reasons


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client presented at CONNECT.

    listener: name of the listener it came in by.
    peer: its address as logs show it, "192.0.2.7:50123", "[2001:db8::7]:50123" or "unix".
    client_id: the client identifier, after the server assigned one where it was empty.
    username, password: the CONNECT fields, None where absent (MQTT 5 sections 3.1.3.5 and 3.1.3.6).
    certificate: the client certificate that TLS verified, DER, or None.
    version: 3, 4 or 5.
    psk_identity: the identity whose pre-shared key the TLS handshake proved, or None.
    assigned: the client identifier was empty, so that the server chooses it.
    known: who the client is already, at a re-authentication (MQTT 5 section 4.12.1), otherwise None.
    """

    listener: str
    peer: str
    client_id: str
    username: str | None = None
    password: bytes | None = None
    certificate: bytes | None = None
    version: int = 5
    psk_identity: str | None = None
    assigned: bool = False
    known: Identity | None = None

    def __repr__(self) -> str:
        return (
            f"Credentials(listener={self.listener!r}, peer={self.peer!r}, client_id={self.client_id!r}, "
            f"username={self.username!r}, password={'yes' if self.password is not None else 'no'}, "
            f"certificate={'yes' if self.certificate is not None else 'no'}, version={self.version}, "
            f"psk_identity={self.psk_identity!r})"
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a CONNECT.

    identity: who the client is, None where it is refused.
    reason: the MQTT 5 reason code of the CONNACK (section 3.2.2.2).
    detail: one sentence for the log, never a secret.
    client_id: the client identifier that goes with the identity, where the client left it to the server;
        "" where any will do.
    unknown: this method knows nothing of who is claimed, so that another one of the listener may judge.
    """

    identity: Identity | None
    reason: int
    detail: str
    client_id: str = ""
    unknown: bool = False


def accepted(identity: Identity, detail: str) -> Decision:
    return Decision(identity, reasons.SUCCESS, detail)


def refused(reason: int, detail: str) -> Decision:
    return Decision(None, reason, detail)


def unknown(detail: str) -> Decision:
    """A refusal that leaves it to the listener's other methods, where one of them is enough."""
    return Decision(None, reasons.NOT_AUTHORIZED, detail, unknown=True)


@dataclass(frozen=True, slots=True)
class Step:
    """One answer within an enhanced authentication (MQTT 5 section 4.12).

    data: Authentication Data for the client; b"" where there is none.
    decision: None while the exchange goes on (send AUTH 0x18 with `data`); otherwise its end: CONNACK or AUTH
        0x00 with `data` where it was accepted, CONNACK or DISCONNECT with its reason where it was refused.
    """

    data: bytes
    decision: Decision | None = None


class Exchange:
    """An enhanced authentication under way: one object for each CONNECT or re-authentication."""

    def step(self, data: bytes, done: Callable[[Step], None]) -> None:
        """Takes the client's Authentication Data (b"" where it sent none); calls `done` exactly once.

        The first call has the data of CONNECT (or of the AUTH 0x19), each later one that of an AUTH 0x18.
        """
        raise NotImplementedError


class Authenticator:
    """Decides who a client is. Subclass it in plain Python and override what is needed."""

    def authenticate(self, credentials: Credentials, done: Callable[[Decision], None]) -> None:
        """Decides about a CONNECT without an Authentication Method; calls `done` exactly once, maybe at once.

        A later call comes from the event loop's thread. It never raises for what a client sent.
        """
        raise NotImplementedError

    def exchange(self, method: str, credentials: Credentials) -> Exchange | None:
        """Begins the enhanced authentication `method`, or None where it is not offered (answer 0x8C)."""
        return None

    def close(self) -> None:
        """Lets go of threads; decisions still under way may never arrive."""
