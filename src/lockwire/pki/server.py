"""The broker's own certificate in a folder: `server.pem` (with chain) and `server.key`."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lockwire.pki.authority import Authority
from lockwire.pki.errors import MissingFileError, PkiError
from lockwire.pki.files import make_private_folder, write_private, write_public
from lockwire.pki.hosts import server_certificate_needs_renewal
from lockwire.pki.pem import read_certificate, read_private_key

CERTIFICATE: Final = "server.pem"
KEY: Final = "server.key"
_REMEDY: Final = "Remove server.pem and server.key, and start again: a new pair is made."


def ensure_server_certificate(
    authority: Authority,
    folder: Path,
    names: Sequence[str],
    addresses: Sequence[str],
    now: datetime.datetime | None = None,
) -> str | None:
    """Issues the server's certificate where there is none or it no longer fits.

    Returns why it was issued, None where the one that is there stays. Raises PkiError where the files there
    are not a certificate and a key (they are not overwritten), OSError where the disk refuses.
    """
    reason = _reason(authority, folder, names, addresses, now)
    if reason is None:
        return None
    issued = authority.issue_server(names, addresses, now)
    make_private_folder(folder)
    # The key first: a crash in between leaves a pair that does not match, which the next start replaces.
    write_private(folder / KEY, issued.key)
    write_public(folder / CERTIFICATE, issued.chain)
    return reason


def _reason(
    authority: Authority,
    folder: Path,
    names: Sequence[str],
    addresses: Sequence[str],
    now: datetime.datetime | None,
) -> str | None:
    if not (folder / CERTIFICATE).exists() and not (folder / KEY).exists():
        return "there was none"
    try:
        certificate = read_certificate(folder / CERTIFICATE, _REMEDY)
        key = read_private_key(folder / KEY, _REMEDY)
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
            folder / CERTIFICATE,
        )
    return server_certificate_needs_renewal(certificate, names, addresses, authority.intermediate, now)
