"""The access database: users, groups, rules, permissions and pre-shared keys of one data folder.

Start here for what may be asked and changed. The file itself is `storage`'s; what the event loop reads is
`mirror`'s. Changes come from worker threads, one transaction each, and count once they are on the disk.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lockwire.access.authorizer import AccessAuthorizer
from lockwire.access.database import tables
from lockwire.access.database.mirror import Contents, members_by_group
from lockwire.access.database.storage import Storage, create
from lockwire.access.database.users import User, check_name, sorted_tags
from lockwire.access.errors import RuleError, UserError
from lockwire.access.identity import PASSWORD, PSK
from lockwire.access.rights.policy import Policy, ResourcePermission, TopicPermission
from lockwire.access.rights.rules import Rule, check_rule

DECOY_BYTES: Final = 32
LEAST_PSK: Final = 16
MOST_PSK: Final = 64
"""Bytes of a pre-shared key."""
MOST_PSK_IDENTITY: Final = 128
"""Bytes of its identity that every implementation has to take (RFC 4279 section 5.3)."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What went with a name: how many rules, memberships and permissions."""

    rules: int = 0
    memberships: int = 0
    permissions: int = 0


@dataclass(frozen=True, slots=True)
class Reread:
    """A database that was read again and is not in use yet: adopted, or closed."""

    storage: Storage
    contents: Contents

    def close(self) -> None:
        """It will not be used."""
        self.storage.close()


class AccessDatabase:
    """The database of one broker.

    path: its file; where there is none, an empty one is made. None: in memory only, gone in the end.

    Raises AccessFileError where the file is damaged, open to others or of a newer version; OSError. Each
    change raises OSError where the disk refuses, and then nothing has changed.
    """

    def __init__(self, path: Path | None) -> None:
        self.path: Final = path
        self._lock = threading.Lock()
        if path is not None and not path.exists():
            create_database(path)
        self._storage = Storage(path)
        if path is None:
            with self._storage.transaction() as connection:
                tables.put_decoy_key(connection, os.urandom(DECOY_BYTES))
        self._judge = AccessAuthorizer()
        try:
            self._contents = self._read(self._storage)
        except BaseException:
            self._storage.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._storage.close()

    def read_again(self) -> Reread | None:
        """Reads the file again, which may be another one by now; `adopt` puts what it holds in use.

        None: there is no file. Raises as the constructor; what was read before stays in any case.
        """
        if self.path is None:
            return None
        storage = Storage(self.path)
        try:
            return Reread(storage, self._read(storage))
        except BaseException:
            storage.close()
            raise

    def adopt(self, reread: Reread | None) -> list[tuple[str, str]]:
        """Uses what was read; nothing may have changed the database since.

        Gives whom it does not have any more: names with their realm, as `Identity.realm`.
        """
        if reread is None:
            return []
        with self._lock:
            self._storage.close()
            before, contents = self._contents, reread.contents
            self._storage, self._contents = reread.storage, contents
        users = [(name, PASSWORD) for name in before.users if name not in contents.users]
        return users + [(identity, PSK) for identity in before.psk if identity not in contents.psk]

    # -- users

    def __len__(self) -> int:
        return len(self._contents.users)

    def __iter__(self) -> Iterator[User]:
        return iter(self._contents.users.values())

    def get(self, name: str) -> User | None:
        """The user of this name, None where there is none."""
        return self._contents.users.get(name)

    def known(self, name: str) -> User:
        """The user of this name. Raises UserError where there is none."""
        return _known(self._contents, name)

    @property
    def has_slow(self) -> bool:
        """Some password takes milliseconds to check, so that a wrong one takes its time whoever it is for."""
        return self._contents.has_slow

    @property
    def decoy_key(self) -> bytes:
        """What SCRAM invents salts from for users that do not exist."""
        return self._contents.decoy_key

    def add(self, user: User, groups: Iterable[str] = ()) -> None:
        """Adds a user. Raises UserError where the name is taken."""
        with self._change() as (connection, contents):
            _add_user(connection, contents, user)
            _change_groups(connection, contents, user.name, groups, ())

    def replace(self, user: User) -> None:
        """Puts a user in the place of the one with the same name. Raises UserError where there is none."""
        with self._change() as (connection, contents):
            _known(contents, user.name)
            tables.put_user(connection, contents, user)

    def put(self, users: Iterable[tuple[User, Iterable[str]]], force: bool = False) -> None:
        """Adds or replaces users, each with all its groups, at once.

        force: even where no administrator is left. Raises UserError otherwise.
        """
        with self._change() as (connection, contents):
            before = contents.administrators
            for user, groups in users:
                tables.put_user(connection, contents, user)
                old = contents.memberships.get(user.name, ())
                _change_groups(connection, contents, user.name, groups, old)
            _check_administrators(before, contents, force)

    def rehash(self, name: str, old: str, new: str) -> bool:
        """Puts another hash of the same password in the place of `old`; False where that is there no more."""
        with self._change() as (connection, contents):
            user = contents.users.get(name)
            if user is None or user.password != old:
                return False
            tables.put_user(connection, contents, replace(user, password=new))
            return True

    def set_tags(self, name: str, tags: Iterable[str], force: bool = False) -> User:
        """Gives a user these tags and no others. Raises UserError: no such user, an unknown tag.

        force: even where no administrator is left. Raises UserError otherwise.
        """
        with self._change() as (connection, contents):
            before = contents.administrators
            user = replace(_known(contents, name), tags=sorted_tags(tags))
            tables.put_user(connection, contents, user)
            _check_administrators(before, contents, force)
        return user

    def delete(self, name: str, *, force: bool = False, keep_rights: bool = False) -> Removal:
        """Removes a user, with the rules, memberships and permissions of the name.

        keep_rights: not with those, since another identity has the name as well. force: even where no
        administrator is left. Raises UserError otherwise, and where there is no such user.
        """
        with self._change() as (connection, contents):
            before = contents.administrators
            _known(contents, name)
            connection.execute("DELETE FROM users WHERE name = ?", (name,))
            del contents.users[name]
            _check_administrators(before, contents, force)
            return Removal() if keep_rights else _forget(connection, contents, name)

    # -- groups

    @property
    def groups(self) -> Mapping[str, list[str]]:
        """The names in each group. A group is there as long as somebody is in it."""
        return members_by_group(self._contents.memberships)

    def groups_of(self, name: str) -> tuple[str, ...]:
        """The groups that a user, a device or another identity of this name is in."""
        return self._contents.memberships.get(name, ())

    def change_groups(
        self, name: str, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """Puts a name into groups and takes it out of others; gives those it is in then.

        Raises UserError for a group that cannot be called so, or that the name is not in.
        """
        remove = list(remove)
        with self._change() as (connection, contents):
            missing = sorted(set(remove) - set(contents.memberships.get(name, ())))
            if missing:
                raise UserError(f"{name!r} is not in the group {missing[0]!r}.")
            _change_groups(connection, contents, name, add, remove)
            return contents.memberships.get(name, ())

    # -- rules and permissions

    def policy(self) -> Policy:
        """All rules, groups, tags and permissions, for the authorizer."""
        return self._contents.policy

    @property
    def rules(self) -> Mapping[int, Rule]:
        """The rules by their numbers, in the order they were made; not to be changed."""
        return self._contents.rules

    def add_rules(self, rules: Iterable[Rule]) -> list[int]:
        """Adds rules; gives their numbers. One that is there word for word keeps the number it has.

        Raises RuleError for one that cannot be, and then adds none.
        """
        with self._change() as (connection, contents):
            return _add_rules(connection, contents, rules)

    def remove_rules(self, numbers: Iterable[int]) -> list[Rule]:
        """Removes rules; gives them. Raises UserError where one is not there, and then removes none."""
        with self._change() as (connection, contents):
            return _remove_rules(connection, contents, numbers)

    def replace_rules(self, rules: Iterable[Rule]) -> list[int]:
        """Puts these rules in the place of all others; gives their numbers. Raises as `add_rules`."""
        with self._change() as (connection, contents):
            connection.execute("DELETE FROM rules")
            contents.rules.clear()
            return _add_rules(connection, contents, rules)

    @property
    def resources(self) -> Mapping[str, ResourcePermission]:
        """The configure, write and read permissions of names; not to be changed."""
        return self._contents.resources

    @property
    def topic_permissions(self) -> Mapping[str, tuple[TopicPermission, ...]]:
        """The topic permissions of names; not to be changed."""
        return self._contents.topic_permissions

    def set_permissions(
        self, name: str, resource: ResourcePermission | None, topics: Iterable[TopicPermission]
    ) -> None:
        """Gives a name these permissions and no others. Raises UserError for a name, RuleError for a regular
        expression that cannot be."""
        check_name(name)
        with self._change() as (connection, contents):
            tables.put_permissions(connection, contents, name, resource, tuple(topics))

    # -- several kinds at once

    def merge(
        self,
        users: Iterable[User] = (),
        rules: Iterable[Rule] = (),
        keys: Iterable[tuple[str, bytes]] = (),
        without: Iterable[int] = (),
    ) -> list[int]:
        """Adds users, rules and pre-shared keys and removes the rules of these numbers: all of it or nothing.

        Gives the numbers of the rules that were added. Raises UserError where a user or an identity is there
        already or a rule is not; RuleError as `add_rules`.
        """
        with self._change() as (connection, contents):
            for user in users:
                _add_user(connection, contents, user)
            for identity, key in keys:
                _add_psk(connection, contents, identity, key)
            _remove_rules(connection, contents, without)
            return _add_rules(connection, contents, rules)

    # -- pre-shared keys

    @property
    def psk_identities(self) -> list[str]:
        """The identities that have a pre-shared key."""
        return sorted(self._contents.psk)

    def psk_key(self, identity: str) -> bytes | None:
        """The pre-shared key of an identity, None where there is none."""
        return self._contents.psk.get(identity)

    def add_psk(self, identity: str, key: bytes) -> None:
        """Adds a pre-shared key. Raises UserError where the identity has one, or either cannot be."""
        with self._change() as (connection, contents):
            _add_psk(connection, contents, identity, key)

    def delete_psk(self, identity: str, *, keep_rights: bool = False) -> Removal:
        """Removes a pre-shared key, with the rules, memberships and permissions of the name.

        keep_rights: not with those. Raises UserError where there is none.
        """
        with self._change() as (connection, contents):
            if contents.psk.pop(identity, None) is None:
                raise UserError(f"There is no PSK identity {identity!r}.")
            connection.execute("DELETE FROM psk WHERE identity = ?", (identity,))
            return Removal() if keep_rights else _forget(connection, contents, identity)

    @contextmanager
    def _change(self) -> Iterator[tuple[sqlite3.Connection, Contents]]:
        """One transaction, and a copy of the contents that counts once it is committed."""
        with self._lock:
            contents = self._contents.copy()
            with self._storage.transaction() as connection:
                yield connection, contents
                self._check(contents.settle())
            self._contents = contents

    def _read(self, storage: Storage) -> Contents:
        contents = tables.read(storage).settle()
        try:
            self._judge.set_policy(contents.policy)
        except RuleError as error:
            raise storage.error(str(error)) from error
        return contents

    def _check(self, contents: Contents) -> None:
        """Refuses rules and permissions that could not be put in force. Raises RuleError."""
        old = self._contents
        same_permissions = (old.resources, old.topic_permissions) == (
            contents.resources,
            contents.topic_permissions,
        )
        if old.rules != contents.rules or not same_permissions:
            self._judge.set_policy(contents.policy)


def create_database(
    path: Path,
    rules: Iterable[Rule] = (),
    fill: Callable[[sqlite3.Connection, Contents], None] | None = None,
) -> None:
    """Makes a database with these rules and what `fill` puts into it, whole or not at all.

    Raises what `fill` raises; OSError.
    """

    def begin(connection: sqlite3.Connection) -> None:
        contents = Contents(os.urandom(DECOY_BYTES))
        tables.put_decoy_key(connection, contents.decoy_key)
        for rule in rules:
            tables.insert_rule(connection, contents, rule)
        if fill is not None:
            fill(connection, contents)

    create(path, begin)


def _add_user(connection: sqlite3.Connection, contents: Contents, user: User) -> None:
    if user.name in contents.users:
        raise UserError(f"There is a user {user.name!r} already. Choose another name, or change that one.")
    tables.put_user(connection, contents, user)


def _add_psk(connection: sqlite3.Connection, contents: Contents, identity: str, key: bytes) -> None:
    check_name(identity, "PSK identity")
    if len(identity.encode()) > MOST_PSK_IDENTITY:
        raise UserError(f"The PSK identity {identity!r} has more than {MOST_PSK_IDENTITY} bytes.")
    if not LEAST_PSK <= len(key) <= MOST_PSK:
        raise UserError(
            f"The key of {identity!r} has {len(key)} bytes. Choose {LEAST_PSK} to {MOST_PSK}: whoever "
            "records a handshake can try out short ones, and small devices take no long ones."
        )
    if identity in contents.psk:
        raise UserError(f"The PSK identity {identity!r} has a key already. Delete it first.")
    connection.execute("INSERT INTO psk VALUES (?, ?)", (identity, key))
    contents.psk[identity] = key


def _known(contents: Contents, name: str) -> User:
    user = contents.users.get(name)
    if user is None:
        raise UserError(f"There is no user {name!r}. lockwire user list shows who is there.")
    return user


def _change_groups(
    connection: sqlite3.Connection,
    contents: Contents,
    name: str,
    add: Iterable[str],
    remove: Iterable[str],
) -> None:
    check_name(name)
    groups = set(contents.memberships.get(name, ())) - set(remove)
    for group in add:
        check_name(group, "group name")
        groups.add(group)
    tables.put_memberships(connection, contents, name, tuple(sorted(groups)))


def _add_rules(connection: sqlite3.Connection, contents: Contents, rules: Iterable[Rule]) -> list[int]:
    there = {rule: number for number, rule in contents.rules.items()}
    numbers = []
    for rule in rules:
        check_rule(rule)
        if rule not in there:
            there[rule] = tables.insert_rule(connection, contents, rule)
        numbers.append(there[rule])
    return numbers


def _remove_rules(connection: sqlite3.Connection, contents: Contents, numbers: Iterable[int]) -> list[Rule]:
    removed = []
    for number in dict.fromkeys(numbers):
        if number not in contents.rules:
            raise UserError(f"There is no rule {number}. lockwire access rules lists them.")
        removed.append(contents.rules.pop(number))
        connection.execute("DELETE FROM rules WHERE id = ?", (number,))
    return removed


def _forget(connection: sqlite3.Connection, contents: Contents, name: str) -> Removal:
    who = f"user:{name}"
    rules = [number for number, rule in contents.rules.items() if rule.who == who]
    for number in rules:
        del contents.rules[number]
    connection.execute("DELETE FROM rules WHERE who = ?", (who,))
    memberships = len(contents.memberships.get(name, ()))
    permissions = len(contents.topic_permissions.get(name, ())) + (name in contents.resources)
    tables.put_memberships(connection, contents, name, ())
    tables.put_permissions(connection, contents, name, None, ())
    return Removal(len(rules), memberships, permissions)


def _check_administrators(before: list[str], contents: Contents, force: bool) -> None:
    if before and not force and not contents.administrators:
        raise UserError(
            f"{before[0]!r} is the last administrator. Make another one first: lockwire user tag NAME "
            "administrator. Or say --force."
        )
