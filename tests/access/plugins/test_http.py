"""The plug-in `http` with a real web server on loopback, and with servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog

from lockwire.access.authenticator import Credentials, Decision
from lockwire.access.identity import PLUGIN, Identity
from lockwire.access.plugins.authenticator import PluginAuthenticator
from lockwire.access.plugins.calls import Calls
from lockwire.access.plugins.errors import PluginError
from lockwire.access.plugins.httpclient import HttpError
from lockwire.access.plugins.loading import load_plugin
from lockwire.access.plugins.options import Value
from lockwire.access.plugins.protocol import Accepted, Plugin, Refused, Unknown
from lockwire.mqtt import reasons
from tests.tls.certificates import TestPki

KIM = Credentials("tls", "192.0.2.7:50000", "c1", "kim", b"secret", version=5)


class Judge(BaseHTTPRequestHandler):
    """Knows kim, whose password is "secret", and the key of dev1."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body leave together, or each answer takes 40 ms

    def do_POST(self) -> None:
        fields = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        assert isinstance(server, AuthServer)
        server.asked.append({**fields, "bearer": self.headers.get("authorization"), "path": self.path})
        status, reply = self._judge(fields)
        body = json.dumps(reply).encode() if reply is not None else b""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _judge(self, fields: dict[str, Any]) -> tuple[int, object]:
        if fields["action"] == "authenticate":
            if fields["username"] != "kim":
                return 404, None
            right = fields.get("password") == "secret" or fields.get("password_base64") == "/w=="
            return (200, {"groups": ["people"], "expires": 4_000_000_000}) if right else (403, None)
        if fields["action"] == "psk":
            return (200, {"key": "00ff10"}) if fields["identity"] == "dev1" else (404, None)
        return (200 if fields["topic"].startswith("hall/") else 403), None

    def setup(self) -> None:
        super().setup()
        assert isinstance(self.server, AuthServer)
        self.server.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class AuthServer(ThreadingHTTPServer):
    """A web server on a free port; `asked` has the requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), Judge)
        self.asked: list[dict[str, Any]] = []
        self.connections = 0
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses our certificate is no error of the test's."""


@pytest.fixture
def server() -> Iterator[AuthServer]:
    """A web server without TLS."""
    yield from serve(AuthServer())


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> TestPki:
    return TestPki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=["127.0.0.1", "127.0.0.2"])
def tls_server(pki: TestPki, request: pytest.FixtureRequest) -> Iterator[AuthServer]:
    """A web server with a certificate for localhost and 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_pem, pki.server_key)
    yield from serve(AuthServer(context, request.param))


def serve(server: AuthServer) -> Iterator[AuthServer]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@asynccontextmanager
async def asking(url: str, **values: Value) -> AsyncIterator[Plugin]:
    """The plug-in for a URL."""
    plugin = load_plugin("http", {"url": url, **values})
    try:
        yield plugin
    finally:
        await plugin.close()


async def test_the_servers_status_decides(server: AuthServer) -> None:
    async with asking(f"http://127.0.0.1:{server.port}/mqtt?a=1") as plugin:
        assert await plugin.authenticate(KIM) == Accepted("kim", ("people",), expires=4_000_000_000.0)
        assert isinstance(await plugin.authenticate(replace(KIM, password=b"no")), Refused)
        assert isinstance(await plugin.authenticate(replace(KIM, username="jo")), Unknown)
        assert await plugin.authenticate(replace(KIM, password=b"\xff")) == await plugin.authenticate(KIM)
    assert server.asked[0] == {
        "action": "authenticate",
        "username": "kim",
        "password": "secret",
        "client_id": "c1",
        "listener": "tls",
        "address": "192.0.2.7",
        "version": 5,
        "psk_identity": None,
        "bearer": None,
        "path": "/mqtt?a=1",
    }
    assert server.connections == 1, "the connection is kept open"


async def test_it_decides_about_topics_and_keys(server: AuthServer) -> None:
    kim = Identity("kim", PLUGIN)
    async with asking(f"http://localhost:{server.port}/") as plugin:
        assert await plugin.authorize(kim, "c1", "publish", "hall/lamp", 1, True)
        assert not await plugin.authorize(kim, "c1", "subscribe", "#", 0, False)
        assert await plugin.psk_key("dev1") == bytes.fromhex("00ff10")
        assert await plugin.psk_key("dev2") is None
    assert {name: server.asked[0][name] for name in ("action", "topic", "qos", "retain")} == {
        "action": "publish",
        "topic": "hall/lamp",
        "qos": 1,
        "retain": True,
    }


async def test_a_token_says_who_the_broker_is(server: AuthServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("aXk3\n")
    token.chmod(0o600)
    async with asking(f"http://127.0.0.1:{server.port}", bearer_file=str(token)) as plugin:
        await plugin.authenticate(KIM)
    assert server.asked[0]["bearer"] == "Bearer aXk3"


async def test_tls_is_checked_with_the_ca_file(tls_server: AuthServer, pki: TestPki) -> None:
    address = str(tls_server.server_address[0])
    url = f"https://{address}:{tls_server.port}/"
    async with asking(url) as plugin:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get"):
            await plugin.authenticate(KIM)
    async with asking(url, ca_file=str(pki.ca_pem)) as plugin:
        if address == "127.0.0.1":
            assert isinstance(await plugin.authenticate(KIM), Accepted)
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
                await plugin.authenticate(KIM)
    assert len(tls_server.asked) == (1 if address == "127.0.0.1" else 0)


async def test_many_questions_at_once_keep_few_connections_open(server: AuthServer) -> None:
    async with asking(f"http://127.0.0.1:{server.port}") as plugin:
        answers = await asyncio.gather(*(plugin.authenticate(KIM) for _ in range(40)))
        assert all(isinstance(answer, Accepted) for answer in answers)
        before = server.connections
        for _ in range(20):
            await plugin.authenticate(KIM)
        assert server.connections == before


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def misbehaving(handler: Serve) -> AsyncIterator[str]:
    """A server that does what the test says; gives its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort() if writer.is_closing() else writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def saying(answer: bytes) -> Serve:
    """Reads a request, and answers with these bytes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(answer)
        await writer.drain()

    return handler


def body(content: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(content), content)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000, "no HTTP"),
        (body(b"x" * 100_000), "larger than 65536 bytes"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            + b"4000\r\n%s\r\n" % (b"x" * 0x4000) * 9,
            "larger",
        ),
        (body(b"{}", "500 Oops"), "status 500"),
        (body(b"{}", "302 Found"), "status 302"),
        (body(b"{}", "204 No Content").replace(b"content-length: 2", b"x: y")[:-2], "status 204"),
        (body(b"<html>"), "not JSON"),
        (body(b"[" * 60_000), "not JSON"),
        (body(b"[]"), "no JSON object"),
        (body(b'{"name": 1}'), "no name"),
        (body(b'{"groups": "people"}'), "no list"),
        (body(b'{"expires": "soon"}'), "no time"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_a_failure(answer: bytes, said: str) -> None:
    async with misbehaving(saying(answer)) as url, asking(url) as plugin:
        with pytest.raises(HttpError, match=said):
            await plugin.authenticate(KIM)


async def test_an_endless_answer_is_cut() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    async with misbehaving(endless) as url, asking(url) as plugin:
        with pytest.raises(HttpError, match="larger than"):
            await plugin.authenticate(KIM)
    assert sent < 64 * 1024 * 1024


async def test_a_server_that_is_too_slow_refuses_the_client() -> None:
    gone = asyncio.Event()

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        try:
            await reader.read(-1)  # until the other side closes
        finally:
            gone.set()

    async with misbehaving(dripping) as url, asking(url) as plugin:
        adapter = PluginAuthenticator(plugin, Calls("http", 0.05, structlog.get_logger()), 60.0)
        decisions: asyncio.Queue[Decision] = asyncio.Queue()
        adapter.authenticate(KIM, decisions.put_nowait)
        assert (await decisions.get()).reason == reasons.SERVER_UNAVAILABLE
        await gone.wait()


async def test_nobody_listening_is_a_failure() -> None:
    async with misbehaving(saying(b"")) as url:
        pass
    async with asking(url) as plugin:
        with pytest.raises(ConnectionRefusedError):
            await plugin.authenticate(KIM)


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    closed = asyncio.Event()
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await saying(body(b"{}"))(reader, writer)
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with misbehaving(once) as url, asking(url) as plugin:
        assert isinstance(await plugin.authenticate(KIM), Accepted)
        await closed.wait()
        assert isinstance(await plugin.authenticate(KIM), Accepted)
    assert connections == 2


async def test_a_longer_answer_than_announced_is_not_taken_for_the_next_one() -> None:
    connections = 0

    async def generous(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await saying(body(b"{}", "403 Forbidden") + body(b"{}"))(reader, writer)
        await reader.read(-1)

    async with misbehaving(generous) as url, asking(url) as plugin:
        for _ in range(2):
            assert isinstance(await plugin.authenticate(KIM), Refused)
    assert connections == 2


@pytest.mark.parametrize(
    ("values", "option", "said"),
    [
        ({}, "url", "missing"),
        ({"url": "auth.example"}, "url", "expected https://HOST/PATH"),
        ({"url": "https://h:x/"}, "url", "no URL"),
        ({"url": "http://auth.example/"}, "url", "in the clear"),
        ({"url": "https://kim:secret@auth.example/"}, "url", "use bearer_file"),
        ({"url": "htps://kim:secret@auth.example/"}, "url", "use bearer_file"),
        ({"url": "https://auth.example/a b"}, "url", "characters"),
        ({"url": "https://auth.example/", "ca_file": __file__}, "ca_file", "no certificates in PEM"),
        ({"url": "https://auth.example/", "ca_file": "/no/such"}, "ca_file", "there is no file"),
        ({"url": "https://auth.example/", "timeout": 3}, "timeout", "not known"),
    ],
)
def test_what_is_wrong_with_an_option_is_said(values: dict[str, Value], option: str, said: str) -> None:
    with pytest.raises(PluginError) as caught:
        load_plugin("http", values)
    assert (caught.value.plugin, caught.value.option) == ("http", option)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
