"""Password hashes that say what they are, and passwords worth hashing quickly.

    $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH   for what people choose: about 22 ms of one core each time
    $sha256$SALT$HASH                          for generated secrets of 128 bits and more

A slow hash buys time against guessing. There is nothing to guess in 128 random bits, so they need none
(docs/decisions/0003-passwords-and-scram.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from typing import Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from lockwire.access.errors import PasswordHashError

ALPHABET: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without 0 O o 1 I l
GENERATED_LENGTH: Final = 24  # 56 symbols: 139 bits

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1

_ARGON2ID: Final = "$argon2id$"
_SHA256: Final = "$sha256$"
_HASHER: Final = argon2.PasswordHasher(PASSES, MEMORY_KIB, LANES)
_SALT_BYTES: Final = 16


def generate_password() -> str:
    """A password of 24 characters that cannot be confused with each other, 139 random bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(GENERATED_LENGTH))


def hash_chosen(password: bytes) -> str:
    """The argon2id hash of a password that somebody chose. Takes about 22 ms: not on the event loop."""
    return _HASHER.hash(password)


def hash_generated(secret: bytes) -> str:
    """The SHA-256 hash of a generated secret of at least 128 random bits, of nothing else."""
    salt = os.urandom(_SALT_BYTES)
    return f"{_SHA256}{_text(salt)}${_text(hashlib.sha256(salt + secret).digest())}"


def is_slow(stored: str) -> bool:
    """Whether `verify` takes milliseconds, so that it must not run on the event loop."""
    return not stored.startswith(_SHA256)


def check_stored(stored: str) -> None:
    """Raises PasswordHashError where a stored hash has a form that `verify` does not know."""
    if stored.startswith(_SHA256):
        _split_sha256(stored)
        return
    try:
        if not stored.startswith(_ARGON2ID):
            raise PasswordHashError("the password hash begins with neither $argon2id$ nor $sha256$")
        argon2.extract_parameters(stored)
    except InvalidHashError as error:
        raise PasswordHashError("the argon2id hash is damaged") from error


def verify(stored: str, password: bytes) -> bool:
    """Whether a password is the one whose hash is stored, compared in constant time.

    Raises PasswordHashError where the hash has an unknown form or there is no memory to compute one.
    """
    if stored.startswith(_SHA256):
        salt, digest = _split_sha256(stored)
        return hmac.compare_digest(hashlib.sha256(salt + password).digest(), digest)
    check_stored(stored)
    try:
        return _HASHER.verify(stored, password)
    except VerifyMismatchError:
        return False
    except VerificationError as error:
        raise PasswordHashError(f"argon2id could not be computed: {error}") from error


def _split_sha256(stored: str) -> tuple[bytes, bytes]:
    fields = stored.removeprefix(_SHA256).split("$")
    try:
        salt, digest = (base64.b64decode(field, validate=True) for field in fields)
    except (ValueError, binascii.Error) as error:
        raise PasswordHashError("the $sha256$ hash is not $sha256$SALT$HASH in base64") from error
    if not salt or len(digest) != hashlib.sha256().digest_size:
        raise PasswordHashError("the $sha256$ hash has the wrong length")
    return salt, digest


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
