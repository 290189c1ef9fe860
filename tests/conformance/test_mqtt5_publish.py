"""MQTT 5: what PUBLISH carries, topic aliases, message expiry."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.packets import Properties
from tests.support.wire import Wire

PAIRS = [("b", "1"), ("a", "2"), ("b", "1"), ("ä", "\u2764"), ("", ""), ("a", "0")]
FORWARDED: Properties = [
    (packets.USER_PROPERTY, PAIRS[0]),
    (packets.PAYLOAD_FORMAT_INDICATOR, 1),
    (packets.USER_PROPERTY, PAIRS[1]),
    (packets.CONTENT_TYPE, "text/plain; charset=utf-8"),
    (packets.USER_PROPERTY, PAIRS[2]),
    (packets.RESPONSE_TOPIC, "answers/ä/\ufeff"),
    (packets.CORRELATION_DATA, bytes(range(256))),
    *((packets.USER_PROPERTY, pair) for pair in PAIRS[3:]),
]


@statement("MQTT5-3.3.2-4", "MQTT5-3.3.2-15", "MQTT5-3.3.2-16", "MQTT5-3.3.2-17", "MQTT5-3.3.2-18")
@statement("MQTT5-3.3.2-20", "MQTT5-1.5.4-3")
@pytest.mark.parametrize("retained", [False, True])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_properties_reach_subscribers_as_they_are(
    connect: Clients, topic: str, qos: int, retained: bool
) -> None:
    """User properties in their order, live and retained."""
    wire = await connect()
    publisher = await connect()
    if not retained:
        await wire.subscribe(topic, qos=2)
    await publisher.publish(topic, "payload ä".encode(), qos, retain=retained, values=FORWARDED)
    if retained:
        await wire.subscribe(topic, qos=2)
    message = await wire.receive(topic, "payload ä".encode())
    assert message.all(packets.USER_PROPERTY) == PAIRS
    assert message.get(packets.PAYLOAD_FORMAT_INDICATOR) == 1
    assert message.get(packets.CONTENT_TYPE) == "text/plain; charset=utf-8"
    assert message.get(packets.RESPONSE_TOPIC) == "answers/ä/\ufeff"
    assert message.get(packets.CORRELATION_DATA) == bytes(range(256))
    assert len(message.properties) == len(FORWARDED)


@statement("MQTT5-3.3.2-17", "MQTT5-2.2.2-1")
async def test_a_message_without_properties_has_none(connect: Clients, topic: str) -> None:
    wire = await connect()
    await wire.subscribe(topic)
    for version in (4, 5):
        await (await connect(version=version)).publish(topic, b"bare")
        message = await wire.receive(topic, b"bare")
        assert message.properties == []
        assert message.size == len(packets.publish(topic, b"bare"))


@statement("MQTT5-3.3.2-6")
@pytest.mark.parametrize("retained", [False, True])
async def test_message_expiry_is_passed_on_less_the_time_waited(
    connect: Clients, topic: str, retained: bool
) -> None:
    name = connect.name()
    away = await connect.resume(name)
    if not retained:
        await away.subscribe(topic, qos=1)
    await away.disconnect()
    values = [(packets.MESSAGE_EXPIRY_INTERVAL, 100)]
    await (await connect()).publish(topic, b"waits", qos=1, retain=retained, values=values)
    await asyncio.sleep(2.1)  # the waiting
    back = await connect.resume(name)
    if retained:
        await back.subscribe(topic)
    message = await back.receive(topic, b"waits")
    assert message.number(packets.MESSAGE_EXPIRY_INTERVAL) in (97, 98)


@statement("MQTT5-3.3.2-6")
async def test_message_expiry_is_passed_on_whole_at_once(connect: Clients, topic: str) -> None:
    wire = await connect()
    await wire.subscribe(topic)
    values = [(packets.MESSAGE_EXPIRY_INTERVAL, 100)]
    await (await connect()).publish(topic, b"now", values=values)
    assert (await wire.receive(topic)).number(packets.MESSAGE_EXPIRY_INTERVAL) in (99, 100)


@statement("MQTT5-3.3.2-5", "MQTT5-4.3.3-13", "MQTT5-4.3.3-7")
async def test_expired_messages_are_not_delivered_but_those_begun_are(connect: Clients, topic: str) -> None:
    """Queued and retained copies expire; a QoS 2 exchange begun is finished, whatever the clock says."""
    queued, begun = connect.name(), connect.name()
    away = await connect.resume(queued)
    await away.subscribe(topic, qos=2)
    await away.disconnect()
    started = await connect.resume(begun)
    await started.subscribe(topic, qos=2)
    publisher = await connect()
    expiry = [(packets.MESSAGE_EXPIRY_INTERVAL, 1)]
    for qos in (1, 2):
        await publisher.publish(topic, b"short lived", qos, retain=True, values=expiry)
    in_flight = [await started.expect(packets.PUBLISH) for _ in range(2)]
    half_done = publisher.packet_id()
    await publisher.send(packets.publish(f"{topic}/half", b"", 2, half_done, values=expiry))
    await publisher.expect(packets.PUBREC)
    await asyncio.sleep(2.0)  # the expiry
    await publisher.acknowledge(packets.PUBREL, half_done)
    assert (await publisher.expect(packets.PUBCOMP)).packet_id == half_done
    back = await connect.resume(queued)
    await back.expect_nothing()
    late = await connect()
    await late.subscribe(topic, qos=2)
    await late.expect_nothing()
    started.abort()
    again = await connect.resume(begun)
    resent = [await again.expect(packets.PUBLISH) for _ in in_flight]
    assert [message.packet_id for message in resent] == [message.packet_id for message in in_flight]
    await again.acknowledge(packets.PUBREC, resent[1].packet_id)
    assert (await again.expect(packets.PUBREL)).packet_id == resent[1].packet_id


@statement("MQTT5-3.3.2-12", "MQTT5-3.3.2-7", "MQTT5-3.2.2-17", "MQTT5-3.3.2-9")
async def test_every_topic_alias_up_to_the_maximum_is_accepted(connect: Clients, topic: str) -> None:
    """And set anew at will; subscribers never see the publisher's alias."""
    wire = await connect()
    await wire.subscribe(f"{topic}/#")
    publisher = await connect()
    most = publisher.connack.number(packets.TOPIC_ALIAS_MAXIMUM)
    assert most > 0
    for alias in {1, 2, most // 2 or 1, most}:
        values = [(packets.TOPIC_ALIAS, alias)]
        await publisher.publish(f"{topic}/{alias}", b"named", values=values)
        await publisher.publish("", b"by alias", qos=1, values=values)
        await publisher.publish(f"{topic}/{alias}/again", b"renamed", qos=2, values=values)
        await publisher.publish("", b"by alias", values=values)
        for name in (f"{topic}/{alias}", f"{topic}/{alias}", f"{topic}/{alias}/again"):
            message = await wire.receive(name)
            assert message.get(packets.TOPIC_ALIAS) is None
        await wire.receive(f"{topic}/{alias}/again", b"by alias")


async def _topic_alias_error(wire: Wire, topic: str, alias: int) -> None:
    await wire.send(packets.publish(topic, b"", values=[(packets.TOPIC_ALIAS, alias)]))
    said = await wire.expect_closed()
    assert said is None or said.reason in (0x94, 0x82, 0x81)


@statement("MQTT5-3.3.2-8", "MQTT5-4.13.1-1")
async def test_topic_alias_0_closes_the_connection(connect: Clients, topic: str) -> None:
    await _topic_alias_error(await connect(), topic, 0)


@statement("MQTT5-3.2.2-17", "MQTT5-3.2.2-18", "MQTT5-3.3.2-9")
async def test_a_topic_alias_above_the_maximum_closes_the_connection(connect: Clients, topic: str) -> None:
    wire = await connect()
    most = wire.connack.number(packets.TOPIC_ALIAS_MAXIMUM)
    if most < 65535:
        await _topic_alias_error(wire, topic, most + 1)


@statement("MQTT5-3.3.2-7")
async def test_topic_aliases_end_with_the_connection(connect: Clients, topic: str) -> None:
    name = connect.name()
    first = await connect.resume(name)
    await first.publish(topic, b"", values=[(packets.TOPIC_ALIAS, 1)])
    first.abort()
    second = await connect.resume(name)
    assert second.connack.session_present
    await _topic_alias_error(second, "", 1)


@statement("MQTT5-4.7.3-1", "MQTT5-4.13.1-1")
async def test_a_topic_alias_that_was_never_set_closes_the_connection(connect: Clients) -> None:
    await _topic_alias_error(await connect(), "", 1)


@statement("MQTT5-3.1.2-27", "MQTT5-3.3.2-11")
@pytest.mark.parametrize("values", [[], [(packets.TOPIC_ALIAS_MAXIMUM, 0)]], ids=["absent", "0"])
async def test_a_client_without_topic_alias_maximum_gets_none(
    connect: Clients, topic: str, values: list[tuple[int, int]]
) -> None:
    wire = await connect(values=values)
    await wire.subscribe(topic)
    publisher = await connect()
    for _ in range(3):
        await publisher.publish(topic, b"", values=[(packets.TOPIC_ALIAS, 1)])
        assert (await wire.receive(topic)).get(packets.TOPIC_ALIAS) is None


@statement("MQTT5-3.1.2-26", "MQTT5-3.3.2-11", "MQTT5-3.3.2-7", "MQTT5-3.3.2-8")
async def test_aliases_towards_a_client_stay_within_its_maximum(connect: Clients, topic: str) -> None:
    """Resolved as a client does it, they name the right topics; a new connection starts without any."""
    name = connect.name()
    publisher = await connect()
    for _ in range(2):
        wire = await connect(name, values=[(packets.TOPIC_ALIAS_MAXIMUM, 2)])
        await wire.subscribe(f"{topic}/+", qos=1)
        aliases: dict[int, str] = {}
        for number in [0, 1, 2, 3, 0, 1, 2, 3, 0, 0]:
            await publisher.publish(f"{topic}/{number}", b"", qos=number % 2)
            message = await wire.receive()
            alias = message.get(packets.TOPIC_ALIAS)
            if alias is not None:
                assert isinstance(alias, int)
                assert 1 <= alias <= 2
                if message.topic:
                    aliases[alias] = message.topic
                message.topic = aliases[alias]
            assert message.topic == f"{topic}/{number}"
        await wire.disconnect()


@statement("MQTT5-3.4.2-1", "MQTT5-3.5.2-1")
@pytest.mark.parametrize(("qos", "answer"), [(1, packets.PUBACK), (2, packets.PUBREC)])
async def test_no_subscribers_is_success_or_says_so(
    connect: Clients, topic: str, qos: int, answer: int
) -> None:
    wire = await connect()
    await wire.send(packets.publish(topic, b"", qos, 1))
    assert (await wire.expect(answer)).reason in (0x00, 0x10)


@statement("MQTT5-3.7.2-1")
async def test_an_unknown_pubrel_is_answered_by_its_reason(connect: Clients) -> None:
    wire = await connect()
    await wire.acknowledge(packets.PUBREL, 4711)
    pubcomp = await wire.expect(packets.PUBCOMP)
    assert pubcomp.packet_id == 4711
    assert pubcomp.reason in (0x00, 0x92)


@statement("MQTT5-3.6.2-1")
async def test_an_unknown_pubrec_is_answered_by_its_reason(connect: Clients) -> None:
    wire = await connect()
    await wire.acknowledge(packets.PUBREC, 4711)
    pubrel = await wire.expect(packets.PUBREL)
    assert pubrel.packet_id == 4711
    assert pubrel.reason in (0x00, 0x92)


@statement("MQTT5-2.2.1-5")
@pytest.mark.parametrize("kind", [packets.PUBACK, packets.PUBCOMP])
async def test_an_unknown_last_acknowledgement_is_no_error(connect: Clients, kind: int) -> None:
    wire = await connect()
    await wire.acknowledge(kind, 4711)
    await wire.expect_nothing()


@statement("MQTT5-4.3.3-9", "MQTT5-3.5.2-1")
async def test_after_a_failed_pubrec_the_identifier_is_new(connect: Clients, topic: str) -> None:
    """`$SYS` is the server's own: a server that refuses to publish there leaves the identifier free."""
    wire = await connect()
    await wire.subscribe(topic)
    publisher = await connect()
    await publisher.send(packets.publish("$SYS/broker/version", b"mine", 2, 3))
    first = await publisher.expect(packets.PUBREC)
    if first.reason < 0x80:
        await publisher.acknowledge(packets.PUBREL, 3)
        await publisher.expect(packets.PUBCOMP)
    await publisher.send(packets.publish(topic, b"new", 2, 3))
    assert (await publisher.expect(packets.PUBREC)).reason < 0x80
    await publisher.acknowledge(packets.PUBREL, 3)
    assert (await publisher.expect(packets.PUBCOMP)).reason == 0
    await wire.receive(topic, b"new")
