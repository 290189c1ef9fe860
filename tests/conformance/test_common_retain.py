"""Retained messages, where the standards agree."""

from __future__ import annotations

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.conformance.versions import every_version
from tests.support.packets import Packet


async def _retained(connect: Clients, version: int, *filters: str, qos: int = 2) -> list[Packet]:
    """What a new subscriber gets at once."""
    reader = await connect(version=version)
    await reader.subscribe(*filters, qos=qos)
    await reader.send(b"\xc0\x00")
    messages = []
    while (message := await reader.read()).type != 13:
        messages.append(message)
    return messages


@statement("MQTT311-3.3.1-5", "MQTT311-3.3.1-6", "MQTT311-3.3.1-8", "MQTT5-3.3.1-5", "MQTT5-3.3.1-9")
@every_version
async def test_the_last_retained_message_of_each_topic_meets_a_new_subscription(
    connect: Clients, topic: str, version: int
) -> None:
    publisher = await connect(version=version)
    for qos in (0, 1, 2):
        await publisher.publish(f"{topic}/{qos}", b"old", qos=2, retain=True)
        await publisher.publish(f"{topic}/{qos}", b"new", qos=qos, retain=True)
    got = await _retained(connect, version, f"{topic}/+")
    assert {(message.topic, message.payload, message.qos, message.retain) for message in got} == {
        (f"{topic}/{qos}", b"new", qos, True) for qos in (0, 1, 2)
    }
    assert len(got) == 3


@statement("MQTT311-3.3.1-7", "MQTT5-3.3.1-5")
@every_version
async def test_a_retained_message_of_qos_0_takes_the_place_of_the_one_before(
    connect: Clients, topic: str, version: int
) -> None:
    publisher = await connect(version=version)
    await publisher.publish(topic, b"old", qos=1, retain=True)
    await publisher.publish(topic, b"new", qos=0, retain=True)
    got = await _retained(connect, version, topic)
    assert [(message.payload, message.qos) for message in got] == [(b"new", 0)]


@statement("MQTT311-3.3.1-9", "MQTT5-3.3.1-12")
@every_version
async def test_an_established_subscription_sees_no_retain(connect: Clients, topic: str, version: int) -> None:
    subscriber = await connect(version=version)
    await subscriber.subscribe(topic, qos=1)
    publisher = await connect(version=version)
    for qos in (0, 1, 2):
        await publisher.publish(topic, b"live", qos=qos, retain=True)
        assert not (await subscriber.receive(topic, b"live")).retain


@statement("MQTT311-3.3.1-10", "MQTT311-3.3.1-11", "MQTT5-3.3.1-6", "MQTT5-3.3.1-7")
@every_version
async def test_an_empty_retained_message_is_delivered_and_removes(
    connect: Clients, topic: str, version: int
) -> None:
    subscriber = await connect(version=version)
    await subscriber.subscribe(topic)
    publisher = await connect(version=version)
    await publisher.publish(topic, b"kept", qos=1, retain=True)
    await subscriber.receive(topic, b"kept")
    await publisher.publish(topic, b"", qos=1, retain=True)
    removal = await subscriber.receive(topic, b"")
    assert not removal.retain
    assert await _retained(connect, version, topic) == []


@statement("MQTT311-3.3.1-12", "MQTT5-3.3.1-8")
@every_version
async def test_a_message_that_is_not_retained_leaves_the_retained_one_alone(
    connect: Clients, topic: str, version: int
) -> None:
    publisher = await connect(version=version)
    await publisher.publish(f"{topic}/never", b"passing", qos=1)
    await publisher.publish(f"{topic}/kept", b"kept", qos=1, retain=True)
    await publisher.publish(f"{topic}/kept", b"passing", qos=1)
    await publisher.publish(f"{topic}/kept", b"", qos=1)
    got = await _retained(connect, version, f"{topic}/#")
    assert [(message.topic, message.payload) for message in got] == [(f"{topic}/kept", b"kept")]


@statement("MQTT311-3.8.4-6", "MQTT5-3.8.4-8", "MQTT311-3.3.1-6")
@every_version
async def test_a_retained_message_comes_at_the_granted_qos(
    connect: Clients, topic: str, version: int
) -> None:
    await (await connect(version=version)).publish(topic, b"kept", qos=2, retain=True)
    assert [message.qos for message in await _retained(connect, version, topic, qos=1)] == [1]
    assert [message.qos for message in await _retained(connect, version, topic, qos=0)] == [0]
