"""Fields of certificates as others make them: None, or nothing, where one cannot be read, and no error."""

from __future__ import annotations

import warnings
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.utils import CryptographyDeprecationWarning

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
