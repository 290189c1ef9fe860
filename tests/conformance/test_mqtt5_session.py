"""MQTT 5: session expiry, wills with a delay, DISCONNECT."""

from __future__ import annotations

import asyncio

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.packets import Will

EXPIRY = packets.SESSION_EXPIRY_INTERVAL


@statement("MQTT5-4.1.0-2", "MQTT5-3.1.2-23")
async def test_a_session_ends_when_its_expiry_interval_has_passed(connect: Clients, topic: str) -> None:
    name = connect.name()
    wire = await connect(name, values=[(EXPIRY, 1)])
    await wire.subscribe(topic, qos=1)
    await wire.disconnect()
    back = await connect(name, clean=False, values=[(EXPIRY, 1)])
    assert back.connack.session_present
    await back.disconnect()
    await asyncio.sleep(2.0)  # the expiry itself
    late = await connect.resume(name)
    assert not late.connack.session_present
    await (await connect()).publish(topic, b"nobody", qos=1)
    await late.expect_nothing()


@statement("MQTT5-4.1.0-2", "MQTT5-3.1.2-6")
@pytest.mark.parametrize("values", [[], [(EXPIRY, 0)]], ids=["absent", "0"])
async def test_without_session_expiry_the_session_ends_with_the_connection(
    connect: Clients, values: list[tuple[int, int]]
) -> None:
    name = connect.name()
    await (await connect(name, clean=False, values=values)).disconnect()
    assert not (await connect.resume(name)).connack.session_present


@statement("MQTT5-4.1.0-2", "MQTT5-3.1.2-23")
async def test_disconnect_can_change_the_session_expiry(connect: Clients) -> None:
    name = connect.name()
    wire = await connect.resume(name)
    await wire.disconnect(values=[(EXPIRY, 0)])
    assert not (await connect.resume(name)).connack.session_present


@statement("MQTT5-4.13.1-1", "MQTT5-3.14.2-1")
async def test_disconnect_cannot_begin_a_session_expiry(connect: Clients) -> None:
    """Where CONNECT said 0, a DISCONNECT that says more is a protocol error: the session is not kept."""
    name = connect.name()
    wire = await connect(name)
    await wire.send(packets.disconnect(0, [(EXPIRY, 300)]))
    said = await wire.expect_closed()
    assert said is None or said.reason == 0x82
    assert not (await connect.resume(name)).connack.session_present


@statement("MQTT5-3.1.2-8", "MQTT5-3.1.2-7")
async def test_a_will_waits_for_its_delay(connect: Clients, topic: str) -> None:
    watcher = await connect()
    await watcher.subscribe(topic)
    will = Will(topic, b"late", properties=[(packets.WILL_DELAY_INTERVAL, 1)])
    client = await connect.resume(connect.name(), will=will)
    client.abort()
    await (await connect()).publish(topic, b"before")
    await watcher.receive(topic, b"before")
    await watcher.receive(topic, b"late")


@statement("MQTT5-3.1.3-9", "MQTT5-3.1.2-8")
async def test_a_new_connection_within_the_delay_prevents_the_will(connect: Clients, topic: str) -> None:
    watcher = await connect()
    await watcher.subscribe(topic, f"{topic}/other")
    will = Will(topic, b"never", properties=[(packets.WILL_DELAY_INTERVAL, 1)])
    name = connect.name()
    (await connect.resume(name, will=will)).abort()
    assert (await connect.resume(name)).connack.session_present
    other = Will(f"{topic}/other", b"later", properties=[(packets.WILL_DELAY_INTERVAL, 2)])
    (await connect.resume(connect.name(), will=other)).abort()
    await watcher.receive(f"{topic}/other", b"later")


@statement("MQTT5-3.1.2-8")
async def test_the_end_of_the_session_ends_the_delay(connect: Clients, topic: str) -> None:
    """A session that ends with the connection, one taken over by a clean start, one that expires earlier."""
    watcher = await connect()
    await watcher.subscribe(topic)
    delay = [(packets.WILL_DELAY_INTERVAL, 300)]
    (await connect(will=Will(topic, b"with the connection", properties=delay))).abort()
    await watcher.receive(topic, b"with the connection")
    name = connect.name()
    await connect.resume(name, will=Will(topic, b"clean start", properties=delay))
    await connect(name)
    await watcher.receive(topic, b"clean start")
    (await connect.resume(connect.name(), expiry=1, will=Will(topic, b"expired", properties=delay))).abort()
    await watcher.receive(topic, b"expired")


@statement("MQTT5-3.1.2-8", "MQTT5-3.14.4-3")
async def test_disconnect_with_will_publishes_it(connect: Clients, topic: str) -> None:
    watcher = await connect()
    await watcher.subscribe(topic)
    client = await connect(will=Will(topic, b"on purpose"))
    await client.disconnect(0x04)
    await watcher.receive(topic, b"on purpose")


@statement("MQTT5-3.1.3-10", "MQTT5-3.1.2-9", "MQTT5-3.1.3-1")
async def test_the_will_keeps_its_properties(connect: Clients, topic: str) -> None:
    watcher = await connect()
    await watcher.subscribe(topic, qos=1)
    pairs = [("z", "1"), ("a", "2"), ("z", "3"), ("", "")]
    will = Will(
        topic,
        b"\xc3\xa4",
        1,
        properties=[
            (packets.WILL_DELAY_INTERVAL, 0),
            (packets.PAYLOAD_FORMAT_INDICATOR, 1),
            (packets.MESSAGE_EXPIRY_INTERVAL, 300),
            (packets.CONTENT_TYPE, "text/plain"),
            (packets.RESPONSE_TOPIC, "answer/here"),
            (packets.CORRELATION_DATA, b"\0\xff"),
            *((packets.USER_PROPERTY, pair) for pair in pairs),
        ],
    )
    (await connect(will=will)).abort()
    message = await watcher.receive(topic)
    assert message.all(packets.USER_PROPERTY) == pairs
    assert message.get(packets.PAYLOAD_FORMAT_INDICATOR) == 1
    assert message.get(packets.CONTENT_TYPE) == "text/plain"
    assert message.get(packets.RESPONSE_TOPIC) == "answer/here"
    assert message.get(packets.CORRELATION_DATA) == b"\0\xff"
    assert 298 <= message.number(packets.MESSAGE_EXPIRY_INTERVAL) <= 300
    assert message.get(packets.WILL_DELAY_INTERVAL) is None


@statement("MQTT5-3.14.4-1", "MQTT5-3.14.4-2", "MQTT5-3.14.2-2", "MQTT5-3.14.2-1", "MQTT5-4.13.2-1")
async def test_the_server_closes_after_its_disconnect(connect: Clients) -> None:
    older = await connect.resume(connect.name())
    await connect(older.client_id)
    said = await older.expect(packets.DISCONNECT)
    assert said.reason == 0x8E
    assert said.get(EXPIRY) is None
    assert await older.until_closed() == []


@statement("MQTT5-3.14.4-1", "MQTT5-3.14.4-2")
async def test_nothing_after_a_client_s_disconnect_is_processed(connect: Clients, topic: str) -> None:
    watcher = await connect()
    await watcher.subscribe(topic)
    wire = await connect()
    await wire.send(packets.disconnect(), packets.publish(topic, b"too late"))
    assert await wire.until_closed() == []
    await watcher.expect_nothing()


@statement("MQTT5-4.1.0-1")
async def test_a_session_outlives_its_expiry_interval_while_connected(connect: Clients, topic: str) -> None:
    name = connect.name()
    wire = await connect(name, values=[(EXPIRY, 1)])
    await wire.subscribe(topic)
    await asyncio.sleep(1.5)  # longer than the expiry
    await (await connect()).publish(topic, b"still here")
    await wire.receive(topic, b"still here")
