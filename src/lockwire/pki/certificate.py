"""Small readings of a certificate, for logs and for those who need one field of it."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


def common_name(der: bytes) -> str | None:
    """The subject's common name, None where there is none, more than one, or no certificate in `der`.

    More than one is no name: which of them counts would be anyone's choice (RFC 6125 section 6.4.4 asks for
    the most specific, most libraries take the first).
    """
    try:
        return common_name_of(x509.load_der_x509_certificate(der).subject)
    except ValueError:
        return None


def common_name_of(name: x509.Name) -> str | None:
    """The one common name in a distinguished name, None where there is none or more than one."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else None


def describe(der: bytes) -> str:
    """One line for a log: whose, by whom, serial number, validity and key; never raises for bad input."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return (
            f"{_text(certificate.subject)} issued by {_text(certificate.issuer)}, "
            f"serial {certificate.serial_number:x}, "
            f"valid {begin:%Y-%m-%d} to {end:%Y-%m-%d}, "
            f"{describe_key(certificate.public_key())}"
        )
    except ValueError as error:
        return f"not a certificate ({len(der)} bytes: {error})"


def describe_key(key: object) -> str:
    """A key in two words: P-256, RSA-2048, Ed25519."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}.get(
            key.curve.name, key.curve.name
        )
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    return type(key).__name__.removesuffix("PublicKey")


def alternative_names(certificate: x509.Certificate) -> tuple[frozenset[str], frozenset[str]]:
    """The dNSNames and the IP addresses of a certificate's subject alternative name, as text."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset(), frozenset()
    addresses = extension.get_values_for_type(x509.IPAddress)
    return frozenset(extension.get_values_for_type(x509.DNSName)), frozenset(
        str(address) for address in addresses
    )


def days_left(certificate: x509.Certificate, now: datetime.datetime) -> int:
    """Whole days until a certificate ends, negative where it has ended."""
    return (certificate.not_valid_after_utc - now).days


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _text(name: x509.Name) -> str:
    found = common_name_of(name)
    # repr: a name comes from whoever made the certificate and must not break or forge a log line
    return repr(found) if found is not None else repr(name.rfc4514_string())
