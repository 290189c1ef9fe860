"""TLS policies by name: `modern`, `intermediate`, and what each family of devices needs.

A family's policy comes from what `lockwire.families` knows of it. One that needs weak cryptography is legacy:
nobody gets it without naming it, and TlsPolicy.weaknesses says so wherever the listener is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from lockwire.families import FAMILIES, Family
from lockwire.tls.errors import TlsPolicyError
from lockwire.tls.policy import DEFAULT_TLS12_SUITES, TlsPolicy

FIELDS: Final = (
    "minimum_version",
    "maximum_version",
    "cipher_suites",
    "groups",
    "maximum_record_size",
    "handshake_timeout",
)
"""What a named policy sets, as settings and TlsPolicy call it; what is written beside it counts more."""

_LONGEST_USUAL: Final = 10.0
_SUPPORTED: Final = ("1.2", "1.3")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPolicy:
    """What one name stands for; the fields are TlsPolicy's. purpose: for people, a phrase."""

    name: str
    purpose: str
    minimum_version: str = "auto"
    maximum_version: str = "auto"
    cipher_suites: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    maximum_record_size: int = 16_384
    handshake_timeout: float = _LONGEST_USUAL
    security_level: int = 2

    @property
    def policy(self) -> TlsPolicy:
        """The policy, where nothing is written beside its name."""
        return TlsPolicy(
            minimum_version=self.minimum_version,
            maximum_version=self.maximum_version,
            cipher_suites=self.cipher_suites,
            groups=self.groups,
            maximum_record_size=self.maximum_record_size,
            handshake_timeout=self.handshake_timeout,
            security_level=self.security_level,
        )


def find_policy(name: str) -> NamedPolicy:
    """The policy of a name. Raises TlsPolicyError for an unknown one, with those that there are."""
    found = POLICIES.get(name.lower())
    if found is not None:
        return found
    near = get_close_matches(name.lower(), POLICIES, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise TlsPolicyError("policy", f"{name!r} is not a TLS policy; {hint}known are {', '.join(POLICIES)}")


def _of_family(family: Family) -> NamedPolicy:
    versions = [version for version in family.tls_versions or _SUPPORTED if version in _SUPPORTED]
    suites = family.cipher_suites or ()
    if not suites and family.seen_cipher_suites:
        suites = (*DEFAULT_TLS12_SUITES, *family.seen_cipher_suites)
    weak_keys = [
        key for key in family.client_keys or () if key.kind == "RSA" and (key.minimum or 2048) < 2048
    ]
    return NamedPolicy(
        name=family.name,
        purpose=family.title,
        minimum_version=min(versions),
        maximum_version="auto" if max(versions) == _SUPPORTED[-1] else max(versions),
        cipher_suites=suites,
        groups=family.groups or (),
        maximum_record_size=family.record_size,
        handshake_timeout=max(_LONGEST_USUAL, 2 * (family.handshake_seconds or 0.0)),
        security_level=1 if weak_keys else 2,
    )


_GENERAL: Final = (
    NamedPolicy(name="modern", purpose="clients of the last years: TLS 1.3 only", minimum_version="1.3"),
    NamedPolicy(
        name="intermediate",
        purpose="everything with TLS 1.2 and forward secrecy; the same as no policy",
        minimum_version="1.2",
        cipher_suites=DEFAULT_TLS12_SUITES,
    ),
)

POLICIES: Final[Mapping[str, NamedPolicy]] = MappingProxyType(
    {policy.name: policy for policy in (*_GENERAL, *map(_of_family, FAMILIES.values()))}
)
