"""Just enough of DER (ITU-T X.690) to tell what a file holds and where it breaks off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Shape = Literal[
    "certificate",
    "certificate request",
    "revocation list",
    "public key",
    "PKCS#1 public key",
    "PKCS#1 private key",
    "SEC1 private key",
    "PKCS#8 private key",
    "encrypted PKCS#8 private key",
    "PKCS#7",
    "PKCS#12",
]

_INTEGER: Final = 0x02
_BIT_STRING: Final = 0x03
_OCTET_STRING: Final = 0x04
_OBJECT_IDENTIFIER: Final = 0x06
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_SEQUENCE: Final = 0x30
_CONTEXT_0: Final = 0xA0
_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
_MAXIMUM_CHILDREN: Final = 12


class DerError(ValueError):
    """Bytes that are no DER, or not all of it; the message says where."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, and where it begins, where its content begins and where it ends, in bytes."""

    tag: int
    begin: int
    content: int
    end: int


def element(data: bytes, begin: int = 0, limit: int | None = None) -> Element:
    """The element that begins at `begin`. Raises DerError where it is none or goes beyond `limit`."""
    limit = len(data) if limit is None else limit
    if begin + 2 > limit:
        raise DerError(f"the data ends at byte {limit}, where another field should begin")
    first = data[begin + 1]
    content = begin + 2
    if first == 0x80 or first > 0x84:
        raise DerError(f"byte {begin + 1} is no length as DER has it")
    if first < 0x80:
        length = first
    else:
        content += first & 0x7F
        if content > limit:
            raise DerError(f"the data ends at byte {limit}, within a length")
        length = int.from_bytes(data[begin + 2 : content])
    if content + length > limit:
        raise DerError(f"the data should have {content + length} bytes and has {limit}")
    return Element(data[begin], begin, content, content + length)


def children(data: bytes, parent: Element) -> list[Element]:
    """The elements directly inside another, the first dozen. Raises DerError."""
    found: list[Element] = []
    position = parent.content
    while position < parent.end and len(found) < _MAXIMUM_CHILDREN:
        found.append(element(data, position, parent.end))
        position = found[-1].end
    return found


def shape(data: bytes, outer: Element) -> Shape | None:
    """What a DER structure is, by its form alone; None for one that is nothing we know. Raises DerError."""
    if outer.tag != _SEQUENCE:
        return None
    parts = children(data, outer)
    tags = [part.tag for part in parts]
    if tags[:1] == [_INTEGER]:
        return _numbered(data, parts, tags)
    if tags[:1] == [_OBJECT_IDENTIFIER]:
        return "PKCS#7" if data[parts[0].content : parts[0].end] == _SIGNED_DATA else None
    if tags[:1] != [_SEQUENCE]:
        return None
    if tags == [_SEQUENCE, _SEQUENCE, _BIT_STRING]:
        return _signed(data, parts[0])
    starts_with_algorithm = data[parts[0].content : parts[0].content + 1] == bytes([_OBJECT_IDENTIFIER])
    if starts_with_algorithm and tags == [_SEQUENCE, _BIT_STRING]:
        return "public key"
    if starts_with_algorithm and tags == [_SEQUENCE, _OCTET_STRING]:
        return "encrypted PKCS#8 private key"
    return None


def _numbered(data: bytes, parts: list[Element], tags: list[int]) -> Shape | None:
    """A structure that begins with a version, or with the modulus of a public key (RFC 8017 appendix A.1)."""
    version = int.from_bytes(data[parts[0].content : parts[0].end])
    if tags == [_INTEGER, _INTEGER]:
        return "PKCS#1 public key"
    if tags[:9] == [_INTEGER] * 9:
        return "PKCS#1 private key"
    if tags[:2] == [_INTEGER, _OCTET_STRING]:
        return "SEC1 private key"
    if tags[:3] == [_INTEGER, _SEQUENCE, _OCTET_STRING]:
        return "PKCS#8 private key"
    if tags[:2] == [_INTEGER, _SEQUENCE] and version == 3:
        return "PKCS#12"
    return None


def _signed(data: bytes, inner: Element) -> Shape | None:
    """What is signed: a certificate (RFC 5280 4.1), a revocation list (5.1) or a request (RFC 2986 4.1)."""
    tags = [part.tag for part in children(data, inner)]
    if tags[:1] == [_CONTEXT_0] or tags[:6] == [_INTEGER, *[_SEQUENCE] * 5]:
        return "certificate"
    if tags[:3] == [_INTEGER, _SEQUENCE, _SEQUENCE] and tags[3:] in ([], [_CONTEXT_0]):
        return "certificate request"
    without_version = tags[1:] if tags[:1] == [_INTEGER] else tags
    times = (_UTC_TIME, _GENERALIZED_TIME)
    if without_version[:2] == [_SEQUENCE, _SEQUENCE] and without_version[2:3] and without_version[2] in times:
        return "revocation list"
    return None
