"""What a check is asked: a file, what it is used for, and what it has to go with."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from lockwire.families import Family
from lockwire.pki.certificate import common_name_of
from lockwire.pki.paths import Path
from lockwire.pki.reading import extension_of, is_authority
from lockwire.pki.toolkit.content import Content, Item
from lockwire.pki.wording import name_text, printable

Use = Literal["server", "client", "authority"]


@dataclass(frozen=True, slots=True)
class Question:
    """One file and everything it is compared with.

    content: the file, which holds at least one certificate. use: what it is for. at: the time that counts.
    path: the way from its leaf up.
    key: the private key that goes with it. key_file: where that is from.
    anchors: the certificates that are trusted, None where nobody said which. anchor_file: their file.
    request: the request that the certificate was made from. host: the name or address it is reached by.
    family: the device that it is for.
    """

    content: Content
    use: Use
    at: datetime.datetime
    path: Path
    key: Item | None = None
    key_file: FilePath | None = None
    anchors: tuple[x509.Certificate, ...] | None = None
    anchor_file: FilePath | None = None
    request: x509.CertificateSigningRequest | None = None
    host: str | None = None
    family: Family | None = None

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that it is all about."""
        return self.path.certificates[0]

    def name(self, certificate: x509.Certificate) -> str:
        """What a certificate is called in findings: its place in the file, and whose it is."""
        certificates = self.content.certificates
        if certificate in certificates:
            return f"certificate {certificates.index(certificate) + 1} ({short_name(certificate)})"
        return f"CA certificate ({short_name(certificate)})"


def leaf_of(certificates: list[x509.Certificate]) -> x509.Certificate:
    """The first that is no CA, else the first that issued none of the others."""
    for certificate in certificates:
        if not is_authority(certificate):
            return certificate
    issuers = [other.issuer for other in certificates if other.issuer != other.subject]
    return next((each for each in certificates if each.subject not in issuers), certificates[0])


def use_of(certificates: list[x509.Certificate], host: str | None) -> Use:
    """What a file is for, where nobody says: by its leaf's extensions, and by whether there is a host."""
    leaf = leaf_of(certificates)
    if host is not None:
        return "server"
    if is_authority(leaf) and extension_of(leaf, x509.SubjectAlternativeName) is None:
        return "authority"
    extended = extension_of(leaf, x509.ExtendedKeyUsage)
    if extended is not None and ExtendedKeyUsageOID.SERVER_AUTH not in extended:
        return "client"
    if extended is None and extension_of(leaf, x509.SubjectAlternativeName) is None:
        return "server" if "." in (common_name_of(leaf.subject) or "") else "client"
    return "server"


def short_name(certificate: x509.Certificate) -> str:
    """The common name, else the whole subject."""
    found = common_name_of(certificate.subject)
    return name_text(certificate.subject) if found is None else printable(found)
