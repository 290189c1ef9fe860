"""A private key encrypted with a passphrase: PKCS#8 (RFC 5958 section 3) with PBES2 (RFC 8018).

`cryptography` writes these with 2,048 rounds of PBKDF2, too few for what people choose; hence this.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import textwrap
from typing import Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ROUNDS: Final = 600_000
"""Of PBKDF2 with HMAC-SHA-256: a fifth of a second."""

_PBES2: Final = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2: Final = bytes.fromhex("06092a864886f70d01050c")
_HMAC_SHA256: Final = bytes.fromhex("300c06082a864886f70d02090500")
_AES_256_CBC: Final = bytes.fromhex("060960864801650304012a")
_SEQUENCE, _INTEGER, _OCTET_STRING = 0x30, 0x02, 0x04


def encrypt_key(plain: bytes, passphrase: bytes) -> bytes:
    """PEM of an EncryptedPrivateKeyInfo: PBKDF2 with HMAC-SHA-256, AES-256-CBC.

    plain: the key as PKCS#8 in DER.
    """
    salt, vector = secrets.token_bytes(16), secrets.token_bytes(16)
    key = hashlib.pbkdf2_hmac("sha256", passphrase, salt, ROUNDS, 32)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    encrypted = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    rounds = _der(_INTEGER, ROUNDS.to_bytes(3, "big"))
    derivation = _der(_SEQUENCE, _der(_OCTET_STRING, salt), rounds, _HMAC_SHA256)
    scheme = _der(_SEQUENCE, _AES_256_CBC, _der(_OCTET_STRING, vector))
    parameters = _der(_SEQUENCE, _der(_SEQUENCE, _PBKDF2, derivation), scheme)
    whole = _der(_SEQUENCE, _der(_SEQUENCE, _PBES2, parameters), _der(_OCTET_STRING, encrypted))
    lines = textwrap.wrap(base64.b64encode(whole).decode("ascii"), 64)
    label = "ENCRYPTED PRIVATE KEY"
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode("ascii")


def _der(tag: int, *parts: bytes) -> bytes:
    """One element of DER (X.690 section 8.1.3)."""
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
