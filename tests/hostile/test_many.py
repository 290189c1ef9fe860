"""Many at once: connections, deaths, takeovers, subscriptions, topics."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import pytest

from tests.hostile.arena import SERVED_WITHIN, Arena
from tests.hostile.conftest import StartArena
from tests.hostile.peers import closing, connected, open_socket, read_exactly, read_packet, read_to_end
from tests.support import packets
from tests.support.packets import Will

MIB = 1024 * 1024


def reset(sock: socket.socket) -> None:
    """Close with RST: what is on the way is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def test_a_thousand_clients_die_at_once(arena: Arena) -> None:
    watcher = await arena.client()
    await watcher.subscribe("wills/#", qos=1)
    async with arena.bystander():
        with closing([]) as sockets:
            for number in range(1000):
                will = Will(f"wills/{number}", b"dead", 1)
                sockets.append(connected(arena.address(), f"mortal{number}", will=will))
            for sock in sockets:
                reset(sock)
        topics = set()
        for _ in range(1000):
            message = await watcher.read(SERVED_WITHIN)
            await watcher.acknowledge(packets.PUBACK, message.packet_id)
            topics.add(message.topic)
        assert len(topics) == 1000
        await arena.until("connections", lambda number: number == 2)
        assert await arena.metric("sessions") == 2


async def test_clients_that_die_while_they_connect(arena: Arena) -> None:
    async with arena.bystander():
        for listener in ("tcp", "tls", "ws"):
            for length in range(0, 40, 2):
                for _ in range(5):
                    sock = open_socket(arena.address(listener))
                    sock.sendall(packets.connect("unborn" * 5)[:length])
                    reset(sock)
        await arena.until("connections", lambda number: number == 1)
        assert await arena.metric("connections_unauthenticated") == 0


async def test_a_storm_of_takeovers(arena: Arena) -> None:
    """One client identifier, three hundred times, while messages come for it: none is lost."""
    publisher = await arena.client()
    lasting = [(packets.SESSION_EXPIRY_INTERVAL, 600)]
    first = await arena.client("twin", values=lasting)
    await first.subscribe("storm", qos=1)
    first.abort()
    async with arena.bystander():
        with closing([]) as twins:
            for number in range(300):
                await publisher.send(packets.publish("storm", b"%d" % number, 1, number + 1))
                sock = open_socket(arena.address())
                sock.sendall(packets.connect("twin", clean=False, values=lasting))
                twins.append(sock)
            for _ in range(300):
                await publisher.expect(packets.PUBACK, SERVED_WITHIN)
            assert await arena.until("takeovers_total", lambda number: number >= 250)
            assert await arena.metric("sessions") == 3
            for sock in twins[:-1]:
                end = await asyncio.to_thread(read_to_end, sock)
                # Session taken over; one that was taken over before its CONNACK hears nothing.
                assert b"\x8e" in end or not end
        last = await arena.client("twin", clean=False)
        payloads = [(await last.receive("storm")).payload for _ in range(300)]
        assert payloads == [b"%d" % number for number in range(300)]


async def test_a_storm_of_takeovers_within_one_tick(arena: Arena) -> None:
    async with arena.bystander():
        with closing([open_socket(arena.address()) for _ in range(200)]) as sockets:
            for sock in sockets:
                sock.sendall(packets.connect("one"))
            await arena.until("takeovers_total", lambda number: number == 199)
            await arena.until("connections", lambda number: number == 2)


async def test_more_connections_than_the_listener_takes(start: StartArena) -> None:
    arena = start(plain="[listener.limits]\nconnections = 50\n")
    async with arena.bystander():
        with closing([connected(arena.address(), f"in{n}") for n in range(50)]):
            for _ in range(100):
                with open_socket(arena.address()) as sock:
                    assert await asyncio.to_thread(read_to_end, sock) == b""
            assert await arena.metric("connections_refused_total") == 100
            assert "too many connections" in arena.broker.log
            assert arena.broker.log.count("connection refused") < 10
        await arena.until("connections", lambda number: number == 1)
        connected(arena.address(), "after").close()


async def test_more_connections_than_the_broker_takes(start: StartArena) -> None:
    arena = start("connections = 50\n")
    async with arena.bystander():
        with closing([connected(arena.address(), f"in{n}") for n in range(49)]):
            for listener in ("tcp", "ws", "tls"):
                with open_socket(arena.address(listener)) as sock:
                    assert await asyncio.to_thread(read_to_end, sock) == b""
            assert await arena.metric("connections_refused_total") == 3


async def test_more_connections_than_an_address_may_have(start: StartArena) -> None:
    arena = start("connections_per_address = 20\n")
    async with arena.bystander():
        with closing([connected(arena.address(), f"in{n}") for n in range(20)]):
            with open_socket(arena.address()) as sock:
                assert await asyncio.to_thread(read_to_end, sock) == b""
            with socket.socket() as other:
                other.settimeout(30)
                other.bind(("127.0.0.2", 0))
                other.connect(arena.address())
                other.sendall(packets.connect("other"))
                assert read_packet(other)[3] == 0


async def test_more_unauthenticated_connections_than_there_may_be(start: StartArena) -> None:
    """Those that are too many are closed; when the others were given up there is room again."""
    arena = start("unauthenticated_connections = 100\n", timeout=1)
    async with arena.bystander():
        with closing([open_socket(arena.address()) for _ in range(400)]):
            await arena.until("connections_refused_total", lambda number: number == 300)
            assert await arena.metric("connections_unauthenticated") <= 100
            await arena.until("connections_unauthenticated", lambda number: number == 0)
            late = await arena.client("late")
            await late.disconnect()


async def test_a_flood_of_connections(start: StartArena) -> None:
    """Two thousand that come and go as fast as they can; `connection_rate` lets in so many a second."""
    arena = start("connection_rate = 500\n")
    async with arena.bystander():
        before = await arena.metric("connections_opened_total")
        for _ in range(20):
            with closing([open_socket(arena.address()) for _ in range(100)]):
                pass
        await arena.until("connections_opened_total", lambda number: number >= before + 1900)
        await arena.until("connections", lambda number: number == 1)


async def test_a_flood_of_subscriptions(start: StartArena) -> None:
    arena = start("subscriptions = 25_000\n")
    async with arena.bystander() as bystander:
        greedy = [await arena.client() for _ in range(3)]
        granted = []
        for who, wire in enumerate(greedy):
            for start_at in range(0, 12_000, 1000):
                filters = [(f"f/+/{who}/{n}/#", 0) for n in range(start_at, start_at + 1000)]
                await wire.send(packets.subscribe(1, filters))
                suback = await wire.expect(packets.SUBACK, SERVED_WITHIN)
                assert set(suback.reasons) <= {0, 0x97}
                granted.append(suback.reasons.count(0))
        assert sum(granted[:12]) == 10_000
        assert 24_000 < sum(granted) < 25_000
        assert await arena.metric("subscriptions") == 25_000
        assert await arena.metric("subscribe_refused_total") == 36_000 - sum(granted)
        for wire in greedy:
            wire.abort()
        await bystander.more()
        await arena.until("subscriptions", lambda number: number == 1)


async def test_subscribing_and_unsubscribing_as_fast_as_can_be(arena: Arena) -> None:
    churn = b"".join(
        packets.subscribe(n + 1, [(f"churn/+/{n % 50}", 1)])
        + packets.unsubscribe(n + 1, [f"churn/+/{n % 50}"])
        for n in range(10_000)
    )
    async with arena.bystander():
        wire = await arena.client()
        wire.writer.write(churn)
        for _ in range(20_000):
            await wire.read(SERVED_WITHIN)
    assert await arena.metric("subscriptions") == 0


async def test_topics_as_large_as_can_be(arena: Arena) -> None:
    wire = await arena.client()
    async with arena.bystander():
        for topic in ("x" * 65_535, "/".join("a" * 127)):
            await wire.subscribe(topic)
            await wire.send(packets.publish(topic, b"there"))
            assert (await wire.receive(topic)).payload == b"there"
            await wire.unsubscribe(topic)


@pytest.mark.parametrize("levels", [129, 32_768, 65_535])
async def test_topics_with_too_many_levels(arena: Arena, levels: int) -> None:
    topic = "/" * (levels - 1)
    async with arena.bystander():
        wire = await arena.client()
        await wire.send(packets.subscribe(1, [(topic, 0)]))
        assert (await wire.expect(packets.SUBACK)).reasons == [0x8F]
        await wire.send(packets.publish(topic))
        goodbye = await wire.expect_closed()
        assert goodbye is not None
        assert goodbye.reason == 0x90


async def test_many_large_topics_cost_no_memory(arena: Arena) -> None:
    """Each of them is new, and what the broker remembers of a topic is bounded by bytes as well."""
    publisher = await arena.client()
    filler = "x" * 60_000
    async with arena.bystander():
        for number in range(3000):
            await publisher.send(packets.publish(f"{number}/{filler}"))
        await publisher.send(packets.PING)
        await publisher.expect(packets.PINGRESP, SERVED_WITHIN)
        assert arena.grown < 64 * MIB


async def test_many_deep_topics_cost_no_memory(arena: Arena) -> None:
    """What is remembered of a topic grows with its levels, and so its levels count."""
    publisher = await arena.client()
    deep = "/".join("a" * 127)
    async with arena.bystander():
        for number in range(20_000):
            await publisher.send(packets.publish(f"{number}/{deep}"))
        await publisher.send(packets.PING)
        await publisher.expect(packets.PINGRESP, SERVED_WITHIN)
        assert arena.grown < 400 * MIB


async def test_many_topics_cost_little_memory(arena: Arena) -> None:
    publisher = await arena.client()
    async with arena.bystander():
        flood = b"".join(packets.publish(f"many/{number}/topics") for number in range(100_000))
        publisher.writer.write(flood + packets.PING)
        await publisher.expect(packets.PINGRESP, SERVED_WITHIN)
        assert arena.grown < 150 * MIB


async def test_wildcards_against_deep_topics(arena: Arena) -> None:
    """Filters that branch at every level are matched in time all the same."""
    wire = await arena.client()
    names = ["/".join("+" if mask >> level & 1 else "a" for level in range(10)) for mask in range(1024)]
    async with arena.bystander():
        for start_at in range(0, 1024, 128):
            await wire.subscribe(*names[start_at : start_at + 128])
        for _ in range(100):
            await wire.send(packets.publish("/".join("a" * 10)))
            await wire.receive()


async def test_retained_messages_beyond_their_limit(start: StartArena) -> None:
    arena = start('retained_messages = 1000\nretained_bytes = "1 MiB"\n')
    wire = await arena.client()
    async with arena.bystander():
        answers = []
        for number in range(1500):
            await wire.send(packets.publish(f"kept/{number}", b"x", 1, 1, retain=True))
            answers.append((await wire.expect(packets.PUBACK, SERVED_WITHIN)).reason)
        assert answers.count(0x97) == 500
        await wire.send(packets.publish("kept/0", bytes(2 * MIB), 1, 1, retain=True))
        assert (await wire.expect(packets.PUBACK)).reason == 0x97
    assert await arena.metric("retained_messages") == 1000
    assert await arena.metric('dropped_total{reason="retained_full"}') == 501


async def test_packets_larger_than_allowed(start: StartArena) -> None:
    arena = start('packet_size = "64 KiB"\n')
    async with arena.bystander():
        for version in (4, 5):
            with connected(arena.address(), "large", version) as sock:
                with contextlib.suppress(ConnectionError):
                    sock.sendall(packets.publish("t", bytes(70_000), version=version))
                end = await asyncio.to_thread(read_to_end, sock)
                assert (b"\x95" in end) is (version == 5)


async def test_the_last_byte_of_a_large_packet_never_comes(arena: Arena) -> None:
    """Fifty clients hold half a packet each: that costs what they sent, once."""
    half = packets.publish("t", bytes(1 * MIB))[:-1]
    async with arena.bystander() as bystander:
        with closing([connected(arena.address(), f"half{n}") for n in range(50)]) as sockets:
            for sock in sockets:
                sock.sendall(half)
            await bystander.more()
            assert arena.grown < 50 * MIB + 40 * MIB
            for sock in sockets:
                sock.sendall(b"\0" + packets.PING)
                assert read_exactly(sock, 2) == b"\xd0\0"
