"""The QoS flows, resending and order, where the standards agree."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.conformance.versions import every_version
from tests.support import packets
from tests.support.packets import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL

IDENTIFIERS = pytest.mark.parametrize("packet_id", [1, 0x0100, 0xFFFF])


@statement("MQTT311-2.3.1-5", "MQTT311-3.3.4-1", "MQTT311-4.3.1-1", "MQTT5-2.2.1-2", "MQTT5-3.3.4-1")
@statement("MQTT5-4.3.1-1")
@every_version
async def test_qos_0_has_no_identifier_and_no_answer(connect: Clients, topic: str, version: int) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic)
    publisher = await connect(version=version)
    await publisher.send(packets.publish(topic, b"\0\1payload", version=version))
    await publisher.expect_nothing()
    message = await wire.receive(topic, b"\0\1payload")
    assert (message.qos, message.dup, message.packet_id) == (0, False, 0)
    expected = packets.publish(topic, b"\0\1payload", version=version)
    assert message.size == len(expected)


@statement("MQTT311-3.3.1-2", "MQTT311-3.3.1-3", "MQTT5-3.3.1-2", "MQTT5-3.3.1-3")
@every_version
async def test_dup_of_the_publisher_does_not_reach_subscribers(
    connect: Clients, topic: str, version: int
) -> None:
    """With QoS 0, where DUP is not allowed, the server may close instead of delivering it with DUP 0."""
    wire = await connect(version=version)
    await wire.subscribe(topic, qos=2)
    for qos, answer in ((1, PUBACK), (2, PUBREC)):
        publisher = await connect(version=version)
        await publisher.send(packets.publish(topic, b"dup", qos, 5, dup=True, version=version))
        assert (await publisher.expect(answer)).packet_id == 5
        if qos == 2:
            await publisher.acknowledge(PUBREL, 5)
            await publisher.expect(PUBCOMP)
        assert not (await wire.receive(topic, b"dup")).dup
    publisher = await connect(version=version)
    await publisher.send(packets.publish(topic, b"dup", dup=True, version=version), packets.PING)
    answered = await publisher.read_or_close()
    if answered is not None and answered.type == packets.PINGRESP:
        assert not (await wire.receive(topic, b"dup")).dup
    await wire.expect_nothing()


@statement("MQTT311-2.3.1-6", "MQTT311-3.3.4-1", "MQTT311-4.3.2-2")
@statement("MQTT5-2.2.1-5", "MQTT5-3.3.4-1", "MQTT5-4.3.2-4", "MQTT5-4.3.2-5", "MQTT5-3.4.2-1")
@every_version
@IDENTIFIERS
async def test_qos_1_is_acknowledged_and_its_identifier_is_new_again(
    connect: Clients, topic: str, version: int, packet_id: int
) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic)
    publisher = await connect(version=version)
    for payload, dup in ((b"first", False), (b"second", False), (b"third", True)):
        await publisher.send(packets.publish(topic, payload, 1, packet_id, dup=dup, version=version))
        puback = await publisher.expect(PUBACK)
        assert puback.packet_id == packet_id
        assert puback.reason in (0x00, 0x10)
        await wire.receive(topic, payload)


@statement("MQTT311-2.3.1-6", "MQTT311-3.3.4-1", "MQTT311-4.3.3-2")
@statement("MQTT5-2.2.1-5", "MQTT5-3.3.4-1", "MQTT5-4.3.3-8", "MQTT5-4.3.3-10", "MQTT5-4.3.3-11")
@statement("MQTT5-4.3.3-12", "MQTT5-3.5.2-1", "MQTT5-3.7.2-1")
@every_version
@IDENTIFIERS
async def test_qos_2_is_delivered_once_until_it_is_complete(
    connect: Clients, topic: str, version: int, packet_id: int
) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic)
    publisher = await connect(version=version)
    for payload in (b"first", b"second"):
        for dup in (False, True, True):
            await publisher.send(packets.publish(topic, payload, 2, packet_id, dup=dup, version=version))
            pubrec = await publisher.expect(PUBREC)
            assert pubrec.packet_id == packet_id
            assert pubrec.reason in (0x00, 0x10)
        await publisher.acknowledge(PUBREL, packet_id)
        pubcomp = await publisher.expect(PUBCOMP)
        assert (pubcomp.packet_id, pubcomp.reason) == (packet_id, 0)
        await wire.receive(topic, payload)
        await wire.expect_nothing()


@statement("MQTT311-4.3.3-2", "MQTT311-4.4.0-1", "MQTT5-4.3.3-10", "MQTT5-4.3.3-11", "MQTT5-4.4.0-1")
@every_version
async def test_qos_2_from_a_client_is_exactly_once_across_reconnects(
    connect: Clients, topic: str, version: int
) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic)
    name = connect.name()
    publish = packets.publish(topic, b"once", 2, 9, version=version)
    again = packets.publish(topic, b"once", 2, 9, dup=True, version=version)
    first = await connect.resume(name, version)
    await first.send(publish)
    await first.expect(PUBREC)
    first.abort()
    second = await connect.resume(name, version)
    await second.send(again)
    await second.expect(PUBREC)
    await second.acknowledge(PUBREL, 9)
    second.abort()
    third = await connect.resume(name, version)
    await third.acknowledge(PUBREL, 9)
    pubcomp = await third.expect(PUBCOMP)
    assert pubcomp.packet_id == 9
    assert pubcomp.reason in (0x00, 0x92)
    await wire.receive(topic, b"once")
    await wire.expect_nothing()
    await third.send(packets.publish(topic, b"new", 2, 9, version=version))
    await third.expect(PUBREC)
    await third.acknowledge(PUBREL, 9)
    await third.expect(PUBCOMP)
    await wire.receive(topic, b"new")


@statement("MQTT311-2.3.1-4", "MQTT311-4.3.2-1", "MQTT311-4.3.3-1", "MQTT5-2.2.1-4", "MQTT5-4.3.2-1")
@statement("MQTT5-4.3.2-2", "MQTT5-4.3.3-1", "MQTT5-4.3.3-2")
@every_version
async def test_the_server_gives_each_message_in_flight_an_identifier_of_its_own(
    connect: Clients, topic: str, version: int
) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic, qos=2)
    publisher = await connect(version=version)
    for number in range(16):
        await publisher.publish(topic, b"", qos=1 + number % 2)
    messages = [await wire.expect(PUBLISH) for _ in range(16)]
    assert not any(message.dup for message in messages)
    identifiers = {message.packet_id for message in messages}
    assert len(identifiers) == 16
    assert 0 not in identifiers


@statement("MQTT311-4.3.2-1", "MQTT311-4.4.0-1", "MQTT311-3.3.1-1", "MQTT311-4.6.0-1", "MQTT311-2.3.1-4")
@statement("MQTT5-4.3.2-3", "MQTT5-4.4.0-1", "MQTT5-3.3.1-1", "MQTT5-4.3.3-3")
@every_version
async def test_unacknowledged_messages_are_sent_again_on_resuming_in_their_order(
    connect: Clients, topic: str, version: int
) -> None:
    name = connect.name()
    first = await connect.resume(name, version)
    await first.subscribe(topic, qos=2)
    publisher = await connect(version=version)
    for number in range(6):
        await publisher.publish(topic, b"%d" % number, qos=1 + number % 2)
    before = [await first.expect(PUBLISH) for _ in range(6)]
    await first.acknowledge(PUBACK, before[2].packet_id)
    await first.expect_nothing()  # and nothing is sent again on a connection that lives
    first.abort()
    second = await connect.resume(name, version)
    left = [message for message in before if message is not before[2]]
    after = [await second.expect(PUBLISH) for _ in left]
    assert [(message.payload, message.packet_id, message.qos) for message in after] == [
        (message.payload, message.packet_id, message.qos) for message in left
    ]
    assert all(message.dup for message in after)
    await second.expect_nothing()


@statement("MQTT311-4.3.3-1", "MQTT311-2.3.1-6", "MQTT311-4.4.0-1", "MQTT5-4.3.3-4", "MQTT5-4.3.3-5")
@statement("MQTT5-4.3.3-6", "MQTT5-4.4.0-1", "MQTT5-3.6.2-1", "MQTT5-2.2.1-5")
@every_version
async def test_qos_2_to_a_client_goes_on_where_it_was(connect: Clients, topic: str, version: int) -> None:
    """After PUBREC only PUBREL is sent again, until PUBCOMP."""
    name = connect.name()
    first = await connect.resume(name, version)
    await first.subscribe(topic, qos=2)
    await (await connect(version=version)).publish(topic, b"once", qos=2)
    message = await first.expect(PUBLISH)
    await first.acknowledge(PUBREC, message.packet_id)
    pubrel = await first.expect(PUBREL)
    assert (pubrel.packet_id, pubrel.reason) == (message.packet_id, 0)
    await first.expect_nothing()
    first.abort()
    second = await connect.resume(name, version)
    assert (await second.expect(PUBREL)).packet_id == message.packet_id
    await second.acknowledge(PUBCOMP, message.packet_id)
    await second.expect_nothing()
    second.abort()
    third = await connect.resume(name, version)
    await third.expect_nothing()


@statement("MQTT311-4.3.3-1", "MQTT5-4.3.3-4")
@every_version
async def test_a_repeated_pubrec_gets_pubrel_again(connect: Clients, topic: str, version: int) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic, qos=2)
    await (await connect(version=version)).publish(topic, b"once", qos=2)
    message = await wire.expect(PUBLISH)
    for _ in range(2):
        await wire.acknowledge(PUBREC, message.packet_id)
        pubrel = await wire.expect(PUBREL)
        assert pubrel.packet_id == message.packet_id
    await wire.acknowledge(PUBCOMP, message.packet_id)
    await wire.expect_nothing()


@statement("MQTT311-4.6.0-2", "MQTT311-4.6.0-3", "MQTT311-4.6.0-4", "MQTT311-4.3.2-2", "MQTT311-4.3.3-2")
@statement("MQTT5-4.6.0-2", "MQTT5-4.6.0-3")
@every_version
async def test_acknowledgements_come_in_the_order_of_the_messages(
    connect: Clients, topic: str, version: int
) -> None:
    wire = await connect(version=version)
    one = list(range(18, 0, -1))
    await wire.send(*(packets.publish(topic, b"", 1, each, version=version) for each in one))
    assert [(await wire.expect(PUBACK)).packet_id for _ in one] == one
    await wire.send(*(packets.publish(topic, b"", 2, each, version=version) for each in one))
    assert [(await wire.expect(PUBREC)).packet_id for _ in one] == one
    await wire.send(*(packets.acknowledgement(PUBREL, each) for each in one))
    assert [(await wire.expect(PUBCOMP)).packet_id for _ in one] == one


@statement("MQTT311-4.6.0-4", "MQTT5-4.6.0-4")
@every_version
async def test_pubrel_packets_come_in_the_order_of_pubrec(connect: Clients, topic: str, version: int) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic, qos=2)
    publisher = await connect(version=version)
    for _ in range(4):
        await publisher.publish(topic, b"", qos=2)
    identifiers = [(await wire.expect(PUBLISH)).packet_id for _ in range(4)]
    for packet_id in identifiers:
        await wire.acknowledge(PUBREC, packet_id)
    assert [(await wire.expect(PUBREL)).packet_id for _ in range(4)] == identifiers


@statement("MQTT311-4.6.0-5", "MQTT311-4.6.0-6", "MQTT5-4.6.0-5", "MQTT5-4.6.0-6")
@every_version
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_of_a_topic_keep_their_order(
    connect: Clients, topic: str, version: int, qos: int
) -> None:
    subscribers = [await connect(version=version) for _ in range(2)]
    await subscribers[0].subscribe(topic, qos=2)
    await subscribers[1].subscribe(f"{topic}/#", qos=qos)
    publisher = await connect(version=version)
    payloads = [b"%d" % number for number in range(40)]
    for start in range(0, 40, 10):
        burst = [
            packets.publish(topic, payload, qos, 1 + start + number, version=version)
            for number, payload in enumerate(payloads[start : start + 10])
        ]
        await publisher.send(*burst)
        if qos == 2:
            identifiers = [(await publisher.expect(PUBREC)).packet_id for _ in burst]
            await publisher.send(*(packets.acknowledgement(PUBREL, each) for each in identifiers))
            for _ in burst:
                await publisher.expect(PUBCOMP)
    for subscriber in subscribers:
        got: list[bytes] = []
        while len(got) < 40:
            packet = await subscriber.read()
            if packet.type == PUBREL:
                await subscriber.acknowledge(PUBCOMP, packet.packet_id)
                continue
            got.append(packet.payload)
            if packet.qos:
                await subscriber.acknowledge(PUBACK if packet.qos == 1 else PUBREC, packet.packet_id)
        assert got == payloads


@statement("MQTT311-3.1.2-5", "MQTT311-4.6.0-6", "MQTT5-4.6.0-5")
@every_version
async def test_queued_messages_keep_their_order_behind_those_sent_again(
    connect: Clients, topic: str, version: int
) -> None:
    name = connect.name()
    first = await connect.resume(name, version)
    await first.subscribe(topic, qos=1)
    publisher = await connect(version=version)
    await publisher.publish(topic, b"in flight", qos=1)
    await first.expect(PUBLISH)
    first.abort()
    for number in range(10):
        await publisher.publish(topic, b"%d" % number, qos=1)
    second = await connect.resume(name, version)
    expected = [b"in flight", *(b"%d" % number for number in range(10))]
    assert await second.payloads(11) == expected


@statement("MQTT311-4.5.0-1", "MQTT5-4.5.0-1")
@every_version
async def test_every_client_with_a_matching_subscription_gets_the_message(
    connect: Clients, topic: str, version: int
) -> None:
    crowd = [await connect(version=version) for _ in range(6)]
    filters = [topic, f"{topic}/#", topic, f"+/{topic.partition('/')[2]}", f"{topic}", "other/" + topic]
    for wire, name in zip(crowd, filters, strict=True):
        await wire.subscribe(name, qos=1)
    await (await connect(version=version)).publish(topic, b"to all", qos=1)
    for wire in crowd[:5]:
        await wire.receive(topic, b"to all")
    await crowd[5].expect_nothing()


@statement("MQTT311-3.3.2-3", "MQTT5-3.3.2-3")
@every_version
async def test_a_publisher_may_be_its_own_subscriber(connect: Clients, topic: str, version: int) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic, qos=1)
    await wire.send(packets.publish(topic, b"echo", 1, 1, version=version))
    kinds = {(await wire.read()).type, (await wire.read()).type}
    assert kinds == {PUBACK, PUBLISH}


@statement("MQTT311-3.1.2-6", "MQTT5-3.1.2-4", "MQTT311-4.3.3-2")
@every_version
async def test_a_clean_session_forgets_the_identifiers_of_the_one_before(
    connect: Clients, topic: str, version: int
) -> None:
    wire = await connect(version=version)
    await wire.subscribe(topic)
    name = connect.name()
    for payload in (b"first", b"second"):
        publisher = await connect(name, version)
        await publisher.send(packets.publish(topic, payload, 2, 9, version=version))
        await publisher.expect(PUBREC)
        publisher.abort()
    publisher = await connect(name, version)
    await publisher.send(packets.publish(topic, b"third", 2, 9, version=version))
    await publisher.expect(PUBREC)
    await publisher.acknowledge(PUBREL, 9)
    await publisher.expect(PUBCOMP)
    got = [(await wire.receive(topic)).payload]
    while got[-1] != b"third":  # the first two were accepted by PUBREC, and routed then or never
        got.append((await wire.receive(topic)).payload)
    assert got in ([b"first", b"second", b"third"], [b"third"])


@statement("MQTT311-4.3.3-1", "MQTT5-4.3.3-3", "MQTT5-4.3.3-5")
@every_version
async def test_puback_does_not_end_a_qos_2_exchange(connect: Clients, topic: str, version: int) -> None:
    """It is ignored, or a protocol error that closes the connection: the message comes again on resuming."""
    name = connect.name()
    first = await connect.resume(name, version)
    await first.subscribe(topic, qos=2)
    await (await connect(version=version)).publish(topic, b"once", qos=2)
    message = await first.expect(PUBLISH)
    await first.acknowledge(PUBACK, message.packet_id)
    await first.send(packets.PING)
    await first.read_or_close()
    first.abort()
    second = await connect.resume(name, version)
    again = await second.receive(topic, b"once")
    assert again.packet_id == message.packet_id


@statement("MQTT311-3.1.4-2", "MQTT311-4.4.0-1", "MQTT5-3.1.4-3", "MQTT5-4.4.0-1", "MQTT5-3.1.2-5")
@every_version
async def test_a_takeover_goes_on_with_the_session(connect: Clients, topic: str, version: int) -> None:
    """The older connection still lives when the newer one comes: nothing is lost or doubled."""
    name = connect.name()
    older = await connect.resume(name, version)
    await older.subscribe(topic, qos=2)
    publisher = await connect(version=version)
    for qos in (1, 2):
        await publisher.publish(topic, b"%d" % qos, qos=qos)
        await older.expect(PUBLISH)
    newer = await connect.resume(name, version)
    await older.expect_closed()
    await publisher.publish(topic, b"3", qos=1)
    again = [await newer.expect(PUBLISH) for _ in range(3)]
    assert [(message.payload, message.dup) for message in again] == [
        (b"1", True),
        (b"2", True),
        (b"3", False),
    ]
    await newer.expect_nothing()


@statement("MQTT311-3.1.2-5", "MQTT311-4.6.0-6", "MQTT5-3.1.2-23", "MQTT5-4.6.0-5")
@every_version
async def test_a_long_queue_comes_whole_and_in_order(connect: Clients, topic: str, version: int) -> None:
    """More than any window: the rest follows as acknowledgements come."""
    name = connect.name()
    away = await connect.resume(name, version)
    await away.subscribe(topic, qos=1)
    await away.disconnect()
    publisher = await connect(version=version)
    count = 300
    for number in range(count):
        data = packets.publish(topic, b"%d" % number, 1, number + 1, version=version)
        await publisher.send(data)
    for _ in range(count):
        await publisher.expect(PUBACK)
    back = await connect.resume(name, version)
    assert await back.payloads(count) == [b"%d" % number for number in range(count)]
    await back.expect_nothing()
