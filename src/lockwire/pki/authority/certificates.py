"""Certificates are put together here, each kind in one function (RFC 5280 section 4)."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from lockwire.pki.authority import profiles
from lockwire.pki.authority.issuer import Issuer, SigningKey, hash_for, key_identifier
from lockwire.pki.authority.points import RevocationPoints
from lockwire.pki.authority.profiles import Profile
from lockwire.pki.keys import PublicKey

ROOT_DAYS: Final = 20 * 365 + 5
INTERMEDIATE_DAYS: Final = 10 * 365 + 2
BACKDATED: Final = datetime.timedelta(days=1)
"""How far notBefore lies in the past: a clock set to local time is up to 14 hours behind UTC."""


def authority_name(common_name: str) -> x509.Name:
    """The subject of a CA certificate."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lockwire"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def root_certificate(subject: x509.Name, key: SigningKey, now: datetime.datetime) -> x509.Certificate:
    """A trust anchor that signs itself, for 20 years."""
    builder = _authority_builder(subject, subject, key.public_key(), ROOT_DAYS, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hash_for(key))


def intermediate_certificate(
    subject: x509.Name, key: PublicKey, root: x509.Certificate, root_key: SigningKey, now: datetime.datetime
) -> x509.Certificate:
    """A CA certificate that issues end entities only, for 10 years or as long as the root."""
    builder = _authority_builder(subject, root.subject, key, INTERMEDIATE_DAYS, now, root)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(authority_key_identifier(root), critical=False)
    return builder.sign(root_key, hash_for(root_key))


def cross_certificate(
    root: x509.Certificate, signer: x509.Certificate, signer_key: SigningKey, now: datetime.datetime
) -> x509.Certificate:
    """Another root's name and key, signed by `signer`: who trusts only `signer` follows it to `root`."""
    key = root.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(root.subject)
        .issuer_name(signer.subject)
        .public_key(key)
        .serial_number(random_serial())
        .not_valid_before(max(root.not_valid_before_utc, signer.not_valid_before_utc))
        .not_valid_after(min(root.not_valid_after_utc, signer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(profiles.authority_key_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(key_identifier(root)), critical=False)
        .add_extension(authority_key_identifier(signer), critical=False)
    )
    return builder.sign(signer_key, hash_for(signer_key))


def end_entity_certificate(
    issuer: Issuer,
    profile: Profile,
    subject: x509.Name,
    key: PublicKey,
    alternative: Sequence[x509.GeneralName],
    days: int,
    serial: int,
    points: RevocationPoints,
    now: datetime.datetime,
) -> x509.Certificate:
    """A leaf. It begins a day ago and never outlives what is above it.

    days: from notBefore to notAfter.
    """
    earliest, latest = _validity(issuer)
    not_before = max(now - BACKDATED, earliest).replace(microsecond=0)
    # notAfter is part of the validity (RFC 5280 section 4.1.2.5), hence the second.
    not_after = min(not_before + datetime.timedelta(days=days, seconds=-1), latest)
    encipherment = profile.is_server and isinstance(key, rsa.RSAPublicKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(profiles.key_usage(encipherment), critical=True)
        .add_extension(x509.ExtendedKeyUsage(profile.extended_key_usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(authority_key_identifier(issuer.certificate), critical=False)
    )
    if alternative:
        # Critical where nothing else names the subject (RFC 5280 section 4.2.1.6).
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=not list(subject))
    for extension in points.extensions(issuer):
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer.key, issuer.hash_algorithm)


def random_serial() -> int:
    """A serial number of 127 random bits, positive and within the 20 octets of RFC 5280 section 4.1.2.2."""
    return secrets.randbits(127) or 1


def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """RFC 5280 section 4.2.1.1; computed where an old issuer has no subject key identifier."""
    return x509.AuthorityKeyIdentifier(key_identifier(issuer), None, None)


def pem(*certificates: x509.Certificate) -> bytes:
    """Certificates as PEM, one behind the other."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def _validity(issuer: Issuer) -> tuple[datetime.datetime, datetime.datetime]:
    # An intermediate made elsewhere may outlive its root.
    above = (issuer.certificate, *issuer.chain, issuer.root or issuer.certificate)
    begin = issuer.certificate.not_valid_before_utc
    return begin, min(one.not_valid_after_utc for one in above)


def _authority_builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: PublicKey,
    days: int,
    now: datetime.datetime,
    signer: x509.Certificate | None = None,
) -> x509.CertificateBuilder:
    not_before = (now - BACKDATED).replace(microsecond=0)
    not_after = not_before + datetime.timedelta(days=days)
    if signer is not None:
        not_before = max(not_before, signer.not_valid_before_utc)
        not_after = min(not_after, signer.not_valid_after_utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(random_serial())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(profiles.authority_key_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
