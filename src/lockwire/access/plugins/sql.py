"""The plug-in `sql`: users, permissions and keys out of a database, by queries of the operator's own.

    [plugin.options]
    url_file = "database-url"                         # postgresql+psycopg://lockwire:SECRET@db.example/devices
    user_query = "SELECT password FROM users WHERE name = :username"
    groups_query = "SELECT role FROM roles WHERE name = :username"
    acl_query = "SELECT topics FROM acl WHERE name = :username AND action = :action"
    psk_query = "SELECT key FROM keys WHERE identity = :identity"

Values reach the database as bound parameters only. Drivers block, so queries run in a few threads; so do the
checks of password hashes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from lockwire.access.identity import Identity
from lockwire.access.methods.naming import shown
from lockwire.access.methods.passwords import hash_chosen, hash_generated, is_slow, verify
from lockwire.access.plugins.protocol import (
    Accepted,
    Action,
    Answer,
    Credentials,
    Options,
    Plugin,
    Refused,
    Unknown,
)
from lockwire.access.plugins.topics import topic_is_covered
from lockwire.access.plugins.workers import Workers

THREADS: Final = 4
SECONDS: Final = 5
MOST_ROWS: Final = 10_000
"""Rows of one answer that are read; more are an error."""

_USER: Final = frozenset({"username", "client_id", "listener", "address"})
_ACL: Final = frozenset({"username", "client_id", "action", "topic", "qos", "retain"})
_PSK: Final = frozenset({"identity"})

Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Query:
    """A statement and the names of the parameters that it takes."""

    statement: sqlalchemy.TextClause
    parameters: frozenset[str]


class AnswerError(Exception):
    """A query that answered something else than it has to."""


class SqlPlugin(Plugin):
    """Looks clients up in a database.

    Options:
        url, url_file: where the database is, as SQLAlchemy writes it; in a file of mode 0600 where it holds a
            password.
        user_query: gives the password's hash of :username in its first column; no row: no such user.
        groups_query: gives a group of :username in each row.
        acl_query: gives a topic filter in each row that allows :action ("publish" or "subscribe").
        psk_query: gives the key of :identity in hexadecimal.
        threads: threads and connections, 4. seconds: for connecting and for one statement, 5.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        threads = options.integer("threads", THREADS, 1, 64)
        seconds = options.integer("seconds", SECONDS, 1, 60)
        self._user_query = _query(options, "user_query", _USER, "username")
        self._groups_query = _query(options, "groups_query", _USER, "username")
        self._acl_query = _query(options, "acl_query", _ACL, "username")
        self._psk_query = _query(options, "psk_query", _PSK, "identity")
        if self._user_query is None and self._psk_query is None and self._acl_query is None:
            raise options.wrong("user_query", "it is missing, and so are acl_query and psk_query")
        self._engine = _engine(options, threads, seconds)
        self._workers = Workers(threads, "lockwire-sql")
        self._fast_decoy = hash_generated(os.urandom(16))
        self._slow_decoy = hash_chosen(os.urandom(16))
        self._has_slow = False

    async def authenticate(self, credentials: Credentials) -> Answer:
        """Checks user name and password; what else the client presented does not matter here."""
        query, username, password = self._user_query, credentials.username, credentials.password
        if query is None or username is None or password is None:
            return Unknown("sql: no user name and password")
        parameters = {
            "username": username,
            "client_id": credentials.client_id,
            "listener": credentials.listener,
            "address": credentials.peer.rpartition(":")[0].strip("[]"),
        }
        return await self._workers.run(lambda: self._check(query, username, password, parameters))

    async def authorize(
        self, identity: Identity, client_id: str, action: Action, topic: str, qos: int, retain: bool
    ) -> bool:
        """Whether one of the rows' topic filters matches the topic, or covers the whole topic filter."""
        query = self._acl_query
        if query is None:
            return False
        parameters = {
            "username": identity.name,
            "client_id": client_id,
            "action": action,
            "topic": topic,
            "qos": qos,
            "retain": retain,
        }
        rows = await self._workers.run(lambda: self._rows(query, parameters))
        placeholders = {"username": identity.name, "client_id": client_id, "cn": identity.common_name}
        return any(
            topic_is_covered(_text(row, "acl_query"), topic, action, placeholders)
            for row in rows
            if row[0] is not None
        )

    async def psk_key(self, identity: str) -> bytes | None:
        """The key of an identity, None where no row has it."""
        query = self._psk_query
        if query is None:
            return None
        rows = await self._workers.run(lambda: self._rows(query, {"identity": identity}))
        row = _only(rows, "psk_query")
        if row is None or row[0] is None:
            return None
        try:
            return bytes.fromhex(_text(row, "psk_query"))
        except ValueError as error:
            raise AnswerError("psk_query gave a key that is not hexadecimal") from error

    async def close(self) -> None:
        """Ends the threads, then the connections."""
        await self._workers.close()
        self._engine.dispose()

    def _check(
        self, query: Query, username: str, password: bytes, parameters: Mapping[str, object]
    ) -> Answer:
        row = _only(self._rows(query, parameters), "user_query")
        if row is None or row[0] is None:
            # As long as for a user that there is.
            verify(self._slow_decoy if self._has_slow else self._fast_decoy, password)
            return Unknown(f"sql: there is no user {shown(username)} with a password")
        stored = _text(row, "user_query")
        self._has_slow = self._has_slow or is_slow(stored)
        if not verify(stored, password):
            return Refused(f"sql: wrong password for {shown(username)}")
        if self._groups_query is None:
            return Accepted(username)
        rows = self._rows(self._groups_query, parameters)
        return Accepted(username, tuple(_text(row, "groups_query") for row in rows if row[0] is not None))

    def _rows(self, query: Query, parameters: Mapping[str, object]) -> Rows:
        wanted = {name: parameters[name] for name in query.parameters}
        with self._engine.connect() as connection:
            rows: Rows = connection.execute(query.statement, wanted).fetchmany(MOST_ROWS + 1)
        if len(rows) > MOST_ROWS:
            raise AnswerError(f"a query gave more than {MOST_ROWS} rows")
        return rows


def _query(options: Options, name: str, known: frozenset[str], needed: str) -> Query | None:
    text = options.text(name, "")
    if not text:
        return None
    statement = sqlalchemy.text(text)
    parameters = frozenset(statement.compile().params)
    for unknown in sorted(parameters - known):
        expected = ", ".join(f":{each}" for each in sorted(known))
        raise options.wrong(name, f"the parameter :{unknown} is not known, expected some of {expected}")
    if needed not in parameters:
        raise options.wrong(name, f"it has no parameter :{needed}")
    return Query(statement, parameters)


def _engine(options: Options, threads: int, seconds: int) -> Engine:
    name = "url_file" if "url_file" in options else "url"
    if "url" in options and "url_file" in options:
        raise options.wrong("url", "it is there beside url_file, expected one of the two")
    written = options.secret_file("url_file")
    text = options.text("url") if written is None else written
    try:
        # Errors of SQLAlchemy may quote the URL, which may hold a password.
        url = make_url(text)
    except ArgumentError:
        raise options.wrong(name, "it is no database URL, such as postgresql+psycopg://HOST/DB") from None
    if name == "url" and url.password is not None:
        raise options.wrong(
            "url", "it holds a password; put it into a file of mode 0600 and name that with url_file"
        )
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise options.wrong(name, f"there is no file {url.database!r}")
    try:
        engine = sqlalchemy.create_engine(
            url,
            poolclass=QueuePool,
            pool_size=threads,
            max_overflow=0,
            pool_timeout=seconds,
            pool_pre_ping=True,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            connect_args=_connect_arguments(url, seconds),
        )
    except ImportError as error:
        raise options.wrong(name, f"the database's driver is not installed: {error}") from None
    except SQLAlchemyError as error:
        raise options.wrong(name, f"it cannot be used: {type(error).__name__}") from None
    if engine.dialect.is_async:
        raise options.wrong(name, f"the driver {url.get_driver_name()} is asynchronous, expected another one")
    return engine


def _connect_arguments(url: URL, seconds: int) -> dict[str, object]:
    """Time limits, as each driver calls them; what the URL says itself stays."""
    arguments: dict[str, object] = {}
    if url.get_backend_name() == "postgresql" and url.get_driver_name() in ("psycopg", "psycopg2"):
        arguments = {
            "connect_timeout": seconds,
            "tcp_user_timeout": seconds * 1000,
            "options": f"-c statement_timeout={seconds * 1000}",
        }
    elif url.get_driver_name() == "pymysql":
        arguments = {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}
    elif url.get_backend_name() == "sqlite":
        arguments = {"timeout": seconds}
    return {name: value for name, value in arguments.items() if name not in url.query}


def _only(rows: Rows, name: str) -> Sequence[Any] | None:
    if len(rows) > 1:
        raise AnswerError(f"{name} gave {len(rows)} rows for one name")
    return rows[0] if rows else None


def _text(row: Sequence[Any], name: str) -> str:
    if not isinstance(row[0], str):
        raise AnswerError(f"{name} gave a value of type {type(row[0]).__name__}, expected text")
    return row[0]
