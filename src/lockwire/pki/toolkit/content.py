"""Any file with certificates or keys, read by what is in it and never by its name.

PEM (also with text around it, or inside a program's source), DER (also several in a row), base64 without
PEM's lines, PKCS#7 and PKCS#12. Others are named in the error: a Java keystore, an SSH key.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

from lockwire.pki.der import DerError, Shape, element, shape
from lockwire.pki.errors import MalformedFileError, MissingFileError, PasswordError
from lockwire.pki.toolkit import armour
from lockwire.pki.toolkit.encryption import describe_encryption

MAXIMUM_FILE: Final = 16 << 20
"""Bytes. A trust store has 300 KB, a large revocation list a few MB."""

Value = x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList
AskPassword = Callable[[str], bytes | None]
"""Asked with what it is for, once something turns out to be encrypted; None: there is no password."""

_OPEN: Final = b"\x30\x80"
"""A SEQUENCE of open length: BER (X.690 section 8.1.3.6), which DER forbids."""
_OPEN_PKCS7: Final = _OPEN + bytes.fromhex("06092a864886f70d010702")
_LOOK: Final = "Look whether it is the right file, and fetch or export it again."
_GIVE: Final = "Give its password with --password-file FILE, or run the command in a terminal."


@dataclass(frozen=True, slots=True)
class Item:
    """One thing in a file.

    kind: "certificate", "certificate request", "revocation list", "private key" or "public key".
    form: how it is written, such as "X.509" or "PKCS#8".
    line: where it begins in a text file, 0 in a binary one.
    encryption: how a private key is protected, empty where it is not.
    value: the thing itself, unless it is a private key.
    key: the private key, None where nobody gave the password for it.
    alias: the name that a PKCS#12 file has for it.
    """

    kind: str
    form: str
    value: Value | PublicKeyTypes | None = None
    key: PrivateKeyTypes | None = field(default=None, repr=False)
    line: int = 0
    encryption: str = ""
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds.

    form: "PEM", "header" (PEM inside a program's source), "DER", "base64", "PKCS#7" or "PKCS#12".
    size: of the file, in bytes.
    notes: what was left out, a phrase each.
    """

    path: Path
    form: str
    size: int
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    @property
    def certificates(self) -> list[x509.Certificate]:
        """The certificates, in the file's order."""
        return [item.value for item in self.items if isinstance(item.value, x509.Certificate)]

    @property
    def requests(self) -> list[x509.CertificateSigningRequest]:
        """The certificate requests."""
        return [item.value for item in self.items if isinstance(item.value, x509.CertificateSigningRequest)]

    @property
    def keys(self) -> list[Item]:
        """The private keys, opened or not."""
        return [item for item in self.items if item.kind == "private key"]


def no_password(_purpose: str) -> bytes | None:
    """For those who ask nobody: encrypted keys stay closed."""
    return None


def read_content(path: Path, ask: AskPassword = no_password) -> Content:
    """Reads a file of any form. Raises MissingFileError, MalformedFileError or PasswordError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAXIMUM_FILE + 1)
    except OSError as error:
        raise MissingFileError(
            f"This file cannot be read ({error.strerror or error})", "Check its name and its rights.", path
        ) from error
    return parse_content(data, path, ask)


def parse_content(data: bytes, path: Path, ask: AskPassword = no_password) -> Content:
    """As `read_content`, from bytes; `path` is for the errors."""
    if len(data) > MAXIMUM_FILE:
        raise MalformedFileError(
            f"This file is larger than {MAXIMUM_FILE >> 20} MiB, so it holds no certificates", _LOOK, path
        )
    if not data.strip():
        raise MalformedFileError("This file is empty", _LOOK, path)
    with warnings.catch_warnings():
        # cryptography's remarks on certificates of others, such as a serial number of 0, are not for users.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return _Reader(path, ask).read(data)


class _Reader:
    """The reading of one file: it knows the file's name and asks for its password at most once."""

    def __init__(self, path: Path, ask: AskPassword) -> None:
        self._path = path
        self._ask = ask
        self._asked = False
        self._password: bytes | None = None

    def read(self, data: bytes) -> Content:
        text = armour.as_text(data)
        if text is not None and armour.BEGIN in text:
            return self._read_pem(text, len(data))
        if data[:1] == b"\x30":
            return self._read_der(data, "DER", len(data))
        decoded = None if text is None else armour.bare_base64(text)
        if decoded is not None and decoded[:1] == b"\x30":
            return self._read_der(decoded, "base64", len(data))
        raise MalformedFileError(
            f"There is no certificate and no key in this file: {_guess(data)}", _LOOK, self._path
        )

    def _read_pem(self, text: str, size: int) -> Content:
        items: list[Item] = []
        notes: list[str] = []
        try:
            for block in armour.blocks(text):
                found = list(self._open_block(block))
                items.extend(found)
                if not found:
                    notes.append(
                        f"line {block.line}: {block.label}, which is neither a certificate nor a key"
                    )
        except armour.ArmourError as error:
            raise MalformedFileError(str(error), _LOOK, self._path, error.line) from error
        form = "header" if armour.is_source(text) else "PEM"
        return Content(self._path, form, size, tuple(items), tuple(notes))

    def _open_block(self, block: armour.Block) -> Iterator[Item]:
        if block.label == "OPENSSH PRIVATE KEY" or "PGP" in block.label:
            raise self._malformed(f"This is {block.label}, which TLS does not use", block.line)
        if block.label.endswith("PARAMETERS"):
            return
        if block.headers:  # RFC 1421: only "Proc-Type: 4,ENCRYPTED" is in use
            yield self._legacy_key(block)
            return
        for item in self._items(block.der, block.line):
            # OpenSSL's TRUSTED CERTIFICATE has its own data after the certificate.
            yield item
            if block.label == "TRUSTED CERTIFICATE":
                return

    def _legacy_key(self, block: armour.Block) -> Item:
        form = {"RSA PRIVATE KEY": "PKCS#1", "EC PRIVATE KEY": "SEC1"}.get(block.label, block.label)
        cipher = block.headers.get("DEK-Info", "").partition(",")[0]
        if not cipher:
            raise self._malformed(f"This {block.label} has headers that mean nothing", block.line)
        value = self._unlock(block.pem.encode(), serialization.load_pem_private_key, block.line)
        return Item("private key", form, None, value, block.line, f"{cipher}, derived by MD5")

    def _read_der(self, data: bytes, form: str, size: int) -> Content:
        items = tuple(self._items(data, 0))
        if data.startswith(_OPEN_PKCS7):
            return Content(self._path, "PKCS#7", size, items)
        outer = shape(data, element(data))
        return Content(self._path, outer if outer in ("PKCS#7", "PKCS#12") else form, size, items)

    def _items(self, data: bytes, line: int) -> Iterator[Item]:
        """Everything in DER; several structures may follow one another."""
        if data.startswith(_OPEN_PKCS7):
            yield from self._load("PKCS#7", data, line)
            return
        if data.startswith(_OPEN):
            raise self._malformed(
                "This is BER with open lengths, as some programs in Java write it, not DER: write it anew "
                "with keytool -importkeystore or with openssl",
                line,
            )
        position = 0
        while position < len(data):
            if position and not data[position:].strip(b"\0\r\n"):
                return  # a zero byte or a line's end, left by whoever wrote the file
            try:
                outer = element(data, position)
                found = shape(data, outer)
            except DerError as error:
                what = (
                    "This DER is cut off or damaged"
                    if position == 0
                    else f"After byte {position} there is no DER"
                )
                raise self._malformed(f"{what}: {error}", line) from error
            if found is None:
                raise self._malformed("This DER is neither a certificate nor a key", line)
            yield from self._load(found, data[position : outer.end], line)
            position = outer.end

    def _load(self, found: Shape, der: bytes, line: int) -> Iterator[Item]:
        try:
            for item in self._parse(found, der, line):
                _read_names_and_times(item.value)
                yield item
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
            raise self._malformed(f"This {found} cannot be read ({_reason(error)})", line) from error

    def _parse(self, found: Shape, der: bytes, line: int) -> Iterator[Item]:
        if found == "PKCS#7":
            yield from (Item("certificate", "X.509", each, line=line) for each in _pkcs7(der))
        elif found == "PKCS#12":
            yield from self._pkcs12(der, line)
        elif found.endswith("private key"):
            yield self._private_key(found, der, line)
        else:
            yield _public(found, der, line)

    def _private_key(self, found: Shape, der: bytes, line: int) -> Item:
        if found == "encrypted PKCS#8 private key":
            value = self._unlock(der, serialization.load_der_private_key, line)
            return Item("private key", "PKCS#8", None, value, line, describe_encryption(der))
        value = serialization.load_der_private_key(der, None)
        return Item("private key", found.removesuffix(" private key"), None, value, line)

    def _unlock(
        self, data: bytes, load: Callable[[bytes, bytes | None], PrivateKeyTypes], line: int
    ) -> PrivateKeyTypes | None:
        password = self._ask_once("private key", line)
        if not password:
            return None
        try:
            return load(data, password)
        except UnsupportedAlgorithm as error:
            raise self._malformed(
                f"This key is encrypted in a way unknown here ({_reason(error)})", line
            ) from error
        except ValueError as error:
            if str(error).startswith("Unknown key encryption"):
                raise self._malformed(
                    f"This key is encrypted in a way unknown here ({_reason(error)})", line
                ) from error
            raise self._wrong_password("private key", line) from error

    def _pkcs12(self, der: bytes, line: int) -> Iterator[Item]:
        store = _open_pkcs12(der, None)
        if store is None:
            password = self._ask_once("PKCS#12 file", line)
            if password is None:
                raise PasswordError("This PKCS#12 file is encrypted", _GIVE, self._path, line)
            store = _open_pkcs12(der, password)
        if store is None:
            raise self._wrong_password("PKCS#12 file", line)
        if store.key is not None:
            yield Item("private key", "PKCS#12", None, store.key, line, "the file's")
        for each in [store.cert, *store.additional_certs]:
            if each is not None:
                alias = (each.friendly_name or b"").decode(errors="replace")
                yield Item("certificate", "X.509", each.certificate, line=line, alias=alias)

    def _ask_once(self, what: str, line: int) -> bytes | None:
        if not self._asked:
            where = f"{self._path}, line {line}" if line else f"{self._path}"
            self._password = self._ask(f"the {what} in {where}")
            self._asked = True
        return self._password

    def _wrong_password(self, what: str, line: int) -> PasswordError:
        return PasswordError(
            f"This password does not open the {what}",
            "Give the one that it was encrypted with; a final line break in the password file does not "
            "count.",
            self._path,
            line,
        )

    def _malformed(self, problem: str, line: int) -> MalformedFileError:
        return MalformedFileError(problem, _LOOK, self._path, line)


def private_key_of(item: Item, path: Path) -> PrivateKeyTypes:
    """The key of an item that must be open. Raises PasswordError where nobody gave its password."""
    if item.key is None:
        raise PasswordError(f"This private key is encrypted ({item.encryption})", _GIVE, path, item.line)
    return item.key


def _public(found: Shape, der: bytes, line: int) -> Item:
    if found == "certificate":
        return Item(found, "X.509", x509.load_der_x509_certificate(der), line=line)
    if found == "certificate request":
        return Item(found, "PKCS#10", x509.load_der_x509_csr(der), line=line)
    if found == "revocation list":
        return Item(found, "X.509", x509.load_der_x509_crl(der), line=line)
    form = "PKCS#1" if found == "PKCS#1 public key" else "SubjectPublicKeyInfo"
    return Item("public key", form, serialization.load_der_public_key(der), line=line)


def _read_names_and_times(value: Value | PublicKeyTypes | None) -> None:
    """Raises ValueError or TypeError where they are broken: cryptography reads them only when asked for."""
    if isinstance(value, x509.Certificate):
        _ = value.subject, value.issuer, value.not_valid_before_utc, value.not_valid_after_utc
    elif isinstance(value, x509.CertificateSigningRequest):
        _ = value.subject
    elif isinstance(value, x509.CertificateRevocationList):
        _ = value.issuer, value.last_update_utc, value.next_update_utc


def _pkcs7(der: bytes) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # cryptography's, on BER
        found = pkcs7.load_der_pkcs7_certificates(der)
    if not found:
        raise ValueError("it holds no certificates")
    return found


def _open_pkcs12(der: bytes, password: bytes | None) -> pkcs12.PKCS12KeyAndCertificates | None:
    """The store, None where the password is another one."""
    for attempt in (None, b"") if not password else (password,):
        try:
            return pkcs12.load_pkcs12(der, attempt)
        except ValueError as error:
            if "password" not in str(error).lower():
                raise
    return None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


def _guess(data: bytes) -> str:
    if data[:4] in (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce"):
        return (
            "it is a Java keystore; keytool -importkeystore -deststoretype PKCS12 makes a PKCS#12 file of it"
        )
    if data[:4] == b"\x7fELF" or data[:2] in (b"PK", b"\x1f\x8b"):
        return "it is a program or an archive"
    if data.startswith((b"ssh-", b"ecdsa-sha2-")):
        return "it is a public key for SSH"
    if data.lstrip()[:1] in (b"<", b"{"):
        return "it is HTML, XML or JSON, perhaps the error page of a download"
    return "neither PEM (-----BEGIN ...) nor DER (it begins with byte 0x30)"
