"""Who a connection turned out to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lockwire.access.rights.rules import Rule

CERTIFICATE: Final = "certificate"
PASSWORD: Final = "password"  # noqa: S105 - the name of a method
SCRAM: Final = "scram"
PSK: Final = "psk"
TOKEN: Final = "token"  # noqa: S105 - the name of a method
PLUGIN: Final = "plugin"
ANONYMOUS: Final = "anonymous"
METHODS: Final = (CERTIFICATE, PASSWORD, SCRAM, PSK, TOKEN, PLUGIN, ANONYMOUS)

ANONYMOUS_NAME: Final = "anonymous"

_REALMS: Final = {SCRAM: PASSWORD}


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated client, or the anonymous one.

    name: the user name: out of the certificate, the user's, the pre-shared key's identity, a token's claim;
        "anonymous" where nobody asked, a name that neither a user nor a device can have.
    method: what proved it, one of METHODS; the first one where several were needed.
    administrator: the user has the tag administrator. Only a password (or SCRAM) makes one.
    common_name: of the verified client certificate, "" where there is none: `{cn}` in rules.
    certificate: `lockwire.pki.certificate.certificate_key` of the verified client certificate, "" where there
        is none: what a revocation finds the connection by.
    groups, rules: what a token or a plug-in says beside what the access database knows of the name.
    expires: when the connection has to end, a time of `time.time()`; 0.0: never.
    also: the other methods that had to succeed beside `method`, where a listener needs all of them.
    """

    name: str
    method: str
    administrator: bool = False
    common_name: str = ""
    certificate: str = ""
    groups: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = field(default=())
    expires: float = 0.0
    also: tuple[str, ...] = ()

    @property
    def realm(self) -> str:
        """Who vouches for the name: a user and a device of the same name are not the same."""
        return _REALMS.get(self.method, self.method)

    def rests_on(self, name: str, realm: str) -> bool:
        """Whether this identity is no more once `realm` knows nobody called `name` any more."""
        return self.name == name and (
            self.realm == realm or any(_REALMS.get(method, method) == realm for method in self.also)
        )


ANONYMOUS_IDENTITY: Final = Identity(ANONYMOUS_NAME, ANONYMOUS)
