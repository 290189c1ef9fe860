"""Certificates and keys in another form: PEM, DER, PKCS#12, C headers, PKCS#1, PKCS#8, SEC1."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from lockwire.pki.certificate import describe_key
from lockwire.pki.errors import ConversionError
from lockwire.pki.paths import find_path, is_self_signed
from lockwire.pki.reading import public_key_of
from lockwire.pki.toolkit.checks.question import leaf_of, short_name
from lockwire.pki.toolkit.content import Content, Item, private_key_of

Target = Literal["pem", "der", "p12", "chain", "single", "c-array", "progmem", "pkcs1", "pkcs8", "sec1"]

Thing = TypeVar("Thing")

_BYTES_A_LINE: Final = 12
_PKCS12_KEYS: Final = (
    rsa.RSAPrivateKey,
    dsa.DSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)
_LIST: Final = "lockwire cert inspect lists what is in it."


@dataclass(frozen=True, slots=True)
class Converted:
    """The new file: its bytes, whether a private key is in it, whether it is text, what it is in words."""

    data: bytes = field(repr=False)
    private: bool
    text: bool
    what: str


@dataclass(frozen=True, slots=True)
class Wish:
    """How a file is to be converted.

    target: the form. others: more files whose certificates and keys belong to it.
    item: only this thing of the file, counted from 1.
    password: what keys and PKCS#12 files are encrypted with (PBES2, AES-256); None: not at all.
    binary: keys as DER instead of PEM. name: the variable in a header, or the alias in PKCS#12.
    """

    target: Target
    others: Sequence[Content] = ()
    item: int | None = None
    password: bytes | None = field(default=None, repr=False)
    binary: bool = False
    name: str = ""


def convert(content: Content, wish: Wish) -> Converted:
    """Raises ConversionError, or PasswordError where an encrypted key was not opened."""
    return _Conversion(content, wish).run()


class _Conversion:
    """One conversion: the things chosen, from all the files, and how they are written."""

    def __init__(self, content: Content, wish: Wish) -> None:
        self._content = content
        self._wish = wish
        self._items = [item for each in (content, *wish.others) for item in each.items]
        if wish.item is not None:
            if not 1 <= wish.item <= len(content.items):
                raise self._error(f"There is no thing number {wish.item} in this file", _LIST)
            self._items = [content.items[wish.item - 1]]

    def run(self) -> Converted:
        """The new file."""
        targets: dict[Target, Callable[[], Converted]] = {
            "pem": self._pem,
            "der": self._der,
            "p12": self._pkcs12,
            "chain": self._chain,
            "single": self._single,
            "c-array": self._c_array,
            "progmem": self._progmem,
            "pkcs1": self._pkcs1,
            "pkcs8": self._pkcs8,
            "sec1": self._sec1,
        }
        return targets[self._wish.target]()

    def _pem(self) -> Converted:
        data = b"".join(
            self._encode(item, Encoding.PEM) for item in self._some(self._items, "certificate or key")
        )
        return Converted(data, self._has_key(), True, f"{_count(self._items)} as PEM")

    def _der(self) -> Converted:
        if len(self._items) != 1:
            raise self._error(
                f"DER has room for one thing, and there are {len(self._items)} in this file",
                f"Choose one with --item N; {_LIST}",
            )
        data = self._encode(self._items[0], Encoding.DER)
        return Converted(data, self._has_key(), False, f"{_count(self._items)} as DER")

    def _chain(self) -> Converted:
        """The leaf and its issuers in order, as a server sends them: without the root, which clients have."""
        certificates = self._certificates()
        path = [
            each
            for each in find_path(leaf_of(certificates), certificates).certificates
            if each in certificates
        ]
        if len(path) > 1 and is_self_signed(path[-1]):
            path = path[:-1]
        left = [short_name(each) for each in dict.fromkeys(certificates) if each not in path]
        names = ", ".join(short_name(each) for each in path)
        what = f"chain of {names}" + (f"; left out: {', '.join(left)}" if left else "")
        return Converted(b"".join(each.public_bytes(Encoding.PEM) for each in path), False, True, what)

    def _single(self) -> Converted:
        leaf = leaf_of(self._certificates())
        return Converted(
            leaf.public_bytes(Encoding.PEM), False, True, f"certificate of {short_name(leaf)} as PEM"
        )

    def _pkcs12(self) -> Converted:
        certificates = self._certificates()
        keys = [item for item in self._items if item.kind == "private key"]
        alias = (self._wish.name or short_name(leaf_of(certificates))).encode()
        protection = self._protection()
        if not keys:
            data = pkcs12.serialize_key_and_certificates(alias, None, None, certificates, protection)
            return Converted(data, False, False, f"{_count(self._items)} as PKCS#12, without a key")
        if self._wish.password is None:
            raise self._error(
                "A PKCS#12 file with a private key needs a password",
                "Give one with --new-password-file, or run the command in a terminal.",
            )
        key, own = self._pair(keys, certificates)
        others = [each for each in certificates if each != own]
        if not isinstance(key, _PKCS12_KEYS):
            raise self._error(
                f"A {describe_key(key.public_key())} key has no place in PKCS#12", "Use --to pem."
            )
        data = pkcs12.serialize_key_and_certificates(alias, key, own, others, protection)
        written = _count([item for item in self._items if item.kind != "private key"])
        left = f"; left out: {_count(keys[1:])}" if keys[1:] else ""
        return Converted(data, True, False, f"1 private key and {written} as PKCS#12{left}")

    def _pair(
        self, keys: list[Item], certificates: list[x509.Certificate]
    ) -> tuple[PrivateKeyTypes, x509.Certificate]:
        """The first key that a certificate belongs to, and that certificate."""
        for item in keys:
            key = private_key_of(item, self._content.path)
            for certificate in certificates:
                if public_key_of(certificate) == key.public_key():
                    return key, certificate
        raise self._error(
            "No certificate here belongs to the private key", "Give the one that does with --with."
        )

    def _c_array(self) -> Converted:
        parts = []
        for item, name in self._named("der"):
            data = self._encode(item, Encoding.DER)
            rows = textwrap.wrap(", ".join(f"0x{byte:02x}" for byte in data), _BYTES_A_LINE * 6)
            body = "\n".join(f"    {row}" for row in rows)
            parts.append(
                f"// {_comment(item)}\nstatic const unsigned char {name}[] = {{\n{body}\n}};\n"
                f"static const unsigned int {name}_len = {len(data)};\n"
            )
        return self._header(parts, "C arrays of DER")

    def _progmem(self) -> Converted:
        parts = ["#ifndef PROGMEM\n#define PROGMEM\n#endif\n"]
        for item, name in self._named("pem"):
            pem = self._encode(item, Encoding.PEM).decode()
            parts.append(f'// {_comment(item)}\nstatic const char {name}[] PROGMEM = R"PEM(\n{pem})PEM";\n')
        return self._header(parts, "PROGMEM strings of PEM")

    def _header(self, parts: list[str], what: str) -> Converted:
        text = "#pragma once\n\n" + "\n".join(parts)
        return Converted(text.encode(), self._has_key(), True, f"{_count(self._items)} as {what}")

    def _pkcs1(self) -> Converted:
        return self._key(PrivateFormat.TraditionalOpenSSL, rsa.RSAPrivateKey, "PKCS#1", "RSA")

    def _sec1(self) -> Converted:
        return self._key(
            PrivateFormat.TraditionalOpenSSL, ec.EllipticCurvePrivateKey, "SEC1", "elliptic curve"
        )

    def _pkcs8(self) -> Converted:
        return self._key(PrivateFormat.PKCS8, object, "PKCS#8", "private")

    def _key(self, form: PrivateFormat, kind: type, title: str, kinds: str) -> Converted:
        items = [item for item in self._items if item.kind == "private key"]
        if len(items) != 1:
            found = f"are {len(items)}" if items else "is none"
            raise self._error(
                f"One private key is needed, and there {found} in this file",
                f"Choose one with --item N; {_LIST}",
            )
        key = private_key_of(items[0], self._content.path)
        if not isinstance(key, kind):
            raise self._error(
                f"{title} is for {kinds} keys, and this one is {describe_key(key.public_key())}",
                "Use --to pkcs8.",
            )
        if form is not PrivateFormat.PKCS8 and self._wish.password is not None:
            raise self._error(
                f"{title} can be encrypted only in an old way that is easy to break",
                "Use --to pkcs8 for that.",
            )
        encoding = Encoding.DER if self._wish.binary else Encoding.PEM
        protection = self._protection()
        state = "not encrypted" if isinstance(protection, NoEncryption) else "encrypted with AES-256"
        written = "DER" if self._wish.binary else "PEM"
        what = f"{describe_key(key.public_key())} key as {title} in {written}, {state}"
        return Converted(key.private_bytes(encoding, form, protection), True, not self._wish.binary, what)

    def _encode(self, item: Item, encoding: Encoding) -> bytes:
        if item.value is None:
            key = private_key_of(item, self._content.path)
            return key.private_bytes(encoding, PrivateFormat.PKCS8, self._protection())
        return _encode_public(item.value, encoding)

    def _protection(self) -> KeySerializationEncryption:
        return NoEncryption() if self._wish.password is None else BestAvailableEncryption(self._wish.password)

    def _named(self, suffix: str) -> list[tuple[Item, str]]:
        """The things with a C identifier each."""
        items = self._some(self._items, "certificate or key")
        plain = re.sub(r"\W", "_", self._wish.name or f"{self._content.path.stem}_{suffix}", flags=re.ASCII)
        name = f"_{plain}" if plain[:1].isdigit() else plain
        if len(items) == 1:
            return [(items[0], name)]
        return [(item, f"{name}_{number}") for number, item in enumerate(items, 1)]

    def _certificates(self) -> list[x509.Certificate]:
        found = [item.value for item in self._items if isinstance(item.value, x509.Certificate)]
        return self._some(found, "certificate")

    def _has_key(self) -> bool:
        return any(item.kind == "private key" for item in self._items)

    def _some(self, things: list[Thing], what: str) -> list[Thing]:
        if not things:
            raise self._error(f"There is no {what} in this file", "Give another file.")
        return things

    def _error(self, problem: str, remedy: str) -> ConversionError:
        return ConversionError(problem, remedy, self._content.path)


def _encode_public(
    value: x509.Certificate
    | x509.CertificateSigningRequest
    | x509.CertificateRevocationList
    | PublicKeyTypes,
    encoding: Encoding,
) -> bytes:
    if isinstance(value, (x509.Certificate, x509.CertificateSigningRequest, x509.CertificateRevocationList)):
        return value.public_bytes(encoding)
    return value.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def _count(items: list[Item]) -> str:
    kinds = [item.kind for item in items]
    words = []
    for kind in dict.fromkeys(kinds):
        number = kinds.count(kind)
        words.append(f"{number} {kind}{'' if number == 1 else 's'}")
    return " and ".join(words)


def _comment(item: Item) -> str:
    """Who it is, on one line that nothing in a certificate can end."""
    who = f" of {short_name(item.value)}" if isinstance(item.value, x509.Certificate) else ""
    return (item.kind + who).replace("\\", "/")
