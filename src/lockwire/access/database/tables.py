"""The rows of the access database and what they mean, both ways."""

from __future__ import annotations

import sqlite3
from typing import Final, TypeVar

from lockwire.access.database.mirror import Contents
from lockwire.access.database.storage import Storage
from lockwire.access.database.users import User, check_name, parse_verifier, sorted_tags, verifier_text
from lockwire.access.errors import AccessError
from lockwire.access.methods.passwords import check_stored
from lockwire.access.rights.policy import ResourcePermission, TopicPermission
from lockwire.access.rights.rules import Rule, check_rule

_Value = TypeVar("_Value")

_DECOY_KEY: Final = "decoy_key"
_RULE_COLUMNS: Final = "who, effect, may, topics, regexp, qos, retain, note"


def read(storage: Storage) -> Contents:
    """Everything in a file. Raises AccessFileError where something in it cannot be; OSError."""
    contents = Contents(mark(storage, _DECOY_KEY))
    if not contents.decoy_key:
        raise storage.error("the decoy key is missing")
    tags: dict[str, list[str]] = {}
    for user, tag in _texts(storage, "SELECT user, tag FROM tags"):
        tags.setdefault(user, []).append(tag)
    for name, password, scram in _texts(storage, "SELECT name, password, scram FROM users ORDER BY name"):
        try:
            contents.users[name] = _user(name, password, scram, tags.get(name, []))
        except (AccessError, ValueError) as error:
            raise storage.error(f"the user {name!r}: {error}") from error
    for name, group in _texts(storage, "SELECT name, member_of FROM memberships ORDER BY name, member_of"):
        contents.memberships[name] = (*contents.memberships.get(name, ()), group)
    _read_rules(storage, contents)
    for name, *patterns in _texts(storage, "SELECT name, configure, write, read FROM resource_permissions"):
        contents.resources[name] = ResourcePermission(*patterns)
    for name, *patterns in _texts(
        storage, "SELECT name, exchange, write, read FROM topic_permissions ORDER BY name, exchange"
    ):
        there = contents.topic_permissions.get(name, ())
        contents.topic_permissions[name] = (*there, TopicPermission(*patterns))
    for identity, key in storage.rows("SELECT identity, key FROM psk"):
        if not isinstance(identity, str) or not isinstance(key, bytes):
            raise storage.error("a pre-shared key is not bytes")
        contents.psk[identity] = key
    return contents


def put_decoy_key(connection: sqlite3.Connection, key: bytes) -> None:
    """Sets what SCRAM invents salts from."""
    put_mark(connection, _DECOY_KEY, key)


def put_mark(connection: sqlite3.Connection, name: str, value: bytes) -> None:
    """Notes something about the database as a whole."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def mark(storage: Storage, name: str) -> bytes:
    """What `put_mark` noted, b"" where there is nothing. Raises AccessFileError, OSError."""
    for key, value in storage.rows("SELECT name, value FROM meta"):
        if key == name and isinstance(value, bytes):
            return value
    return b""


def put_user(connection: sqlite3.Connection, contents: Contents, user: User) -> None:
    """Adds a user, or puts it in the place of the one with the same name."""
    scram = "" if user.scram is None else verifier_text(user.scram)
    connection.execute(
        "INSERT INTO users VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET password = excluded.password,"
        " scram = excluded.scram",
        (user.name, user.password, scram),
    )
    connection.execute("DELETE FROM tags WHERE user = ?", (user.name,))
    connection.executemany("INSERT INTO tags VALUES (?, ?)", [(user.name, tag) for tag in user.tags])
    contents.users[user.name] = user


def put_memberships(
    connection: sqlite3.Connection, contents: Contents, name: str, groups: tuple[str, ...]
) -> None:
    """Puts a name into these groups and no others."""
    connection.execute("DELETE FROM memberships WHERE name = ?", (name,))
    connection.executemany("INSERT INTO memberships VALUES (?, ?)", [(name, group) for group in groups])
    _put(contents.memberships, name, groups)


def insert_rule(connection: sqlite3.Connection, contents: Contents, rule: Rule) -> int:
    """Adds a rule; gives its number."""
    qos = ",".join(map(str, rule.qos))
    row = (rule.who, rule.effect, ",".join(rule.may), rule.topics, rule.regexp, qos, rule.retain, rule.note)
    cursor = connection.execute(
        f"INSERT INTO rules ({_RULE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
        row,
    )
    number = cursor.lastrowid
    assert number is not None
    contents.rules[number] = rule
    return number


def put_permissions(
    connection: sqlite3.Connection,
    contents: Contents,
    name: str,
    resource: ResourcePermission | None,
    topics: tuple[TopicPermission, ...],
) -> None:
    """Gives a name these permissions and no others."""
    connection.execute("DELETE FROM resource_permissions WHERE name = ?", (name,))
    connection.execute("DELETE FROM topic_permissions WHERE name = ?", (name,))
    if resource is not None:
        connection.execute(
            "INSERT INTO resource_permissions VALUES (?, ?, ?, ?)",
            (name, resource.configure, resource.write, resource.read),
        )
    connection.executemany(
        "INSERT INTO topic_permissions VALUES (?, ?, ?, ?)",
        [(name, permission.exchange, permission.write, permission.read) for permission in topics],
    )
    _put(contents.resources, name, resource)
    _put(contents.topic_permissions, name, topics)


def _put(mapping: dict[str, _Value], name: str, value: _Value | None) -> None:
    if value:
        mapping[name] = value
    else:
        mapping.pop(name, None)


def _user(name: str, password: str, scram: str, tags: list[str]) -> User:
    check_name(name)
    check_stored(password)
    return User(name, password, sorted_tags(tags), parse_verifier(scram) if scram else None)


def _read_rules(storage: Storage, contents: Contents) -> None:
    # The number goes through text, as the others do: SQLite keeps what it is given where it can.
    for number, *columns in _texts(
        storage,
        f"SELECT CAST(id AS TEXT), {_RULE_COLUMNS} FROM rules ORDER BY id",  # noqa: S608 - constants
    ):
        who, effect, may, topics, regexp, qos, retain, note = columns
        try:
            levels = tuple(int(level) for level in qos.split(","))
            rule = Rule(who, tuple(may.split(",")), topics, note, effect, levels, retain, regexp)
            check_rule(rule)
        except (AccessError, ValueError) as error:
            raise storage.error(f"rule {number}: {error}") from error
        contents.rules[int(number)] = rule


def _texts(storage: Storage, statement: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for row in storage.rows(statement):
        texts = tuple(value for value in row if isinstance(value, str))
        if len(texts) != len(row):
            raise storage.error("something that is not text where text should be")
        found.append(texts)
    return found
