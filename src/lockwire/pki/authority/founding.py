"""A new authority's files: made in memory, written beside their place, renamed into it."""

from __future__ import annotations

import datetime
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509

from lockwire.pki.authority import branches
from lockwire.pki.authority.branches import Branch, make_branch, path_length, with_cross, write_branch
from lockwire.pki.authority.certificates import cross_certificate, pem
from lockwire.pki.authority.changes import Changes
from lockwire.pki.authority.issuer import SigningKey, key_identifier
from lockwire.pki.authority.ledger import Ledger, NewEntry
from lockwire.pki.errors import AuthorityExistsError
from lockwire.pki.files import make_private_folder, sync_folder, write_private
from lockwire.pki.keys import KeyKind, key_pem

LEDGER: Final = "issued.jsonl"
DEVICE_CA: Final = "ca.pem"
RSA_DEVICE_CA: Final = "ca-rsa.pem"
CLIENT_CA: Final = "clients.pem"


@dataclass(frozen=True, slots=True)
class NewAuthority:
    """What a new authority is to be.

    key: of root and intermediate. rsa: of a second root and intermediate, None for none.
    passphrase: encrypts the roots' keys. key_folder: where they go instead of the authority's folder.
    """

    key: KeyKind = KeyKind.P256
    rsa: KeyKind | None = None
    passphrase: bytes | None = field(default=None, repr=False)
    key_folder: Path | None = None


def found(folder: Path, wanted: NewAuthority, now: datetime.datetime, by: str) -> None:
    """Makes an authority in `folder`. Raises AuthorityExistsError, OSError."""
    tag = secrets.token_hex(3).upper()
    primary, root_key = make_branch(branches.PRIMARY, wanted.key, "", tag, now)
    made, keys = {branches.PRIMARY: primary}, {branches.PRIMARY: root_key}
    if wanted.rsa is not None:
        made[branches.RSA], keys[branches.RSA] = make_rsa_branch(wanted.rsa, tag, primary, root_key, now)
    install(folder, made, keys, now, wanted.passphrase, wanted.key_folder, by)


def make_rsa_branch(
    kind: KeyKind,
    tag: str,
    primary: Branch,
    primary_key: SigningKey | None,
    now: datetime.datetime,
) -> tuple[Branch, SigningKey]:
    """A root and an intermediate with RSA keys, for devices that verify nothing else, and the root's key.

    primary_key: the key of the primary root, which signs the RSA root across, so that a device that knows
    only the primary root accepts a server's RSA chain as well; None where it is not at hand.
    """
    branch, key = make_branch(branches.RSA, kind, "RSA ", tag, now)
    if primary_key is not None and allows_cross(primary.root):
        branch = with_cross(branch, cross_certificate(branch.root, primary.root, primary_key, now))
    return branch, key


def allows_cross(root: x509.Certificate) -> bool:
    """Whether another root and its intermediate may stand below this root."""
    length = path_length(root)
    return length is None or length >= 2


def install(
    folder: Path,
    made: Mapping[str, Branch],
    root_keys: Mapping[str, SigningKey],
    now: datetime.datetime,
    passphrase: bytes | None,
    key_folder: Path | None,
    by: str,
    entries: Sequence[NewEntry] | None = None,
) -> None:
    """Puts branches into `folder`, which must not exist or be empty, so that there are all of them or none.

    root_keys: those to keep, encrypted with `passphrase` if any, in `key_folder` instead of `folder` if any.
    entries: for the ledger, where they are not simply those of new branches.
    Raises AuthorityExistsError, OSError.
    """
    if folder.exists() and any(folder.iterdir()):
        raise AuthorityExistsError(
            "There are files of an authority here already",
            "Use it as it is, or give another data folder.",
            folder,
        )
    make_private_folder(folder.parent)
    building = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    make_private_folder(building)
    try:
        changes = Changes(building)
        for branch in made.values():
            write_branch(changes, branch)
        write_bundles(changes, made)
        if key_folder is None:
            keep_root_keys(changes, made, root_keys, passphrase)
        changes.commit()
        Ledger(building / LEDGER).record_all(entries or entries_of(made), now, by)
        if key_folder is not None:
            write_root_keys(key_folder, root_keys, passphrase)
        building.replace(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    sync_folder(folder.parent)


def write_bundles(changes: Changes, made: Mapping[str, Branch]) -> None:
    """Writes what is put together from branches: the files for devices and the one for the broker."""
    order = (branches.PRIMARY, branches.NEXT, branches.PREVIOUS)
    main = [made[prefix] for prefix in order if prefix in made]
    rsa = [made[branches.RSA]] if branches.RSA in made else []
    trusted = [one for branch in (*main, *rsa) for one in branch.certificates]
    changes.write_public(DEVICE_CA, pem(*(branch.root for branch in main)))
    changes.write_public(CLIENT_CA, pem(*trusted))
    if rsa:
        changes.write_public(RSA_DEVICE_CA, pem(rsa[0].root))


def keep_root_keys(
    changes: Changes,
    made: Mapping[str, Branch],
    root_keys: Mapping[str, SigningKey],
    passphrase: bytes | None,
) -> None:
    """Writes the roots' keys into the authority's folder, encrypted where there is a passphrase.

    The key of a root that issues itself is there already, and cannot be encrypted.
    """
    for prefix, key in root_keys.items():
        if made[prefix].intermediate is not None:
            changes.write_private(f"{prefix}root.key", key_pem(key, passphrase))


def write_root_keys(folder: Path, root_keys: Mapping[str, SigningKey], passphrase: bytes | None) -> None:
    """Writes the roots' keys into a folder elsewhere. Raises AuthorityExistsError where there is one."""
    names = {prefix: f"{prefix.removeprefix(branches.NEXT)}root.key" for prefix in root_keys}
    files = {folder / names[prefix]: key for prefix, key in root_keys.items()}
    for file in files:
        if file.exists():
            raise AuthorityExistsError("There is a key here already", "Give another folder.", file)
    folder.mkdir(parents=True, exist_ok=True)
    for file, key in files.items():
        write_private(file, key_pem(key, passphrase))


def entries_of(made: Mapping[str, Branch]) -> list[NewEntry]:
    """The ledger's entries for new branches."""
    entries = []
    for branch in made.values():
        identifier = key_identifier(branch.root).hex()
        entries.append(NewEntry("root", branch.root, identifier))
        if branch.intermediate is not None:
            entries.append(NewEntry("intermediate", branch.intermediate, identifier))
    return entries
