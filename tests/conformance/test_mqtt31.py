"""MQTT 3.1 (MQIsdp), where it differs from 3.1.1; what it shares is shown by the tests of every version."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Clients
from tests.support import packets


async def test_mqisdp_3_is_served(connect: Clients, topic: str) -> None:
    wire = await connect(version=3)
    await wire.subscribe(topic, qos=1)
    await wire.send(packets.publish(topic, b"hello", 1, 1, version=3))
    assert {(await wire.read()).type, (await wire.read()).type} == {packets.PUBACK, packets.PUBLISH}


async def test_the_byte_before_the_return_code_stays_0(connect: Clients) -> None:
    """Session Present is an invention of 3.1.1: in 3.1 the byte is not used."""
    name = connect.name()
    await (await connect.resume(name, 3)).disconnect()
    back = await connect.resume(name, 3)
    assert back.connack.acknowledge_flags == 0


async def test_no_client_identifier_is_return_code_2(connect: Clients) -> None:
    """MQTT 3.1 asks for 1 to 23 characters."""
    wire = await connect.open(3)
    await wire.send(packets.connect("", 3))
    refusal = await wire.expect_refused()
    assert refusal is not None
    assert refusal.reason == 2


@pytest.mark.parametrize(("name", "level"), [("MQIsdp", 4), ("MQIsdp", 5), ("MQTT", 3)])
async def test_name_and_level_belong_together(connect: Clients, name: str, level: int) -> None:
    """The name of one version with the level of another is refused."""
    wire = await connect.open(3)
    body = packets.string(name) + bytes([level, 2, 0, 60]) + packets.string(connect.name())
    await wire.send(packets.packet(packets.CONNECT, 0, body))
    answer = await wire.reader.read()
    assert answer in (b"", b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00")


async def test_versions_exchange_messages(connect: Clients, topic: str) -> None:
    wires = [await connect(version=version) for version in (3, 4, 5)]
    for wire in wires:
        await wire.subscribe(topic, qos=2)
    for version in (3, 4, 5):
        await (await connect(version=version)).publish(topic, b"from %d" % version, qos=2)
        for wire in wires:
            assert (await wire.receive(topic, b"from %d" % version)).qos == 2
