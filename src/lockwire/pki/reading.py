"""Fields of certificates as others make them: None, or nothing, where one cannot be read, and no error."""

from __future__ import annotations

import warnings
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from lockwire.pki.der import DerError, children, element

_EC_PUBLIC_KEY: Final = bytes.fromhex("2a8648ce3d0201")
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0

Extension = TypeVar("Extension", bound=x509.ExtensionType)


def extension_of(
    holder: x509.Certificate | x509.CertificateSigningRequest, kind: type[Extension]
) -> Extension | None:
    """An extension's value, None where there is none or none can be read."""
    try:
        return holder.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue others; a self-signed one of version 1 counts as well, as libraries take it."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    if constraints is not None:
        return constraints.ca
    return certificate.version is x509.Version.v1 and certificate.subject == certificate.issuer


def public_key_of(holder: x509.Certificate | x509.CertificateSigningRequest) -> PublicKeyTypes | None:
    """The public key, None where it is broken or of a kind unknown here."""
    try:
        return holder.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def common_names_of(certificate: x509.Certificate) -> list[str]:
    """Every common name of the subject: OpenSSL and mbed TLS look for a host in each of them."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [str(one.value) for one in found]


def has_explicit_curve(certificate: x509.Certificate) -> bool:
    """Whether its key describes its curve instead of naming it, against RFC 5480 section 2.1.1."""
    tbs = certificate.tbs_certificate_bytes
    try:
        fields = children(tbs, element(tbs))
        key = fields[6 if fields[0].tag == _VERSION else 5]
        algorithm = children(tbs, children(tbs, key)[0])
    except (DerError, IndexError):
        return False
    name = tbs[algorithm[0].content : algorithm[0].end]
    return name == _EC_PUBLIC_KEY and len(algorithm) > 1 and algorithm[1].tag == _SEQUENCE


def hosts_of(certificate: x509.Certificate) -> tuple[frozenset[str], frozenset[str]]:
    """The dNSNames and the IP addresses of the alternative name, as text."""
    names = extension_of(certificate, x509.SubjectAlternativeName)
    if names is None:
        return frozenset(), frozenset()
    return (
        frozenset(names.get_values_for_type(x509.DNSName)),
        frozenset(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def serial_of(certificate: x509.Certificate) -> int:
    """The serial number, also one that is not allowed, such as 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return certificate.serial_number
