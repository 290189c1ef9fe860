"""Password hashes that say what they are, and passwords worth hashing quickly.

    $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH   for what people choose: about 22 ms of one core each time
    $sha256$SALT$HASH                          for generated secrets of 128 bits and more
    $7$ITERATIONS$SALT$HASH                    PBKDF2 with SHA-512, as mosquitto_passwd writes it
    $6$SALT$HASH                               SHA-512, as mosquitto_passwd -H sha512 and Mosquitto 1 do

The last two are verified and never written: `needs_rehash` says what becomes argon2id at the next login.
A slow hash buys time against guessing. There is nothing to guess in 128 random bits, so they need none
(docs/decisions/0003-passwords-and-scram.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
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
_MOSQUITTO_SHA512: Final = "$6$"
_MOSQUITTO_PBKDF2: Final = "$7$"
_MOST_ITERATIONS: Final = 2_000_000  # a second of one core
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
    """Whether somebody chose the password: `verify` must not run on the event loop, guessing may succeed."""
    return not stored.startswith(_SHA256)


def needs_rehash(stored: str) -> bool:
    """Whether the hash of a chosen password is cheaper to try out than `hash_chosen` makes them."""
    if stored.startswith(_SHA256):
        return False
    if not stored.startswith(_ARGON2ID):
        return True
    parameters = argon2.extract_parameters(stored)
    return parameters.memory_cost * parameters.time_cost < MEMORY_KIB * PASSES


def check_stored(stored: str) -> None:
    """Raises PasswordHashError where a stored hash has a form that `verify` does not know."""
    if stored.startswith(_ARGON2ID):
        try:
            argon2.extract_parameters(stored)
        except InvalidHashError as error:
            raise PasswordHashError("the argon2id hash is damaged") from error
    else:
        _parse(stored)


def verify(stored: str, password: bytes) -> bool:
    """Whether a password is the one whose hash is stored, compared in constant time.

    Raises PasswordHashError where the hash has an unknown form or there is no memory to compute one.
    """
    if not stored.startswith(_ARGON2ID):
        parsed = _parse(stored)
        return hmac.compare_digest(parsed.digest_of(password), parsed.digest)
    check_stored(stored)
    try:
        return _HASHER.verify(stored, password)
    except VerifyMismatchError:
        return False
    except VerificationError as error:
        raise PasswordHashError(f"argon2id could not be computed: {error}") from error


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A hash that is not argon2id. iterations: of PBKDF2, 0 for the others."""

    prefix: str
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    iterations: int = 0

    def digest_of(self, password: bytes) -> bytes:
        """The digest that this password would have."""
        if self.prefix == _SHA256:
            return hashlib.sha256(self.salt + password).digest()
        if self.prefix == _MOSQUITTO_SHA512:
            return hashlib.sha512(password + self.salt).digest()
        return hashlib.pbkdf2_hmac("sha512", password, self.salt, self.iterations)


def _parse(stored: str) -> _Parsed:
    for prefix, size in ((_SHA256, 32), (_MOSQUITTO_SHA512, 64)):
        if stored.startswith(prefix):
            return _Parsed(prefix, *_split(prefix, stored.removeprefix(prefix), size))
    if not stored.startswith(_MOSQUITTO_PBKDF2):
        raise PasswordHashError("the password hash begins with none of $argon2id$, $sha256$, $6$ and $7$")
    iterations, _, rest = stored.removeprefix(_MOSQUITTO_PBKDF2).partition("$")
    number = int(iterations) if re.fullmatch("[0-9]{1,9}", iterations) else 0
    if not 0 < number <= _MOST_ITERATIONS:
        raise PasswordHashError(f"the $7$ hash does not begin with 1 to {_MOST_ITERATIONS} iterations")
    return _Parsed(_MOSQUITTO_PBKDF2, *_split(_MOSQUITTO_PBKDF2, rest, 64), number)


def _split(prefix: str, rest: str, size: int) -> tuple[bytes, bytes]:
    """Salt and digest of SALT$DIGEST, both in base64."""
    fields = rest.split("$")
    try:
        salt, digest = (base64.b64decode(field, validate=True) for field in fields)
    except (ValueError, binascii.Error) as error:
        raise PasswordHashError(f"the {prefix} hash is not SALT$HASH in base64 behind it") from error
    if not salt or len(digest) != size:
        raise PasswordHashError(f"the {prefix} hash has the wrong length")
    return salt, digest


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
