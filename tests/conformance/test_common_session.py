"""Sessions and wills, where the standards agree."""

from __future__ import annotations

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.conformance.versions import every_version, oasis_versions
from tests.support import packets
from tests.support.packets import Will


@statement("MQTT311-3.1.2-4", "MQTT311-3.1.2-5", "MQTT311-4.1.0-1", "MQTT311-4.5.0-1", "MQTT311-3.1.3-2")
@statement("MQTT5-3.1.2-5", "MQTT5-3.1.2-23", "MQTT5-4.5.0-1", "MQTT5-3.1.3-2")
@every_version
async def test_messages_wait_for_a_session_whose_client_is_away(
    connect: Clients, topic: str, version: int
) -> None:
    name = connect.name()
    away = await connect.resume(name, version)
    await away.subscribe(topic, qos=2)
    await away.disconnect()
    publisher = await connect(version=version)
    await publisher.publish(topic, b"one", qos=1)
    await publisher.publish(topic, b"two", qos=2)
    back = await connect.resume(name, version)
    assert back.connack.session_present == (version > 3) or version == 3
    assert [(await back.receive()).payload for _ in range(2)] == [b"one", b"two"]
    await back.expect_nothing()


@statement("MQTT311-3.1.2-6", "MQTT5-3.1.2-4", "MQTT311-3.1.4-3", "MQTT5-3.1.4-4")
@every_version
async def test_a_clean_start_begins_anew(connect: Clients, topic: str, version: int) -> None:
    name = connect.name()
    first = await connect.resume(name, version)
    await first.subscribe(topic, qos=1)
    await first.disconnect()
    publisher = await connect(version=version)
    await publisher.publish(topic, b"kept", qos=1)
    clean = await connect(name, version)
    await publisher.publish(topic, b"live", qos=1)
    await clean.expect_nothing()


@statement("MQTT311-3.1.2-6", "MQTT5-4.1.0-2")
@every_version
async def test_a_clean_session_ends_with_its_connection(connect: Clients, topic: str, version: int) -> None:
    name = connect.name()
    clean = await connect(name, version)
    await clean.subscribe(topic, qos=1)
    await clean.disconnect()
    publisher = await connect(version=version)
    await publisher.publish(topic, b"nobody", qos=1)
    again = await connect.resume(name, version)
    assert not again.connack.session_present
    await publisher.publish(topic, b"still nobody", qos=1)
    await again.expect_nothing()


@statement("MQTT311-4.1.0-2", "MQTT5-4.1.0-1")
@every_version
async def test_a_session_lasts_while_its_connection_does(connect: Clients, topic: str, version: int) -> None:
    subscriber = await connect(version=version)
    await subscriber.subscribe(topic)
    publisher = await connect(version=version)
    for number in range(20):
        await publisher.publish(topic, b"%d" % number)
        await subscriber.receive(topic, b"%d" % number)


@statement("MQTT311-3.1.2-7")
@every_version
async def test_retained_messages_outlive_the_session(connect: Clients, topic: str, version: int) -> None:
    publisher = await connect(version=version)
    await publisher.publish(topic, b"kept", qos=1, retain=True)
    await publisher.disconnect()
    reader = await connect(version=version)
    await reader.subscribe(topic)
    await reader.receive(topic, b"kept")


@statement("MQTT311-3.1.2-8", "MQTT311-3.1.2-10", "MQTT311-3.1.2-16", "MQTT311-3.1.2-9")
@statement("MQTT5-3.1.2-7", "MQTT5-3.1.2-8", "MQTT5-3.1.2-10", "MQTT5-3.1.2-14")
@every_version
async def test_a_will_is_published_once_when_the_connection_fails(
    connect: Clients, topic: str, version: int
) -> None:
    watcher = await connect(version=version)
    await watcher.subscribe(topic, qos=2)
    name = connect.name()
    client = await connect(name, version, will=Will(topic, b"lost", 2))
    client.abort()
    will = await watcher.receive(topic, b"lost")
    assert will.qos == 2
    assert not will.retain
    without = await connect(name, version)
    without.abort()
    await (await connect(name, version)).ping()
    await watcher.expect_nothing()
    await watcher.unsubscribe(topic)
    await watcher.subscribe(topic)
    await watcher.expect_nothing()


@statement("MQTT311-3.1.2-17", "MQTT5-3.1.2-15")
@every_version
async def test_a_retained_will_is_retained(connect: Clients, topic: str, version: int) -> None:
    watcher = await connect(version=version)
    await watcher.subscribe(topic)
    (await connect(version=version, will=Will(topic, b"lost", retain=True))).abort()
    assert not (await watcher.receive(topic, b"lost")).retain
    late = await connect(version=version)
    await late.subscribe(topic)
    assert (await late.receive(topic, b"lost")).retain


@statement("MQTT311-3.14.4-3", "MQTT311-3.1.2-10", "MQTT5-3.14.4-3", "MQTT5-3.1.2-10", "MQTT5-3.1.2-8")
@every_version
async def test_disconnect_discards_the_will(connect: Clients, topic: str, version: int) -> None:
    watcher = await connect(version=version)
    await watcher.subscribe(topic)
    client = await connect(version=version, will=Will(topic))
    await client.disconnect()
    await watcher.expect_nothing()


@statement("MQTT311-3.1.2-12")
@every_version
async def test_without_a_will_nothing_is_published(connect: Clients, topic: str, version: int) -> None:
    watcher = await connect(version=version)
    await watcher.subscribe(topic)
    await watcher.subscribe("#")
    name = connect.name()
    (await connect(name, version)).abort()
    await connect(name, version)
    marker = await connect(version=version)
    await marker.publish(topic, b"marker")
    heard = await watcher.receive()
    while heard.topic != topic:  # other tests' wills may pass by
        heard = await watcher.receive()
    assert heard.payload == b"marker"


@statement("MQTT311-3.1.2-8", "MQTT5-3.1.2-8", "MQTT311-4.8.0-1")
@every_version
async def test_a_protocol_error_publishes_the_will(connect: Clients, topic: str, version: int) -> None:
    watcher = await connect(version=version)
    await watcher.subscribe(topic)
    client = await connect(version=version, will=Will(topic))
    await client.send(packets.packet(0, 0, b""))
    await client.expect_closed()
    await watcher.receive(topic)


@statement("MQTT311-3.1.2-8", "MQTT5-3.1.2-8")
@oasis_versions
async def test_a_takeover_publishes_the_will(connect: Clients, topic: str, version: int) -> None:
    """The older connection is closed by the server, without DISCONNECT from its client."""
    watcher = await connect(version=version)
    await watcher.subscribe(topic)
    client = await connect(version=version, will=Will(topic))
    await connect(client.client_id, version)
    await watcher.receive(topic)
