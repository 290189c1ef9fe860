"""Peers that speak something else, or nothing that anybody speaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl

import pytest

from tests.hostile.arena import Arena
from tests.hostile.peers import closing, open_socket, read_to_end
from tests.support import packets

LISTENERS = ("tcp", "tls", "ws", "wss")
GARBAGE = 64 * 1024
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl\r\nAccept: */*\r\n\r\n"


def client_hello() -> bytes:
    """The first flight of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


async def answer_to(arena: Arena, listener: str, data: bytes) -> bytes:
    """What the broker says to these bytes before it closes, which it has to do."""
    with open_socket(arena.address(listener)) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
        return await asyncio.to_thread(read_to_end, sock)


def garbage_of(seed: int) -> bytes:
    """64 KiB that end soon wherever they go: no type of packet that may come first, no record, no method."""
    noise = random.Random(seed)
    first = noise.choice([byte for byte in range(256) if byte not in (0x10, 0x16) and not 65 <= byte <= 90])
    return bytes([first]) + noise.randbytes(GARBAGE - 1)


@pytest.mark.parametrize("listener", LISTENERS)
async def test_garbage_before_connect(arena: Arena, listener: str) -> None:
    async with arena.bystander():
        for seed in range(50):
            assert len(await answer_to(arena, listener, garbage_of(seed))) < 400
        await arena.until("connections_unauthenticated", lambda number: number == 0)
    refused = await arena.metrics_sum("refusals_total")
    assert refused == 50
    assert arena.broker.log.count("refused") < 20, "a line each would fill the disk"


async def test_garbage_that_looks_like_the_beginning_of_a_large_connect(arena: Arena) -> None:
    """It may send no more than `connect_bytes`, whatever its header announces."""
    async with arena.bystander():
        for announced in (100_000, 1_000_000, 268_435_455):
            header = b"\x10" + packets.variable_byte_integer(announced)
            await answer_to(arena, "tcp", header + bytes(GARBAGE))
    assert arena.grown < 20_000_000
    assert await arena.metric("protocol_errors_total") == 3


async def test_64_kib_in_a_connect_that_is_never_completed(arena: Arena) -> None:
    """Two hundred peers that each send all they may, and then wait: what they cost is bounded."""
    header = b"\x10" + packets.variable_byte_integer(GARBAGE - 4)
    async with arena.bystander() as bystander:
        with closing([open_socket(arena.address()) for _ in range(200)]) as sockets:
            for sock in sockets:
                sock.sendall(header + bytes(GARBAGE - 100))
            await bystander.more()
            assert await arena.metric("connections_unauthenticated") >= 200
            assert arena.grown < 200 * 2 * GARBAGE + 20_000_000


async def test_a_client_hello_on_the_plain_port(arena: Arena) -> None:
    async with arena.bystander():
        answer = await answer_to(arena, "tcp", client_hello())
    assert answer == b""
    await arena.until_logged("this is TLS")
    assert await arena.metric("protocol_errors_total") == 1


@pytest.mark.parametrize("version", [4, 5])
async def test_a_connect_on_the_tls_port(arena: Arena, version: int) -> None:
    async with arena.bystander():
        answer = await answer_to(arena, "tls", packets.connect("lost", version))
    assert answer[:1] in (b"", b"\x15"), "a TLS alert or nothing"
    assert await arena.metric("handshakes_failed_total") == 1
    await arena.until_logged("MQTT")


@pytest.mark.parametrize("listener", ["tcp", "tls"])
async def test_http(arena: Arena, listener: str) -> None:
    async with arena.bystander():
        await answer_to(arena, listener, HTTP)
    assert await arena.metrics_sum("refusals_total") == 1
    await arena.until_logged("this is HTTP" if listener == "tcp" else "HTTP")


async def test_http_without_an_upgrade_is_told_what_to_do(arena: Arena) -> None:
    async with arena.bystander():
        assert (await answer_to(arena, "ws", HTTP.replace(b"GET / ", b"GET /mqtt "))).startswith(
            b"HTTP/1.1 426"
        )
        assert (await answer_to(arena, "ws", HTTP)).startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("data", [client_hello(), packets.connect("lost")], ids=["ClientHello", "CONNECT"])
async def test_other_protocols_on_the_websocket_port(arena: Arena, data: bytes) -> None:
    async with arena.bystander():
        await answer_to(arena, "ws", data)
    await arena.until_logged("not HTTP")


async def test_broken_handshakes(arena: Arena) -> None:
    """ClientHellos with a byte changed, cut off, or with more behind them than belongs there."""
    hello = client_hello()
    noise = random.Random(1)
    async with arena.bystander():
        for _ in range(200):
            broken = bytearray(hello)
            for _ in range(noise.randrange(1, 4)):
                broken[noise.randrange(5, len(broken))] ^= 1 << noise.randrange(8)
            with open_socket(arena.address("tls")) as sock:
                sock.sendall(broken + noise.randbytes(noise.choice((0, 0, 100, 20_000))))
                sock.shutdown(socket.SHUT_WR)
                await asyncio.to_thread(read_to_end, sock)
        await arena.until("connections_unauthenticated", lambda number: number == 0)
    assert await arena.metric("handshakes_failed_total") == 200


async def test_a_thousand_client_hellos_and_then_silence(arena: Arena) -> None:
    hello = client_hello()
    async with arena.bystander() as bystander:
        with closing([open_socket(arena.address("tls")) for _ in range(1000)]) as sockets:
            for sock in sockets:
                sock.sendall(hello)
            await bystander.more(5)
            await arena.until("connections_unauthenticated", lambda number: number >= 1000)
            assert arena.grown < 1000 * 64 * 1024 + 30_000_000
        await arena.until("connections_unauthenticated", lambda number: number == 0)
    assert await arena.metric("handshakes_failed_total") == 1000


async def test_garbage_after_the_connack(arena: Arena) -> None:
    noise = random.Random(2)
    async with arena.bystander():
        for _ in range(100):
            data = packets.connect("garbage", 5) + bytes([noise.randrange(256)]) + noise.randbytes(5000)
            with open_socket(arena.address()) as sock:
                with contextlib.suppress(ConnectionError):
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                await asyncio.to_thread(read_to_end, sock)
        await arena.until("sessions", lambda number: number == 1)
    assert await arena.metric("protocol_errors_total") > 50
