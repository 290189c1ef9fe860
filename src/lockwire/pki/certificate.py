"""Small readings of a certificate, for logs and for those who need one field of it."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

_INTEGER: Final = 0x02
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0  # [0] EXPLICIT, absent in version 1
_ISSUER_DIGITS: Final = 16


def certificate_key(der: bytes) -> str:
    """What names a certificate in deny-lists: its issuer and its serial number, which no other one has.

    Sixteen hexadecimal digits of the SHA-256 over the DER of the issuer's name, a colon, the serial number in
    hexadecimal without leading zeros. It reads the first fields only (RFC 5280 section 4.1), fast enough for
    every handshake. Raises ValueError for what is no certificate.
    """
    start, end = _element(der, 0, len(der), _SEQUENCE)
    start, end = _element(der, start, end, _SEQUENCE)
    if start < end and der[start] == _VERSION:
        start = _element(der, start, end, _VERSION)[1]
    serial, start = _element(der, start, end, _INTEGER)
    number = int.from_bytes(der[serial:start], signed=True)
    start = _element(der, start, end, _SEQUENCE)[1]
    return _key(der[start : _element(der, start, end, _SEQUENCE)[1]], number)


def key_of(issuer: x509.Name, serial: int) -> str:
    """As `certificate_key`, from the parts: for entries of a ledger or of a revocation list."""
    return _key(issuer.public_bytes(), serial)


def keys_of(issuer: x509.Name, serials: Iterable[int]) -> frozenset[str]:
    """The keys of many certificates of one issuer."""
    prefix = _prefix(issuer.public_bytes())
    return frozenset(f"{prefix}:{serial:x}" for serial in serials)


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


def _key(issuer: bytes, serial: int) -> str:
    return f"{_prefix(issuer)}:{serial:x}"


def _prefix(issuer: bytes) -> str:
    return sha256(issuer).hexdigest()[:_ISSUER_DIGITS]


def _element(data: bytes, start: int, limit: int, tag: int) -> tuple[int, int]:
    """Where the contents of a DER element with this tag begin and end. Raises ValueError."""
    if start + 2 > limit or data[start] != tag:
        raise ValueError(f"No certificate: no element 0x{tag:02x} at byte {start}")
    length, begin = data[start + 1], start + 2
    if length >= 0x80:
        octets = length & 0x7F
        begin += octets
        if not 1 <= octets <= 4 or begin > limit:
            raise ValueError(f"No certificate: no length in DER at byte {start + 1}")
        length = int.from_bytes(data[start + 2 : begin])
    if begin + length > limit:
        raise ValueError(f"No certificate: it is cut short at byte {limit}")
    return begin, begin + length


def _text(name: x509.Name) -> str:
    found = common_name_of(name)
    # repr: a name comes from whoever made the certificate and must not break or forge a log line
    return repr(found) if found is not None else repr(name.rfc4514_string())
