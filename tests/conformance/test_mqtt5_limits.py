"""MQTT 5: a server with narrow limits says so in CONNACK and keeps to what it said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conformance.conftest import Clients, closing
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.broker import Broker, free_port
from tests.support.wire import Address

pytestmark = pytest.mark.usefixtures("own_broker")

LIMITS = """
[[listener]]
transport = "tcp"
port = {port}
authentication = ["anonymous"]
[listener.limits]
keep_alive_maximum = 1
session_expiry_maximum = 1
receive_maximum = 2
topic_alias_maximum = 0
packet_size = "1 KiB"
"""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A broker with the limits above."""
    port = free_port()
    with closing(Broker(tmp_path_factory.mktemp("narrow"), LIMITS.format(port=port), port)) as broker:
        yield broker.address


@pytest.fixture
async def clients(narrow: Address) -> AsyncIterator[Clients]:
    made = Clients(narrow)
    yield made
    made.close()


@statement("MQTT5-3.1.2-22", "MQTT5-3.1.2-21", "MQTT5-3.2.2-21")
@pytest.mark.parametrize("keep_alive", [0, 60])
async def test_server_keep_alive_takes_the_place_of_the_client_s(clients: Clients, keep_alive: int) -> None:
    wire = await clients(keep_alive=keep_alive)
    assert wire.connack.get(packets.SERVER_KEEP_ALIVE) == 1
    said = await wire.expect_closed()
    assert said is None or said.reason == 0x8D


@statement("MQTT5-3.1.2-23", "MQTT5-4.1.0-2")
async def test_a_shorter_session_expiry_is_told_and_kept(clients: Clients) -> None:
    name = clients.name()
    wire = await clients.resume(name)
    assert wire.connack.get(packets.SESSION_EXPIRY_INTERVAL) == 1
    await wire.disconnect()
    await asyncio.sleep(2.0)  # the expiry
    assert not (await clients.resume(name)).connack.session_present


@statement("MQTT5-3.3.4-7", "MQTT5-4.9.0-1", "MQTT5-4.9.0-2")
async def test_one_publication_beyond_receive_maximum_is_0x93(clients: Clients, topic: str) -> None:
    wire = await clients()
    assert wire.connack.get(packets.RECEIVE_MAXIMUM) == 2
    for packet_id in (1, 2):
        await wire.send(packets.publish(topic, b"", 2, packet_id))
        await wire.expect(packets.PUBREC)
    await wire.send(packets.publish(topic, b"", 2, 1, dup=True))
    await wire.expect(packets.PUBREC)  # the same one again is not one more
    await wire.acknowledge(packets.PUBREL, 1)
    await wire.expect(packets.PUBCOMP)
    await wire.send(packets.publish(topic, b"", 2, 3))
    await wire.expect(packets.PUBREC)
    await wire.send(packets.publish(topic, b"", 2, 4))
    said = await wire.expect_closed()
    assert said is not None
    assert said.reason == 0x93


@statement("MQTT5-3.2.2-18", "MQTT5-3.2.2-17", "MQTT5-3.3.2-9")
async def test_without_topic_alias_maximum_every_alias_is_0x94(clients: Clients, topic: str) -> None:
    wire = await clients()
    assert wire.connack.number(packets.TOPIC_ALIAS_MAXIMUM) == 0
    await wire.send(packets.publish(topic, b"", values=[(packets.TOPIC_ALIAS, 1)]))
    said = await wire.expect_closed()
    assert said is not None
    assert said.reason == 0x94


@statement("MQTT5-3.2.2-15", "MQTT5-4.13.1-1")
async def test_a_packet_of_the_maximum_size_fits_and_one_byte_more_is_0x95(
    clients: Clients, topic: str
) -> None:
    wire = await clients()
    assert wire.connack.get(packets.MAXIMUM_PACKET_SIZE) == 1024
    overhead = len(packets.publish(topic, b"x" * 500)) - 500
    await wire.subscribe(topic)
    await wire.send(packets.publish(topic, b"x" * (1024 - overhead)))
    assert (await wire.receive(topic)).size == 1024
    await wire.send(packets.publish(topic, b"x" * (1025 - overhead)))
    said = await wire.expect_closed()
    assert said is not None
    assert said.reason == 0x95
