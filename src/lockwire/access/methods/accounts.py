"""What logins need to know of users, whatever keeps them."""

from __future__ import annotations

from typing import Protocol

from lockwire.access.methods.scram import ScramVerifier


class Account(Protocol):
    """A user: the name, the password's hash, whether an administrator, the verifier of SCRAM or None."""

    @property
    def name(self) -> str: ...

    @property
    def password(self) -> str: ...

    @property
    def administrator(self) -> bool: ...

    @property
    def scram(self) -> ScramVerifier | None: ...


class Accounts(Protocol):
    """The users, as the event loop sees them: it never waits for a disk here."""

    @property
    def has_slow(self) -> bool:
        """Whether some password is one that somebody chose, so that a wrong one takes its time."""

    @property
    def decoy_key(self) -> bytes:
        """A secret that stays the same, from which SCRAM invents salts for users that do not exist."""

    def get(self, name: str, /) -> Account | None:
        """The user of this name, None where there is none."""
