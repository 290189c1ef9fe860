"""The ClientHello, read from the first bytes of a connection (RFC 8446 4.1.2, RFC 5246 7.4.1.2).

It is what the client said in clear about itself, so it is there for a report even where nothing else is.
"""

from __future__ import annotations

from typing import Final

MAXIMUM_SIZE: Final = 65_536

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_MAX_FRAGMENT_LENGTH: Final = 1
_SUPPORTED_GROUPS: Final = 10
_SIGNATURE_ALGORITHMS: Final = 13
_ALPN: Final = 16
_SUPPORTED_VERSIONS: Final = 43


class ClientHelloError(Exception):
    """The bytes do not begin a TLS connection; the text says what they are or where they go wrong."""


class ClientHello:
    """What a client offered; lists stay as they were on the wire and are decoded when asked for.

    `legacy_version` is the field of that name (0x0303 for TLS 1.2 and later), `server_name` what SNI said (an
    IP literal too, which RFC 6066 section 3 forbids and devices send), `alpn` the protocols of RFC 7301,
    `maximum_fragment_length` the number of bytes asked for by RFC 6066 section 4, or 0.
    """

    def __init__(self) -> None:
        self.legacy_version: int = 0
        self.server_name: str | None = None
        self.alpn: list[str] = []
        self.maximum_fragment_length: int = 0
        self.raw_cipher_suites: bytes = b""
        self.raw_groups: bytes = b""
        self.raw_signature_algorithms: bytes = b""
        self.raw_versions: bytes = b""

    @property
    def versions(self) -> list[int]:
        """The versions offered, highest first as sent: 0x0304 is TLS 1.3."""
        return _codes(self.raw_versions) or [self.legacy_version]

    @property
    def cipher_suites(self) -> list[int]:
        """The code points of the cipher suites in the client's order, GREASE (RFC 8701) left out."""
        return _codes(self.raw_cipher_suites)

    @property
    def groups(self) -> list[int]:
        """The code points of the key exchange groups in the client's order; empty where it sent none."""
        return _codes(self.raw_groups)

    @property
    def signature_algorithms(self) -> list[int]:
        """The code points of the signature schemes in the client's order; empty where it sent none."""
        return _codes(self.raw_signature_algorithms)


def parse_client_hello(data: bytes) -> ClientHello | None:
    """Reads the ClientHello at the beginning of a connection, over as many records as it takes.

    data: all bytes received so far. Returns None while more bytes are needed. Raises ClientHelloError, and
    nothing else, for anything that is not a ClientHello of at most MAXIMUM_SIZE bytes.
    """
    message = first_message(data, _CLIENT_HELLO, "ClientHello", MAXIMUM_SIZE)
    if message is None:
        return None
    try:
        return _parse(message)
    except IndexError:
        raise ClientHelloError("ClientHello ends before its fields do") from None


def first_message(data: bytes, kind: int, name: str, limit: int) -> bytes | None:
    """The body of the first handshake message in clear, joined from its records (RFC 8446 section 5.1).

    kind, name: which message it is to be. limit: bytes. Returns None while more bytes are needed. Raises
    ClientHelloError for another message, a longer one, and what is none.
    """
    parts: list[bytes] = []
    position = 0
    collected = 0
    needed = 4
    size = len(data)
    while collected < needed:
        if size > position and data[position] != _HANDSHAKE:
            raise ClientHelloError(f"record type {data[position]} is not a handshake (22)")
        if size > position + 1 and data[position + 1] != 3:
            raise ClientHelloError(f"record version {data[position + 1]} is not 3")
        if size < position + 5:
            return None
        length = data[position + 3] << 8 | data[position + 4]
        if not 0 < length <= 16_384:
            raise ClientHelloError(f"record of {length} bytes; 1 to 16384 are allowed")
        position += 5
        fragment = data[position : position + length]
        parts.append(fragment)
        collected += len(fragment)
        if collected >= 4 and needed == 4:
            if len(parts) > 1:
                parts = [b"".join(parts)]
            head = parts[0]
            if head[0] != kind:
                raise ClientHelloError(f"handshake message {head[0]} is not a {name} ({kind})")
            needed = 4 + (head[1] << 16 | head[2] << 8 | head[3])
            if needed > limit:
                raise ClientHelloError(f"{name} of {needed} bytes; at most {limit} are read")
        if len(fragment) < length and collected < needed:
            return None
        position += length
    return b"".join(parts)[4:needed]


def _parse(body: bytes) -> ClientHello:
    hello = ClientHello()
    hello.legacy_version = body[0] << 8 | body[1]
    position = 34  # version and random
    position += 1 + body[position]  # session id
    length = body[position] << 8 | body[position + 1]
    position += 2
    hello.raw_cipher_suites = body[position : position + length]
    position += length
    position += 1 + body[position]  # compression methods
    if position >= len(body):
        return hello  # extensions are optional before TLS 1.3
    end = position + 2 + (body[position] << 8 | body[position + 1])
    position += 2
    if end > len(body):
        raise ClientHelloError("extensions run past the end of the ClientHello")
    while position + 4 <= end:
        kind = body[position] << 8 | body[position + 1]
        length = body[position + 2] << 8 | body[position + 3]
        position += 4
        if position + length > end:
            raise ClientHelloError(f"extension {kind} runs past the end of the ClientHello")
        if kind <= _SUPPORTED_VERSIONS:
            _extension(hello, kind, body[position : position + length])
        position += length
    return hello


def _extension(hello: ClientHello, kind: int, value: bytes) -> None:
    if kind == _SERVER_NAME:
        # A list of one entry: length, type 0, length, name (RFC 6066 section 3).
        if len(value) >= 5 and value[2] == 0:
            length = value[3] << 8 | value[4]
            hello.server_name = value[5 : 5 + min(length, 255)].decode("ascii", "backslashreplace")
    elif kind == _SUPPORTED_GROUPS:
        hello.raw_groups = value[2:]
    elif kind == _SIGNATURE_ALGORITHMS:
        hello.raw_signature_algorithms = value[2:]
    elif kind == _SUPPORTED_VERSIONS:
        hello.raw_versions = value[1:]
    elif kind == _ALPN:
        position = 2
        while position < len(value):
            length = value[position]
            name = value[position + 1 : position + 1 + length]
            if not _is_grease_name(name):
                hello.alpn.append(name.decode("ascii", "backslashreplace"))
            position += 1 + length
    elif kind == _MAX_FRAGMENT_LENGTH and len(value) == 1 and 1 <= value[0] <= 4:
        hello.maximum_fragment_length = 256 << value[0]


def _codes(raw: bytes) -> list[int]:
    codes: list[int] = []
    for position in range(0, len(raw) - 1, 2):
        code = raw[position] << 8 | raw[position + 1]
        # GREASE is 0x0A0A, 0x1A1A, ... 0xFAFA (RFC 8701 section 2).
        if code & 0x0F0F != 0x0A0A or raw[position] != raw[position + 1]:
            codes.append(code)
    return codes


def _is_grease_name(name: bytes) -> bool:
    return len(name) == 2 and name[0] == name[1] and name[0] & 0x0F == 0x0A
