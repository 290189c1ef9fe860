"""What our broker does where the standards leave the choice to the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.conftest import Clients
from tests.conformance.marks import statement
from tests.support import packets
from tests.support.broker import Broker
from tests.support.wire import Wire

pytestmark = pytest.mark.usefixtures("own_broker")


@statement("MQTT5-3.1.2-26", "MQTT5-3.3.2-11")
async def test_a_topic_that_comes_again_comes_as_an_alias(connect: Clients, topic: str) -> None:
    wire = await connect(values=[(packets.TOPIC_ALIAS_MAXIMUM, 1)])
    await wire.subscribe(f"{topic}/+")
    publisher = await connect()
    for _ in range(2):
        await publisher.publish(f"{topic}/a")
    first, second = await wire.receive(), await wire.receive()
    assert (first.topic, first.get(packets.TOPIC_ALIAS)) == (f"{topic}/a", 1)
    assert (second.topic, second.get(packets.TOPIC_ALIAS)) == ("", 1)
    assert second.size < first.size


@statement("MQTT5-3.1.2-28")
async def test_response_information_is_a_place_for_answers(connect: Clients) -> None:
    """Each client that asks gets one of its own, and others can answer there."""
    asking = [(packets.REQUEST_RESPONSE_INFORMATION, 1)]
    clients = [await connect(values=asking) for _ in range(2)]
    places = [wire.connack.get(packets.RESPONSE_INFORMATION) for wire in clients]
    assert places[0] != places[1]
    assert isinstance(places[0], str)
    await clients[0].subscribe(f"{places[0]}/#")
    values = [(packets.CORRELATION_DATA, b"42")]
    await clients[1].publish(f"{places[0]}/answer", b"yes", values=values)
    assert (await clients[0].receive()).get(packets.CORRELATION_DATA) == b"42"


@statement("MQTT5-3.4.2-1", "MQTT5-3.5.2-1")
async def test_no_subscribers_is_told(connect: Clients, topic: str) -> None:
    wire = await connect()
    for qos in (1, 2):
        answer = await wire.publish(topic, b"", qos=qos)
        assert answer is not None
        assert answer.reason == 0x10


@statement("MQTT5-4.7.1-1", "MQTT5-4.7.1-2", "MQTT5-3.8.4-7")
async def test_a_bad_filter_is_refused_in_suback(connect: Clients, topic: str) -> None:
    """And the other filters of the same SUBSCRIBE hold."""
    wire = await connect()
    filters = [(f"{topic}/a", 1), (f"{topic}#", 1), (f"{topic}/+b", 1), (f"{topic}/b", 2)]
    await wire.send(packets.subscribe(1, filters))
    assert (await wire.expect(packets.SUBACK)).reasons == [1, 0x8F, 0x8F, 2]
    await (await connect()).publish(f"{topic}/b", b"ok", qos=2)
    await wire.receive(f"{topic}/b", b"ok")


@statement("MQTT5-3.14.2-1", "MQTT5-4.13.1-1", "MQTT5-4.13.2-1")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packets.packet(0, 0, b""), 0x81),
        (packets.connect("again"), 0x82),
        (packets.publish("a/#"), 0x90),
        (packets.publish("a", values=[(packets.TOPIC_ALIAS, 65535)]), 0x94),
        (bytes([0x30]) + packets.variable_byte_integer(268_435_455), 0x95),
    ],
    ids=["malformed", "protocol error", "topic name", "topic alias", "size"],
)
async def test_the_reason_of_a_close_is_told(connect: Clients, data: bytes, reason: int) -> None:
    wire = await connect()
    await wire.send(data)
    said = await wire.expect_closed()
    assert said is not None
    assert said.reason == reason


@statement("MQTT5-3.14.2-1", "MQTT5-3.14.4-2")
async def test_a_server_that_stops_says_so(tmp_path: Path) -> None:
    """DISCONNECT 0x8B to MQTT 5 clients, the close to the others."""
    broker = Broker(tmp_path)
    try:
        wires = [await Wire.open(broker.address, version) for version in (3, 4, 5)]
        for wire in wires:
            await wire.connect(f"client {wire.version}")
        broker.process.terminate()
        said = [await wire.expect_closed() for wire in wires]
        assert said[:2] == [None, None]
        assert said[2] is not None
        assert said[2].reason == 0x8B
    finally:
        assert broker.stop() == 0
