"""The plug-in `sql` with SQLite and with a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from lockwire.access.authenticator import Credentials
from lockwire.access.identity import PLUGIN, Identity
from lockwire.access.methods.passwords import hash_chosen, hash_generated
from lockwire.access.plugins.errors import PluginError
from lockwire.access.plugins.loading import load_plugin
from lockwire.access.plugins.options import Value
from lockwire.access.plugins.protocol import Accepted, Plugin, Refused, Unknown
from lockwire.access.plugins.sql import AnswerError
from tests.support.postgresql import PASSWORD, PostgreSql

TABLES = [
    "CREATE TABLE users (name TEXT, password TEXT)",
    "CREATE TABLE roles (name TEXT, role TEXT)",
    "CREATE TABLE acl (name TEXT, action TEXT, topics TEXT)",
    "CREATE TABLE keys (identity TEXT, key TEXT)",
]
QUERIES: dict[str, Value] = {
    "user_query": "SELECT password FROM users WHERE name = :username",
    "groups_query": "SELECT role FROM roles WHERE name = :username ORDER BY role",
    "acl_query": "SELECT topics FROM acl WHERE name IN (:username, '*') AND action = :action",
    "psk_query": "SELECT key FROM keys WHERE identity = :identity",
}
ROWS: dict[str, list[tuple[str | None, ...]]] = {
    "users": [
        ("kim", hash_chosen(b"correct horse")),
        ("sensor", hash_generated(b"aXk3")),
        ("nobody", None),
        ("broken", "plain text"),
        ("twice", hash_generated(b"1")),
        ("twice", hash_generated(b"2")),
        ("O'Hara; DROP TABLE users", hash_generated(b"x")),
    ],
    "roles": [("kim", "people"), ("kim", "admins"), ("sensor", None)],
    "acl": [
        ("*", "publish", "from/{username}/{client_id}/#"),
        ("kim", "subscribe", "hall/#"),
        ("kim", "publish", "hall/#/lamp"),
    ],
    "keys": [("dev1", "00ff10"), ("dev2", "zz"), ("dev3", None)],
}


def fill(engine: sqlalchemy.Engine) -> None:
    """Makes the tables, and writes the rows."""
    with engine.begin() as connection:
        for statement in TABLES:
            connection.execute(sqlalchemy.text(statement))
        for table, rows in ROWS.items():
            for row in rows:
                values = {f"v{number}": value for number, value in enumerate(row)}
                places = ", ".join(f":{name}" for name in values)
                connection.execute(sqlalchemy.text(f"INSERT INTO {table} VALUES ({places})"), values)
    engine.dispose()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    """A running server with the tables."""
    server = PostgreSql()
    try:
        server.start()
        fill(sqlalchemy.create_engine(server.url))
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An SQLite database with the tables."""
    url = f"sqlite:///{tmp_path_factory.mktemp('sql') / 'devices.db'}"
    fill(sqlalchemy.create_engine(url))
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("initdb", "postgres"))])
async def plugin(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Plugin]:
    """The plug-in on each of the two; the URL comes from a file."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgresql")
    url = request.getfixturevalue("sqlite_url") if server is None else server.url
    made = load_plugin("sql", {"url_file": url_file(tmp_path, url), **QUERIES})
    yield made
    await made.close()


def url_file(folder: Path, url: str) -> str:
    """A file for the owner only, with a URL in it."""
    path = folder / "database-url"
    path.write_text(url + "\n")
    path.chmod(0o600)
    return str(path)


def login(username: str | None, password: bytes | None, client_id: str = "c1") -> Credentials:
    """What a client presents."""
    return Credentials("tls", "192.0.2.7:50000", client_id, username, password)


async def test_the_hash_in_the_database_decides(plugin: Plugin) -> None:
    assert await plugin.authenticate(login("kim", b"correct horse")) == Accepted("kim", ("admins", "people"))
    assert await plugin.authenticate(login("sensor", b"aXk3")) == Accepted("sensor")
    assert isinstance(await plugin.authenticate(login("kim", b"wrong")), Refused)


@pytest.mark.parametrize("credentials", [login("jo", b"x"), login("nobody", b""), login(None, b"x")])
async def test_who_is_not_there_is_unknown(plugin: Plugin, credentials: Credentials) -> None:
    assert isinstance(await plugin.authenticate(credentials), Unknown)


@pytest.mark.parametrize(
    "name",
    [
        "' OR '1'='1",
        "kim' --",
        "kim\\",
        ":username",
        "%",
        "kim;",
        '"',
        "\u00e9\u4e2d",
        "O'Hara; DROP TABLE users",
    ],
)
async def test_a_name_is_never_part_of_the_statement(plugin: Plugin, name: str) -> None:
    answer = await plugin.authenticate(login(name, b"x"))
    assert isinstance(answer, Accepted if name.startswith("O'Hara") else Unknown)
    assert isinstance(await plugin.authenticate(login("kim", b"correct horse")), Accepted)


@pytest.mark.parametrize(("name", "error"), [("twice", "2 rows"), ("broken", "begins with none of")])
async def test_an_ambiguous_or_damaged_row_is_a_failure(plugin: Plugin, name: str, error: str) -> None:
    with pytest.raises(Exception, match=error):
        await plugin.authenticate(login(name, b"1"))


@pytest.mark.parametrize(
    ("action", "topic", "allowed"),
    [
        ("publish", "from/kim/c1/a/b", True),
        ("publish", "from/kim/c2/a", False),
        ("publish", "hall/x/lamp", False),
        ("subscribe", "hall/+", True),
        ("subscribe", "$share/g/hall/#", True),
        ("subscribe", "#", False),
        ("subscribe", "from/kim/c1/a", False),
    ],
)
async def test_rows_are_topic_filters(plugin: Plugin, action: str, topic: str, allowed: bool) -> None:
    kim = Identity("kim", PLUGIN)
    assert await plugin.authorize(kim, "c1", action, topic, 0, False) is allowed  # type: ignore[arg-type]


async def test_a_placeholder_never_widens_a_filter(plugin: Plugin) -> None:
    for client_id in ("+", "#", "a/b", ""):
        assert not await plugin.authorize(
            Identity("kim", PLUGIN), client_id, "publish", "from/kim/x/y", 0, False
        )
    tricky = Identity("{client_id}", PLUGIN)
    assert not await plugin.authorize(tricky, "c1", "publish", "from/c1/c1/y", 0, False)
    assert await plugin.authorize(tricky, "c1", "publish", "from/{client_id}/c1/y", 0, False)


async def test_keys_are_hexadecimal(plugin: Plugin) -> None:
    assert await plugin.psk_key("dev1") == bytes.fromhex("00ff10")
    assert await plugin.psk_key("dev3") is None
    assert await plugin.psk_key("dev9") is None
    with pytest.raises(AnswerError, match="not hexadecimal"):
        await plugin.psk_key("dev2")


async def test_queries_run_in_a_few_threads(plugin: Plugin) -> None:
    before = threading.active_count()
    answers = await asyncio.gather(*(plugin.authenticate(login("sensor", b"aXk3")) for _ in range(40)))
    assert answers == [Accepted("sensor")] * 40
    assert threading.active_count() <= before + 4
    await plugin.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("lockwire-sql")]


@pytest.mark.peer("initdb", "postgres")
async def test_a_lost_connection_is_made_anew(postgresql: PostgreSql, tmp_path: Path) -> None:
    plugin = load_plugin("sql", {"url_file": url_file(tmp_path, postgresql.url), "threads": 1, **QUERIES})
    kim = login("kim", b"correct horse")
    assert isinstance(await plugin.authenticate(kim), Accepted)
    postgresql.stop()
    with pytest.raises(sqlalchemy.exc.OperationalError) as caught:
        await plugin.authenticate(kim)
    assert PASSWORD not in str(caught.value)
    with pytest.raises(sqlalchemy.exc.OperationalError):
        await plugin.authenticate(kim)
    postgresql.start()
    assert isinstance(await plugin.authenticate(kim), Accepted)
    postgresql.stop()
    postgresql.start()  # it noticed nothing, and the connection that it has is dead
    assert isinstance(await plugin.authenticate(kim), Accepted)
    await plugin.close()


@pytest.mark.peer("initdb", "postgres")
async def test_a_statement_has_a_time_limit(postgresql: PostgreSql, tmp_path: Path) -> None:
    query = "SELECT CAST(pg_sleep(30) AS text) WHERE :username = 'kim'"
    values: dict[str, Value] = {"url_file": url_file(tmp_path, postgresql.url), "seconds": 1}
    plugin = load_plugin("sql", {**values, "user_query": query})
    with pytest.raises(sqlalchemy.exc.OperationalError, match="statement timeout"):
        await plugin.authenticate(login("kim", b"x"))
    await plugin.close()


async def test_too_many_rows_are_a_failure(tmp_path: Path) -> None:
    database = tmp_path / "many.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE acl (name TEXT, topics TEXT)")
        connection.executemany("INSERT INTO acl VALUES ('kim', ?)", [(f"t/{n}",) for n in range(10_001)])
    connection.close()
    query = "SELECT topics FROM acl WHERE name = :username"
    plugin = load_plugin("sql", {"url": f"sqlite:///{database}", "acl_query": query})
    with pytest.raises(AnswerError, match="more than 10000 rows"):
        await plugin.authorize(Identity("kim", PLUGIN), "c1", "publish", "t/1", 0, False)
    await plugin.close()


Changes = dict[str, Value | None]


@pytest.mark.parametrize(
    ("changes", "option", "said"),
    [
        ({"url": None}, "url", "it is missing"),
        ({"url": "nonsense"}, "url", "no database URL"),
        ({"url": "postgresql+psycopg://kim:geheim@localhost/x"}, "url", "it holds a password"),
        ({"url": "oracle+nonsense://localhost/x"}, "url", "cannot be used"),
        ({"url": "mysql+pymysql://localhost/x"}, "url", "driver is not installed"),
        ({"url": "sqlite:////no/such/file.db"}, "url", "there is no file '/no/such/file.db'"),
        ({"url_file": "/no/such/file"}, "url", "beside url_file"),
        ({"user_query": "SELECT password FROM users"}, "user_query", "no parameter :username"),
        ({"user_query": "SELECT 1 WHERE :username = :user"}, "user_query", ":user is not known"),
        ({"psk_query": "SELECT 1"}, "psk_query", "no parameter :identity"),
        ({"threads": 0}, "threads", "from 1 to 64"),
        ({"usr_query": "x"}, "usr_query", "not known"),
    ],
)
def test_what_is_wrong_with_an_option_is_said(
    sqlite_url: str, changes: Changes, option: str, said: str
) -> None:
    merged: Changes = {"url": sqlite_url, **QUERIES, **changes}
    values = {name: value for name, value in merged.items() if value is not None}
    with pytest.raises(PluginError) as caught:
        load_plugin("sql", values)
    assert (caught.value.plugin, caught.value.option) == ("sql", option)
    assert said in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_the_password_of_a_url_is_never_shown(tmp_path: Path) -> None:
    values = {"url_file": url_file(tmp_path, "kim:geheim@localhost"), **QUERIES}
    with pytest.raises(PluginError) as caught:
        load_plugin("sql", values)
    error: BaseException | None = caught.value
    while error is not None:
        assert "geheim" not in str(error)
        error = None if error.__suppress_context__ else error.__context__


def test_without_any_query_it_could_not_decide(sqlite_url: str) -> None:
    with pytest.raises(PluginError, match="and so are acl_query and psk_query"):
        load_plugin("sql", {"url": sqlite_url})
