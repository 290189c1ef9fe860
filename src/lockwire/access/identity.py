"""Who a connection turned out to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CERTIFICATE: Final = "certificate"
PASSWORD: Final = "password"  # noqa: S105 - the name of a method
SCRAM: Final = "scram"
ANONYMOUS: Final = "anonymous"
METHODS: Final = (CERTIFICATE, PASSWORD, SCRAM, ANONYMOUS)

ANONYMOUS_NAME: Final = "anonymous"


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated client, or the anonymous one.

    name: the certificate's common name or the user's name; "anonymous" where nobody asked, a name that
        neither a user nor a device can have.
    method: what proved it: "certificate", "password", "scram" or "anonymous".
    administrator: the users file calls this user an administrator. A certificate never makes one.
    """

    name: str
    method: str
    administrator: bool = False


ANONYMOUS_IDENTITY: Final = Identity(ANONYMOUS_NAME, ANONYMOUS)
