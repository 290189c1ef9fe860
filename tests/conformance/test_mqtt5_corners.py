"""Where two rules of MQTT 5 meet, or two versions."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Properties, Will

EXPIRY = packets.SESSION_EXPIRY_INTERVAL
DELAY = packets.WILL_DELAY_INTERVAL


@statement("MQTT5-3.1.2-22", "MQTT311-3.1.2-24")
async def test_what_the_server_sends_does_not_keep_a_silent_client_alive(
    connect: Clients, topic: str
) -> None:
    """While one that pings lives on, past one and a half keep alives."""
    silent, speaking = await connect(keep_alive=1), await connect(keep_alive=1)
    await silent.subscribe(topic)
    publisher = await connect()
    for _ in range(6):
        await publisher.publish(topic, b"are you there?")
        await speaking.ping()
        await asyncio.sleep(0.4)  # a third of what the keep alive allows
    left = await silent.until_closed()
    assert {packet.type for packet in left} <= {PUBLISH, packets.DISCONNECT}
    await speaking.ping()


@statement("MQTT5-3.1.2-8", "MQTT311-3.1.2-8")
@pytest.mark.parametrize("version", [4, 5])
async def test_the_end_of_the_stream_publishes_the_will(connect: Clients, topic: str, version: int) -> None:
    """A client that closes its side of the connection without DISCONNECT has not said goodbye."""
    watcher = await connect()
    await watcher.subscribe(topic)
    client = await connect(version=version, will=Will(topic))
    client.writer.write_eof()
    await watcher.receive(topic)
    assert await client.until_closed() == []


@statement("MQTT5-3.1.2-5", "MQTT311-3.1.2-4")
@pytest.mark.parametrize(("before", "after"), [(4, 5), (5, 4), (3, 5), (5, 3)])
async def test_a_session_crosses_versions(connect: Clients, topic: str, before: int, after: int) -> None:
    name = connect.name()
    first = await connect.resume(name, before)
    await first.subscribe(topic, qos=2)
    publisher = await connect()
    await publisher.publish(topic, b"in flight", qos=2)
    message = await first.expect(PUBLISH)
    first.abort()
    await publisher.publish(topic, b"queued", qos=1, values=[(packets.USER_PROPERTY, ("a", "b"))])
    second = await connect.resume(name, after)
    again = await second.expect(PUBLISH)
    assert (again.payload, again.packet_id, again.dup) == (b"in flight", message.packet_id, True)
    queued = await second.expect(PUBLISH)
    assert queued.payload == b"queued"
    assert queued.all(packets.USER_PROPERTY) == ([("a", "b")] if after == 5 else [])
    await second.acknowledge(PUBREC, again.packet_id)
    await second.expect(PUBREL)
    await second.acknowledge(PUBCOMP, again.packet_id)
    await second.acknowledge(PUBACK, queued.packet_id)
    await publisher.publish(topic, b"live", qos=0)
    await second.receive(topic, b"live")


@statement("MQTT5-3.1.3-9", "MQTT5-3.1.2-10")
async def test_a_new_connection_brings_its_own_will_or_none(connect: Clients, topic: str) -> None:
    watcher = await connect()
    await watcher.subscribe(f"{topic}/+")
    name = connect.name()
    delayed = [(DELAY, 1)]
    (await connect.resume(name, will=Will(f"{topic}/first", properties=delayed))).abort()
    (await connect.resume(name, will=Will(f"{topic}/second", properties=delayed))).abort()
    other = connect.name()
    (await connect.resume(other, will=Will(f"{topic}/never", properties=delayed))).abort()
    (await connect.resume(other)).abort()
    late = Will(f"{topic}/late", properties=[(DELAY, 2)])
    (await connect.resume(connect.name(), will=late)).abort()
    assert (await watcher.receive()).topic == f"{topic}/second"
    assert (await watcher.receive()).topic == f"{topic}/late"


@statement("MQTT5-3.1.2-23", "MQTT5-4.1.0-2")
async def test_disconnect_can_prolong_a_session(connect: Clients) -> None:
    name = connect.name()
    wire = await connect(name, clean=False, values=[(EXPIRY, 1)])
    await wire.disconnect(values=[(EXPIRY, 100)])
    await asyncio.sleep(1.6)  # longer than CONNECT asked for
    assert (await connect.resume(name)).connack.session_present


@statement("MQTT5-4.9.0-1", "MQTT5-4.9.0-2", "MQTT5-4.4.0-1")
async def test_receive_maximum_1_and_qos_2_across_connections(connect: Clients, topic: str) -> None:
    """At no time more than one PUBLISH is without its PUBCOMP, and the order holds."""
    name = connect.name()
    values = [(packets.RECEIVE_MAXIMUM, 1)]
    wire = await connect.resume(name, values=values)
    await wire.subscribe(topic, qos=2)
    publisher = await connect()
    for number in range(4):
        await publisher.publish(topic, b"%d" % number, qos=2)
    for number in range(4):
        message = await wire.expect(PUBLISH)
        assert message.payload == b"%d" % number
        wire.abort()
        wire = await connect.resume(name, values=values)
        again = await wire.expect(PUBLISH)
        assert (again.packet_id, again.dup) == (message.packet_id, True)
        await wire.acknowledge(PUBREC, again.packet_id)
        await wire.expect(PUBREL)
        wire.abort()
        wire = await connect.resume(name, values=values)
        assert (await wire.expect(PUBREL)).packet_id == message.packet_id
        await wire.acknowledge(PUBCOMP, message.packet_id)
    await wire.expect_nothing()


@statement("MQTT5-4.8.2-3", "MQTT5-4.5.0-1")
async def test_a_group_prefers_members_that_are_there(connect: Clients, topic: str) -> None:
    """A message for a group waits with a session that is away only while nobody else is there."""
    away = await connect.resume(connect.name())
    await away.subscribe(f"$share/g/{topic}", qos=1)
    await away.disconnect()
    there = await connect()
    await there.subscribe(f"$share/g/{topic}", qos=1)
    publisher = await connect()
    for number in range(6):
        await publisher.publish(topic, b"%d" % number, qos=1)
    assert await there.payloads(6) == [b"%d" % number for number in range(6)]
    await there.disconnect()
    await publisher.publish(topic, b"waits", qos=1)
    back = await connect.resume(away.client_id)
    await back.receive(topic, b"waits")
    await back.expect_nothing()


@statement("MQTT5-3.3.4-2", "MQTT5-4.8.2-3")
async def test_a_shared_and_a_plain_subscription_of_one_client_give_a_copy_each(
    connect: Clients, topic: str
) -> None:
    wire = await connect()
    identifier = packets.SUBSCRIPTION_IDENTIFIER
    await wire.subscribe(topic, values=[(identifier, 1)])
    await wire.subscribe(f"$share/g/{topic}", values=[(identifier, 2)])
    await (await connect()).publish(topic, b"two")
    copies = [await wire.receive(topic, b"two") for _ in range(2)]
    assert sorted(str(copy.all(identifier)) for copy in copies) == ["[1]", "[2]"]
    await wire.expect_nothing()


@statement("MQTT5-3.8.4-4", "MQTT5-3.8.4-5", "MQTT5-3.3.1-10")
async def test_the_same_filter_twice_in_one_subscribe(connect: Clients, topic: str) -> None:
    """As two packets: the second replaces the first, and with Retain Handling 1 finds it there."""
    await (await connect()).publish(topic, b"kept", qos=1, retain=True)
    wire = await connect()
    await wire.send(packets.subscribe(1, [(topic, 0x02), (topic, 0x11)]))
    seen = [await wire.read() for _ in range(2)]
    kept = next(packet for packet in seen if packet.type == PUBLISH)
    suback = next(packet for packet in seen if packet.type == packets.SUBACK)
    assert suback.reasons == [2, 1]
    assert kept.payload == b"kept"
    await wire.acknowledge(PUBACK, kept.packet_id)
    await wire.expect_nothing()
    await (await connect()).publish(topic, b"live", qos=2)
    assert (await wire.receive(topic, b"live")).qos == 1


@statement("MQTT5-3.3.2-17", "MQTT5-3.3.2-20")
async def test_properties_stay_behind_for_older_versions(connect: Clients, topic: str) -> None:
    wires = [await connect(version=version) for version in (3, 4)]
    for wire in wires:
        await wire.subscribe(topic, qos=1)
    values: Properties = [(packets.CONTENT_TYPE, "text/plain"), (packets.USER_PROPERTY, ("a", "b"))]
    await (await connect()).publish(topic, b"plain", qos=1, values=values)
    for wire in wires:
        message = await wire.receive(topic, b"plain")
        assert message.size == len(packets.publish(topic, b"plain", 1, 1, version=4))


@statement("MQTT5-3.3.2-12", "MQTT5-3.3.1-5")
async def test_a_topic_alias_serves_retained_messages_too(connect: Clients, topic: str) -> None:
    publisher = await connect()
    alias = [(packets.TOPIC_ALIAS, 1)]
    await publisher.publish(topic, b"first", qos=1, values=alias)
    await publisher.publish("", b"kept", qos=1, retain=True, values=alias)
    reader = await connect(version=4)
    await reader.subscribe(topic)
    assert (await reader.receive(topic, b"kept")).retain


@statement("MQTT5-3.3.2-5", "MQTT5-3.3.1-5")
async def test_a_retained_message_that_expired_is_not_replaced_by_the_one_before(
    connect: Clients, topic: str
) -> None:
    publisher = await connect()
    await publisher.publish(topic, b"before", qos=1, retain=True)
    expiry = [(packets.MESSAGE_EXPIRY_INTERVAL, 1)]
    await publisher.publish(topic, b"short lived", qos=1, retain=True, values=expiry)
    await asyncio.sleep(1.6)  # the expiry
    reader = await connect()
    await reader.subscribe(topic)
    await reader.expect_nothing()


@statement("MQTT5-4.1.0-1", "MQTT5-3.10.4-2")
async def test_queued_messages_outlive_the_subscription_they_came_by(connect: Clients, topic: str) -> None:
    """Unsubscribing stops new messages; what is in flight is finished, what waits may come or not."""
    wire = await connect(values=[(packets.RECEIVE_MAXIMUM, 1)])
    await wire.subscribe(topic, qos=1)
    publisher = await connect()
    for number in range(3):
        await publisher.publish(topic, b"%d" % number, qos=1)
    first = await wire.expect(PUBLISH)
    await wire.unsubscribe(topic)
    await publisher.publish(topic, b"new", qos=1)
    await wire.acknowledge(PUBACK, first.packet_id)
    await wire.send(packets.PING)
    while (packet := await wire.read()).type != packets.PINGRESP:
        assert packet.payload in (b"1", b"2")
        await wire.acknowledge(PUBACK, packet.packet_id)


@statement("MQTT5-3.3.4-1", "MQTT5-4.2.0-1")
@pytest.mark.parametrize("version", [4, 5])
async def test_a_large_message_arrives_whole(connect: Clients, topic: str, version: int) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic, qos=1)
    payload = bytes(range(256)) * 4096
    publisher = await connect(version=version)
    await publisher.publish(topic, payload, qos=1)
    await wire.receive(topic, payload)


@statement("MQTT5-3.8.4-5", "MQTT5-3.10.4-6")
async def test_hundreds_of_filters_in_one_packet(connect: Clients, topic: str) -> None:
    wire = await connect()
    filters = [f"{topic}/{number}" for number in range(500)]
    await wire.subscribe(*filters, qos=1)
    await (await connect()).publish(filters[-1], b"last")
    await wire.receive(filters[-1])
    assert (await wire.unsubscribe(*filters)).reasons == [0] * 500
