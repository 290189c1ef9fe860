"""Takes over the users and rules of older data folders, `access/users.json` and `access/rules.json`.

They are read once, put into the access database in one transaction, and renamed to `*.imported`. Where that
was cut short, the next start finishes it: the database knows which files it was made from.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lockwire.access.database import tables
from lockwire.access.database.database import create_database
from lockwire.access.database.mirror import Contents
from lockwire.access.database.records import Record, read_document
from lockwire.access.database.storage import Storage
from lockwire.access.database.users import ADMINISTRATOR, User, check_name, parse_verifier
from lockwire.access.errors import AccessError, AccessFileError
from lockwire.access.methods.passwords import check_stored
from lockwire.access.rights.rules import DEFAULT_RULES, Rule, read_rules
from lockwire.pki.files import sync_folder

_FIELDS: Final = ("name", "password", "administrator", "scram")
_MARK: Final = "taken over"
_EXPECTED_HASH: Final = "a hash that begins with $argon2id$ or $sha256$"


@dataclass
class OldFolder:
    """What stood in the files. decoy_key: b"" where there was none."""

    users: dict[str, User] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    decoy_key: bytes = field(default=b"", repr=False)


def take_over(path: Path, users: Path, rules: Path) -> bool:
    """Makes the database `path` from the old files, if any, and renames those; gives whether it did.

    Without a rules file the rules are those of a new folder. Raises AccessFileError with file, line and what
    was expected, and then nothing has changed; OSError.
    """
    there = [file for file in (users, rules) if file.exists()]
    if not path.exists() and there:
        digests = b"".join(_digest(file) for file in there)
        old = _read(users, rules)

        def fill(connection: sqlite3.Connection, contents: Contents) -> None:
            for user in old.users.values():
                tables.put_user(connection, contents, user)
            if old.decoy_key:
                tables.put_decoy_key(connection, old.decoy_key)
            tables.put_mark(connection, _MARK, digests)

        create_database(path, old.rules, fill)
        _rename(there)
        return True
    if there:
        _finish(path, there)
    return False


def _finish(path: Path, there: list[Path]) -> None:
    """Renames what a database was made from; a file that somebody put there later is not ignored silently."""
    storage = Storage(path)
    try:
        digests = tables.mark(storage, _MARK)
    finally:
        storage.close()
    for file in there:
        if _digest(file) not in digests:
            raise AccessFileError(
                file,
                0,
                f"users and rules are in {path.name} now, and this file is not read",
                "it elsewhere: lockwire user import and lockwire access import bring in what it holds",
            )
    _rename(there)


def _rename(files: list[Path]) -> None:
    for file in files:
        file.replace(file.with_name(f"{file.name}.imported"))
        sync_folder(file.parent)


def _digest(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def _read(users: Path, rules: Path) -> OldFolder:
    old = OldFolder(rules=read_rules(rules) if rules.exists() else DEFAULT_RULES)
    if not users.exists():
        return old
    mode = users.stat().st_mode & 0o777
    if mode & 0o077:
        raise AccessFileError(users, 0, f"others on this machine can read it (mode {mode:04o})", "chmod 600")
    document = read_document(users, "users")
    for record in document.records:
        user = _user(record)
        if user.name in old.users:
            raise record.error(f"the user {user.name!r} stands there twice", "each name once")
        old.users[user.name] = user
    old.decoy_key = _decoy_key(users, document.fields)
    return old


def _user(record: Record) -> User:
    record.only(*_FIELDS)
    name = record.text("name")
    password = record.text("password")
    try:
        check_name(name)
        check_stored(password)
        scram = record.text("scram") if record.fields.get("scram") is not None else ""
        verifier = parse_verifier(scram) if scram else None
    except AccessFileError:
        raise
    except (AccessError, ValueError) as error:
        expected = f"a name, {_EXPECTED_HASH}, perhaps a SCRAM verifier"
        raise record.error(str(error).rstrip("."), expected) from error
    return User(name, password, (ADMINISTRATOR,) if record.flag("administrator") else (), verifier)


def _decoy_key(file: Path, fields: dict[str, object]) -> bytes:
    for name in fields:
        if name != "decoy_key":
            raise AccessFileError(file, 0, f"{name!r} is not known here", "only users and decoy_key")
    if "decoy_key" not in fields:
        return b""
    try:
        key = base64.b64decode(str(fields["decoy_key"]), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) < 16:
        raise AccessFileError(file, 0, "'decoy_key' is no key", "16 bytes or more in base64, or none")
    return key
