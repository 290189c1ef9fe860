"""Users: names, hashes of their passwords, tags."""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from lockwire.access.errors import UserError
from lockwire.access.identity import ANONYMOUS_NAME
from lockwire.access.methods.passwords import hash_chosen, hash_generated
from lockwire.access.methods.scram import LEAST_ITERATIONS, MECHANISM, ScramVerifier, derive_verifier

ADMINISTRATOR: Final = "administrator"
IMPERSONATOR: Final = "impersonator"
TAGS: Final = {
    ADMINISTRATOR: "manages the broker and sees everything of it",
    "monitoring": "sees the broker's figures, connections and logs",
    "policymaker": "sees what concerns it, and changes permissions",
    "management": "sees what concerns it",
    IMPERSONATOR: "kept because RabbitMQ has it; it has no effect",
}
"""The tags that a user may have, and what they are for. Without one a user publishes and subscribes only."""

MAXIMUM_NAME: Final = 255
"""Characters of a user's, a group's or a pre-shared key's name."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a password.

    name: the MQTT user name. password: its hash, as `passwords` writes it. tags: some of TAGS. scram: the
    verifier for SCRAM-SHA-256, None where that was not asked for.
    """

    name: str
    password: str = field(repr=False)
    tags: tuple[str, ...] = ()
    scram: ScramVerifier | None = field(default=None, repr=False)

    @property
    def administrator(self) -> bool:
        """Whether the user manages the broker."""
        return ADMINISTRATOR in self.tags


def make_user(
    name: str, password: str, *, generated: bool, tags: Iterable[str] = (), with_scram: bool = False
) -> User:
    """A user with a hashed password. Takes milliseconds unless generated and without SCRAM.

    generated: the password comes from `generate_password` (128 random bits or more), so SHA-256 will do.
    Raises UserError for a name that cannot be one, an unknown tag or an empty password, ScramError for one
    SCRAM cannot take.
    """
    check_name(name)
    if not password:
        raise UserError(f"The password of {name!r} is empty. Give one, or let one be generated.")
    hashed = hash_generated(password.encode()) if generated else hash_chosen(password.encode())
    return User(name, hashed, sorted_tags(tags), derive_verifier(password) if with_scram else None)


def check_name(name: str, kind: str = "user name") -> None:
    """Raises UserError where a user, a group or a pre-shared key's identity (`kind`) cannot be called so.

    More is possible than for devices, whose names are files' and common names as well: `/`, `+`, `#` and
    backslashes stand in the user names of other brokers. Rules with a placeholder never apply to names
    with `/`, `+` or `#`.
    """
    problem = _problem(name)
    if problem:
        raise UserError(
            f"The {kind} {name!r} {problem}. Choose up to {MAXIMUM_NAME} visible characters, such as pump-7."
        )


def sorted_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags in the order of TAGS, each once. Raises UserError for one that there is not."""
    given = set(tags)
    unknown = sorted(given - TAGS.keys())
    if unknown:
        raise UserError(f"There is no tag {unknown[0]!r}. There are: {', '.join(TAGS)}.")
    return tuple(tag for tag in TAGS if tag in given)


def verifier_text(verifier: ScramVerifier) -> str:
    """`SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY`, the form that PostgreSQL uses too."""
    parts = (verifier.salt, verifier.stored_key, verifier.server_key)
    salt, stored_key, server_key = (base64.b64encode(part).decode() for part in parts)
    return f"{MECHANISM}${verifier.iterations}:{salt}${stored_key}:{server_key}"


def parse_verifier(text: str) -> ScramVerifier:
    """Reads what `verifier_text` writes. Raises ValueError, which shows none of it."""
    problem = ValueError(f"it is not {MECHANISM}$ITERATIONS:SALT$STORED_KEY:SERVER_KEY")
    fields = text.split("$")
    if len(fields) != 3 or fields[0] != MECHANISM:
        raise problem
    iterations, _, salt_text = fields[1].partition(":")
    stored_text, _, server_text = fields[2].partition(":")
    try:
        salt, stored_key, server_key = (
            base64.b64decode(part, validate=True) for part in (salt_text, stored_text, server_text)
        )
    except (ValueError, binascii.Error):
        raise problem from None
    if not salt or len(stored_key) != 32 or len(server_key) != 32:
        raise problem
    if not (iterations.isascii() and iterations.isdigit() and len(iterations) < 10):
        raise problem
    if int(iterations) < LEAST_ITERATIONS:
        raise ValueError(f"it has {iterations} iterations, {LEAST_ITERATIONS} is the least")
    return ScramVerifier(salt, int(iterations), stored_key, server_key)


def _problem(name: str) -> str:
    if not name:
        return "is empty"
    if len(name) > MAXIMUM_NAME:
        return f"has {len(name)} characters"
    for character in name:
        if unicodedata.category(character)[0] == "C" or unicodedata.category(character) in ("Zl", "Zp"):
            return f"contains the invisible character U+{ord(character):04X}"
    if name != name.strip():
        return "begins or ends with a space"
    if name[0] == "-":
        return "begins with a dash, as options of commands do"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode normal form C"
    if name.casefold() == ANONYMOUS_NAME:
        return "is reserved"
    return ""
