"""The SQLite file of the access database: opened, made, brought up to date, changed in transactions.

A change is on the disk when its transaction ends (rollback journal, `synchronous = EXTRA`), and none of it is
there after a crash before that. A damaged file is reported and left as it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from lockwire.access.errors import AccessFileError
from lockwire.pki.files import make_private_folder, sync_folder

APPLICATION_ID: Final = 0x4C4B5741  # "LKWA", for file(1) and for us
BUSY_TIMEOUT: Final = 5.0
"""Seconds to wait for another program that looks into the file."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE users (name TEXT NOT NULL PRIMARY KEY, password TEXT NOT NULL, scram TEXT NOT NULL)"
        " WITHOUT ROWID",
        "CREATE TABLE tags (user TEXT NOT NULL REFERENCES users ON DELETE CASCADE, tag TEXT NOT NULL,"
        " PRIMARY KEY (user, tag)) WITHOUT ROWID",
        "CREATE TABLE memberships (name TEXT NOT NULL, member_of TEXT NOT NULL,"
        " PRIMARY KEY (name, member_of)) WITHOUT ROWID",
        "CREATE TABLE rules (id INTEGER PRIMARY KEY AUTOINCREMENT, who TEXT NOT NULL, effect TEXT NOT NULL,"
        " may TEXT NOT NULL, topics TEXT NOT NULL, regexp TEXT NOT NULL, qos TEXT NOT NULL,"
        " retain TEXT NOT NULL, note TEXT NOT NULL)",
        "CREATE TABLE resource_permissions (name TEXT NOT NULL PRIMARY KEY, configure TEXT NOT NULL,"
        " write TEXT NOT NULL, read TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE topic_permissions (name TEXT NOT NULL, exchange TEXT NOT NULL, write TEXT NOT NULL,"
        " read TEXT NOT NULL, PRIMARY KEY (name, exchange)) WITHOUT ROWID",
        "CREATE TABLE psk (identity TEXT NOT NULL PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID",
    ),
)
"""What brings the file from one version of its schema to the next; `user_version` counts them."""

_ERRNO: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
}
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)  # a table is missing
_BACKUP: Final = "an access database of Lockwire's: put a backup of it in its place"


class Storage:
    """One open file. Whoever uses it from several threads takes turns.

    path: the file; it is there. None: everything is in memory and gone in the end.
    new: an empty file is expected.

    Raises AccessFileError where the file is damaged, open to others or of a newer version; OSError.
    """

    def __init__(self, path: Path | None, *, new: bool = False) -> None:
        self.path = path
        if path is not None:
            _check_mode(path)
        with self._errors():
            target = ":memory:" if path is None else os.fspath(path)
            self._connection = sqlite3.connect(
                target, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        try:
            self._prepare(new or path is None)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """What the block executes is on the disk when it ends, all of it or, where it raises, nothing.

        Raises AccessFileError where the file turns out to be damaged, OSError where the disk refuses.
        """
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite may have rolled back by itself (a full disk, for one).
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, statement: str) -> Iterator[tuple[object, ...]]:
        """What a SELECT gives. Raises as `transaction`."""
        with self._errors():
            yield from self._connection.execute(statement)

    def error(self, problem: str, expected: str = _BACKUP) -> AccessFileError:
        """For something in the file that cannot be."""
        return AccessFileError(self.path or Path(":memory:"), 0, problem, expected)

    def _prepare(self, new: bool) -> None:
        with self._errors():
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.execute("PRAGMA synchronous = EXTRA")
            version = self._number("user_version")
            if version == 0 and not new:
                raise self.error("it is not an access database")
            if version > 0 and self._number("application_id") != APPLICATION_ID:
                raise self.error("it is another program's database")
            if version > len(MIGRATIONS):
                raise self.error(
                    f"its version {version} is a newer Lockwire's",
                    f"version {len(MIGRATIONS)} at most: run that Lockwire, or put back a backup from before",
                )
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != ("ok",):
                raise self.error(f"the file is damaged ({found[0]})")
        if version < len(MIGRATIONS):
            self._migrate(version)

    def _migrate(self, version: int) -> None:
        with self.transaction() as connection:
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _number(self, pragma: str) -> int:
        return int(self._connection.execute(f"PRAGMA {pragma}").fetchone()[0])

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _DAMAGED:
                raise self.error(f"the file is damaged ({error})") from error
            raise OSError(_ERRNO.get(code, errno.EIO), str(error), os.fspath(self.path or "")) from error


def create(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Makes a file with what `fill` puts into it: beside its place, then renamed into it.

    The file and its journal are for their owner only. Raises what `fill` raises; OSError.
    """
    make_private_folder(path.parent)
    beside = path.with_name(f".{path.name}.new")
    for remains in (beside, beside.with_name(f"{beside.name}-journal")):
        remains.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        storage = Storage(beside, new=True)
        try:
            with storage.transaction() as connection:
                fill(connection)
        finally:
            storage.close()
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _check_mode(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077 and os.name == "posix":
        raise AccessFileError(path, 0, f"others on this machine can read it (mode {mode:04o})", "chmod 600")
