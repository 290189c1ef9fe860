"""A change of authorities with an overlap in which both are trusted.

start    makes the next root and intermediate. Devices get both roots (ca.pem) whenever they are served next.
switch   the next authority becomes the one that issues; the server presents a certificate of it.
finish   the previous authority goes: its certificates count no more.

From start to finish the server sends a cross-certificate along, the issuing root signed by the other one, so
that a device that knows only one of the two roots, either one, accepts it.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lockwire.pki.authority import branches
from lockwire.pki.authority.authority import Authority
from lockwire.pki.authority.branches import (
    Branch,
    RootKey,
    make_branch,
    root_key,
    with_cross,
    write_branch,
    write_cross,
)
from lockwire.pki.authority.certificates import cross_certificate
from lockwire.pki.authority.changes import Changes
from lockwire.pki.authority.founding import (
    allows_cross,
    entries_of,
    keep_root_keys,
    write_bundles,
    write_root_keys,
)
from lockwire.pki.authority.importing import was_imported
from lockwire.pki.authority.ledger import Entry
from lockwire.pki.errors import MissingFileError, RolloverError
from lockwire.pki.keys import KeyKind

_FILES: Final = ("root.pem", "root.key", "intermediate.pem", "intermediate.key", "cross.pem")
_RSA_CROSS: Final = "rsa-next-cross.pem"
"""The RSA root signed by the next root, kept until the previous one goes."""


@dataclass(frozen=True, slots=True)
class Started:
    """A rollover that began: the next branch, and what could not be done, a sentence each."""

    branch: Branch
    warnings: tuple[str, ...]


def phase(authority: Authority) -> str:
    """Where a rollover is: "none", "started" or "switched"."""
    if branches.NEXT in authority.branches:
        return "started"
    return "switched" if branches.PREVIOUS in authority.branches else "none"


def start(
    authority: Authority,
    kind: KeyKind,
    source: RootKey,
    now: datetime.datetime,
    passphrase: bytes | None = None,
    key_folder: Path | None = None,
    by: str = "",
) -> Started:
    """Makes the next authority, and cross-certificates in both directions.

    kind: of its keys. source: the key of the present root, which signs the next one; without it devices that
    know only the present root do not follow after the switch. passphrase, key_folder: for the new root's key.

    Raises RolloverError where one is under way; PasswordError, MismatchError, MalformedFileError, OSError.
    """
    _require(authority, "none")
    tag = secrets.token_hex(3).upper()
    following, key = make_branch(branches.NEXT, kind, "", tag, now)
    warnings = []
    present = authority.primary
    try:
        present_key = root_key(authority.folder, present, source)
    except MissingFileError:
        present_key = None
        warnings.append(
            "The present root's key is not here, so the next root is not signed by it: after the switch only "
            "devices that have the next root accept the server. Give the key with --root-key."
        )
    if present_key is not None and not allows_cross(present.root):
        present_key = None
        warnings.append(
            "The present root allows no other root below it (path length), so the next root is not signed by "
            "it: after the switch only devices that have the next root accept the server."
        )
    if present_key is not None:
        cross = cross_certificate(following.root, present.root, present_key, now)
        following = with_cross(following, cross)
    present = with_cross(present, cross_certificate(present.root, following.root, key, now))
    made = {**authority.branches, branches.PRIMARY: present, branches.NEXT: following}
    changes = Changes(authority.folder)
    write_branch(changes, following)
    write_cross(changes, present)
    write_bundles(changes, made)
    rsa = authority.branches.get(branches.RSA)
    if rsa is not None:
        crossed = with_cross(rsa, cross_certificate(rsa.root, following.root, key, now))
        write_cross(changes, replace(crossed, prefix=_RSA_CROSS.removesuffix("cross.pem")))
    keys = {branches.NEXT: key}
    if key_folder is None:
        keep_root_keys(changes, made, keys, passphrase)
    else:
        write_root_keys(key_folder, keys, passphrase)
    authority.ledger.record_all(entries_of({branches.NEXT: following}), now, by)
    authority.adopt(changes, now)
    return Started(following, tuple(warnings))


def switch(authority: Authority, now: datetime.datetime) -> None:
    """Makes the next authority the one that issues. Raises RolloverError, OSError."""
    _require(authority, "started")
    changes = Changes(authority.folder)
    _move(changes, authority.folder, branches.PRIMARY, branches.PREVIOUS)
    _move(changes, authority.folder, branches.NEXT, branches.PRIMARY)
    present = replace(authority.primary, prefix=branches.PREVIOUS)
    following = replace(authority.branches[branches.NEXT], prefix=branches.PRIMARY)
    made = {branches.PRIMARY: following, branches.PREVIOUS: present}
    if branches.RSA in authority.branches:
        made[branches.RSA] = authority.branches[branches.RSA]
    write_bundles(changes, made)
    authority.adopt(changes, now)


def finish(
    authority: Authority, now: datetime.datetime, force: bool = False, by: str = ""
) -> tuple[Entry, ...]:
    """Drops the previous authority. Gives the clients' certificates that count no more.

    What it issued and is still valid stands in the ledger as revoked from then on (cessationOfOperation).

    Raises RolloverError where clients still have certificates of it, unless `force`; OSError.
    """
    _require(authority, "switched")
    lost = tuple(left_behind(authority, now))
    if lost and not force:
        names = ", ".join(entry.name for entry in lost[:5]) + (" and others" if len(lost) > 5 else "")
        raise RolloverError(
            f"Client certificates of the previous authority are still valid ({len(lost)}): {names}",
            "Renew them first (lockwire cert renew), or drop them with --force.",
        )
    if was_imported(authority.ledger, authority.branches[branches.PREVIOUS].root) and not force:
        raise RolloverError(
            "The previous authority was imported, and what it issued before that is not in the ledger",
            "Once those devices have new certificates too, finish with --force.",
        )
    ended = authority.endings([authority.branches[branches.PREVIOUS].issuer], now, by)
    changes = Changes(authority.folder)
    for name in _FILES:
        changes.remove(f"{branches.PREVIOUS}{name}")
    changes.remove("cross.pem")
    made = {prefix: one for prefix, one in authority.branches.items() if prefix != branches.PREVIOUS}
    if (authority.folder / _RSA_CROSS).exists():
        changes.rename(_RSA_CROSS, f"{branches.RSA}cross.pem")
    write_bundles(changes, made)
    authority.adopt(changes, now)
    authority.ledger.revoke(ended)
    return lost


def left_behind(authority: Authority, now: datetime.datetime) -> Iterator[Entry]:
    """Clients' certificates that end with the old authority: valid, not revoked, the last of their names."""
    other = authority.branches.get(branches.PREVIOUS)
    if other is None:
        other = authority.primary
    rsa = authority.branches.get(branches.RSA)
    for entry in authority.ledger.current(now):
        issuer = authority.issuer_of(entry)
        if issuer is None or (rsa is not None and issuer.identifier == rsa.issuer.identifier):
            continue
        if issuer.identifier == other.issuer.identifier:
            yield entry


def _move(changes: Changes, folder: Path, old: str, new: str) -> None:
    for name in _FILES:
        if (folder / f"{old}{name}").exists():
            changes.rename(f"{old}{name}", f"{new}{name}")
        else:
            changes.remove(f"{new}{name}")


def _require(authority: Authority, wanted: str) -> None:
    found = phase(authority)
    if found == wanted:
        return
    raise RolloverError(
        {
            "none": "No change of authorities is under way",
            "started": "A change of authorities has begun, and the next one does not issue yet",
            "switched": "A change of authorities is under way, and the new one issues already",
        }[found],
        {
            "none": "lockwire ca rollover start begins one.",
            "started": "lockwire ca rollover switch is the next step.",
            "switched": "lockwire ca rollover finish is the next step.",
        }[found],
    )
