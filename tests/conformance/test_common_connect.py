"""CONNECT and CONNACK, where the standards agree."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.conformance.versions import every_version, oasis_versions
from tests.support import packets
from tests.support.packets import Will
from tests.support.wire import Wire

FIRST_BYTES = {
    "PINGREQ": packets.PING,
    "PUBLISH": packets.publish("a", b"", version=4),
    "SUBSCRIBE": packets.subscribe(1, [("a", 0)], version=4),
    "DISCONNECT": packets.disconnect(),
    "CONNACK": packets.packet(packets.CONNACK, 0, b"\0\0"),
    "type 0": packets.packet(0, 0, b""),
}


@statement("MQTT311-3.1.0-1", "MQTT5-3.1.0-1", "MQTT311-3.2.0-1", "MQTT5-3.2.0-1", "MQTT5-3.14.0-1")
@statement("MQTT311-4.8.0-1")
@pytest.mark.parametrize("first", FIRST_BYTES)
async def test_anything_before_connect_closes_the_connection_without_a_packet(
    connect: Clients, first: str
) -> None:
    wire = await connect.open()
    await wire.send(FIRST_BYTES[first])
    assert await wire.until_closed() == []


@statement("MQTT311-3.1.0-2", "MQTT5-3.1.0-2", "MQTT5-3.2.0-2", "MQTT311-4.8.0-1", "MQTT5-4.13.1-1")
@every_version
async def test_a_second_connect_closes_the_connection(connect: Clients, version: int) -> None:
    wire = await connect(version=version)
    await wire.send(packets.connect(wire.client_id, version))
    said = await wire.expect_closed()
    assert said is None or said.reason == 0x82


@statement("MQTT311-3.1.4-4", "MQTT311-3.2.0-1", "MQTT5-3.1.4-5", "MQTT5-3.2.0-1", "MQTT5-3.2.0-2")
@statement("MQTT5-3.2.2-1", "MQTT311-7.1.1-1", "MQTT5-4.2.0-1", "MQTT311-7.0.0-2")
@every_version
async def test_a_valid_connect_is_accepted_by_one_connack(connect: Clients, version: int) -> None:
    wire = await connect(version=version)
    assert wire.connack.acknowledge_flags == 0
    await wire.expect_nothing()


@statement("MQTT311-3.1.2-1", "MQTT5-3.1.2-1")
@oasis_versions
async def test_another_protocol_name_is_refused(connect: Clients, version: int) -> None:
    wire = await connect.open(version)
    await wire.send(packets.connect("c", version, name="MQTX"))
    said = await wire.expect_refused()
    assert said is None or said.reason in (0x01, 0x84)


@statement("MQTT311-3.1.2-2", "MQTT5-3.1.2-2", "MQTT311-3.2.2-5", "MQTT5-3.2.2-7")
@pytest.mark.parametrize("level", [0, 2, 6, 255])
async def test_another_protocol_level_is_told_so_and_refused(connect: Clients, level: int) -> None:
    """A version to come may understand 0x84; a client from before MQTT 5 understands return code 1 only."""
    wire = await connect.open(4)
    await wire.send(packets.connect("c", 4)[:8] + bytes([level]) + packets.connect("c", 4)[9:])
    answer = await asyncio.wait_for(wire.reader.read(), 5)
    assert answer in (b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00")[: 1 if level < 5 else 2]


@statement("MQTT311-3.1.3-5", "MQTT5-3.1.3-5", "MQTT311-3.1.3-3", "MQTT5-3.1.3-3")
@every_version
@pytest.mark.parametrize("client_id", ["0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "Z"])
async def test_letters_and_digits_make_a_client_identifier(
    connect: Clients, version: int, client_id: str
) -> None:
    await connect(client_id, version)


@statement("MQTT311-3.1.4-2", "MQTT5-3.1.4-3", "MQTT311-3.1.3-2", "MQTT5-3.1.3-2")
@every_version
async def test_a_client_identifier_in_use_is_taken_over(connect: Clients, version: int) -> None:
    older = await connect(version=version)
    newer = await connect(older.client_id, version)
    said = await older.expect_closed()
    assert (said is None) if version < 5 else (said is not None and said.reason == 0x8E)
    await newer.ping()


@statement("MQTT5-3.1.4-3", "MQTT311-3.1.4-2")
async def test_a_takeover_crosses_versions(connect: Clients) -> None:
    older = await connect(version=5)
    newer = await connect(older.client_id, version=4)
    said = await older.expect_closed()
    assert said is not None
    assert said.reason == 0x8E
    await newer.ping()


@statement("MQTT311-3.12.4-1", "MQTT5-3.12.4-1")
@every_version
async def test_a_ping_is_answered(connect: Clients, version: int) -> None:
    wire = await connect(version=version)
    await wire.send(packets.PING * 3)
    for _ in range(3):
        await wire.expect(packets.PINGRESP)


@statement("MQTT311-3.1.2-24", "MQTT5-3.1.2-22", "MQTT5-3.2.2-22")
async def test_silence_for_one_and_a_half_keep_alives_is_a_failed_connection(
    connect: Clients, topic: str
) -> None:
    watcher = await connect()
    await watcher.subscribe(topic + "/+")

    async def fall_silent(version: int) -> Wire:
        will = Will(f"{topic}/{version}")
        return await connect(version=version, keep_alive=1, will=will)

    silent = [await fall_silent(version) for version in (3, 4, 5)]
    never = await connect(keep_alive=0)
    ended = await asyncio.gather(*(wire.expect_closed() for wire in silent))
    assert ended[0] is None
    assert ended[2] is None or ended[2].reason == 0x8D
    wills = {(await watcher.receive()).topic for _ in silent}
    assert wills == {f"{topic}/3", f"{topic}/4", f"{topic}/5"}
    await never.ping()


@statement("MQTT311-3.1.3-1", "MQTT5-3.1.3-1", "MQTT311-3.1.2-9", "MQTT5-3.1.2-9", "MQTT311-3.1.2-19")
@statement("MQTT5-3.1.2-17", "MQTT311-3.1.2-21", "MQTT5-3.1.2-19")
@every_version
async def test_the_fields_of_connect_are_read_in_their_order(
    connect: Clients, topic: str, version: int
) -> None:
    """With everything there, the will that comes out is the one that went in."""
    watcher = await connect()
    await watcher.subscribe(topic)
    will = Will(topic, b"last words", 1)
    client = await connect(version=version, will=will, username="user", password=b"\0secret")
    client.abort()
    await watcher.receive(topic, b"last words")


@statement("MQTT311-3.1.4-5", "MQTT5-3.1.4-6")
@oasis_versions
async def test_nothing_after_a_refused_connect_is_processed(
    connect: Clients, topic: str, version: int
) -> None:
    watcher = await connect()
    await watcher.subscribe(topic)
    wire = await connect.open(version)
    refused = packets.connect("", 4, clean=False)
    if version == 5:
        refused = packets.connect(connect.name(), values=[(packets.AUTHENTICATION_METHOD, "no-such-method")])
    await wire.send(refused, packets.publish(topic, b"smuggled", version=version))
    assert await wire.expect_refused() is not None
    await (await connect()).publish(topic, b"marker")
    await watcher.receive(topic, b"marker")


@statement("MQTT311-3.2.2-1", "MQTT311-3.2.2-2", "MQTT311-3.2.2-3", "MQTT311-3.1.4-3")
@statement("MQTT5-3.2.2-2", "MQTT5-3.2.2-3", "MQTT5-3.1.4-4", "MQTT5-3.1.2-6")
@oasis_versions
async def test_session_present_says_whether_there_was_a_session(connect: Clients, version: int) -> None:
    name = connect.name()
    present = []
    for clean in (False, False, True, False):
        values = [(packets.SESSION_EXPIRY_INTERVAL, 300)] if version == 5 and not clean else []
        wire = await connect(name, version, clean=clean, values=values)
        present.append(wire.connack.session_present)
        await wire.disconnect()
    assert present == [False, True, False, False]
