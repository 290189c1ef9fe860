"""Certificates of every kind for tests: good ones, and with one thing wrong."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey


@dataclass(frozen=True)
class Signed:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def encrypted_key_pem(self, password: bytes) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )


@functools.cache
def rsa_key(bits: int, number: int = 0) -> rsa.RSAPrivateKey:
    """An RSA key, made once: they take long. Another `number` is another key."""
    return rsa.generate_private_key(65537, bits)


def new_key(kind: str = "P-256") -> PrivateKey:
    if kind.startswith("RSA-"):
        return rsa_key(int(kind[4:]))
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curves: dict[str, ec.EllipticCurve] = {
        "P-256": ec.SECP256R1(),
        "P-384": ec.SECP384R1(),
        "P-192": ec.SECP192R1(),
        "secp256k1": ec.SECP256K1(),
    }
    return ec.generate_private_key(curves[kind])


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def general(text: str) -> x509.GeneralName:
    """ "192.0.2.1" is an address, "dns:192.0.2.1" and everything else a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text.removeprefix("dns:"))


def usage(*names: str) -> x509.KeyUsage:
    """A key usage with these attributes set."""
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{each: each in names for each in every})


def issue(
    common_name: str,
    issuer: Signed | None = None,
    *,
    key: str | PrivateKey = "P-256",
    ca: bool = False,
    names: Sequence[str] = (),
    purposes: Sequence[x509.ObjectIdentifier] = (SERVER,),
    key_usage: x509.KeyUsage | None = None,
    begin: int = -10,
    days: int = 365,
    path_length: int | None = None,
    issuer_at: str = "",
    strict: bool = True,
    identifier: bytes | None = None,
    now: datetime.datetime = NOW,
) -> Signed:
    """A certificate, self-signed without an issuer, valid from `begin` days from now for `days`.

    strict: with all the extensions that RFC 5280 wants. identifier: the issuer's, where it should not fit.
    issuer_at: where the issuer's certificate can be fetched.
    """
    own = new_key(key) if isinstance(key, str) else key
    not_before = now + datetime.timedelta(days=begin)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(name(common_name) if issuer is None else issuer.certificate.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=strict)
    )
    if ca and key_usage is None and strict:
        key_usage = usage("key_cert_sign", "crl_sign")
    if not ca and key_usage is None and strict:
        rsa_too = ["key_encipherment"] if isinstance(own, rsa.RSAPrivateKey) else []
        key_usage = usage("digital_signature", *rsa_too)
    if key_usage is not None:
        builder = builder.add_extension(key_usage, critical=True)
    if not ca and purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([general(each) for each in names]), False)
    if strict:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False)
        signer_key = own if issuer is None else issuer.key
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key.public_key())
        if identifier is not None:
            authority = x509.AuthorityKeyIdentifier(identifier, None, None)
        builder = builder.add_extension(authority, False)
    if issuer_at:
        description = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(issuer_at)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([description]), False)
    signer = own if issuer is None else issuer.key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Signed(builder.sign(signer, digest), own)


def openssl(folder: Path, command: str) -> str:
    """Runs openssl in a folder; gives what it printed."""
    done = subprocess.run(
        ["openssl", *command.split()], cwd=folder, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
