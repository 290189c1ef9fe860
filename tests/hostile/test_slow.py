"""Slow peers: writers that dribble, readers that lag, connections that are only half there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

import pytest

from tests.hostile.arena import SERVED_WITHIN, Arena
from tests.hostile.conftest import StartArena
from tests.hostile.peers import closing, connected, open_socket, read_packet, read_to_end
from tests.support import packets
from tests.support.packets import Will


def session_of(version: int, topic: str) -> bytes:
    """What a client sends in a short life: every packet type that it may send of itself."""
    return b"".join(
        (
            packets.connect("split", version, will=Will("will", b"w" * 200, 1), username="u", password=b"p"),
            packets.subscribe(1, [(topic, 2), ("other/+/#", 1)], version),
            packets.publish(topic, b"zero", version=version),
            packets.publish(topic, b"one" * 50, 1, 2, version=version),
            packets.publish(topic, b"two", 2, 3, version=version),
            packets.acknowledgement(packets.PUBREL, 3),
            packets.PING,
            packets.unsubscribe(4, ["other/+/#"], version),
            packets.disconnect(),
        )
    )


def answers_to(data: bytes, version: int) -> list[tuple[int, bytes]]:
    """The packets in what the broker sent: their types and payloads."""
    found = []
    while data:
        size = data[1] & 0x7F
        start = 2
        if data[1] & 0x80:
            size += data[2] << 7
            start = 3
        packet = packets.parse(data[0], data[start : start + size], version)
        found.append((packet.type, packet.payload))
        data = data[start + size :]
    return found


def expected_answers() -> list[tuple[int, bytes]]:
    """The answers to `session_of`, sorted."""
    kinds = [packets.CONNACK, packets.SUBACK, packets.PUBACK, packets.PUBREC, packets.PUBCOMP]
    kinds += [packets.PINGRESP, packets.UNSUBACK]
    messages = [(packets.PUBLISH, payload) for payload in (b"zero", b"one" * 50, b"two")]
    return sorted([(kind, b"") for kind in kinds] + messages)


@pytest.mark.parametrize("version", [3, 4, 5])
async def test_a_session_split_at_every_byte(arena: Arena, version: int) -> None:
    stream = session_of(version, "t")
    other = await arena.client()
    for position in range(1, len(stream)):
        with open_socket(arena.address()) as sock:
            sock.sendall(stream[:position])
            await other.ping()  # the first part has been read
            sock.sendall(stream[position:])
            answers = await asyncio.to_thread(read_to_end, sock)
        assert sorted(answers_to(answers, version)) == expected_answers(), f"split at {position}"


@pytest.mark.parametrize("version", [3, 4, 5])
async def test_a_session_sent_a_byte_at_a_time(arena: Arena, version: int) -> None:
    other = await arena.client()
    with open_socket(arena.address()) as sock:
        for byte in session_of(version, "t"):
            sock.sendall(bytes([byte]))
            await other.ping()
        answers = await asyncio.to_thread(read_to_end, sock)
    assert sorted(answers_to(answers, version)) == expected_answers()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 100, 511, 512, 513])
async def test_tls_in_pieces(arena: Arena, size: int) -> None:
    """The whole connection, ClientHello to close_notify, in pieces of `size` bytes."""
    other = await arena.client()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = arena.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with open_socket(arena.address("tls")) as sock:

        async def deliver() -> None:
            data = outgoing.read()
            for position in range(0, len(data), size):
                sock.sendall(data[position : position + size])
                await other.ping()

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await deliver()
                incoming.write(await asyncio.to_thread(sock.recv, 65536))
        await deliver()
        tls.write(session_of(5, "t"))
        await deliver()
        incoming.write(await asyncio.to_thread(read_to_end, sock))
    answers = b""
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while chunk := tls.read(65536):
            answers += chunk
    assert sorted(answers_to(answers, 5)) == expected_answers()


async def test_slow_writers_of_connect_are_served_and_disturb_nobody(arena: Arena) -> None:
    connect = packets.connect("", 4)
    async with arena.bystander() as bystander:
        with closing([open_socket(arena.address()) for _ in range(100)]) as writers:
            for byte in connect:
                for sock in writers:
                    sock.sendall(bytes([byte]))
                await bystander.more(1)
            for sock in writers:
                assert read_packet(sock) == b"\x20\x02\x00\x00"


async def test_dribbling_does_not_extend_the_time_for_connect(start: StartArena) -> None:
    arena = start(timeout=1)
    connect = packets.connect("x" * 200)
    async with arena.bystander() as bystander:
        with open_socket(arena.address()) as sock:
            with contextlib.suppress(ConnectionError):
                for byte in connect:
                    sock.sendall(bytes([byte]))
                    await bystander.more(10)
            assert await asyncio.to_thread(read_to_end, sock) == b""
        assert "no complete CONNECT in time" in arena.broker.log


@pytest.mark.parametrize("listener", ["tcp", "tls", "ws", "wss"])
async def test_who_connects_and_says_nothing_is_dropped_in_time(start: StartArena, listener: str) -> None:
    arena = start(timeout=0.5)
    async with arena.bystander():
        with closing([open_socket(arena.address(listener)) for _ in range(50)]) as silent:
            for sock in silent:
                assert await asyncio.to_thread(read_to_end, sock) == b""
        await arena.until("connections_unauthenticated", lambda number: number == 0)
    kind = "handshake" if listener in ("tls", "wss") else "connect"
    assert await arena.metric(f'refusals_total{{kind="{kind}"}}') == 50


async def test_tls_without_mqtt_is_dropped_in_time(start: StartArena) -> None:
    arena = start(timeout=0.5)
    async with arena.bystander():
        with arena.context().wrap_socket(
            open_socket(arena.address("tls")), server_hostname="localhost"
        ) as sock:
            assert await asyncio.to_thread(read_to_end, sock) == b""
    assert "no complete CONNECT in time" in arena.broker.log


UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)


@pytest.mark.parametrize("length", [1, 20, len(UPGRADE) - 1, len(UPGRADE)])
async def test_an_upgrade_that_is_never_finished(start: StartArena, length: int) -> None:
    arena = start(timeout=0.5)
    async with arena.bystander():
        with open_socket(arena.address("ws")) as sock:
            sock.sendall(UPGRADE[:length])
            answer = await asyncio.to_thread(read_to_end, sock)
    assert answer.startswith(b"HTTP/1.1 101") is (length == len(UPGRADE))
    assert await arena.metric('refusals_total{kind="connect"}') == 1


async def test_endless_headers_of_an_upgrade(arena: Arena) -> None:
    async with arena.bystander():
        with open_socket(arena.address("ws")) as sock:
            with contextlib.suppress(ConnectionError):
                sock.sendall(UPGRADE[:-2] + b"X-Filler: " + b"x" * 500_000)
            await asyncio.to_thread(read_to_end, sock)
    await arena.until_logged("longer than")


async def test_a_half_closed_connection_is_ended(arena: Arena) -> None:
    watcher = await arena.client()
    await watcher.subscribe("will", qos=1)
    sock = connected(arena.address(), "half", will=Will("will", qos=1))
    sock.shutdown(socket.SHUT_WR)
    assert await asyncio.to_thread(read_to_end, sock) == b""
    await watcher.receive("will", b"gone")
    sock.close()


async def test_a_silent_client_is_given_up_after_its_keep_alive(arena: Arena) -> None:
    watcher = await arena.client()
    await watcher.subscribe("will", qos=1)
    async with arena.bystander():
        with connected(arena.address(), "silent", keep_alive=1, will=Will("will", qos=1)) as sock:
            assert (await watcher.read(SERVED_WITHIN)).payload == b"gone"
            goodbye = await asyncio.to_thread(read_to_end, sock)
            assert (goodbye[0], goodbye[2]) == (packets.DISCONNECT << 4, 0x8D)
    assert await arena.metric("keep_alive_timeouts_total") == 1
