"""A certificate that signs others, with its key: certificates, revocation lists and OCSP answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from lockwire.pki.certificate import common_name_of
from lockwire.pki.reading import extension_of

Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Issuer:
    """One CA certificate whose key is at hand.

    certificate: its own; its subject is the issuer of what it signs.
    key: never printed, never logged.
    chain: what a server sends behind a leaf of this issuer, the issuer first; empty for a root.
    root: what it all hangs on, None for a root.
    """

    certificate: x509.Certificate
    key: SigningKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = ()
    root: x509.Certificate | None = None

    @property
    def common_name(self) -> str:
        """The common name of its subject, "" without one."""
        return common_name_of(self.certificate.subject) or ""

    @property
    def key_identifier(self) -> bytes:
        """Its subject key identifier, else the SHA-1 of its key (RFC 5280 section 4.2.1.2 (1))."""
        return key_identifier(self.certificate)

    @property
    def identifier(self) -> str:
        """The key identifier in hexadecimal: `authority` in the ledger."""
        return self.key_identifier.hex()

    @property
    def hash_algorithm(self) -> Hash | None:
        """What its signatures hash with: for builders' `sign`. None for Ed25519, which hashes itself."""
        return hash_for(self.key)

    def has_issued(self, certificate: x509.Certificate) -> bool:
        """Whether it signed this certificate."""
        return is_issued_by(certificate, self.certificate)


def key_identifier(certificate: x509.Certificate) -> bytes:
    """The subject key identifier of a certificate, computed from its key where it states none."""
    stated = extension_of(certificate, x509.SubjectKeyIdentifier)
    return (stated or x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())).digest


def hash_for(key: SigningKey) -> Hash | None:
    """The hash that goes with a key: SHA-256, longer ones for longer curves, None for Ed25519."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if key.key_size > 384:
            return hashes.SHA512()
        if key.key_size > 256:
            return hashes.SHA384()
    return hashes.SHA256()


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` signed `certificate` and is named in it; old hashes (SHA-1, MD5) are computed too.

    Raises UnsupportedAlgorithm where the signature cannot be checked.
    """
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (ValueError, TypeError):
        return _has_old_signature(certificate, issuer.public_key())
    return True


def _has_old_signature(certificate: x509.Certificate, key: object) -> bool:
    """`verify_directly_issued_by` knows no hashes before SHA-224."""
    signed, signature = certificate.tbs_certificate_bytes, certificate.signature
    parameters, algorithm = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            scheme = parameters if isinstance(parameters, padding.PSS) else padding.PKCS1v15()
            key.verify(signature, signed, scheme, algorithm)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(signature, signed, parameters)
            return True
    except InvalidSignature:
        pass
    return False
