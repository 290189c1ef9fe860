"""JSON Web Tokens (RFC 7519) signed as JWS (RFC 7515), judged by RFC 8725's rules.

What an attacker may choose decides nothing: the algorithm must be on the list, the key must be made for that
algorithm, "none" is never accepted, a public key is never taken for a secret, and extensions that a token
calls critical are not understood. No error holds the token.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from jwt import InvalidKeyError, InvalidTokenError, PyJWS

from lockwire.access.errors import TokenError
from lockwire.access.identity import Identity
from lockwire.access.methods.naming import shown
from lockwire.access.tokens.claims import identity_of, read_claims
from lockwire.access.tokens.jwks import TokenKey
from lockwire.access.tokens.keysources import KeySource
from lockwire.config.access import TokenSettings

MAXIMUM_BYTES: Final = 16_384

_JWS: Final = PyJWS()


@dataclass(frozen=True, slots=True)
class Header:
    """What a token says of its signature (RFC 7515 section 4.1). key: its "kid", None without one."""

    algorithm: str
    key: str | None


class TokenVerifier:
    """Decides whether a token is good, and whom it names.

    settings: the table `[token]`. keys: where its keys come from. clock: as `time.time`.
    """

    def __init__(
        self, settings: TokenSettings, keys: KeySource, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock

    def reload(self) -> None:
        """Reads the keys again, or begins to. Raises as `KeySource.reload`."""
        self._keys.reload()

    def verify(self, token: bytes, done: Callable[[Identity | TokenError], None]) -> None:
        """Judges a token; calls `done` exactly once, maybe later from the running event loop."""
        try:
            header = read_header(token)
            algorithm = header.algorithm
            if algorithm not in self._settings.algorithms:
                raise TokenError(
                    f"it is signed with {shown(algorithm)}, [token] algorithms are "
                    f"{', '.join(self._settings.algorithms)}",
                    forged=True,
                )
        except TokenError as error:
            done(error)
            return

        def found(keys: tuple[TokenKey, ...] | TokenError) -> None:
            if isinstance(keys, TokenError):
                done(keys)
                return
            try:
                identity = self._judge(token, algorithm, keys)
            except TokenError as error:
                done(error)
            else:
                done(identity)

        self._keys.find(header.key, algorithm, found)

    def close(self) -> None:
        """Lets go of the keys' source; decisions still under way never arrive."""
        self._keys.close()

    def _judge(self, token: bytes, algorithm: str, keys: tuple[TokenKey, ...]) -> Identity:
        for key in keys:
            try:
                payload = _JWS.decode_complete(token, key.key, algorithms=[algorithm])["payload"]
            except (InvalidTokenError, InvalidKeyError):
                continue
            return identity_of(read_claims(payload), self._settings, self._clock())
        raise TokenError(
            f"its signature ({algorithm}) is not that of the key it names; have the issuer's keys been "
            "replaced, or is [token] another issuer's?",
            forged=True,
        )


def read_header(token: bytes) -> Header:
    """The header of a token, whose signature nobody has looked at yet. Raises TokenError."""
    if len(token) > MAXIMUM_BYTES:
        raise TokenError(f"it has {len(token)} bytes; expected {MAXIMUM_BYTES} at most", forged=True)
    parts = token.split(b".")
    if len(parts) == 5:
        raise TokenError("it is encrypted (JWE); have it issued signed only (JWS)", forged=True)
    fields = _fields(parts[0]) if len(parts) == 3 else None
    if fields is None:
        raise TokenError("it is no JSON Web Token: HEADER.CLAIMS.SIGNATURE in base64url", forged=True)
    algorithm, key = fields.get("alg"), fields.get("kid")
    if not isinstance(algorithm, str) or not isinstance(key, (str, type(None))):
        raise TokenError('its header has no "alg", or a "kid" that is no text', forged=True)
    if "crit" in fields:
        raise TokenError("its header has critical extensions (crit), none of which is known", forged=True)
    return Header(algorithm, key)


def is_token(password: bytes) -> bool:
    """Whether a password has the form of a token, signed or encrypted."""
    if not password.startswith(b"ey") or password.count(b".") not in (2, 4) or len(password) > MAXIMUM_BYTES:
        return False
    fields = _fields(password.split(b".", 1)[0])
    return fields is not None and "alg" in fields


def _fields(part: bytes) -> dict[str, object] | None:
    """A JSON object in base64url without padding, None where it is something else."""
    try:
        fields = json.loads(base64.b64decode(part + b"=" * (-len(part) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
