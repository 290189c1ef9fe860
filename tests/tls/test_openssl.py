"""The `openssl` program over sockets: another TLS client than Python's, with options of its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lockwire.tls.context import ServerContext
from lockwire.tls.session import Session
from tests.support.peers import peer_path
from tests.tls.certificates import TestPki, make
from tests.tls.conftest import MakeContext
from tests.tls.peers import TLS12, TLS13, client_context, records

pytestmark = pytest.mark.peer("openssl")


class Echo(asyncio.Protocol):
    """A listener's use of a Session, in small: what comes in goes back."""

    def __init__(self, context: ServerContext, listener: Listener) -> None:
        self.session = Session(context)
        self.listener = listener
        listener.sessions.append(self.session)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        chunks = self.session.receive(data)
        output = self.session.pending_output() + b"".join(self.session.send(chunk) for chunk in chunks)
        self.listener.sent += output
        self.transport.write(output)
        if self.session.closed:
            self.transport.write(self.session.close())
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.session.abandon()
        self.listener.done.set()


class Listener:
    """An echo server: its sessions, the bytes that it sent, `done` once a connection has ended."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.sent = bytearray()
        self.done = asyncio.Event()
        self.port = 0

    async def ended(self) -> None:
        """Waits until a connection has ended."""
        async with asyncio.timeout(20):
            await self.done.wait()


@asynccontextmanager
async def listening(context: ServerContext) -> AsyncIterator[Listener]:
    listener = Listener()
    server = await asyncio.get_running_loop().create_server(lambda: Echo(context, listener), "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        await server.wait_closed()


class OpensslClient:
    """A running `openssl s_client`."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.printed = b""

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    async def read_until(self, word: bytes) -> None:
        """Reads what it prints until this word has come."""
        assert self.process.stdout is not None
        start = len(self.printed)
        async with asyncio.timeout(20):
            while word not in self.printed[start:]:
                more = await self.process.stdout.read(4096)
                assert more, self.printed.decode()
                self.printed += more

    async def echo(self, line: bytes) -> None:
        """Sends a line and waits until it has come back."""
        self.write(line)
        await self.read_until(line)

    async def hang_up(self) -> bytes:
        """Ends it; returns all that it printed."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        async with asyncio.timeout(20):
            rest, _ = await self.process.communicate()
        self.printed += rest
        return self.printed


@asynccontextmanager
async def s_client(listener: Listener, pki: TestPki, *options: str) -> AsyncIterator[OpensslClient]:
    process = await asyncio.create_subprocess_exec(
        peer_path("openssl"), "s_client", "-connect", f"127.0.0.1:{listener.port}",
        "-CAfile", str(pki.root_pem), "-verify_return_error", *options,
        stdin=PIPE, stdout=PIPE, stderr=STDOUT,
    )  # fmt: skip
    try:
        yield OpensslClient(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_mutual_handshake_and_echo(
    server_context: MakeContext, pki: TestPki, tmp_path: Path, version: str
) -> None:
    certificate, key = pki.device.write(tmp_path, "device")
    async with listening(server_context(client_certificates="required")) as listener:
        options = (version, "-cert", str(certificate), "-key", str(key), "-alpn", "mqtt")
        async with s_client(listener, pki, *options) as client:
            await client.echo(b"hello\n")
            printed = await client.hang_up()
        await listener.ended()
    assert b"Verify return code: 0 (ok)" in printed
    assert b"ALPN protocol: mqtt" in printed
    assert listener.sessions[0].failure is None
    assert listener.sessions[0].peer_certificate == pki.device.der


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_resumption(server_context: MakeContext, pki: TestPki, tmp_path: Path, version: str) -> None:
    kept = str(tmp_path / "session")
    async with listening(server_context()) as listener:
        for option in ("-sess_out", "-sess_in"):
            async with s_client(listener, pki, version, option, kept) as client:
                await client.echo(b"hello\n")
                await client.hang_up()
    assert [session.resumed for session in listener.sessions] == [False, True]


@pytest.mark.parametrize("name", ["127.0.0.1", "192.168.1.20", "fe80::1", "b_ad-näme"])
async def test_server_names_that_are_no_host_names(
    server_context: MakeContext, pki: TestPki, name: str
) -> None:
    options = ("-servername", name)
    async with listening(server_context()) as listener, s_client(listener, pki, *options) as client:
        await client.echo(b"hello\n")
    assert listener.sessions[0].server_name == name.encode().decode("ascii", "backslashreplace")


async def test_no_server_name(server_context: MakeContext, pki: TestPki) -> None:
    async with listening(server_context()) as listener, s_client(listener, pki, "-noservername") as client:
        await client.echo(b"hello\n")
    assert listener.sessions[0].server_name is None


async def test_key_update(server_context: MakeContext, pki: TestPki) -> None:
    """`K` in s_client asks for new keys in both directions (RFC 8446 section 4.6.3)."""
    options = ("-tls1_3", "-msg")
    async with listening(server_context()) as listener, s_client(listener, pki, *options) as client:
        await client.echo(b"first line\n")
        for line in (b"second line\n", b"third line\n"):
            client.write(b"K\n")
            await client.read_until(b"KeyUpdate")
            await client.echo(line)
        await client.hang_up()
        await listener.ended()
    assert listener.sessions[0].failure is None


async def test_renegotiation_is_refused(server_context: MakeContext, pki: TestPki) -> None:
    """`R` in s_client asks for a handshake within TLS 1.2; a client could keep us busy with them."""
    async with listening(server_context()) as listener, s_client(listener, pki, "-tls1_2") as client:
        await client.echo(b"first line\n")
        client.write(b"R\n")
        await listener.ended()
        assert b"no renegotiation" in await client.hang_up()
    record = listener.sessions[0].failure
    assert record is not None
    assert record.cause == "after_handshake"


async def test_maximum_fragment_length_is_honoured(server_context: MakeContext, pki: TestPki) -> None:
    """[RFC 6066 section 4] Microcontrollers with small buffers ask for it."""
    async with (
        listening(server_context()) as listener,
        s_client(listener, pki, "-tls1_2", "-maxfraglen", "512", "-quiet") as client,
    ):
        await client.echo(b"x" * 3000 + b"\n")
    sent = [length for kind, length in records(bytes(listener.sent)) if kind == 23]
    assert sum(sent) > 3000
    assert max(sent) <= 512 + 24  # nonce and tag of AES-GCM


async def test_compression_is_not_spoken(server_context: MakeContext, pki: TestPki) -> None:
    options = ("-tls1_2", "-comp")
    async with listening(server_context()) as listener, s_client(listener, pki, *options) as client:
        await client.echo(b"hello\n")
        printed = await client.hang_up()
    assert b"Compression: NONE" in printed


async def test_refused_device_reads_its_alert(
    server_context: MakeContext, pki: TestPki, tmp_path: Path
) -> None:
    """In TLS 1.3 the client is done before we refuse: the alert must still arrive."""
    certificate, key = make("stranger", make("Other CA", ca=True)).write(tmp_path, "stranger")
    async with listening(server_context(client_certificates="required")) as listener:
        options = ("-tls1_3", "-cert", str(certificate), "-key", str(key))
        async with s_client(listener, pki, *options) as client:
            await client.read_until(b"alert unknown ca")
        await listener.ended()
    record = listener.sessions[0].failure
    assert record is not None
    assert record.cause == "unknown_ca"
    assert record.alert_sent == 48


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
async def test_python_client_over_a_socket(
    server_context: MakeContext, pki: TestPki, version: ssl.TLSVersion
) -> None:
    payload = bytes(range(256)) * 1024

    def client(port: int) -> bytes:
        config = client_context(pki.root_pem, version, pki.device)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
            config.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            secure.sendall(payload)
            received = b""
            while len(received) < len(payload):
                received += secure.recv(65536)
            secure.unwrap()
            return received

    async with listening(server_context(client_certificates="required")) as listener:
        assert await asyncio.to_thread(client, listener.port) == payload
        await listener.ended()
    assert listener.sessions[0].peer_certificate == pki.device.der
    assert listener.sessions[0].failure is None
