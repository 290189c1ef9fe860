"""Mosquitto's password file, as mosquitto_passwd writes it: `user:hash` a line."""

from __future__ import annotations

from dataclasses import dataclass, field

from lockwire.access.database.users import check_name
from lockwire.access.errors import PasswordHashError, UserError
from lockwire.access.methods.passwords import check_stored
from lockwire.compat.mosquitto.lines import Source

_HASHES = ("$7$", "$6$")


@dataclass(frozen=True, slots=True)
class PasswordLine:
    """A user. password: the hash, which `lockwire.access.methods.passwords.verify` knows."""

    line: int
    name: str
    password: str = field(repr=False)


def read_passwords(source: Source) -> list[PasswordLine]:
    """The users of a password file. What is wrong goes to the source's problems; a hash is never repeated."""
    found: dict[str, PasswordLine] = {}
    for number, text in source.lines():
        name, colon, password = (part.strip() for part in text.partition(":"))
        if not colon:
            source.wrong(number, "there is no colon", "expected USER:HASH")
        elif name in found:
            source.wrong(number, f"the user {name!r} is there in line {found[name].line} too", "remove one")
        elif _is_good(source, number, name, password):
            found[name] = PasswordLine(number, name, password)
    return list(found.values())


def _is_good(source: Source, number: int, name: str, password: str) -> bool:
    before = len(source.problems)
    try:
        check_name(name)
    except UserError as error:
        source.wrong(number, str(error).rstrip("."), "rename the user in this file")
    if not password:
        source.wrong(number, f"the user {name!r} has no password", f"set one: mosquitto_passwd FILE {name}")
    elif not password.startswith(_HASHES):
        source.wrong(
            number,
            f"the password of {name!r} is no hash of Mosquitto's but plain text or another form",
            f"make it one: mosquitto_passwd -U {source.name}",
        )
    else:
        try:
            check_stored(password)
        except PasswordHashError as error:
            source.wrong(number, f"the user {name!r}: {error}", f"set it anew: mosquitto_passwd FILE {name}")
    return len(source.problems) == before
