"""Certificates of every kind that a handshake can go right or wrong with, made with `cryptography`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, and the certificates that are sent with it."""

    certificate: x509.Certificate
    key: Key
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def write(self, folder: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
        """Writes NAME.pem (with the chain) and NAME.key; returns both paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(
            b"".join(c.public_bytes(Encoding.PEM) for c in (self.certificate, *self.chain))
        )
        protection = BestAvailableEncryption(password) if password else NoEncryption()
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
        return certificate, key


def new_key(kind: str = "P-256") -> Key:
    """A key: "P-256", "RSA-2048" or "RSA-1024"."""
    if kind == "P-256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, int(kind.removeprefix("RSA-")))


def make(
    name: str,
    issuer: Pair | None = None,
    *,
    ca: bool = False,
    kind: str = "P-256",
    days: tuple[float, float] = (-1, 30),
    usage: x509.ObjectIdentifier | None = None,
    chain: tuple[x509.Certificate, ...] = (),
    names: list[x509.NameAttribute[str]] | None = None,
    key_identifiers: bool = True,
) -> Pair:
    """A certificate named CN=name, valid from days[0] to days[1] from now; without an issuer self-signed."""
    key = new_key(kind)
    subject = x509.Name(names or [x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if key_identifiers:
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuing = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(own, critical=False).add_extension(issuing, critical=False)
    if not ca:
        alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Pair(builder.sign(signer, hashes.SHA256()), key, chain)


def make_crl(issuer: Pair, revoked: tuple[Pair, ...] = (), days: tuple[float, float] = (-1, 30)) -> bytes:
    """A CRL of this issuer in PEM."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now + timedelta(days=days[0]))
        .next_update(now + timedelta(days=days[1]))
    )
    for pair in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(pair.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(now).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)


class TestPki:
    """A root, an intermediate that issues, a server and a device, written to a folder."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = make("Test Root", ca=True)
        self.issuing = make("Test Issuing CA", self.root, ca=True)
        above = (self.issuing.certificate,)
        self.server = make("server", self.issuing, usage=ExtendedKeyUsageOID.SERVER_AUTH, chain=above)
        self.device = make("device-1", self.issuing, usage=ExtendedKeyUsageOID.CLIENT_AUTH, chain=above)
        self.server_pem, self.server_key = self.server.write(folder, "server")
        self.root_pem = self.bundle("root.pem", self.root)
        self.ca_pem = self.bundle("ca.pem", self.root, self.issuing)

    def bundle(self, name: str, *pairs: Pair) -> Path:
        """Writes these certificates into one PEM file."""
        path = self.folder / name
        path.write_bytes(b"".join(pair.certificate.public_bytes(Encoding.PEM) for pair in pairs))
        return path
