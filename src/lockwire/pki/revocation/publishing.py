"""What the authority says of the certificates that it revoked: its revocation lists, and the status of one.

ca/crl.pem             a list of each issuer, the one that issues now first: for brokers that take PEM
ca/crl.der             the first of them alone, in DER: for a CRL distribution point
ca/crl-IDENTIFIER.der  that of each issuer, by the first 8 digits of its key identifier: for `{issuer}` in the
                       URL of a distribution point
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.issuer import Issuer, is_issued_by, key_identifier
from lockwire.pki.authority.ledger import Entry, Revocation
from lockwire.pki.authority.profiles import PROFILES
from lockwire.pki.certificate import certificate_key, common_name_of, key_of
from lockwire.pki.errors import MalformedFileError, MissingFileError, RequestError
from lockwire.pki.files import write_public
from lockwire.pki.revocation import ocsp
from lockwire.pki.revocation.crl import RevocationList, as_pem, read_crls

CRL_PEM: Final = "crl.pem"
CRL_DER: Final = "crl.der"
LIFETIME: Final = datetime.timedelta(days=7)
"""From a list to its nextUpdate, where nothing else was said."""
BACKDATED: Final = datetime.timedelta(minutes=10)
"""How far thisUpdate lies in the past: a broker whose clock is behind refuses a list from the future."""
_FILE_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class Published:
    """A list as it stands in `crl.pem`.

    issuer: the common name of who signed it; identifier: the issuer's key identifier, hexadecimal.
    number: CRLNumber. this_update, next_update: UTC. crl, der: the list itself.
    """

    issuer: str
    identifier: str
    number: int
    this_update: datetime.datetime
    next_update: datetime.datetime
    crl: x509.CertificateRevocationList = field(repr=False)
    der: bytes = field(repr=False)

    @property
    def revoked(self) -> int:
        """How many certificates are on it."""
        return len(self.crl)

    @property
    def lifetime(self) -> datetime.timedelta:
        """How long it was made to last."""
        return self.next_update - self.this_update - BACKDATED

    @property
    def refresh_at(self) -> datetime.datetime:
        """When the next one is written: at half of its lifetime."""
        return self.next_update - self.lifetime / 2


def revocation_of(
    authority: Authority,
    certificate: Entry | x509.Certificate,
    reason: x509.ReasonFlags,
    by: str,
    now: datetime.datetime,
) -> Revocation:
    """The revocation of a certificate, for `Ledger.revoke`: of one in the ledger, or of one made before it.

    by: who revokes it. Raises RequestError for the authority's own certificates, for what another authority
    issued, and for what has ended.
    """
    now = now.replace(microsecond=0)
    if isinstance(certificate, Entry):
        if certificate.profile not in PROFILES:
            raise RequestError(
                f"{certificate.name!r} is a certificate of the authority itself",
                "Replace the authority: see lockwire ca rollover.",
            )
        issuer = authority.issuer_of(certificate)
        serial, name, not_after = certificate.serial, certificate.name, certificate.not_after
        identifier = certificate.authority or ("" if issuer is None else issuer.identifier)
    else:
        # A root that was imported has issued some itself, though an intermediate does it now.
        cas = (one for branch in authority.branches.values() for one in branch.certificates)
        ca = next((one for one in cas if is_issued_by(certificate, one)), None)
        if ca is None:
            raise RequestError(
                "This certificate does not come from this authority",
                "Revoke it where it was issued, and name that CA's list under tls.crl.",
            )
        serial, name = f"{certificate.serial_number:x}", common_name_of(certificate.subject) or ""
        not_after, identifier = certificate.not_valid_after_utc, key_identifier(ca).hex()
    if not_after < now:
        raise RequestError(
            f"The certificate {serial} of {name!r} ended on {not_after:%Y-%m-%d}",
            "Nobody can connect with it any more.",
        )
    return Revocation(now, serial, reason, by, identifier, name, not_after)


def write_crls(
    authority: Authority, lifetime: datetime.timedelta | None = None, now: datetime.datetime | None = None
) -> tuple[Published, ...]:
    """Writes the list of each issuer anew, in every form, and gives what they say.

    lifetime: from now to nextUpdate; None: that of the lists before, at first a week.
    A certificate stays on the list until one was written after its end (RFC 5280 section 3.3), and the number
    of a list is higher than that of any before, also where those were lost. Raises OSError.
    """
    now = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
    before = _before(authority)
    if lifetime is None:
        lifetime = next((one.lifetime for one in before.values()), LIFETIME)
    made = [
        (issuer, _make(authority, issuer, before.get(issuer.identifier), lifetime, now))
        for issuer in authority.issuers
    ]
    for issuer, der in made:
        write_public(der_file(authority, issuer), der)
    write_public(authority.folder / CRL_DER, made[0][1])
    write_public(authority.folder / CRL_PEM, b"".join(as_pem(der) for _, der in made))
    _remove_others(authority)
    return published(authority)


def published(authority: Authority) -> tuple[Published, ...]:
    """The lists that are there, empty where there are none or they cannot be read."""
    return tuple(_before(authority).values())


def der_file(authority: Authority, issuer: Issuer) -> Path:
    """Where the list of an issuer is in DER."""
    return authority.folder / f"crl-{issuer.identifier[:_FILE_DIGITS]}.der"


def why_due(
    authority: Authority, lifetime: datetime.timedelta, now: datetime.datetime | None = None
) -> str | None:
    """Why the lists have to be written anew, None where they are as they should be.

    It compares them with the ledger, which a crash between a revocation and its list leaves ahead.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    before = _before(authority)
    for place, issuer in enumerate(authority.issuers):
        there = before.get(issuer.identifier)
        files = [der_file(authority, issuer)] + ([authority.folder / CRL_DER] if place == 0 else [])
        if there is None or any(not _holds(file, there.der) for file in files):
            return "there was none"
        if now >= there.refresh_at:
            return "half of its lifetime has passed"
        if there.this_update > now:
            return "it lay in the future"
        if there.lifetime != lifetime:
            return "its lifetime was changed"
        listed = {entry.serial_number for entry in there.crl}
        missing = {int(one.serial, 16) for one in _listed(authority, issuer, there)} - listed
        if missing or any(authority.ledger.revocation(serial) is None for serial in listed):
            return "it lagged behind the ledger"
    return None


def revoked_keys(authority: Authority) -> frozenset[str]:
    """The certificates that are revoked now, for `DenyList.replace("authority", ...)`."""
    return frozenset(_keys(authority, authority.ledger.revoked()))


def keys_of_revocations(authority: Authority, revocations: Iterable[Revocation]) -> frozenset[str]:
    """Those of some revocations: the certificates whose connections end."""
    return frozenset(_keys(authority, revocations))


def status_of(authority: Authority, issuer: Issuer, serial: int) -> ocsp.Status:
    """The status of an issuer's certificate, for `ocsp.respond`."""
    identifier = issuer.identifier
    revocation = authority.ledger.revocation(serial)
    if revocation is not None and _is_from(authority, identifier, revocation):
        return ocsp.Revoked(revocation.time, revocation.reason)
    entry = authority.ledger.by_serial(serial)
    if entry is not None and _is_from(authority, identifier, entry):
        return ocsp.Good()
    return ocsp.Unknown()


def _keys(authority: Authority, revocations: Iterable[Revocation]) -> Iterator[str]:
    cas = [one for branch in authority.branches.values() for one in branch.certificates]
    names = {key_identifier(one).hex(): one.subject for one in cas}
    for one in revocations:
        serial = int(one.serial, 16)
        name = names.get(one.authority)
        if name is None and not one.authority:
            issuer = authority.issuer_of(one)
            name = None if issuer is None else issuer.certificate.subject
        if name is not None:
            yield key_of(name, serial)
            continue
        # Its issuer's key is gone, but its certificate may still be trusted.
        certificate = authority.ledger.certificate(serial)
        if certificate is not None:
            yield certificate_key(certificate.public_bytes(Encoding.DER))


def _is_from(authority: Authority, identifier: str, record: Entry | Revocation) -> bool:
    """Whether a certificate in the ledger was signed by the issuer with this key identifier."""
    if record.authority:
        return record.authority == identifier
    owner = authority.issuer_of(record)
    return owner is not None and owner.identifier == identifier


def _holds(file: Path, der: bytes) -> bool:
    return file.exists() and file.read_bytes() == der


def _listed(authority: Authority, issuer: Issuer, before: Published | None) -> list[Revocation]:
    """What stands on the list of an issuer that follows the list `before`."""
    identifier = issuer.identifier
    return [
        one
        for one in authority.ledger.revoked()
        if _is_from(authority, identifier, one)
        and (before is None or one.not_after is None or before.this_update <= one.not_after)
    ]


def _make(
    authority: Authority,
    issuer: Issuer,
    before: Published | None,
    lifetime: datetime.timedelta,
    now: datetime.datetime,
) -> bytes:
    number = max(int(now.timestamp()), 0 if before is None else before.number + 1)
    identifier = x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None)
    # All entries at once: add_revoked_certificate copies those before.
    entries = [_entry(one) for one in _listed(authority, issuer, before)]
    return (
        x509.CertificateRevocationListBuilder(revoked_certificates=entries)
        .issuer_name(issuer.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(now + lifetime)
        .add_extension(identifier, critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
        .sign(issuer.key, issuer.hash_algorithm)
        .public_bytes(Encoding.DER)
    )


def _entry(revocation: Revocation) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(revocation.serial, 16))
        .revocation_date(revocation.time)
    )
    if revocation.reason is not x509.ReasonFlags.unspecified:  # RFC 5280 section 5.3.1: absent
        builder = builder.add_extension(x509.CRLReason(revocation.reason), critical=False)
    return builder.build()


def _before(authority: Authority) -> dict[str, Published]:
    """The lists that are there, by their issuers' identifiers; what is damaged counts as missing."""
    try:
        lists = read_crls(authority.folder / CRL_PEM)
    except (MissingFileError, MalformedFileError):
        return {}
    return {one.identifier: one for one in map(_published, lists) if one is not None}


def _published(one: RevocationList) -> Published | None:
    if one.authority_key is None or one.number is None or one.next_update is None:
        return None
    name = common_name_of(one.issuer) or one.issuer.rfc4514_string()
    return Published(
        name, one.authority_key.hex(), one.number, one.this_update, one.next_update, one.crl, one.der
    )


def _remove_others(authority: Authority) -> None:
    """Takes away lists in DER of issuers that are gone."""
    wanted = {CRL_DER, *(der_file(authority, issuer).name for issuer in authority.issuers)}
    for file in authority.folder.glob("crl*.der"):
        if file.name not in wanted:
            file.unlink()
