"""Floods that meet a limit: to clients that do not read, and from those that do not read their answers.

LOCKWIRE_FLOOD_BYTES sets how much is published to a subscriber that stopped reading (100 MB where unset).
"""

from __future__ import annotations

import asyncio
import os
import socket
import time

import pytest

from tests.hostile.arena import SERVED_WITHIN, Arena, Bystander
from tests.hostile.conftest import StartArena
from tests.hostile.peers import closing, connected, read_exactly, read_packet, read_to_end, subscribed
from tests.support import packets
from tests.support.wire import Wire

FLOOD = int(os.environ.get("LOCKWIRE_FLOOD_BYTES", "100_000_000"))
MIB = 1024 * 1024

LIMITS = """
outbox_bytes = "4 MiB"
queue_bytes = "8 MiB"
"""
BOUND = 4 * MIB + 3 * (8 + 8) * MIB + 10 * MIB
"""Bytes that one subscriber may cost under these limits: its outbox, then what it has not acknowledged and
what is queued, each message up to three times (payload and two encodings), and 10 MiB for the process.
"""


async def publish_flood(wire: Wire, topic: str, total: int, size: int, qos: int) -> int:
    """Publish `total` bytes in messages of `size`, at most 100 of them unacknowledged; gives their number."""
    window = asyncio.Semaphore(100)
    count = total // size

    async def take_acknowledgements() -> None:
        for _ in range(count):
            await wire.expect(packets.PUBACK, SERVED_WITHIN)
            window.release()

    reader = asyncio.create_task(take_acknowledgements()) if qos else None
    payload = bytes(size)
    for number in range(count):
        if qos:
            await window.acquire()
        await wire.send(packets.publish(topic, payload, qos, number % 65535 + 1))
    if reader is not None:
        await reader
    await wire.send(packets.PING)
    await wire.expect(packets.PINGRESP, SERVED_WITHIN)
    return count


@pytest.mark.parametrize(
    ("qos", "version", "listener"),
    [(0, 5, "tcp"), (0, 4, "tls"), (1, 4, "tcp"), (1, 5, "tcp"), (1, 5, "tls")],
)
async def test_a_subscriber_that_stops_reading(
    start: StartArena, qos: int, version: int, listener: str
) -> None:
    """Memory stays within the limits, what does not fit is dropped and counted, and others get everything."""
    arena = start(LIMITS)
    context = arena.context() if listener == "tls" else None
    publisher = await arena.client()
    reader = await arena.client()
    await reader.subscribe("flood", qos=0)
    received = 0

    async def read_everything() -> None:
        nonlocal received
        while True:
            await reader.expect(packets.PUBLISH, SERVED_WITHIN)
            received += 1

    reading = asyncio.create_task(read_everything())
    highest = 0
    with subscribed(arena.address(listener), "deaf", "flood", qos, version, context):
        async with arena.bystander():
            for _ in range(10):
                await publish_flood(publisher, "flood", FLOOD // 10, 16 * 1024, qos)
                highest = max(highest, arena.grown)
        count = FLOOD // 10 // (16 * 1024) * 10
        assert highest < BOUND, highest
        dropped = await arena.metrics_sum("dropped_total")
        assert dropped >= count - BOUND // (16 * 1024)
    while received < count:
        await asyncio.sleep(0.01)
        assert not reading.done(), reading.result()
    reading.cancel()
    assert await arena.metric("publishers_delayed_total") > 0


async def test_a_stop_with_subscribers_that_do_not_read(start: StartArena) -> None:
    arena = start(LIMITS)
    publisher = await arena.client()
    with closing([subscribed(arena.address(), f"deaf{n}", "flood", 1) for n in range(10)]):
        await publish_flood(publisher, "flood", 10 * MIB, 16 * 1024, 1)
        arena.broker.process.terminate()
        started = time.monotonic()
        assert await asyncio.to_thread(arena.broker.wait, 10) == 0
        assert time.monotonic() - started < 5


async def test_a_session_that_is_away_keeps_no_more_than_its_queue(start: StartArena) -> None:
    arena = start(LIMITS + "queue_messages = 500\n")
    away = await arena.client("away", values=[(packets.SESSION_EXPIRY_INTERVAL, 600)])
    await away.subscribe("flood", qos=1)
    away.abort()
    publisher = await arena.client()
    async with arena.bystander():
        count = await publish_flood(publisher, "flood", 20 * MIB, 1024, 1)
    assert arena.grown < BOUND
    assert await arena.metric('dropped_total{reason="queue_full"}') == count - 500
    back = await arena.client("away", clean=False, values=[(packets.SESSION_EXPIRY_INTERVAL, 0)])
    assert back.connack.session_present
    for _ in range(500):
        await back.receive("flood")
    await back.expect_nothing()


async def send_all_it_takes(
    arena: Arena, bystander: Bystander, sock: socket.socket, data: bytes, most: int
) -> None:
    """Send `data` again and again, `most` bytes at most, until the broker ends it or takes no more of it."""
    sock.setblocking(False)
    sent = 0
    seen = -1.0
    while True:
        try:
            while sent < most:
                sent += sock.send(data)
        except BlockingIOError:
            pass
        except ConnectionError:
            return
        await bystander.more(20)
        packets_seen = await arena.metric("packets_received_total")
        if packets_seen < seen + 1000:  # those are the bystander's
            return
        seen = packets_seen


@pytest.mark.parametrize("version", [4, 5])
async def test_a_publisher_that_does_not_read_its_acknowledgements(start: StartArena, version: int) -> None:
    """Nobody subscribed, so that there is a PUBACK for every few bytes that come in."""
    arena = start('outbox_bytes = "1 MiB"\n')
    flood = b"".join(packets.publish("t", b"", 1, n + 1, version=version) for n in range(5000))
    async with arena.bystander() as bystander:
        with connected(arena.address(), "deaf", version, 4096) as sock:
            await send_all_it_takes(arena, bystander, sock, flood, 10_000_000)
            await bystander.more(5)
            assert arena.grown < BOUND


async def test_pings_whose_answers_are_not_read(start: StartArena) -> None:
    """The answers are kept as long as they are few; then the connection is ended."""
    arena = start('outbox_bytes = "1 MiB"\n')
    async with arena.bystander() as bystander:
        with connected(arena.address(), "deaf", 5, 4096) as sock:
            await send_all_it_takes(arena, bystander, sock, packets.PING * 10_000, 8_000_000)
            assert arena.grown < 20 * MIB
        await arena.until_logged("does not read its answers")


async def test_the_same_subscription_again_and_again_without_reading(arena: Arena) -> None:
    """Each SUBSCRIBE asks for all retained messages anew: a few bytes that each could cost megabytes."""
    publisher = await arena.client()
    for number in range(1000):
        await publisher.send(packets.publish(f"kept/{number}", bytes(1000), 0, retain=True))
    await publisher.ping()
    before = arena.grown
    flood = b"".join(packets.subscribe(n + 1, [("kept/#", 0)]) for n in range(500))
    async with arena.bystander() as bystander:
        with connected(arena.address(), "deaf", 5, 4096) as sock:
            await send_all_it_takes(arena, bystander, sock, flood, len(flood))
            assert arena.grown - before < 20 * MIB
    assert await arena.metric("subscribe_refused_total") > 400


async def test_a_client_that_acknowledges_nothing(start: StartArena) -> None:
    """It reads, its Receive Maximum is 65,535, and what waits for its PUBACKs is bounded all the same."""
    arena = start(LIMITS)
    silent = await arena.client()
    await silent.subscribe("flood", qos=1)
    publisher = await arena.client()

    async def read_everything() -> None:
        while await silent.reader.read(1 << 20):
            pass

    reading = asyncio.create_task(read_everything())
    async with arena.bystander():
        await publish_flood(publisher, "flood", 100 * MIB, 16 * 1024, 1)
        assert arena.grown < BOUND
    reading.cancel()
    assert await arena.metric('dropped_total{reason="queue_full"}') > 5000


async def test_retained_messages_replayed_to_a_slow_subscriber(start: StartArena) -> None:
    """A hundred thousand of them: it gets every one, once, and nobody waits for it."""
    arena = start()
    count = 100_000
    publisher = await arena.client()
    for number in range(count):
        publisher.writer.write(packets.publish(f"kept/{number}", b"x" * 50, 0, retain=True))
        if number % 1000 == 0:
            await publisher.writer.drain()
    await publisher.send(packets.PING)
    await publisher.expect(packets.PINGRESP, 60)
    assert await arena.metric("retained_messages") == count
    size = len(packets.publish("kept/99999", b"x" * 50, 0, retain=True))
    async with arena.bystander() as bystander:
        with connected(arena.address(), "slow", 5, 4096) as sock:
            sock.sendall(packets.subscribe(1, [("kept/#", 0)]))
            suback = read_packet(sock)
            assert suback[0] == packets.SUBACK << 4
            got = bytearray()
            for _ in range(20):  # slow at first
                got += sock.recv(1000)
                await bystander.more(1)
            total = count * size - sum(5 - len(str(number)) for number in range(count))
            while len(got) < total:
                got += await asyncio.to_thread(sock.recv, 1 << 20)
        assert len(got) == total
    topics = {bytes(part[:10]).split(b"x")[0].rstrip(b"\0") for part in got.split(b"kept/")[1:]}
    assert len(topics) == count
    assert arena.grown < 250 * MIB, arena.grown


async def test_a_slow_reader_gets_everything_at_qos_1(start: StartArena) -> None:
    """Slower than its publisher, but reading: the queue holds what the outbox does not."""
    arena = start()
    sock = subscribed(arena.address(), "slow", "t", 1, 4)
    publisher = await arena.client()
    async with arena.bystander():
        publishing = asyncio.create_task(publish_flood(publisher, "t", 2 * MIB, 1024, 1))
        for _ in range(2048):
            body = await asyncio.to_thread(read_large_packet, sock)
            sock.sendall(packets.acknowledgement(packets.PUBACK, int.from_bytes(body[3:5], "big")))
        await publishing
    sock.close()
    assert await arena.metrics_sum("dropped_total") == 0


def read_large_packet(sock: socket.socket) -> bytes:
    """The body of the next packet, which has two bytes of length."""
    head = read_exactly(sock, 3)
    return read_exactly(sock, (head[1] & 0x7F) + (head[2] << 7))


async def test_more_unacknowledged_messages_than_agreed(arena: Arena) -> None:
    """QoS 2 messages that are never released: MQTT 5 ends at the Receive Maximum (0x93)."""
    with connected(arena.address(), "greedy") as sock:
        sock.sendall(b"".join(packets.publish("t", b"", 2, number) for number in range(1, 1100)))
        end = await asyncio.to_thread(read_to_end, sock)
    assert b"\x93" in end[-100:]
