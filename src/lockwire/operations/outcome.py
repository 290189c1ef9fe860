"""What an operation gives back: its answer, and its effects on a running broker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lockwire.control import Arguments
from lockwire.household import Household


@dataclass(frozen=True, slots=True)
class AccessChanged:
    """Rules, groups, tags or permissions are other ones: every decision is made anew."""


@dataclass(frozen=True, slots=True)
class UserGone:
    """Whoever is connected by what proves this name in this realm loses the connection, and its sessions end.

    realm: as `Identity.realm` says: "password", "psk" or "certificate".
    detail: the reason, for the client and the log.
    """

    name: str
    realm: str
    detail: str


@dataclass(frozen=True, slots=True)
class CertificatesRevoked:
    """The authority's revocations are other ones: connections with these certificates end.

    keys: as `lockwire.pki.certificate.certificate_key` makes them; their sessions stay for the next one.
    """

    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class TrustChanged:
    """Certificates or keys that listeners use were written anew: they are loaded again."""


@dataclass(frozen=True, slots=True)
class LearningChanged:
    """Learning what clients do has begun or ended: the broker tells `household.learning`, or no longer."""


Effect = AccessChanged | UserGone | CertificatesRevoked | TrustChanged | LearningChanged


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an operation.

    answer: what JSON can carry, for the command that asked. It may hold a new secret.
    effects: what a running broker does about it, in this order.
    log: an event and what to say of it in the broker's log, never a secret; "" for nothing.
    """

    answer: object = None
    effects: tuple[Effect, ...] = ()
    log: str = ""
    fields: tuple[tuple[str, object], ...] = ()


Operation = Callable[[Household, Arguments], Outcome]
"""Runs in a thread, under the folder's lock. Raises PkiError, AccessError, ControlError or OSError."""
