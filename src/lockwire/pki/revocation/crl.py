"""Certificate revocation lists in files (RFC 5280 section 5): read, judged, and made keys of a deny-list.

A list that is expired, missing or wrong makes OpenSSL refuse clients whose certificates are fine, with the
same alerts as for theirs (RFC 5246: certificate_expired, unknown_ca). `health` finds that beforehand.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import SignatureAlgorithmOID

from lockwire.pki.authority.issuer import is_issued_by
from lockwire.pki.certificate import common_name_of, keys_of
from lockwire.pki.der import DerError
from lockwire.pki.errors import MalformedFileError, MissingFileError
from lockwire.pki.reading import extension_of
from lockwire.pki.revocation import asn1
from lockwire.pki.revocation.asn1 import Reader

MAXIMUM_FILE: Final = 1 << 26
"""Bytes of a file of lists: 64 MiB, more than a million entries."""

_REMEDY: Final = "Get the list anew from whoever runs the CA; PEM and DER are both fine."
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_LABEL: Final = b"X509 CRL"
_ECDSA: Final = (
    SignatureAlgorithmOID.ECDSA_WITH_SHA256,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512,
)
_RSA: Final = (
    SignatureAlgorithmOID.RSA_WITH_SHA256,
    SignatureAlgorithmOID.RSA_WITH_SHA384,
    SignatureAlgorithmOID.RSA_WITH_SHA512,
)


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list of a file.

    file, place: the file, and where in it the list stands, 1 for the first.
    issuer: the CA's name; authority_key: the key identifier of the CA, None where the list names none.
    number: CRLNumber, None without one. this_update, next_update: UTC; next_update None: never.
    crl, der: the list itself, unverified.
    """

    file: Path
    place: int
    issuer: x509.Name
    authority_key: bytes | None
    number: int | None
    this_update: datetime.datetime
    next_update: datetime.datetime | None
    crl: x509.CertificateRevocationList = field(repr=False)
    der: bytes = field(repr=False)
    _signers: dict[bytes, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def keys(self) -> frozenset[str]:
        """The revoked certificates, as `certificate_key` names them; 100,000 take a tenth of a second."""
        return keys_of(self.issuer, (entry.serial_number for entry in self.crl))

    def is_signed_by(self, ca: x509.Certificate) -> bool:
        """Whether this CA signed the list and is named in it; found out once for each CA."""
        if ca.subject != self.issuer:
            return False
        fingerprint = ca.fingerprint(hashes.SHA256())
        known = self._signers.get(fingerprint)
        if known is None:
            known = self._signers[fingerprint] = _is_signature_valid(self.crl, self.der, ca)
        return known


class CrlProblemKind(StrEnum):
    """What is wrong with the lists for a set of CAs."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    MISSING = "missing"
    BAD_SIGNATURE = "bad signature"
    NO_CRL_SIGN = "its CA may not sign lists"
    UNSUPPORTED = "unsupported"
    STRANGER = "of another CA"


@dataclass(frozen=True, slots=True)
class CrlProblem:
    """A problem with revocation lists: the broker's own, never the clients'.

    ca: the common name (else the whole name) of the CA it is about.
    text: one sentence without a full stop. remedy: one sentence.
    """

    kind: CrlProblemKind
    ca: str
    text: str
    remedy: str

    @property
    def locks_out(self) -> bool:
        """Whether every client of that CA would be refused for it."""
        return self.kind is not CrlProblemKind.STRANGER

    def __str__(self) -> str:
        return f"{self.text}. {self.remedy}"


def read_crls(path: Path) -> tuple[RevocationList, ...]:
    """All lists in a file: PEM (certificates between them are passed over) or DER, one or several.

    Raises MissingFileError, MalformedFileError with the line (PEM) or the byte (DER), also where there is no
    list in the file: an empty set of lists would be taken for a CA that revoked nothing.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAXIMUM_FILE + 1)
    except OSError as error:
        raise MissingFileError(
            f"This revocation list cannot be read ({error.strerror})", _REMEDY, path
        ) from error
    if len(data) > MAXIMUM_FILE:
        raise MalformedFileError(f"This file is larger than {MAXIMUM_FILE >> 20} MiB", _REMEDY, path)
    found = _from_pem(path, data) if b"-----BEGIN " in data else _from_der(path, data)
    return tuple(_described(path, place, crl, der) for place, (crl, der) in enumerate(found, 1))


def to_pem(lists: Iterable[RevocationList]) -> bytes:
    """The lists in PEM, which is all that `SSLContext.load_verify_locations` takes."""
    return b"".join(as_pem(one.der) for one in lists)


def as_pem(der: bytes) -> bytes:
    """A list in PEM, from its DER."""
    return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(der) + b"-----END X509 CRL-----\n"


def verified(lists: Sequence[RevocationList], cas: Sequence[x509.Certificate]) -> tuple[RevocationList, ...]:
    """Those that one of the CAs signed."""
    return tuple(one for one in lists if _is_signed_by_any(one, cas))


def _is_signed_by_any(one: RevocationList, cas: Sequence[x509.Certificate]) -> bool:
    return any(one.is_signed_by(ca) for ca in cas)


def denied_keys(lists: Sequence[RevocationList], cas: Sequence[x509.Certificate]) -> frozenset[str]:
    """What the lists deny, for `DenyList.replace`; a list that none of the CAs signed denies nothing."""
    return frozenset().union(*(one.keys for one in verified(lists, cas)))


def health(
    lists: Sequence[RevocationList], cas: Sequence[x509.Certificate], now: datetime.datetime | None = None
) -> tuple[CrlProblem, ...]:
    """What is wrong with the lists of a listener, whose clients' CAs are `cas`; nothing when all is well.

    Every CA needs a current list, except a root whose intermediate is among `cas` as well: there the
    intermediate issues. Of several lists of a CA the newest counts.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    problems: list[CrlProblem] = []
    taken: set[int] = set()
    for ca in cas:
        named = [one for one in lists if one.issuer == ca.subject]
        signed = [one for one in named if one.is_signed_by(ca)]
        taken.update(map(id, signed))
        if signed:
            problem = _judge(max(signed, key=_age), ca, now)
            if problem is not None:
                problems.append(problem)
        elif all(_is_signed_by_any(one, cas) for one in named) and not _only_signs_intermediates(ca, cas):
            # Those of its name, if any, are of another CA that is called the same.
            problems.append(_missing(ca))
    for one in lists:
        if id(one) not in taken:
            problems.append(_without_ca(one, cas))
    return tuple(problems)


def _age(one: RevocationList) -> tuple[datetime.datetime, int]:
    return one.this_update, one.number or 0


def _judge(one: RevocationList, ca: x509.Certificate, now: datetime.datetime) -> CrlProblem | None:
    """What is wrong with the newest list of a CA, which it signed."""
    name, where = _name(ca.subject), f"{one.file} (list {one.place})"
    if one.next_update is not None and one.next_update <= now:
        return CrlProblem(
            CrlProblemKind.EXPIRED,
            name,
            f"The revocation list of {name} in {where} has expired: its next one was due on "
            f"{one.next_update:%Y-%m-%d %H:%M} UTC",
            "Get the current list from the CA.",
        )
    if one.this_update > now:
        return CrlProblem(
            CrlProblemKind.NOT_YET_VALID,
            name,
            f"The revocation list of {name} in {where} begins on {one.this_update:%Y-%m-%d %H:%M} UTC, "
            f"it is {now:%Y-%m-%d %H:%M}",
            "Set this machine's clock, or that of the CA.",
        )
    if not _may_sign_crls(ca):
        return CrlProblem(
            CrlProblemKind.NO_CRL_SIGN,
            name,
            f"The certificate of {name} does not allow it to sign revocation lists (KeyUsage cRLSign)",
            "Have the CA's certificate issued anew with cRLSign.",
        )
    unsupported = _unsupported(one.crl)
    if unsupported:
        return CrlProblem(
            CrlProblemKind.UNSUPPORTED,
            name,
            f"The revocation list of {name} in {where} {unsupported}",
            "Ask the CA for a complete list of its client certificates.",
        )
    return None


def _missing(ca: x509.Certificate) -> CrlProblem:
    name = _name(ca.subject)
    return CrlProblem(
        CrlProblemKind.MISSING,
        name,
        f"There is no revocation list of {name}, whose client certificates are accepted",
        "Add its list to the file, or take the CA out of client_ca.",
    )


def _without_ca(one: RevocationList, cas: Sequence[x509.Certificate]) -> CrlProblem:
    """A list that no CA here signed: one of ours by name, or of somebody else."""
    name, where = _name(one.issuer), f"{one.file} (list {one.place})"
    if any(ca.subject == one.issuer for ca in cas):
        return CrlProblem(
            CrlProblemKind.BAD_SIGNATURE,
            name,
            f"The revocation list of {name} in {where} was not signed by the CA of this name in client_ca",
            "Get the list from the CA anew; if the CA has a new key, add its new certificate to client_ca.",
        )
    return CrlProblem(
        CrlProblemKind.STRANGER,
        name,
        f"The revocation list in {where} is of {name}, which is not in client_ca",
        "It has no effect: take it out, or add that CA to client_ca.",
    )


def _only_signs_intermediates(ca: x509.Certificate, cas: Sequence[x509.Certificate]) -> bool:
    return ca.issuer == ca.subject and any(one is not ca and is_issued_by(one, ca) for one in cas)


def _may_sign_crls(ca: x509.Certificate) -> bool:
    usage = extension_of(ca, x509.KeyUsage)
    return usage is None or usage.crl_sign


def _unsupported(crl: x509.CertificateRevocationList) -> str:
    """Why OpenSSL would not use a list that is otherwise fine; "" where it would."""
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.DeltaCRLIndicator):
            return "is a delta, which says only what has changed"
        if isinstance(value, x509.IssuingDistributionPoint):
            if value.indirect_crl:
                return "is an indirect one, which speaks for other CAs"
            if value.only_contains_ca_certs or value.only_contains_attribute_certs:
                return "leaves client certificates out"
            if value.only_some_reasons:
                return "covers only some reasons for revocation"
        elif extension.critical:
            return f"has a critical extension that is not known ({extension.oid.dotted_string})"
    return ""


def _is_signature_valid(crl: x509.CertificateRevocationList, der: bytes, ca: x509.Certificate) -> bool:
    """As crl.is_signature_valid, which encodes a long list anew and keeps every other thread waiting."""
    key, algorithm, oid = ca.public_key(), crl.signature_hash_algorithm, crl.signature_algorithm_oid
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and oid in _ECDSA and algorithm is not None:
            digest = hashlib.new(algorithm.name, _signed_part(der)).digest()
            key.verify(crl.signature, digest, ec.ECDSA(Prehashed(algorithm)))
        elif isinstance(key, rsa.RSAPublicKey) and oid in _RSA and algorithm is not None:
            digest = hashlib.new(algorithm.name, _signed_part(der)).digest()
            key.verify(crl.signature, digest, padding.PKCS1v15(), Prehashed(algorithm))
        else:
            return crl.is_signature_valid(key)  # type: ignore[arg-type]
    except (TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _signed_part(der: bytes) -> bytes:
    """tbsCertList, RFC 5280 section 5.1. Raises DerError where it names another algorithm than is used."""
    outer = Reader(der).enter(asn1.SEQUENCE)
    start = outer.position
    inner = outer.enter(asn1.SEQUENCE)
    end = outer.position
    if inner.has(asn1.INTEGER):
        inner.integer()
    if inner.whole(asn1.SEQUENCE) != outer.whole(asn1.SEQUENCE):
        raise DerError("two algorithms of one signature")
    return der[start:end]


def _from_pem(path: Path, data: bytes) -> list[tuple[x509.CertificateRevocationList, bytes]]:
    found: list[tuple[x509.CertificateRevocationList, bytes]] = []
    others: list[str] = []
    for block in _PEM.finditer(data):
        if block[1] != _LABEL:
            others.append(block[1].decode("ascii").lower())
            continue
        try:
            der = base64.b64decode(b"".join(block[2].split()), validate=True)
            found.append((x509.load_der_x509_crl(der), der))
        except ValueError as error:
            line = data.count(b"\n", 0, block.start()) + 1
            raise MalformedFileError(
                f"This revocation list is damaged ({error})", _REMEDY, path, line
            ) from error
    if not found:
        holds = f"it holds: {', '.join(dict.fromkeys(others))}" if others else "a block in it is cut short"
        raise MalformedFileError(f"There is no revocation list in this file, {holds}", _REMEDY, path)
    return found


def _from_der(path: Path, data: bytes) -> list[tuple[x509.CertificateRevocationList, bytes]]:
    found: list[tuple[x509.CertificateRevocationList, bytes]] = []
    reader = Reader(data)
    while not reader.at_end:
        start = reader.position
        try:
            der = reader.whole(asn1.SEQUENCE)
            found.append((x509.load_der_x509_crl(der), der))
        except ValueError as error:
            raise MalformedFileError(
                f"This is no revocation list, neither PEM nor DER (at byte {start}: {error})", _REMEDY, path
            ) from error
    if not found:
        raise MalformedFileError("This file is empty", _REMEDY, path)
    return found


def _described(path: Path, place: int, crl: x509.CertificateRevocationList, der: bytes) -> RevocationList:
    authority_key: bytes | None = None
    number: int | None = None
    begin, end = crl.last_update_utc, crl.next_update_utc
    try:
        for extension in crl.extensions:
            if isinstance(extension.value, x509.AuthorityKeyIdentifier):
                authority_key = extension.value.key_identifier
            elif isinstance(extension.value, x509.CRLNumber):
                number = extension.value.crl_number
        return RevocationList(path, place, crl.issuer, authority_key, number, begin, end, crl, der)
    except ValueError as error:
        raise MalformedFileError(
            f"List {place} in this file cannot be understood ({error})", _REMEDY, path
        ) from error


def _name(name: x509.Name) -> str:
    return common_name_of(name) or name.rfc4514_string()
