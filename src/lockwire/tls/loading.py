"""Certificates, keys and revocation lists, brought from their files into an SSLContext.

Each error names the file and what is wrong with it; OpenSSL's own say neither.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from lockwire.pki.errors import PkiError
from lockwire.pki.revocation.crl import RevocationList, read_crls, to_pem
from lockwire.tls.errors import TlsFileError

SMALLEST_RSA: Final = 2048
"""Bits that an RSA key of the server has at least, whatever a policy allows to clients."""

_BEGIN: Final = re.compile(rb"^(?:-----B|-{1,5}\Z)", re.MULTILINE)
_END: Final = re.compile(rb"^-----END [A-Z0-9 ]+-----", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, its chain behind it in the same PEM file, and its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The files of one listener's TLS.

    own: what it presents. alternate: the same with another kind of key, for clients that cannot verify the
    first. client_ca: PEM or DER bundle; each certificate in it is a trust anchor, an intermediate too.
    crl: PEM or DER file with a list for every CA that issues client certificates.
    """

    own: Pair
    alternate: Pair | None = None
    client_ca: Path | None = None
    crl: Path | None = None

    def pairs(self) -> tuple[Pair, ...]:
        """The certificates that there are, the preferred first."""
        return (self.own,) if self.alternate is None else (self.own, self.alternate)

    def paths(self) -> tuple[Path, ...]:
        """Every file."""
        own = [path for pair in self.pairs() for path in (pair.certificate, pair.key)]
        return (*own, *(path for path in (self.client_ca, self.crl) if path is not None))


def read(path: Path) -> bytes:
    """The content of a file. Raises TlsFileError, also for half-written PEM, which OpenSSL may take."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TlsFileError(path, f"cannot be read: {error.strerror}") from error
    if len(_BEGIN.findall(data)) != len(_END.findall(data)):
        raise TlsFileError(path, "a PEM block in it is cut short, as while it is being written")
    return data


def load_own(context: ssl.SSLContext, pair: Pair) -> None:
    """Has a context present this certificate. Raises TlsFileError."""
    try:
        context.load_cert_chain(pair.certificate, pair.key, password=_refuse_password)
    except _EncryptedKeyError:
        raise TlsFileError(
            pair.key, "the key is encrypted; a broker starts unattended and needs it in clear"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        if reason == "KEY_VALUES_MISMATCH":
            raise TlsFileError(
                pair.key, f"is not the key of the certificate in {pair.certificate}"
            ) from error
        culprit, detail = pair.certificate, "is not a PEM certificate chain"
        if key_kind(read(pair.certificate)):
            culprit, detail = pair.key, "is not a PEM private key"
        if reason == "EE_KEY_TOO_SMALL":
            culprit, detail = pair.certificate, f"its key is too small (RSA below {SMALLEST_RSA} bits)"
        raise TlsFileError(culprit, f"{detail} ({reason or error})") from error
    public = x509.load_pem_x509_certificate(read(pair.certificate)).public_key()
    if isinstance(public, RSAPublicKey) and public.key_size < SMALLEST_RSA:
        raise TlsFileError(pair.certificate, f"its key is too small (RSA below {SMALLEST_RSA} bits)")


class _EncryptedKeyError(Exception):
    pass


def _refuse_password() -> str:
    raise _EncryptedKeyError


def key_kind(pem: bytes) -> str:
    """The kind of key in the first certificate as a dotted OID, "" where there is no certificate."""
    try:
        return x509.load_pem_x509_certificate(pem).public_key_algorithm_oid.dotted_string
    except ValueError:
        return ""


def load_client_ca(context: ssl.SSLContext, data: bytes, path: Path) -> tuple[x509.Certificate, ...]:
    """Has a context trust the CAs of a file for client certificates; gives them. Raises TlsFileError."""
    try:
        # Comments around the certificates may be in any encoding.
        context.load_verify_locations(
            cadata=data.decode("ascii", "backslashreplace") if b"-----BEGIN" in data else data
        )
    except (ssl.SSLError, ValueError) as error:
        raise TlsFileError(path, f"has no CA certificate in PEM or DER ({error})") from error
    found = context.get_ca_certs(binary_form=True)
    if not found:
        raise TlsFileError(path, "has no CA certificate in PEM or DER")
    return tuple(x509.load_der_x509_certificate(der) for der in found)


def load_crls(context: ssl.SSLContext, path: Path) -> tuple[RevocationList, ...]:
    """Gives a context the revocation lists of a file; whether it asks them is another matter.

    Raises TlsFileError.
    """
    try:
        lists = read_crls(path)
        # ssl reads lists from PEM files only, and would trust certificates that stand between them.
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(to_pem(lists))
            pem.flush()
            context.load_verify_locations(cafile=pem.name)
    except PkiError as error:
        where = f"line {error.line}: " if error.line else ""
        raise TlsFileError(path, f"{where}{error.problem}. {error.remedy}") from error
    except ssl.SSLError as error:
        raise TlsFileError(path, f"OpenSSL cannot read its revocation lists ({error.reason})") from error
    return lists
