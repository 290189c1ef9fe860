"""DER (ITU-T X.690) for OCSP: elements read one after the other, and elements written."""

from __future__ import annotations

import datetime
from typing import Final

from lockwire.pki.der import DerError, element

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
ENUMERATED: Final = 0x0A
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30


def context(number: int) -> int:
    """The tag [number], constructed: of what is EXPLICIT, and of an IMPLICIT SEQUENCE."""
    return 0xA0 | number


class Reader:
    """Walks through the elements that lie one behind the other in `data[start:end]`."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._position = start
        self._end = len(data) if end is None else end

    @property
    def position(self) -> int:
        """Where the next element begins."""
        return self._position

    @property
    def at_end(self) -> bool:
        """Whether there is no further element."""
        return self._position >= self._end

    def has(self, tag: int) -> bool:
        """Whether the next element has this tag."""
        return self._position < self._end and self._data[self._position] == tag

    def enter(self, tag: int) -> Reader:
        """A reader of what the next element holds, which must have this tag. Raises DerError."""
        begin, end = self._next(tag)
        return Reader(self._data, begin, end)

    def contents(self, tag: int) -> bytes:
        """The contents of the next element, which must have this tag. Raises DerError."""
        begin, end = self._next(tag)
        return self._data[begin:end]

    def whole(self, tag: int) -> bytes:
        """The next element with its tag and length. Raises DerError."""
        start = self._position
        return self._data[start : self._next(tag)[1]]

    def integer(self) -> int:
        """The next element, an INTEGER. Raises DerError."""
        octets = self.contents(INTEGER)
        if not octets:
            raise DerError(f"an INTEGER without a value before byte {self._position}")
        return int.from_bytes(octets, signed=True)

    def finish(self) -> None:
        """Raises DerError where something is left."""
        if not self.at_end:
            raise DerError(f"more than expected at byte {self._position}")

    def _next(self, tag: int) -> tuple[int, int]:
        """Begin and end of the next element's contents; goes on behind it."""
        found = element(self._data, self._position, self._end)
        if found.tag != tag:
            raise DerError(f"0x{found.tag:02x} instead of 0x{tag:02x} at byte {self._position}")
        self._position = found.end
        return found.content, found.end


def encode(tag: int, *contents: bytes) -> bytes:
    """An element with this tag around its contents."""
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


def sequence(*contents: bytes) -> bytes:
    """A SEQUENCE."""
    return encode(SEQUENCE, *contents)


def integer(value: int) -> bytes:
    """An INTEGER."""
    magnitude = value if value >= 0 else ~value
    return encode(INTEGER, value.to_bytes(magnitude.bit_length() // 8 + 1, signed=True))


def object_identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER, from `1.3.14.3.2.26`."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    octets = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        octets += bytes(reversed(groups))
    return encode(OBJECT_IDENTIFIER, bytes(octets))


def generalized_time(moment: datetime.datetime) -> bytes:
    """A GeneralizedTime in UTC, in whole seconds (RFC 5280 section 4.1.2.5.2)."""
    utc = moment.astimezone(datetime.UTC)
    return encode(GENERALIZED_TIME, f"{utc:%Y%m%d%H%M%S}Z".encode("ascii"))
