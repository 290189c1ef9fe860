"""JWK sets (RFC 7517): the public keys that tokens are checked with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import InvalidKeyError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from lockwire.access.errors import KeySetError
from lockwire.access.methods.naming import shown

MAXIMUM_BYTES: Final = 1 << 20
MAXIMUM_KEYS: Final = 256
MOST_TRIED: Final = 8
"""Keys that a token without a key identifier is tried with."""
LEAST_RSA_BITS: Final = 2048  # RFC 7518 section 3.3
MOST_RSA_BITS: Final = 8192  # verified on the event loop

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}  # RFC 7518 section 3.4


@dataclass(frozen=True, slots=True)
class TokenKey:
    """One key. identifier: its "kid", "" without one. algorithms: those it may be used with."""

    identifier: str
    algorithms: tuple[str, ...]
    key: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a set, and why others in it are not used."""

    keys: tuple[TokenKey, ...]
    skipped: tuple[str, ...] = ()

    def select(self, identifier: str | None, algorithm: str) -> tuple[TokenKey, ...]:
        """The keys that a token may have been signed with. identifier: its "kid", None without one."""
        return tuple(
            key for key in self.keys if algorithm in key.algorithms and identifier in (None, key.identifier)
        )[:MOST_TRIED]


def parse_jwks(data: bytes, where: str) -> KeySet:
    """Reads a JWK set, or one JWK alone.

    A key of another kind, for another use, or too weak is skipped. where: file or URL, for errors.

    Raises KeySetError where it is no JWK set, or no key in it can be used.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise KeySetError(f'{where}: no JSON; expected a JWK set, {{"keys": [...]}}') from error
    if isinstance(document, dict) and "keys" not in document and "kty" in document:
        document = {"keys": [document]}
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise KeySetError(f'{where}: no "keys"; expected a JWK set, {{"keys": [...]}} (RFC 7517 section 5)')
    if len(entries) > MAXIMUM_KEYS:
        raise KeySetError(f"{where}: {len(entries)} keys; expected {MAXIMUM_KEYS} at most")
    keys, skipped = [], []
    for number, entry in enumerate(entries, 1):
        try:
            keys.append(_key(entry))
        except KeySetError as error:
            skipped.append(f"key {number}: {error}")
    if not keys:
        reasons = "; ".join(skipped[:3]) or "the set is empty"
        raise KeySetError(f"{where}: no key that can be used ({reasons}); expected RSA or EC public keys")
    return KeySet(tuple(keys), tuple(skipped))


def _key(entry: object) -> TokenKey:
    if not isinstance(entry, dict):
        raise KeySetError("no object")
    identifier = entry.get("kid", "")
    if not isinstance(identifier, str):
        raise KeySetError('its "kid" is no text')
    if entry.get("use", "sig") != "sig":
        raise KeySetError('its "use" is not "sig"')
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeySetError('its "key_ops" are without "verify"')
    key, algorithms = _material(entry)
    algorithm = entry.get("alg")
    if algorithm is not None:
        if algorithm not in algorithms:
            raise KeySetError(f'its "alg" {shown(str(algorithm))} is not one of {", ".join(algorithms)}')
        algorithms = (algorithm,)
    return TokenKey(identifier, algorithms, key)


def _material(entry: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """The public key and what it is good for; private members, which do not belong there, are left out."""
    kind = entry.get("kty")
    try:
        if kind == "RSA":
            key = RSAAlgorithm.from_jwk({"kty": kind, "n": entry["n"], "e": entry["e"]})
            assert isinstance(key, RSAPublicKey)
            if not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
                raise KeySetError(f"RSA with {key.key_size} bits, not {LEAST_RSA_BITS} to {MOST_RSA_BITS}")
            return key, _RSA
        if kind == "EC" and entry.get("crv") in _CURVES:
            curve = entry["crv"]
            public = {"kty": kind, "crv": curve, "x": entry["x"], "y": entry["y"]}
            return ECAlgorithm.from_jwk(public), (_CURVES[curve],)
    except (InvalidKeyError, LookupError, TypeError, ValueError) as error:
        raise KeySetError(f"a damaged {kind} key") from error
    raise KeySetError(
        f"a key of kind {shown(str(kind))} {shown(str(entry.get('crv', '')))}, which is not RSA, "
        f"{', '.join(_CURVES)}"
    )
