"""Which certificate issued which: by name and by signature, and the path from one up to a root."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

from lockwire.pki.reading import extension_of, serial_of

MAXIMUM_PATH: Final = 10
_MAXIMUM_PATHS: Final = 64
_MAXIMUM_NAMESAKES: Final = 16

End = Literal["anchor", "self-signed", "another key", "missing"]


@dataclass(frozen=True, slots=True)
class Path:
    """The way from a certificate to its highest known issuer.

    certificates: from the first one up; each was signed by the next.
    end: how it ends: at a trusted certificate ("anchor"), at a self-signed one, where the issuer is missing,
        or where certificates have the issuer's name and none of them made the signature ("another key").
    namesakes: these certificates.
    """

    certificates: tuple[x509.Certificate, ...]
    end: End
    namesakes: tuple[x509.Certificate, ...] = ()

    @property
    def top(self) -> x509.Certificate:
        """The last one."""
        return self.certificates[-1]

    def outside(self, at: datetime.datetime) -> list[x509.Certificate]:
        """The issuers on it that are not valid at a time."""
        issuers = self.certificates[1:]
        return [one for one in issuers if not one.not_valid_before_utc <= at <= one.not_valid_after_utc]

    def misfits(self) -> int:
        """How many certificates on it identify another issuer than the one above them."""
        return sum(not identifies(below, above) for below, above in itertools.pairwise(self.certificates))


def signature_fits(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key made the certificate's signature, whatever the names are."""
    try:
        key = issuer.public_key()
        signature, signed = certificate.signature, certificate.tbs_certificate_bytes
        parameters = certificate.signature_algorithm_parameters
        if isinstance(key, rsa.RSAPublicKey):
            digest = certificate.signature_hash_algorithm
            if digest is None or not isinstance(parameters, (padding.PKCS1v15, padding.PSS)):
                return False
            key.verify(signature, signed, parameters, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if not isinstance(parameters, ec.ECDSA):
                return False
            key.verify(signature, signed, parameters)
        elif isinstance(key, dsa.DSAPublicKey):
            digest = certificate.signature_hash_algorithm
            if digest is None:
                return False
            key.verify(signature, signed, digest)
        elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, signed)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def identifies(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the authority key identifier fits an issuer (RFC 5280 section 4.2.1.1): OpenSSL looks at it."""
    named = extension_of(certificate, x509.AuthorityKeyIdentifier)
    if named is None:
        return True
    own = extension_of(issuer, x509.SubjectKeyIdentifier)
    if own is not None and named.key_identifier not in (None, own.digest):
        return False
    if named.authority_cert_serial_number not in (None, serial_of(issuer)):
        return False
    names = [name.value for name in named.authority_cert_issuer or () if isinstance(name, x509.DirectoryName)]
    return not names or names[0] == issuer.issuer


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it was signed with its own key."""
    return certificate.subject == certificate.issuer and signature_fits(certificate, certificate)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether name and signature say so."""
    return certificate.issuer == issuer.subject and signature_fits(certificate, issuer)


def find_path(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate] = (),
    at: datetime.datetime | None = None,
) -> Path:
    """The best path up from a certificate: to an anchor, else to a self-signed one, else as high as it goes.

    others: those to go over; anchors: those that are trusted.
    at: one whose issuers are valid then is better, as it is for OpenSSL: a CA that was renewed with its key
        may stand beside its earlier certificate.
    """
    found = paths(certificate, others, anchors)
    ranks: dict[End, int] = {"anchor": 0, "self-signed": 1, "another key": 2, "missing": 3}
    return min(
        found,
        key=lambda path: (
            ranks[path.end],
            path.misfits(),
            0 if at is None else len(path.outside(at)),
            len(path.certificates) * _direction(path),
        ),
    )


def paths(
    certificate: x509.Certificate,
    others: Iterable[x509.Certificate],
    anchors: Sequence[x509.Certificate] = (),
) -> list[Path]:
    """Every path up from a certificate, without circles; there is always at least one."""
    pool = list(dict.fromkeys([*anchors, *others]))
    return list(itertools.islice(_climb((certificate,), pool, frozenset(anchors)), _MAXIMUM_PATHS))


def _climb(
    below: tuple[x509.Certificate, ...], pool: list[x509.Certificate], anchors: frozenset[x509.Certificate]
) -> Iterator[Path]:
    top = below[-1]
    if top in anchors:
        yield Path(below, "anchor")
        return
    if is_self_signed(top):
        yield Path(below, "self-signed")
        return
    named = [each for each in pool if each.subject == top.issuer and each not in below][:_MAXIMUM_NAMESAKES]
    signers = [each for each in named if signature_fits(top, each)]
    if not signers or len(below) == MAXIMUM_PATH:
        yield Path(below, "another key" if named and not signers else "missing", tuple(named))
        return
    for signer in signers:
        yield from _climb((*below, signer), pool, anchors)


def _direction(path: Path) -> int:
    """Whole paths are better short, broken ones long."""
    return 1 if path.end in ("anchor", "self-signed") else -1
