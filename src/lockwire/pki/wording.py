"""Names, keys, usages and times of certificates in plain words; their text cannot break a line."""

from __future__ import annotations

import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from lockwire.pki.certificate import describe_key
from lockwire.pki.reading import public_key_of

_SIGNATURES: Final = {
    SignatureAlgorithmOID.RSA_WITH_MD5: "RSA with MD5",
    SignatureAlgorithmOID.RSA_WITH_SHA1: "RSA with SHA-1",
    SignatureAlgorithmOID.RSA_WITH_SHA224: "RSA with SHA-224",
    SignatureAlgorithmOID.RSA_WITH_SHA256: "RSA with SHA-256",
    SignatureAlgorithmOID.RSA_WITH_SHA384: "RSA with SHA-384",
    SignatureAlgorithmOID.RSA_WITH_SHA512: "RSA with SHA-512",
    SignatureAlgorithmOID.RSASSA_PSS: "RSA-PSS",
    SignatureAlgorithmOID.ECDSA_WITH_SHA1: "ECDSA with SHA-1",
    SignatureAlgorithmOID.ECDSA_WITH_SHA224: "ECDSA with SHA-224",
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "ECDSA with SHA-256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: "ECDSA with SHA-384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: "ECDSA with SHA-512",
    SignatureAlgorithmOID.ED25519: "Ed25519",
    SignatureAlgorithmOID.ED448: "Ed448",
}
_PURPOSES: Final = {
    ExtendedKeyUsageOID.SERVER_AUTH: "TLS server",
    ExtendedKeyUsageOID.CLIENT_AUTH: "TLS client",
    ExtendedKeyUsageOID.CODE_SIGNING: "code signing",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "e-mail",
    ExtendedKeyUsageOID.TIME_STAMPING: "time stamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP signing",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anything",
}
_KEY_USAGES: Final = (
    ("digital_signature", "digitalSignature"),
    ("content_commitment", "nonRepudiation"),
    ("key_encipherment", "keyEncipherment"),
    ("data_encipherment", "dataEncipherment"),
    ("key_agreement", "keyAgreement"),
    ("key_cert_sign", "keyCertSign"),
    ("crl_sign", "cRLSign"),
)


def printable(text: str) -> str:
    """Text from a certificate, with what is invisible or controls a terminal escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def name_text(name: x509.Name) -> str:
    """A distinguished name in the certificate's order, as in "O=Lockwire, CN=pump-7"."""
    parts = [printable(part.rfc4514_string()) for part in name.rdns]
    return ", ".join(parts) or "(empty)"


def key_text(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """The public key in two words, such as P-256."""
    key = public_key_of(holder)
    return "of an unknown kind" if key is None else describe_key(key)


def key_size(key: object) -> tuple[str, int]:
    """The kind of a key and its bits: of the modulus, or of the curve's field."""
    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        return "RSA", key.key_size
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        return "EC", key.curve.key_size
    if isinstance(key, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)):
        return "Ed25519", 256
    if isinstance(key, (ed448.Ed448PublicKey, ed448.Ed448PrivateKey)):
        return "Ed448", 448
    if isinstance(key, (dsa.DSAPublicKey, dsa.DSAPrivateKey)):
        return "DSA", key.key_size
    return type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey"), 0


def signature_text(
    signed: x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList,
) -> str:
    """The algorithm of a signature, such as "ECDSA with SHA-256"."""
    oid = signed.signature_algorithm_oid
    return _SIGNATURES.get(oid, oid.dotted_string)


def purposes(usage: x509.ExtendedKeyUsage) -> list[str]:
    """What an extended key usage allows."""
    return [_PURPOSES.get(oid, oid.dotted_string) for oid in usage]


def key_usages(usage: x509.KeyUsage) -> list[str]:
    """The bits of a key usage, by their names in RFC 5280 section 4.2.1.3."""
    return [name for attribute, name in _KEY_USAGES if getattr(usage, attribute)]


def names_of(names: x509.SubjectAlternativeName) -> list[str]:
    """Every alternative name with its kind, such as "DNS plant.local"."""
    found = []
    for name in names:
        if isinstance(name, x509.DNSName):
            found.append(f"DNS {printable(name.value)}")
        elif isinstance(name, x509.IPAddress):
            found.append(f"IP {name.value}")
        elif isinstance(name, x509.UniformResourceIdentifier):
            found.append(f"URI {printable(name.value)}")
        elif isinstance(name, x509.RFC822Name):
            found.append(f"e-mail {printable(name.value)}")
        elif isinstance(name, x509.DirectoryName):
            found.append(f"directory {name_text(name.value)}")
        else:
            found.append(f"another kind ({type(name).__name__})")
    return found


def hexadecimal(data: bytes) -> str:
    """Bytes as AB:CD:EF."""
    return data.hex(":").upper()


def serial_text(number: int) -> str:
    """A serial number as AB:CD:EF, as openssl and browsers show it."""
    sign, number = ("-", -number) if number < 0 else ("", number)
    return sign + hexadecimal(number.to_bytes(max(1, (number.bit_length() + 7) // 8)))


def validity_text(begin: datetime.datetime, end: datetime.datetime, now: datetime.datetime) -> str:
    """A validity, and how it stands now: "2025-01-01 to 2027-01-01, 400 days left"."""
    span = f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    if now < begin:
        return f"{span}, NOT YET VALID, begins in {days(begin - now)}"
    if now > end:
        return f"{span}, ENDED {days(now - end)} ago"
    return f"{span}, {days(end - now)} left"


def days(span: datetime.timedelta) -> str:
    """A span in whole days, or hours where it is short."""
    if span < datetime.timedelta(days=2):
        hours = int(span.total_seconds() // 3600)
        return "1 hour" if hours == 1 else f"{hours} hours"
    return f"{span.days} days"
