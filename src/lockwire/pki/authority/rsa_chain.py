"""An RSA chain for an authority that has none: for devices that verify nothing else."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path

from lockwire.pki.authority import branches
from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.branches import RootKey, root_key, write_branch
from lockwire.pki.authority.changes import Changes
from lockwire.pki.authority.founding import (
    entries_of,
    keep_root_keys,
    make_rsa_branch,
    write_bundles,
    write_root_keys,
)
from lockwire.pki.authority.issuer import SigningKey
from lockwire.pki.errors import MissingFileError, RequestError
from lockwire.pki.keys import KeyKind


def add_rsa_chain(
    authority: Authority,
    kind: KeyKind,
    source: RootKey,
    now: datetime.datetime,
    passphrase: bytes | None = None,
    key_folder: Path | None = None,
    by: str = "",
) -> tuple[str, ...]:
    """Adds a second root and intermediate with RSA keys. Gives what could not be done, a sentence each.

    source: the key of the primary root, which signs the RSA root. passphrase, key_folder: for the new root's
    key. Raises RequestError where there is such a chain, or no RSA is asked for; PasswordError, OSError.
    """
    if branches.RSA in authority.branches:
        raise RequestError("This authority has an RSA chain", "lockwire ca show shows it.")
    if not kind.is_rsa:
        raise RequestError(f"{kind.value} is no RSA key", "Take rsa-2048, rsa-3072 or rsa-4096.")
    warnings: tuple[str, ...] = ()
    try:
        primary_key: SigningKey | None = root_key(authority.folder, authority.primary, source)
    except MissingFileError:
        primary_key = None
        warnings = (
            "The present root's key is not here, so it does not sign the RSA root: only devices that have "
            "that (ca-rsa.pem) accept the server's RSA certificate. Give the key with --root-key.",
        )
    tag = secrets.token_hex(3).upper()
    branch, key = make_rsa_branch(kind, tag, authority.primary, primary_key, now)
    made = {**authority.branches, branches.RSA: branch}
    changes = Changes(authority.folder)
    write_branch(changes, branch)
    write_bundles(changes, made)
    if key_folder is None:
        keep_root_keys(changes, made, {branches.RSA: key}, passphrase)
    else:
        write_root_keys(key_folder, {branches.RSA: key}, passphrase)
    authority.ledger.record_all(entries_of({branches.RSA: branch}), now, by)
    authority.adopt(changes, now)
    return warnings
