"""OCSP answers (RFC 6960) in the name of the authority's issuers, each signed with the issuer's own key.

What a certificate's status is here: `good` for one that the ledger knows and that is not revoked, `revoked`
for one that is, `unknown` for every other serial number, of which this authority knows nothing. The extended
`revoked` for certificates never issued (RFC 6960 section 2.2) is not used: an authority that was taken over
from elsewhere has issued some that its ledger does not know.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockwire.pki.authority.issuer import Issuer
from lockwire.pki.der import DerError
from lockwire.pki.revocation import asn1
from lockwire.pki.revocation.asn1 import Reader, context

LIFETIME: Final = datetime.timedelta(hours=1)
"""From an answer's thisUpdate to its nextUpdate: how long a server may staple it."""
BACKDATED: Final = datetime.timedelta(minutes=5)
"""How far thisUpdate lies in the past, for clients whose clock is behind."""
MAXIMUM_REQUEST: Final = 8192
"""Bytes of a request: about a hundred certificates."""
MAXIMUM_NONCE: Final = 128
"""Octets of a nonce; a longer or an empty one is malformed (RFC 9654 section 2.1)."""

_NONCE: Final = asn1.object_identifier("1.3.6.1.5.5.7.48.1.2")
_BASIC: Final = asn1.object_identifier("1.3.6.1.5.5.7.48.1.1")
_HASHES: Final = {
    asn1.object_identifier("1.3.14.3.2.26"): "sha1",
    asn1.object_identifier("2.16.840.1.101.3.4.2.1"): "sha256",
    asn1.object_identifier("2.16.840.1.101.3.4.2.2"): "sha384",
    asn1.object_identifier("2.16.840.1.101.3.4.2.3"): "sha512",
}
_ECDSA: Final = {
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
_RSA_SHA256: Final = "1.2.840.113549.1.1.11"
_ED25519: Final = "1.3.101.112"
_NULL: Final = asn1.encode(asn1.NULL)
_CRL_REASONS: Final = {
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.ca_compromise: 2,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
    x509.ReasonFlags.certificate_hold: 6,
    x509.ReasonFlags.privilege_withdrawn: 9,
    x509.ReasonFlags.aa_compromise: 10,
}


class ResponseStatus(IntEnum):
    """OCSPResponseStatus, RFC 6960 section 4.2.1."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    SIG_REQUIRED = 5
    UNAUTHORIZED = 6


@dataclass(frozen=True, slots=True)
class Good:
    """Issued by us, and not revoked."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """Revoked: since when and why."""

    time: datetime.datetime
    reason: x509.ReasonFlags


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not one that we know."""


Status = Good | Revoked | Unknown
Lookup = Callable[[Issuer, int], Status]
"""The status of an issuer's certificate, by its serial number."""


@dataclass(frozen=True, slots=True)
class CertId:
    """A certificate as a request names it (RFC 6960 section 4.1.1), and that in DER.

    hash_algorithm: its name in `hashlib`.
    """

    hash_algorithm: str
    name_hash: bytes
    key_hash: bytes
    serial: int
    encoded: bytes


@dataclass(frozen=True, slots=True)
class OcspRequest:
    """What a request asks: the certificates, and the nonce that the answer repeats (None without one)."""

    certificates: tuple[CertId, ...]
    nonce: bytes | None


class UnanswerableError(Exception):
    """A request that gets an answer without a signature: `status` says why."""

    def __init__(self, status: ResponseStatus) -> None:
        super().__init__(status.name)
        self.status = status


def respond(
    request: bytes, issuers: Sequence[Issuer], lookup: Lookup, now: datetime.datetime | None = None
) -> bytes:
    """The OCSPResponse in DER to an OCSPRequest in DER; bad ones get an error status, nothing is raised.

    issuers: those who may sign. The issuer of the first certificate asked about signs; certificates of
    another issuer in the same request are `unknown`, since nobody but their own issuer can say.
    """
    try:
        asked = read_request(request)
        issuer = next((one for one in issuers if _is_issuer(one, asked.certificates[0])), None)
        if issuer is None:
            raise UnanswerableError(ResponseStatus.UNAUTHORIZED)
    except UnanswerableError as error:
        return refusal(error.status)
    now = now or datetime.datetime.now(datetime.UTC)
    statuses = [
        (one, lookup(issuer, one.serial) if _is_issuer(issuer, one) else Unknown())
        for one in asked.certificates
    ]
    return _signed(issuer, statuses, asked.nonce, now)


def refusal(status: ResponseStatus) -> bytes:
    """An OCSPResponse that says only why there is no answer."""
    return asn1.sequence(asn1.encode(asn1.ENUMERATED, bytes([status])))


def read_request(data: bytes) -> OcspRequest:
    """Reads an OCSPRequest (RFC 6960 section 4.1.1); a signature of the client's is not checked.

    Raises UnanswerableError: malformed, or with a hash or a critical extension that is not understood.
    """
    try:
        outer = Reader(data)
        whole = outer.enter(asn1.SEQUENCE)
        outer.finish()
        request = whole.enter(asn1.SEQUENCE)
        if request.has(context(0)) and request.enter(context(0)).integer() != 0:
            raise DerError("a version other than 1")
        if request.has(context(1)):
            request.enter(context(1))  # requestorName
        wanted = request.enter(asn1.SEQUENCE)
        certificates = []
        while not wanted.at_end:
            certificates.append(_read_single(wanted.enter(asn1.SEQUENCE)))
        if not certificates:
            raise DerError("no certificate is asked about")
        nonce = _read_extensions(request.enter(context(2))) if request.has(context(2)) else None
        request.finish()
    except DerError as error:
        raise UnanswerableError(ResponseStatus.MALFORMED_REQUEST) from error
    return OcspRequest(tuple(certificates), nonce)


def _read_single(single: Reader) -> CertId:
    fields = single.enter(asn1.SEQUENCE)
    algorithm = fields.enter(asn1.SEQUENCE)
    identifier = algorithm.whole(asn1.OBJECT_IDENTIFIER)
    parameters = b"" if algorithm.at_end else algorithm.whole(asn1.NULL)
    algorithm.finish()
    if parameters not in (b"", _NULL):
        raise DerError("a NULL with a value")
    if identifier not in _HASHES:
        raise UnanswerableError(ResponseStatus.UNAUTHORIZED)
    name_hash, key_hash = fields.contents(asn1.OCTET_STRING), fields.contents(asn1.OCTET_STRING)
    serial = fields.integer()
    fields.finish()
    if single.has(context(0)):
        _read_extensions(single.enter(context(0)))
    single.finish()
    # Made anew: what is signed is DER, whatever the client sent.
    encoded = asn1.sequence(
        asn1.sequence(identifier, parameters),
        asn1.encode(asn1.OCTET_STRING, name_hash),
        asn1.encode(asn1.OCTET_STRING, key_hash),
        asn1.integer(serial),
    )
    return CertId(_HASHES[identifier], name_hash, key_hash, serial, encoded)


def _read_extensions(explicit: Reader) -> bytes | None:
    """The nonce among extensions. One that is critical and not known cannot be ignored (section 4.4)."""
    nonce = None
    extensions = explicit.enter(asn1.SEQUENCE)
    explicit.finish()
    while not extensions.at_end:
        extension = extensions.enter(asn1.SEQUENCE)
        identifier = extension.whole(asn1.OBJECT_IDENTIFIER)
        critical = extension.has(asn1.BOOLEAN) and extension.contents(asn1.BOOLEAN) != b"\x00"
        value = extension.contents(asn1.OCTET_STRING)
        extension.finish()
        if identifier == _NONCE:
            inner = Reader(value)
            nonce = inner.contents(asn1.OCTET_STRING)
            inner.finish()
            if not 1 <= len(nonce) <= MAXIMUM_NONCE:
                raise DerError(f"a nonce of {len(nonce)} octets")
        elif critical:
            raise UnanswerableError(ResponseStatus.UNAUTHORIZED)
    return nonce


def _is_issuer(issuer: Issuer, asked: CertId) -> bool:
    name = issuer.certificate.subject.public_bytes()
    return (
        _digest(asked.hash_algorithm, name) == asked.name_hash
        and _digest(asked.hash_algorithm, _key_bits(issuer)) == asked.key_hash
    )


def _digest(algorithm: str, data: bytes) -> bytes:
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


def _key_bits(issuer: Issuer) -> bytes:
    """The value of the BIT STRING subjectPublicKey, without tag, length and number of unused bits."""
    key = issuer.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fields = Reader(key).enter(asn1.SEQUENCE)
    fields.enter(asn1.SEQUENCE)
    return fields.contents(asn1.BIT_STRING)[1:]


def _signed(
    issuer: Issuer, statuses: Sequence[tuple[CertId, Status]], nonce: bytes | None, now: datetime.datetime
) -> bytes:
    responder = asn1.encode(
        context(2), asn1.encode(asn1.OCTET_STRING, _digest("sha1", _key_bits(issuer)))
    )  # byKey
    fields = [
        responder,
        asn1.generalized_time(now),
        asn1.sequence(*(_single_response(asked, status, now) for asked, status in statuses)),
    ]
    if nonce is not None:
        value = asn1.encode(asn1.OCTET_STRING, asn1.encode(asn1.OCTET_STRING, nonce))
        fields.append(asn1.encode(context(1), asn1.sequence(asn1.sequence(_NONCE, value))))
    data = asn1.sequence(*fields)
    algorithm, signature = _sign(issuer, data)
    # No certificates: the client has the issuer's, and some take one in here for a delegated responder.
    basic = asn1.sequence(data, algorithm, asn1.encode(asn1.BIT_STRING, b"\x00", signature))
    answer = asn1.sequence(_BASIC, asn1.encode(asn1.OCTET_STRING, basic))
    return asn1.sequence(
        asn1.encode(asn1.ENUMERATED, bytes([ResponseStatus.SUCCESSFUL])), asn1.encode(context(0), answer)
    )


def _single_response(asked: CertId, status: Status, now: datetime.datetime) -> bytes:
    if isinstance(status, Revoked):
        revoked = [asn1.generalized_time(status.time)]
        reason = _CRL_REASONS.get(status.reason)
        if reason is not None:
            revoked.append(asn1.encode(context(0), asn1.encode(asn1.ENUMERATED, bytes([reason]))))
        encoded = asn1.encode(context(1), *revoked)
    else:
        encoded = asn1.encode(0x80 if isinstance(status, Good) else 0x82)  # IMPLICIT NULL
    this_update = now - BACKDATED
    return asn1.sequence(
        asked.encoded,
        encoded,
        asn1.generalized_time(this_update),
        asn1.encode(context(0), asn1.generalized_time(now + LIFETIME)),
    )


def _sign(issuer: Issuer, data: bytes) -> tuple[bytes, bytes]:
    """AlgorithmIdentifier and signature (RFC 5758, RFC 4055, RFC 8410)."""
    key = issuer.key
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return asn1.sequence(asn1.object_identifier(_ED25519)), key.sign(data)
    algorithm = issuer.hash_algorithm or hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        identifier = asn1.sequence(asn1.object_identifier(_ECDSA[algorithm.name]))
        return identifier, key.sign(data, ec.ECDSA(algorithm))
    identifier = asn1.sequence(asn1.object_identifier(_RSA_SHA256), _NULL)
    return identifier, key.sign(data, padding.PKCS1v15(), algorithm)
