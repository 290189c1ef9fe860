"""How an encrypted PKCS#8 key is protected (RFC 8018), in words, without its password."""

from __future__ import annotations

from typing import Final

from lockwire.pki.der import DerError, Element, children, element

_SEQUENCE: Final = 0x30
_OBJECT_IDENTIFIER: Final = 0x06
_PBES2: Final = "2a864886f70d01050d"
_NAMES: Final = {
    "60864801650304012a": "AES-256-CBC",
    "608648016503040116": "AES-192-CBC",
    "608648016503040102": "AES-128-CBC",
    "2a864886f70d0307": "3DES",
    "2b0e030207": "DES",
    "2a864886f70d010503": "DES, derived by MD5",
    "2a864886f70d01050a": "DES, derived by SHA-1",
    "2a864886f70d010c0103": "3DES, derived by SHA-1",
    "2a864886f70d010c0106": "RC2 of 40 bits, derived by SHA-1",
    "2a864886f70d01050c": "PBKDF2",
    "2b06010401da47040b": "scrypt",
}


def describe_encryption(der: bytes) -> str:
    """The cipher and the derivation of its key; "unknown" where they are."""
    try:
        algorithm = children(der, element(der))[0]
        name, *parameters = children(der, algorithm)
        if _oid(der, name) != _PBES2:
            return _NAMES.get(_oid(der, name), "unknown")
        derivation, scheme = (children(der, part)[0] for part in children(der, parameters[0])[:2])
    except (DerError, ValueError, IndexError):
        return "unknown"
    return ", ".join(_NAMES.get(_oid(der, each), "unknown") for each in (scheme, derivation))


def _oid(der: bytes, each: Element) -> str:
    return der[each.content : each.end].hex()
