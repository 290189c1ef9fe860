"""Mosquitto's file of pre-shared keys: `identity:key in hexadecimal` a line."""

from __future__ import annotations

from dataclasses import dataclass, field

from lockwire.access.database.database import LEAST_PSK, MOST_PSK, MOST_PSK_IDENTITY
from lockwire.access.database.users import check_name
from lockwire.access.errors import UserError
from lockwire.compat.mosquitto.lines import Source


@dataclass(frozen=True, slots=True)
class PskLine:
    """An identity and its key."""

    line: int
    identity: str
    key: bytes = field(repr=False)


def read_psk(source: Source) -> list[PskLine]:
    """The keys of a file. What is wrong goes to the source's problems; a key is never repeated."""
    found: dict[str, PskLine] = {}
    for number, text in source.lines():
        identity, colon, written = (part.strip() for part in text.partition(":"))
        if not colon:
            source.wrong(number, "there is no colon", "expected IDENTITY:KEY, the key in hexadecimal")
            continue
        if identity in found:
            line = found[identity].line
            source.wrong(number, f"the identity {identity!r} is there in line {line} too", "remove one")
            continue
        key = _key(source, number, identity, written)
        if key is not None:
            found[identity] = PskLine(number, identity, key)
    return list(found.values())


def _key(source: Source, number: int, identity: str, written: str) -> bytes | None:
    before = len(source.problems)
    try:
        check_name(identity, "PSK identity")
    except UserError as error:
        source.wrong(number, str(error).rstrip("."), "give device and broker another one")
    if len(identity.encode()) > MOST_PSK_IDENTITY:
        source.wrong(number, f"the identity has more than {MOST_PSK_IDENTITY} bytes", "give it another one")
    try:
        # isalnum: fromhex would let spaces through
        key = bytes.fromhex(written) if written.isalnum() else b""
    except ValueError:
        key = b""
    if not key:
        source.wrong(number, f"the key of {identity!r} is not hexadecimal", "expected two digits a byte")
    elif not LEAST_PSK <= len(key) <= MOST_PSK:
        source.wrong(
            number,
            f"the key of {identity!r} has {len(key)} bytes, expected {LEAST_PSK} to {MOST_PSK}",
            "give device and broker a new one (openssl rand -hex 32), or leave the file with "
            "listener.psk.file",
        )
    return key if len(source.problems) == before else None
