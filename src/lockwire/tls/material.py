"""What the files of a listener's TLS held when they were read, and until when that is good."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from lockwire.pki.revocation.crl import CrlProblem, RevocationList, denied_keys, health


@dataclass(frozen=True, slots=True)
class TlsProblem:
    """Something of ours that keeps clients away. locks_out: by the check of revocation lists."""

    text: str
    locks_out: bool


@dataclass(frozen=True)
class Material:
    """Everything that was read from files, once.

    handshake: the context made of it. own: certificate and key files, the preferred first. trusted: the files
    of CAs and revocation lists, b"" for none. cas, lists: what is in them. keys: pre-shared keys by identity.
    """

    handshake: ssl.SSLContext = field(repr=False)
    own: Sequence[tuple[bytes, bytes]] = field(default=(), repr=False)
    trusted: tuple[bytes, ...] = field(default=(), repr=False)
    cas: tuple[x509.Certificate, ...] = ()
    lists: tuple[RevocationList, ...] = ()
    keys: dict[str, bytes] = field(default_factory=dict, repr=False)

    def same_as(self, other: Material) -> bool:
        """Whether the files were the same."""
        return (self.own, self.trusted, self.keys) == (other.own, other.trusted, other.keys)

    @cached_property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        """The server's certificates without their chains."""
        return tuple(x509.load_pem_x509_certificate(certificate) for certificate, _ in self.own)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the server's keys, as dotted OIDs."""
        return tuple(one.public_key_algorithm_oid.dotted_string for one in self.certificates)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The kinds of the server's keys as TlsPolicy names them; Ed25519 goes where EC does."""
        return tuple(
            "RSA" if isinstance(one.public_key(), RSAPublicKey) else "EC" for one in self.certificates
        )

    @cached_property
    def denied(self) -> frozenset[str]:
        """The revoked certificates, in the terms of a deny-list."""
        return denied_keys(self.lists, self.cas)

    @property
    def certificate_ends(self) -> float | None:
        """When the first certificate ends, Unix time."""
        return min((one.not_valid_after_utc.timestamp() for one in self.certificates), default=None)

    @property
    def crl_ends(self) -> float | None:
        """When the first list is due to be replaced, Unix time."""
        dates = [one.next_update.timestamp() for one in self.lists if one.next_update is not None]
        return min(dates, default=None)

    def judge(self, now: float) -> tuple[list[TlsProblem], float]:
        """What is wrong at `now` (Unix time), and when that can change by itself."""
        moment = datetime.fromtimestamp(now, UTC)
        found = [*self._certificate_problems(moment)]
        if self.lists:
            found += [_of_lists(problem) for problem in health(self.lists, self.cas, moment)]
        later = [boundary for boundary in self._boundaries() if boundary > now]
        return found, min(later, default=float("inf"))

    def _certificate_problems(self, now: datetime) -> list[TlsProblem]:
        found = []
        for certificate in self.certificates:
            subject = certificate.subject.rfc4514_string() or "without a subject"
            if certificate.not_valid_after_utc <= now:
                ended = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
                text = (
                    f"The server's certificate {subject} has expired on {ended}. Clients refuse it: renew it."
                )
                found.append(TlsProblem(text, False))
            elif certificate.not_valid_before_utc > now:
                begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
                text = f"The server's certificate {subject} is not valid before {begins}. Is the clock right?"
                found.append(TlsProblem(text, False))
        return found

    def _boundaries(self) -> list[float]:
        dates = [one.not_valid_after_utc for one in self.certificates]
        dates += [one.not_valid_before_utc for one in self.certificates]
        dates += [one.this_update for one in self.lists]
        dates += [one.next_update for one in self.lists if one.next_update is not None]
        return [date.timestamp() for date in dates]


def _of_lists(problem: CrlProblem) -> TlsProblem:
    return TlsProblem(str(problem), problem.locks_out)
