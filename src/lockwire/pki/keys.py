"""Private keys: the kinds that are made, what is refused as weak, and files of every form."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from lockwire.pki.authority.issuer import SigningKey
from lockwire.pki.errors import MalformedFileError, WeakKeyError
from lockwire.pki.pkcs8 import encrypt_key
from lockwire.pki.toolkit.content import parse_content, private_key_of

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

MINIMUM_RSA: Final = 2048
MAXIMUM_RSA: Final = 8192
_EXPONENT: Final = 65_537
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_KEY_REMEDY: Final = "Use P-256, RSA with 2048 bits or more, or Ed25519"


class KeyKind(enum.Enum):
    """The kinds of key that Lockwire makes, by the names that commands take."""

    P256 = "p-256"
    P384 = "p-384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ED25519 = "ed25519"

    @property
    def is_rsa(self) -> bool:
        return self.value.startswith("rsa")


def generate_key(kind: KeyKind) -> SigningKey:
    """A new key of this kind. RSA takes a tenth of a second and more."""
    if kind is KeyKind.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if kind.is_rsa:
        return rsa.generate_private_key(_EXPONENT, int(kind.value.removeprefix("rsa-")))
    return ec.generate_private_key(ec.SECP256R1() if kind is KeyKind.P256 else ec.SECP384R1())


def leaf_kind(issuer: object) -> KeyKind:
    """The kind of an end entity's key where none is asked for: one that whoever verifies `issuer` verifies.

    issuer: the issuer's public or private key.
    """
    if isinstance(issuer, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        return KeyKind.RSA_2048
    if isinstance(issuer, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)):
        return KeyKind.ED25519
    return KeyKind.P256


def kind_of(key: PublicKey) -> KeyKind:
    """The kind of another key like this one: the same where it is one that is made, else the nearest."""
    if isinstance(key, rsa.RSAPublicKey):
        sizes = {2048: KeyKind.RSA_2048, 3072: KeyKind.RSA_3072}
        return sizes.get(key.key_size, KeyKind.RSA_2048 if key.key_size < 3072 else KeyKind.RSA_4096)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return KeyKind.ED25519
    return KeyKind.P256 if key.key_size <= 256 else KeyKind.P384


def check_public_key(key: object, whose: str, file: Path | None = None) -> PublicKey:
    """Gives `key` where TLS clients verify it and it is not weak. Raises WeakKeyError with the reason.

    whose: as in "the key of pump-7.csr"; `file` is named in the error.
    """
    problem = _weakness(key)
    if problem:
        raise WeakKeyError(f"{whose} {problem}", f"{_KEY_REMEDY}.", file)
    if not isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey, ed25519.Ed25519PublicKey)):
        raise WeakKeyError(f"{whose} is of a kind that TLS does not use", f"{_KEY_REMEDY}.", file)
    return key


def _weakness(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MINIMUM_RSA:
            return f"is RSA with {key.key_size} bits, which OpenSSL and others refuse"
        if key.key_size > MAXIMUM_RSA:
            return f"is RSA with {key.key_size} bits, which takes devices too long"
        exponent = key.public_numbers().e
        return f"has the weak RSA exponent {exponent}" if exponent < _EXPONENT else ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        known = key.curve.name in _CURVES
        return "" if known else f"is on the curve {key.curve.name}, which TLS clients do not verify"
    if isinstance(key, dsa.DSAPublicKey):
        return "is DSA, which TLS clients no longer verify"
    if isinstance(key, ed448.Ed448PublicKey):
        return "is Ed448, which few TLS libraries verify"
    return ""


def load_key(data: bytes, passphrase: bytes | None, file: Path) -> PrivateKeyTypes:
    """The one private key in a file of any form: PEM or DER; PKCS#1, SEC1, PKCS#8, encrypted or not.

    file: for errors. Raises PasswordError where it is encrypted, and there is no passphrase or a wrong one;
    MalformedFileError where there is not one key.
    """
    keys = parse_content(data, file, lambda _: passphrase).keys
    if len(keys) != 1:
        raise MalformedFileError(
            f"There are {len(keys)} private keys in this file",
            "Give a file with the one that is meant.",
            file,
        )
    return private_key_of(keys[0], file)


def is_encrypted(data: bytes, file: Path) -> bool:
    """Whether the private key in a file is encrypted. Raises MalformedFileError."""
    return any(item.encryption for item in parse_content(data, file).keys)


def key_pem(key: PrivateKeyTypes, passphrase: bytes | None = None) -> bytes:
    """A private key as PKCS#8 in PEM; encrypted with AES-256 where there is a passphrase."""
    plain = key.private_bytes(
        serialization.Encoding.DER if passphrase else serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return encrypt_key(plain, passphrase) if passphrase else plain
