"""Pre-shared keys (RFC 4279): which key belongs to an identity, and who asked for one in a handshake.

Two ways lead past a key, so a listener with pre-shared keys closes both: beside a certificate a client with a
wrong key gets in by the certificate after it named its victim, and a resumed session asks for no key at all.
Hence no certificate, TLS 1.2 only and no resumption; and an identity is what was asked for in this very
handshake, and nothing else.
"""

from __future__ import annotations

import secrets
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lockwire.tls import libssl
from lockwire.tls.clienthello import ClientHelloError, first_message
from lockwire.tls.errors import TlsFileError, TlsPolicyError
from lockwire.tls.loading import read

PskLookup = Callable[[str], bytes | None]
"""The key of an identity, None where there is none. Called on the broker's loop: must not wait."""

LONGEST_IDENTITY: Final = 128
"""Bytes in UTF-8 (RFC 4279 section 5.3)."""
LONGEST_KEY: Final = 64
"""Bytes that every implementation takes (RFC 4279 section 5.3)."""
SHORT_KEY: Final = 16
"""Bytes below which a key can be guessed from one recorded handshake."""
_UNKNOWN_KEY_SIZE: Final = 32
_CHANGE_CIPHER_SPEC: Final = 20
_HANDSHAKE: Final = 22
_CLIENT_KEY_EXCHANGE: Final = 16
_LONGEST_EXCHANGE: Final = 512
"""Bytes of a ClientKeyExchange: an identity, and a point of secp521r1 (133)."""


class SlowLookup:
    """A PskLookup that has some keys at hand, and others only after it has asked for them."""

    @property
    def waits(self) -> bool:
        """Whether there is anybody to ask."""
        raise NotImplementedError

    def __call__(self, identity: str) -> bytes | None:
        """The key that is at hand."""
        raise NotImplementedError

    def fetch(self, identity: str, done: Callable[[], None]) -> Callable[[], None] | None:
        """Asks for a key, also for one at hand; calls `done` once and later, whatever the answer.

        Gives what calls that off; None where nobody can be asked and nothing is called.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client said in a handshake: the identity, and whether there is a key for it."""

    identity: str
    known: bool


class PreSharedKeys:
    """The keys of one listener, and the identity that was asked for last.

    lookup: gives the keys. hint: the identity hint that clients are sent first, "" for none.
    Handshakes run one at a time on a context's thread: whoever drives one calls `take` after each step.
    """

    def __init__(self, lookup: PskLookup, hint: str = "") -> None:
        self.lookup = lookup
        self.hint = hint
        self._asked: Asked | None = None

    @property
    def source(self) -> SlowLookup | None:
        """Who has more keys than those at hand, None where there is nobody."""
        lookup = self.lookup
        return lookup if isinstance(lookup, SlowLookup) and lookup.waits else None

    def key_for(self, raw: bytes) -> bytes:
        """The key for an identity as it came; for one that is unknown a random key.

        So a client learns as much from an unknown identity as from a wrong key: the same alert after the same
        time.
        """
        key = secrets.token_bytes(_UNKNOWN_KEY_SIZE)
        identity = as_identity(raw)
        found = None if identity is None else self.lookup(identity)
        self._asked = Asked(raw.decode("utf-8", "backslashreplace"), bool(found))
        return found or key

    def take(self) -> Asked | None:
        """What was asked for since the last call."""
        asked = self._asked
        self._asked = None
        return asked

    def install(self, context: ssl.SSLContext) -> None:
        """Has the connections of a context ask here for keys, and resume nothing.

        Raises TlsPolicyError where this Python's ssl cannot be brought to it.
        """
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        if sys.version_info >= (3, 13):
            native: Any = context
            native.set_psk_server_callback(self._native_key_for, self.hint or None)
            # Where the cache cannot be turned off, Session refuses what was resumed from it.
            with suppress(TlsPolicyError):
                libssl.disable_session_cache(context)
        else:
            libssl.set_psk_server_callback(context, self.key_for, self.hint)
            libssl.disable_session_cache(context)

    def _native_key_for(self, identity: str | None) -> bytes:
        return self.key_for((identity or "").encode())


def as_identity(raw: bytes) -> str | None:
    """The identity in these bytes, None for what can be nobody's (RFC 4279 sections 5.1 and 5.3)."""
    try:
        return raw.decode() if 0 < len(raw) <= LONGEST_IDENTITY else None
    except UnicodeDecodeError:
        return None


def identity_in(data: bytes) -> str | None:
    """The identity that a ClientKeyExchange names, in clear (RFC 4279 section 2, RFC 5489 section 2).

    data: all that the client sent after the server's flight. Returns None while that is not complete, with
    ChangeCipherSpec and Finished (RFC 5246 section 7.3): who sends Finished late must not see from its answer
    whether the key was at hand before. Raises ClientHelloError where there is no identity to be read.
    """
    body = first_message(data, _CLIENT_KEY_EXCHANGE, "ClientKeyExchange", _LONGEST_EXCHANGE)
    if body is None:
        return None
    end = 2 + int.from_bytes(body[:2], "big")
    # OpenSSL reads up to a zero byte.
    identity = as_identity(body[2:end].partition(b"\0")[0])
    if identity is None or end > len(body):
        raise ClientHelloError("ClientKeyExchange without an identity")
    return identity if _has_finished(data) else None


def _has_finished(data: bytes) -> bool:
    """Whether there is a complete record behind ChangeCipherSpec."""
    position = 0
    changed = False
    while len(data) >= position + 5:
        kind = data[position]
        position += 5 + int.from_bytes(data[position + 3 : position + 5], "big")
        if len(data) < position:
            return False
        if changed:
            return True
        if kind not in (_HANDSHAKE, _CHANGE_CIPHER_SPEC):
            raise ClientHelloError(f"record type {kind} in the client's flight")
        changed = kind == _CHANGE_CIPHER_SPEC
    return False


class KeyFile:
    """A file of keys as Mosquitto's psk_file: `identity:key in hexadecimal` a line, `#` before a remark.

    Calling it looks a key up in `keys`, which is replaced as a whole when the file is read again.
    Raises TlsFileError where the file cannot be used; never shows a key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys = read_keys(path)

    def __call__(self, identity: str) -> bytes | None:
        return self.keys.get(identity)


def read_keys(path: Path) -> dict[str, bytes]:
    """The keys of a file in Mosquitto's format, by identity. Raises TlsFileError with the line."""
    try:
        lines = read(path).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise TlsFileError(path, f"is not UTF-8 (byte {error.start})") from None
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        identity, colon, written = text.rpartition(":")
        problem = _problem_in(identity, colon, written) or ("a second time" if identity in keys else "")
        if problem:
            who = f" ({identity!r})" if identity and colon else ""
            raise TlsFileError(path, f"line {number}{who}: {problem}; expected IDENTITY:KEY, the key in hex")
        keys[identity] = bytes.fromhex(written)
    return keys


def _problem_in(identity: str, colon: str, written: str) -> str:
    """What is wrong with one line; the key itself is not repeated."""
    if not colon:
        return "no colon"
    if not identity:
        return "no identity"
    if len(identity.encode()) > LONGEST_IDENTITY:
        return f"the identity is longer than {LONGEST_IDENTITY} bytes"
    if "\x00" in identity:
        return "a zero character in the identity"
    try:
        key = bytes.fromhex(written)
    except ValueError:
        return "the key is not hexadecimal, two digits a byte"
    if not 0 < len(key) <= LONGEST_KEY:
        return f"the key has {len(key)} bytes, not 1 to {LONGEST_KEY}"
    return ""
