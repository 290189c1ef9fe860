"""The users file, `access/users.json`: names, password hashes, who is an administrator.

    {
      "users": [
        {"name": "admin", "password": "$sha256$...", "administrator": true, "scram": "SCRAM-SHA-256$..."}
      ],
      "decoy_key": "..."
    }

`scram` is there where the user may log in by SCRAM: an argon2id hash cannot be its verifier. `decoy_key`
is what SCRAM invents salts from for users that do not exist. A damaged file is reported and left alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lockwire.access.errors import AccessFileError, PasswordHashError, UserError
from lockwire.access.passwords import check_stored, hash_chosen, hash_generated, is_slow
from lockwire.access.records import Record, read_document
from lockwire.access.scram import LEAST_ITERATIONS, MECHANISM, ScramVerifier, derive_verifier
from lockwire.pki.errors import InvalidNameError
from lockwire.pki.files import make_private_folder, write_private
from lockwire.pki.names import check_name

_FIELDS: Final = ("name", "password", "administrator", "scram")
_DECOY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a password.

    name: the MQTT user name. password: its hash, as `passwords` writes it. administrator: may see `$SYS` and
    manage the broker. scram: the verifier for SCRAM-SHA-256, None where that was not asked for.
    """

    name: str
    password: str = field(repr=False)
    administrator: bool = False
    scram: ScramVerifier | None = field(default=None, repr=False)


def make_user(
    name: str, password: str, *, generated: bool, administrator: bool = False, with_scram: bool = False
) -> User:
    """A user with a hashed password. Takes milliseconds unless generated and without SCRAM.

    generated: the password comes from `generate_password` (128 random bits or more), so SHA-256 will do.
    Raises UserError for a name that cannot be one or an empty password, ScramError for one SCRAM cannot take.
    """
    try:
        check_name(name)
    except InvalidNameError as error:
        raise UserError(str(error)) from error
    if not password:
        raise UserError(f"The password of {name!r} is empty. Give one, or let one be generated.")
    hashed = hash_generated(password.encode()) if generated else hash_chosen(password.encode())
    return User(name, hashed, administrator, derive_verifier(password) if with_scram else None)


class Users:
    """The users of one broker. Every change is on the disk before it counts."""

    def __init__(self, path: Path) -> None:
        """Reads the file; where there is none, there are no users. Raises AccessFileError, OSError."""
        self.path = path
        self.decoy_key = os.urandom(_DECOY_BYTES)
        self._users: dict[str, User] = {}
        self.has_slow = False
        """Some password is hashed with argon2id, so that a wrong one takes its time whoever it is for."""
        self.reload()

    def __len__(self) -> int:
        return len(self._users)

    def __iter__(self) -> Iterator[User]:
        return iter(list(self._users.values()))

    def get(self, name: str) -> User | None:
        return self._users.get(name)

    def reload(self) -> None:
        """Reads the file again. Raises AccessFileError or OSError, and then what was read before stays."""
        if not self.path.exists():
            self._take({})
            return
        mode = self.path.stat().st_mode & 0o777
        if mode & 0o077:
            raise AccessFileError(
                self.path, 0, f"others on this machine can read it (mode {mode:04o})", "chmod 600"
            )
        document = read_document(self.path, "users")
        users: dict[str, User] = {}
        for record in document.records:
            user = _user(record)
            if user.name in users:
                raise record.error(f"the user {user.name!r} stands there twice", "each name once")
            users[user.name] = user
        decoy_key = self._decoy_key(document.fields)
        self._take(users)
        self.decoy_key = decoy_key

    def add(self, user: User) -> None:
        """Adds a user. Raises UserError where the name is taken; OSError where the disk refuses."""
        if user.name in self._users:
            raise UserError(
                f"There is a user {user.name!r} already. Choose another name, or change that one."
            )
        self._write({**self._users, user.name: user})

    def replace(self, user: User) -> None:
        """Puts a user in the place of the one with the same name. Raises UserError where there is none."""
        if user.name not in self._users:
            raise UserError(f"There is no user {user.name!r}. There are: {', '.join(self._users) or 'none'}.")
        self._write({**self._users, user.name: user})

    def remove(self, name: str) -> None:
        """Removes a user. Raises UserError where there is none."""
        if name not in self._users:
            raise UserError(f"There is no user {name!r}.")
        self._write({other: user for other, user in self._users.items() if other != name})

    def _write(self, users: dict[str, User]) -> None:
        lines = ",\n".join("    " + json.dumps(_fields(user), ensure_ascii=False) for user in users.values())
        listed = f"[\n{lines}\n  ]" if lines else "[]"
        key = base64.b64encode(self.decoy_key).decode()
        make_private_folder(self.path.parent)
        write_private(self.path, f'{{\n  "users": {listed},\n  "decoy_key": "{key}"\n}}\n'.encode())
        self._take(users)

    def _take(self, users: dict[str, User]) -> None:
        self._users = users
        self.has_slow = any(is_slow(user.password) for user in users.values())

    def _decoy_key(self, fields: dict[str, object]) -> bytes:
        for name in fields:
            if name != "decoy_key":
                raise AccessFileError(self.path, 0, f"{name!r} is not known here", "only users and decoy_key")
        if "decoy_key" not in fields:
            return self.decoy_key
        key = _base64(fields["decoy_key"])
        if key is None or len(key) < 16:
            raise AccessFileError(
                self.path, 0, "'decoy_key' is no key", "16 bytes or more in base64, or none"
            )
        return key


def _user(record: Record) -> User:
    record.only(*_FIELDS)
    name = record.text("name")
    try:
        check_name(name)
    except InvalidNameError as error:
        raise record.error(error.problem, "a name of letters, digits, '-', '_' and '.'") from error
    password = record.text("password")
    try:
        check_stored(password)
    except PasswordHashError as error:
        raise record.error(str(error), "a hash that begins with $argon2id$ or $sha256$") from error
    scram = _verifier(record) if record.fields.get("scram") is not None else None
    return User(name, password, record.flag("administrator"), scram)


def _verifier(record: Record) -> ScramVerifier:
    """Reads `SCRAM-SHA-256$ITERATIONS:SALT$STORED_KEY:SERVER_KEY`, the form that PostgreSQL uses too."""
    problem = record.error("'scram' is no verifier", f"{MECHANISM}$ITERATIONS:SALT$STORED_KEY:SERVER_KEY")
    fields = record.text("scram").split("$")
    if len(fields) != 3 or fields[0] != MECHANISM:
        raise problem
    iterations, _, salt_text = fields[1].partition(":")
    stored_text, _, server_text = fields[2].partition(":")
    salt, stored_key, server_key = (_base64(text) for text in (salt_text, stored_text, server_text))
    if not salt or stored_key is None or server_key is None or len(stored_key) != 32 or len(server_key) != 32:
        raise problem
    if not (iterations.isascii() and iterations.isdigit() and len(iterations) < 10):
        raise problem
    if int(iterations) < LEAST_ITERATIONS:
        raise record.error(f"'scram' has {iterations} iterations", f"{LEAST_ITERATIONS} or more")
    return ScramVerifier(salt, int(iterations), stored_key, server_key)


def _fields(user: User) -> dict[str, object]:
    fields: dict[str, object] = {
        "name": user.name,
        "password": user.password,
        "administrator": user.administrator,
    }
    if user.scram is not None:
        salt, stored_key, server_key = (
            base64.b64encode(part).decode()
            for part in (user.scram.salt, user.scram.stored_key, user.scram.server_key)
        )
        fields["scram"] = f"{MECHANISM}${user.scram.iterations}:{salt}${stored_key}:{server_key}"
    return fields


def _base64(text: object) -> bytes | None:
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
