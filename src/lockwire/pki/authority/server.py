"""The broker's own certificates in a folder: `server.pem` (with chain) and `server.key`, and an RSA pair.

The RSA pair is there where the authority has an RSA chain: for clients that verify nothing else.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from lockwire.pki.authority import branches
from lockwire.pki.authority.authority import Authority, chain_of
from lockwire.pki.authority.branches import Branch
from lockwire.pki.authority.hosts import server_certificate_needs_renewal
from lockwire.pki.authority.profiles import SERVER
from lockwire.pki.errors import MissingFileError, PkiError
from lockwire.pki.files import make_private_folder, write_private, write_public
from lockwire.pki.pem import read_certificate, read_file, read_private_key


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one certificate and its key, and the prefix of the branch that issues it."""

    certificate: str
    key: str
    branch: str


CERTIFICATE: Final = "server.pem"
KEY: Final = "server.key"
RSA_CERTIFICATE: Final = "server-rsa.pem"
RSA_KEY: Final = "server-rsa.key"
_PAIRS: Final = (
    Pair(CERTIFICATE, KEY, branches.PRIMARY),
    Pair(RSA_CERTIFICATE, RSA_KEY, branches.RSA),
)


def ensure_server_certificate(
    authority: Authority,
    folder: Path,
    names: Sequence[str],
    addresses: Sequence[str],
    now: datetime.datetime | None = None,
) -> str | None:
    """Issues the server's certificates where there is none or one no longer fits.

    Returns why one was issued, None where what is there stays. Raises PkiError where the files there are not
    a certificate and a key (they are not overwritten), OSError where the disk refuses.
    """
    reasons = []
    for pair in _PAIRS:
        branch = authority.branches.get(pair.branch)
        if branch is None:
            continue
        reason = _reason(authority, branch, folder, pair, names, addresses, now)
        if reason is not None:
            issued = authority.issue_server(names, addresses, now, pair.branch)
            make_private_folder(folder)
            # The key first: a crash in between leaves a pair that does not match: replaced at the next start.
            write_private(folder / pair.key, issued.key)
            write_public(folder / pair.certificate, issued.chain)
            reasons.append(f"{pair.certificate}: {reason}" if pair.branch else reason)
        elif _refresh_chain(branch, folder / pair.certificate):
            reasons.append("its chain is another one")
    return "; ".join(reasons) or None


def _refresh_chain(branch: Branch, file: Path) -> bool:
    """Writes the chain that the certificate has now: a rollover adds and removes cross-certificates."""
    data = read_file(file, "")
    chain = chain_of(x509.load_pem_x509_certificates(data)[0], branch, SERVER)
    if x509.load_pem_x509_certificates(chain) == x509.load_pem_x509_certificates(data):
        return False
    write_public(file, chain)
    return True


def _reason(
    authority: Authority,
    branch: Branch,
    folder: Path,
    pair: Pair,
    names: Sequence[str],
    addresses: Sequence[str],
    now: datetime.datetime | None,
) -> str | None:
    remedy = f"Remove {pair.certificate} and {pair.key}, and start again: a new pair is made."
    if not (folder / pair.certificate).exists() and not (folder / pair.key).exists():
        return "there was none"
    try:
        certificate = read_certificate(folder / pair.certificate, remedy)
        key = read_private_key(folder / pair.key, remedy)
    except MissingFileError as error:
        if error.file is not None and not error.file.exists():
            return f"{error.file.name} was missing"
        raise
    if key.public_key() != certificate.public_key():
        return "its key did not match"
    if authority.ledger.by_serial(certificate.serial_number) is None:
        raise PkiError(
            "This certificate does not come from this authority",
            "Name it under [tls] in lockwire.toml if it is yours; otherwise remove it and a new one is made.",
            folder / pair.certificate,
        )
    if authority.ledger.revocation(certificate.serial_number) is not None:
        return "it is revoked"
    return server_certificate_needs_renewal(certificate, names, addresses, branch.issuer.certificate, now)
