"""Private keys: the kinds that are made, what is refused as weak, and files of every form."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from lockwire.pki.errors import MalformedFileError, PasswordError, WeakKeyError
from lockwire.pki.issuer import SigningKey
from lockwire.pki.pkcs8 import encrypt_key

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


def load_key(data: bytes, passphrase: bytes | None, file: Path | None = None) -> PrivateKeyTypes:
    """A private key in any form: PEM or DER; PKCS#1, SEC1 or PKCS#8; encrypted or not.

    Encrypted ones may be PKCS#8 or the traditional PEM ("Proc-Type: 4,ENCRYPTED") with 3DES or AES. What else
    a PEM file holds, such as EC parameters or certificates, is skipped.

    Raises:
        PasswordError: it is encrypted, and there is no passphrase or a wrong one.
        MalformedFileError: there is no key that can be read.
    """
    is_pem = b"-----BEGIN " in data
    try:
        return _load(data, passphrase, is_pem)
    except TypeError as error:
        if passphrase is not None and "not encrypted" in str(error):
            return load_key(data, None, file)
        raise PasswordError(
            "This private key is encrypted",
            "Give its passphrase with --passphrase-file, in LOCKWIRE_PASSPHRASE or when asked for it.",
            file,
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable(data, passphrase, error, file) from error


def _load(data: bytes, passphrase: bytes | None, is_pem: bool) -> PrivateKeyTypes:
    if not is_pem:
        return serialization.load_der_private_key(data, passphrase)
    blocks = [block for block in _pem_blocks(data) if b"PRIVATE KEY-----" in block.split(b"\n", 1)[0]]
    if not blocks:
        raise ValueError("no PRIVATE KEY among the PEM blocks")
    return serialization.load_pem_private_key(blocks[0], passphrase)


def _pem_blocks(data: bytes) -> list[bytes]:
    return [b"-----BEGIN " + block for block in data.split(b"-----BEGIN ")[1:]]


def is_encrypted(data: bytes) -> bool:
    """Whether a PEM or DER file holds a key that is encrypted; False where it holds none."""
    try:
        _load(data, None, b"-----BEGIN " in data)
    except TypeError:
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return False


def _unreadable(
    data: bytes, passphrase: bytes | None, error: Exception, file: Path | None
) -> MalformedFileError | PasswordError:
    if "unknown cipher" in str(error):
        return MalformedFileError(
            "This private key is encrypted with a cipher that is not supported (DES, RC2 or another old one)",
            "Write it anew: openssl pkcs8 -topk8 -provider legacy -provider default -in OLD -out NEW.",
            file,
        )
    # A wrong passphrase shows as bad padding, or once in 256 times as garbage instead of a key.
    if passphrase is not None and is_encrypted(data):
        return PasswordError("The passphrase does not open this private key", "Give the right one.", file)
    return MalformedFileError(
        "There is no private key in PEM or DER form in this file", "Give the file with the key.", file
    )


def key_pem(key: PrivateKeyTypes, passphrase: bytes | None = None) -> bytes:
    """A private key as PKCS#8 in PEM; encrypted with AES-256 where there is a passphrase."""
    plain = key.private_bytes(
        serialization.Encoding.DER if passphrase else serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return encrypt_key(plain, passphrase) if passphrase else plain
