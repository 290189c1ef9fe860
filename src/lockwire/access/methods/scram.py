"""SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides, without channel binding.

The server keeps a verifier that cannot be used to log in, the password never crosses the wire, and the client
learns that the server knows it too. A user that does not exist gets a salt all the same, the same one each
time, so that the challenge tells nobody who exists.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
import stringprep
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lockwire.access.errors import ScramError

MECHANISM: Final = "SCRAM-SHA-256"
ITERATIONS: Final = 15_000
LEAST_ITERATIONS: Final = 4_096  # RFC 7677 section 4
MOST_ITERATIONS: Final = 1_000_000  # what a client lets a server ask of it
SALT_BYTES: Final = 16
MAXIMUM_MESSAGE: Final = 4_096  # bytes

_PRINTABLE: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]+")  # RFC 5802 section 7, "printable"


@dataclass(frozen=True, slots=True)
class ScramVerifier:
    """What a server stores of a user (RFC 5802 section 3); `repr` shows none of it."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"ScramVerifier(iterations={self.iterations})"


def derive_verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> ScramVerifier:
    """The verifier of a password. Takes milliseconds: not on the event loop. Raises ScramError (SASLprep)."""
    salt = os.urandom(SALT_BYTES) if salt is None else salt
    salted = _salted_password(password, salt, iterations)
    client_key = _hmac(salted, b"Client Key")
    return ScramVerifier(salt, iterations, hashlib.sha256(client_key).digest(), _hmac(salted, b"Server Key"))


class ScramServer:
    """One exchange, the server's side: `start`, then `finish`.

    lookup: the verifier of a user name (after SASLprep), None where there is none.
    decoy_key: a secret that stays the same, from which unknown users get their salts.
    server_nonce: printable, for test vectors; random where None.
    """

    def __init__(
        self,
        lookup: Callable[[str], ScramVerifier | None],
        decoy_key: bytes,
        server_nonce: str | None = None,
    ) -> None:
        self.username = ""
        self.found: ScramVerifier | None = None
        """What the user was found to have, once `start` has looked; None: there is no such user."""
        self._lookup = lookup
        self._decoy_key = decoy_key
        self._server_nonce = server_nonce or secrets.token_urlsafe(24)
        self._verifier: ScramVerifier | None = None
        self._gs2_header = ""
        self._nonce = ""
        self._signed = ""

    def start(self, data: bytes) -> bytes:
        """Takes the client-first-message, returns the server-first-message. Raises ScramError."""
        text = _decode(data)
        self._gs2_header, bare = _split_gs2_header(text)
        fields = _attributes(bare)
        if fields[0][0] == "m":
            raise ScramError("extensions-not-supported", "the client demands an extension")
        if [name for name, _ in fields[:2]] != ["n", "r"]:
            raise ScramError("other-error", "the client-first-message is not n=...,r=...")
        self.username = saslprep(_decode_name(fields[0][1]))
        if not self.username:
            raise ScramError("invalid-username-encoding", "the user name is empty")
        authorization = self._gs2_header.split(",")[1]
        if authorization and saslprep(_decode_name(authorization.removeprefix("a="))) != self.username:
            raise ScramError("other-error", "acting for another user is not offered")
        if not _PRINTABLE.fullmatch(fields[1][1]):
            raise ScramError("other-error", "the client's nonce is not printable")
        self._nonce = fields[1][1] + self._server_nonce
        self.found = self._lookup(self.username)
        self._verifier = self.found or self._decoy()
        salt = base64.b64encode(self._verifier.salt).decode()
        challenge = f"r={self._nonce},s={salt},i={self._verifier.iterations}"
        self._signed = f"{bare},{challenge}"
        return challenge.encode()

    def finish(self, data: bytes) -> tuple[bytes, str]:
        """Takes the client-final-message, returns the server-final-message and the user's name.

        Raises ScramError: "invalid-proof" for a wrong password and for an unknown user alike.
        """
        verifier, self._verifier = self._verifier, None
        if verifier is None:
            raise ScramError("other-error", "there is no exchange to finish")
        without_proof, comma, proof_field = _decode(data).rpartition(",p=")
        fields = _attributes(without_proof)
        if not comma or [name for name, _ in fields[:2]] != ["c", "r"]:
            raise ScramError("other-error", "the client-final-message is not c=...,r=...,p=...")
        if _decode_base64(fields[0][1]) != self._gs2_header.encode():
            raise ScramError(
                "channel-bindings-dont-match", "the client names other channel bindings than before"
            )
        if not hmac.compare_digest(fields[1][1].encode(), self._nonce.encode()):
            raise ScramError("other-error", "the nonce is not the one of this exchange")
        signed = f"{self._signed},{without_proof}".encode()
        proof = _decode_base64(proof_field)
        signature = _hmac(verifier.stored_key, signed)
        matches = len(proof) == len(signature) and hmac.compare_digest(
            hashlib.sha256(_xor(proof, signature)).digest(), verifier.stored_key
        )
        if not matches or self.found is None:
            raise ScramError("invalid-proof", "wrong password or unknown user")
        return b"v=" + base64.b64encode(_hmac(verifier.server_key, signed)), self.username

    def _decoy(self) -> ScramVerifier:
        salt = _hmac(self._decoy_key, b"salt " + self.username.encode())[:SALT_BYTES]
        key = _hmac(self._decoy_key, b"key " + self.username.encode())
        return ScramVerifier(salt, ITERATIONS, key, key)


class ScramClient:
    """One exchange, the client's side: `first`, then `final`, then `verify`."""

    def __init__(self, username: str, password: str, client_nonce: str | None = None) -> None:
        self._password = password
        self._nonce = client_nonce or secrets.token_urlsafe(24)
        name = saslprep(username).replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={self._nonce}"
        self._server_signature = b""

    def first(self) -> bytes:
        """The client-first-message."""
        return f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """The client-final-message for a server-first-message. Raises ScramError. Takes milliseconds."""
        text = _decode(challenge)
        fields = _attributes(text)
        if [name for name, _ in fields[:3]] != ["r", "s", "i"]:
            raise ScramError("other-error", "the server-first-message is not r=...,s=...,i=...")
        nonce, salt = fields[0][1], _decode_base64(fields[1][1])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ScramError("other-error", "the server's nonce does not continue ours")
        iterations = int(fields[2][1]) if re.fullmatch("[1-9][0-9]{0,8}", fields[2][1]) else 0
        if not LEAST_ITERATIONS <= iterations <= MOST_ITERATIONS:
            raise ScramError("other-error", f"the server asks for {iterations} iterations")
        salted = _salted_password(self._password, salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        without_proof = f"c=biws,r={nonce}"
        signed = f"{self._bare},{text},{without_proof}".encode()
        proof = _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), signed))
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, final: bytes) -> None:
        """Checks the server-final-message; raises ScramError where the server does not know the password."""
        text = _decode(final)
        if not text.startswith("v=") or not self._server_signature:
            raise ScramError("other-error", "the server refused or did not prove itself")
        if not hmac.compare_digest(_decode_base64(text[2:].partition(",")[0]), self._server_signature):
            raise ScramError("other-error", "the server does not know the password")


def saslprep(text: str) -> str:
    """Prepares a user name or password for comparison (RFC 4013). Raises ScramError where it cannot be."""
    mapped = "".join(
        " " if stringprep.in_table_c12(one) else one for one in text if not stringprep.in_table_b1(one)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    for one in prepared:
        if any(prohibited(one) for prohibited in _PROHIBITED):
            raise ScramError("invalid-username-encoding", f"the character U+{ord(one):04X} is not allowed")
    if any(stringprep.in_table_d1(one) for one in prepared) and (
        any(stringprep.in_table_d2(one) for one in prepared)
        or not stringprep.in_table_d1(prepared[0])
        or not stringprep.in_table_d1(prepared[-1])
    ):
        raise ScramError("invalid-username-encoding", "left-to-right and right-to-left characters are mixed")
    return prepared


# RFC 4013 section 2.3, and the unassigned code points of section 2.5.
_PROHIBITED: Final[tuple[Callable[[str], bool], ...]] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def _split_gs2_header(text: str) -> tuple[str, str]:
    """The gs2-header with its commas, and the rest (RFC 5802 section 7)."""
    fields = text.split(",", 2)
    if len(fields) != 3:
        raise ScramError("other-error", "the client-first-message has no GS2 header")
    binding, authorization, rest = fields
    if binding.startswith("p="):
        raise ScramError("channel-binding-not-supported", "channel binding is not offered")
    if binding not in ("n", "y") or (authorization and not authorization.startswith("a=")):
        raise ScramError("other-error", "the GS2 header is not n,, or y,,")
    return f"{binding},{authorization},", rest


def _attributes(text: str) -> list[tuple[str, str]]:
    found = []
    for field in text.split(","):
        name, equals, value = field.partition("=")
        if len(name) != 1 or not equals or not name.isascii() or not name.isalpha():
            raise ScramError("other-error", "a field is not a letter, '=' and a value")
        found.append((name, value))
    return found


def _decode(data: bytes) -> str:
    if len(data) > MAXIMUM_MESSAGE:
        raise ScramError("other-error", f"a message of {len(data)} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ScramError("invalid-encoding", "a message is not UTF-8") from error
    if "\0" in text:
        raise ScramError("invalid-encoding", "a message contains NUL")
    return text


def _decode_name(name: str) -> str:
    if re.search("=(?!2C|3D)", name):
        raise ScramError("invalid-username-encoding", "'=' in a user name must be =3D")
    return name.replace("=2C", ",").replace("=3D", "=")


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ScramError("invalid-encoding", "a field is not base64") from error


def _salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
