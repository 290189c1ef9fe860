"""What a certificate may be used for: one table of the profiles that the authority issues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of end-entity certificate.

    name: as the ledger and the commands call it.
    purpose: who has one, for people.
    extended_key_usage: RFC 5280 section 4.2.1.12.
    days: how long one is valid, from notBefore to notAfter.
    """

    name: str
    purpose: str
    extended_key_usage: tuple[x509.ObjectIdentifier, ...]
    days: int

    @property
    def is_server(self) -> bool:
        """Whether others connect to it, so that it needs names and, with RSA, keyEncipherment."""
        return ExtendedKeyUsageOID.SERVER_AUTH in self.extended_key_usage

    @property
    def is_client(self) -> bool:
        """Whether it proves to a broker who it is, so that its name is nobody else's."""
        return ExtendedKeyUsageOID.CLIENT_AUTH in self.extended_key_usage


# 825 days is the longest that Apple's systems accept of a server, private authorities included.
SERVER: Final = Profile("server", "a broker", (ExtendedKeyUsageOID.SERVER_AUTH,), 825)
CLIENT: Final = Profile("client", "a device or a program", (ExtendedKeyUsageOID.CLIENT_AUTH,), 825)
BRIDGE: Final = Profile(
    "bridge",
    "a broker that connects to others, and that others connect to",
    (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH),
    825,
)
OPERATOR: Final = Profile("operator", "a person", (ExtendedKeyUsageOID.CLIENT_AUTH,), 397)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {profile.name: profile for profile in (SERVER, CLIENT, BRIDGE, OPERATOR)}
)


def key_usage(key_encipherment: bool = False) -> x509.KeyUsage:
    """The KeyUsage of an end entity (RFC 5280 section 4.2.1.3).

    key_encipherment: for RSA keys of servers, which static-RSA suites fail without (mbed TLS: -0x7A00).
    """
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def authority_key_usage() -> x509.KeyUsage:
    """The KeyUsage of an authority: it signs certificates and revocation lists."""
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
