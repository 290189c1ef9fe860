"""What a file with certificates or keys holds, in plain words and as data."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from lockwire.pki.certificate import describe_key
from lockwire.pki.der import children, element
from lockwire.pki.reading import extension_of, is_authority, serial_of
from lockwire.pki.toolkit.content import Content, Item
from lockwire.pki.wording import (
    hexadecimal,
    key_text,
    key_usages,
    name_text,
    names_of,
    printable,
    purposes,
    serial_text,
    signature_text,
    validity_text,
)

_SHOWN_REVOCATIONS: Final = 20
_ORDER: Final = ("names", "used as", "key usage", "may issue", "CRL at", "more", "key id", "issuer's id")

Field = str | int | bool | list[str] | None


@dataclass(frozen=True, slots=True)
class Report:
    """One thing in a file.

    title: what it is, such as "certificate of a TLS server".
    lines: label and text, in the order to be shown; a label may come again.
    data: the same for programs; times in ISO 8601, UTC.
    """

    title: str
    lines: tuple[tuple[str, str], ...]
    data: dict[str, Field]


def inspect(content: Content, now: datetime.datetime) -> list[Report]:
    """Every thing in a file, in its order."""
    return [describe(item, now) for item in content.items]


def describe(item: Item, now: datetime.datetime) -> Report:
    """One thing. What cannot be read of it is said so; nothing is raised."""
    if isinstance(item.value, x509.Certificate):
        report = certificate_report(item.value, now)
    elif isinstance(item.value, x509.CertificateSigningRequest):
        report = _request(item.value)
    elif isinstance(item.value, x509.CertificateRevocationList):
        report = _revocation_list(item.value, now)
    elif item.value is None:
        report = _private_key(item)
    else:
        report = _public_key(item.form, item.value)
    alias = (("alias", printable(item.alias)),) if item.alias else ()
    place: dict[str, Field] = {"line": item.line or None, "kind": item.kind, "form": item.form}
    return Report(report.title, alias + report.lines, {**place, "alias": item.alias or None, **report.data})


def certificate_report(certificate: x509.Certificate, now: datetime.datetime) -> Report:
    """A certificate: whose, by whom, how long, for what."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    der = certificate.public_bytes(Encoding.DER)
    fingerprints = hexadecimal(sha256(der).digest()), hexadecimal(sha1(der, usedforsecurity=False).digest())
    title = role_of(certificate)
    lines = [
        ("subject", name_text(certificate.subject)),
        ("issuer", name_text(certificate.issuer)),
        ("valid", validity_text(begin, end, now)),
        ("key", key_text(certificate)),
        ("signature", signature_text(certificate)),
        *_extension_lines(certificate),
        ("version", f"X.509 version {certificate.version.value + 1}"),
        ("size", f"{len(der)} bytes as DER"),
        ("serial", serial_text(serial_of(certificate))),
        ("SHA-256", fingerprints[0]),
        ("SHA-1", fingerprints[1]),
    ]
    names = extension_of(certificate, x509.SubjectAlternativeName)
    usage, extended = (
        extension_of(certificate, x509.KeyUsage),
        extension_of(certificate, x509.ExtendedKeyUsage),
    )
    data: dict[str, Field] = {
        "role": title,
        "subject": name_text(certificate.subject),
        "issuer": name_text(certificate.issuer),
        "self_issued": certificate.subject == certificate.issuer,
        "authority": is_authority(certificate),
        "not_before": begin.isoformat(),
        "not_after": end.isoformat(),
        "days_left": (end - now).days,
        "valid_now": begin <= now <= end,
        "key": key_text(certificate),
        "signature": signature_text(certificate),
        "names": names_of(names) if names else [],
        "key_usage": key_usages(usage) if usage else None,
        "extended_key_usage": purposes(extended) if extended else None,
        "issuer_addresses": authority_addresses(certificate),
        "version": certificate.version.value + 1,
        "size": len(der),
        "serial": f"{serial_of(certificate):x}",
        "sha256": sha256(der).hexdigest(),
        "sha1": sha1(der, usedforsecurity=False).hexdigest(),
    }
    return Report(title, tuple(lines), data)


def role_of(certificate: x509.Certificate) -> str:
    """What a certificate is for, from its extensions: "root CA", "certificate of a TLS server", ..."""
    if is_authority(certificate):
        if certificate.subject == certificate.issuer:
            return "root CA"
        return "intermediate CA (or a root signed by another one)"
    extended = extension_of(certificate, x509.ExtendedKeyUsage)
    if extended is None:
        return (
            "certificate for any use"
            if certificate.subject != certificate.issuer
            else "self-signed certificate"
        )
    server = ExtendedKeyUsageOID.SERVER_AUTH in extended
    client = ExtendedKeyUsageOID.CLIENT_AUTH in extended
    if server or client:
        sides = "server and client" if server and client else "server" if server else "client"
        return f"certificate of a TLS {sides}"
    return f"certificate for {', '.join(purposes(extended))}"


def authority_addresses(certificate: x509.Certificate) -> list[str]:
    """Where its issuer's certificate can be had (caIssuers, RFC 5280 section 4.2.2.1)."""
    return _access(certificate, AuthorityInformationAccessOID.CA_ISSUERS)


def _access(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> list[str]:
    access = extension_of(certificate, x509.AuthorityInformationAccess)
    return [
        each.access_location.value
        for each in access or ()
        if each.access_method == method and isinstance(each.access_location, x509.UniformResourceIdentifier)
    ]


def _extension_lines(certificate: x509.Certificate) -> Iterator[tuple[str, str]]:
    try:
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        yield "extensions", f"cannot be read ({error})"
        return
    if not list(extensions):
        yield "extensions", "none"
    yield from sorted((_extension_line(extension) for extension in extensions), key=_place)
    for address in _access(certificate, AuthorityInformationAccessOID.CA_ISSUERS):
        yield "issuer at", printable(address)
    for address in _access(certificate, AuthorityInformationAccessOID.OCSP):
        yield "OCSP at", printable(address)


def _place(line: tuple[str, str]) -> int:
    return _ORDER.index(line[0]) if line[0] in _ORDER else len(_ORDER)


def _extension_line(extension: x509.Extension[x509.ExtensionType]) -> tuple[str, str]:
    found = _extension_text(extension.value)
    if found is not None:
        return found
    critical = ", critical" if extension.critical else ""
    return "extension", f"{extension.oid._name} ({extension.oid.dotted_string}{critical})"


def _extension_text(value: x509.ExtensionType) -> tuple[str, str] | None:
    match value:
        case x509.SubjectAlternativeName():
            return "names", ", ".join(names_of(value)) or "none"
        case x509.BasicConstraints():
            length = "" if value.path_length is None else f", {value.path_length} more CAs below it at most"
            return "may issue", f"certificates{length}" if value.ca else "nothing"
        case x509.KeyUsage():
            return "key usage", ", ".join(key_usages(value)) or "nothing"
        case x509.ExtendedKeyUsage():
            return "used as", ", ".join(purposes(value))
        case x509.SubjectKeyIdentifier():
            return "key id", hexadecimal(value.digest)
        case x509.AuthorityKeyIdentifier():
            identifier = value.key_identifier
            return "issuer's id", "none" if identifier is None else hexadecimal(identifier)
        case x509.CRLDistributionPoints():
            points = [name.value for point in value for name in point.full_name or ()]
            return "CRL at", ", ".join(
                printable(str(point)) for point in points
            ) or "a name relative to the issuer's"
        case x509.AuthorityInformationAccess():
            count = len(list(value))
            return "more", f"{count} {'address' if count == 1 else 'addresses'}, below"
        case _:
            return None


def _request(request: x509.CertificateSigningRequest) -> Report:
    names = extension_of(request, x509.SubjectAlternativeName)
    try:
        intact = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        intact = False
    shown = names_of(names) if names else []
    lines = (
        ("subject", name_text(request.subject)),
        ("key", key_text(request)),
        ("names", ", ".join(shown) or "none"),
        (
            "signature",
            f"{signature_text(request)}, {'made with this key' if intact else 'DOES NOT FIT THIS KEY'}",
        ),
    )
    data: dict[str, Field] = {
        "subject": name_text(request.subject),
        "key": key_text(request),
        "names": shown,
        "signature": signature_text(request),
        "signature_valid": intact,
    }
    return Report("certificate request (CSR): a CA makes a certificate of it", lines, data)


def _revocation_list(crl: x509.CertificateRevocationList, now: datetime.datetime) -> Report:
    serials = [serial_text(entry.serial_number) for entry in crl]
    begin, end = crl.last_update_utc, crl.next_update_utc
    state = "without an end" if end is None else f"NEXT ONE OVERDUE since {end:%Y-%m-%d %H:%M} UTC"
    if end is not None and now <= end:
        state = f"the next one by {end:%Y-%m-%d %H:%M} UTC, {(end - now).days} days from now"
    more = len(serials) - _SHOWN_REVOCATIONS
    shown = ", ".join(serials[:_SHOWN_REVOCATIONS]) + (f" and {more} more" if more > 0 else "")
    lines = (
        ("issuer", name_text(crl.issuer)),
        ("issued", f"{begin:%Y-%m-%d %H:%M} UTC, {state}"),
        (
            "revoked",
            f"{len(serials)} {'certificate' if len(serials) == 1 else 'certificates'}"
            if serials
            else "no certificate",
        ),
        *((("serials", shown),) if serials else ()),
        ("signature", signature_text(crl)),
    )
    data: dict[str, Field] = {
        "issuer": name_text(crl.issuer),
        "this_update": begin.isoformat(),
        "next_update": None if end is None else end.isoformat(),
        "overdue": end is not None and now > end,
        "revoked": [serial.replace(":", "").lower() for serial in serials],
        "signature": signature_text(crl),
    }
    return Report("revocation list (CRL)", lines, data)


def _private_key(item: Item) -> Report:
    protection = f"encrypted ({item.encryption})" if item.encryption else "not encrypted"
    if item.key is None:
        lines: tuple[tuple[str, str], ...] = (("form", f"{item.form}, {protection}"),)
        title = "private key, which its password would open"
        return Report(title, lines, {"encryption": item.encryption, "key": None})
    public = item.key.public_key()
    lines = (*_key_lines(public), ("form", f"{item.form}, {protection}"))
    return Report("private key", lines, {"encryption": item.encryption or None, **_key_data(public)})


def _public_key(form: str, key: PublicKeyTypes) -> Report:
    return Report("public key", (*_key_lines(key), ("form", form)), _key_data(key))


def _key_lines(key: PublicKeyTypes) -> tuple[tuple[str, str], ...]:
    return ("key", describe_key(key)), ("key id", hexadecimal(key_identifier(key)))


def _key_data(key: PublicKeyTypes) -> dict[str, Field]:
    return {"key": describe_key(key), "key_id": key_identifier(key).hex()}


def key_identifier(key: PublicKeyTypes) -> bytes:
    """The SHA-1 of a key, as certificates carry it (RFC 5280 section 4.2.1.2, method 1)."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    bits = children(der, element(der))[1]
    return sha1(der[bits.content + 1 : bits.end], usedforsecurity=False).digest()
